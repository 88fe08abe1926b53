//! Several rows that would be one document: what is wrong, and what to do about it.

use super::text::number_of;

pub(super) fn message(rows: u64, only_case: bool) -> String {
    let what = match only_case {
        true => "names that differ only in case, which is one file on a disk that ignores case",
        false => "the same name",
    };
    format!("at least {} have {what}", number_of(rows, "row"))
}

pub(super) fn help(only_case: bool) -> &'static str {
    match only_case {
        true => {
            "let the model make such keys differ, or keep one of them: the rule `{unique: …, keep: …}` under `reject_unless`, on a \
             column with `lower(…)` of the key"
        }
        false => {
            "let the model return one row for each key, or keep one of them: the rule `{unique: …, keep: …}` under \
             `reject_unless`"
        }
    }
}
