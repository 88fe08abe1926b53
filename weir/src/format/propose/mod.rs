//! The options with which a source reads what it rejects.
//!
//! An option is proposed if the reader reads most of the sampled texts with it: `values` are those of a column, with
//! `numbers` and `times`, `records` whole records. A proposal is a condition, and has no values of rows.

mod numbers;
mod records;
mod times;
mod values;

use crate::format::csv::{CsvForm, Dialect};
use crate::route::{Advise, Unread};
use crate::task::{ColumnFrom, Format, SourceSpec, Task, TaskError, UnknownColumns};

/// The options of a source.
#[derive(Debug)]
pub(crate) struct Proposals {
    spec: SourceSpec,
    /// The rules of CSV files.
    dialect: Option<Dialect>,
}

impl Proposals {
    /// Those of a source as the task declares it.
    pub(crate) fn of(task: &Task, spec: &SourceSpec) -> Result<Self, TaskError> {
        let files = spec.files.as_ref().filter(|files| files.format == Format::Csv);
        let form = files.map(|files| CsvForm::take(task, files)).transpose()?;
        Ok(Self { spec: spec.clone(), dialect: form.map(|form| form.declared().rules) })
    }

    /// The number of fields of a record, if the task tells it.
    fn fields(&self) -> Option<usize> {
        let columns = self.spec.columns.values().filter(|column| column.value.from == ColumnFrom::Column);
        let has_all = !columns.clone().any(|column| column.value.optional);
        let is_known = has_all && self.spec.unknown_columns == UnknownColumns::Fail;
        is_known.then(|| columns.count())
    }
}

/// Whether a date of MySQL has a month or a day that is zero.
fn has_zero_part(text: &str) -> bool {
    text.get(4..10).is_some_and(|rest| rest.starts_with("-00") || rest.ends_with("-00"))
}

impl Advise for Proposals {
    fn advice(&self, reason: &str, unread: &Unread) -> Option<String> {
        if unread.texts.is_empty() {
            return None;
        }
        let column = reason.strip_prefix("invalid_").and_then(|name| self.spec.columns.get_key_value(name));
        if let (Some((name, _)), true) = (column, self.spec.is_table()) {
            let zeros = unread.texts.iter().any(|text| std::str::from_utf8(text).is_ok_and(has_zero_part));
            if self.spec.mysql.is_some() && zeros {
                return Some("if dates with zeros may be null, write `zero_dates: null` under `mysql`".to_owned());
            }
            // Its values are no texts: how they are written cannot be declared.
            return Some(format!(
                "if these values of column `{name}` may be null, add `on_invalid: set_null` to it; or read with `query` what the \
                 column can hold"
            ));
        }
        match (column, &self.dialect) {
            (Some((name, column)), dialect) => {
                let texts: Vec<&str> = unread.texts.iter().filter_map(|text| std::str::from_utf8(text).ok()).collect();
                let can_trim = dialect.as_ref().is_some_and(|dialect| !dialect.trim);
                let declared = values::Declaration::of(&column.value, &self.spec);
                values::proposal(name, &declared, &texts, unread.others_are_read, can_trim)
            }
            (None, Some(dialect)) => records::of_csv(reason, dialect, self.fields(), unread),
            (None, None) => records::of_text(reason, &unread.texts),
        }
    }
}

/// Several as one text: `a`, `b` and `c`.
fn listed(all: &[String], last: &str) -> String {
    match all {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., end] => format!("{} {last} {end}", others.join(", ")),
    }
}

/// A text in quotes, as YAML and JSON have it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of texts in YAML.
fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", texts.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
}
