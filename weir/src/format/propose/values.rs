//! What a column has to declare to read values that it rejects.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringViewArray};
use indexmap::IndexSet;

use super::{list, listed, numbers, quoted, times};
use crate::format::value::Form;
use crate::format::value::known::SPELLINGS;
use crate::task::{ColumnSpec, Scalar, SourceSpec, SqlType, ValueSpec};

/// Words that often mean null. They say nothing of a row, so that a proposal may have them.
const NULLS: [&str; 47] = [
    "null",
    "(null)",
    "<null>",
    "[null]",
    "#null!",
    "na",
    "n/a",
    "#n/a",
    "n.a.",
    "n.a",
    "#na",
    "nan",
    "none",
    "(none)",
    "nil",
    "empty",
    "(empty)",
    "(blank)",
    "blank",
    "missing",
    "not available",
    "not applicable",
    "no data",
    "n/d",
    "nd",
    "undefined",
    "undef",
    "tbd",
    "tba",
    "\\n",
    "-",
    "--",
    "---",
    "–",
    "—",
    ".",
    "..",
    "*",
    "?",
    "??",
    "unknown",
    "unbekannt",
    "k.a.",
    "leer",
    "s/d",
    "s/o",
    "#value!",
];

/// How often a text that is no known word must be there to be one.
const REPEATED: usize = 10;

/// Whether a text is a word that often means null, in upper or lower case.
fn is_null_word(text: &str) -> bool {
    NULLS.contains(&text.trim().to_lowercase().as_str())
}

/// The most alternatives that a proposal has.
const MOST_KEYS: usize = 4;

/// Further texts for true and false.
const NUMBERS: (&str, &str) = ("1", "0");

/// How a column is declared.
#[derive(Debug, Clone)]
pub(super) struct Declaration {
    pub(super) sql_type: SqlType,
    pub(super) values: ValueSpec,
    pub(super) formats: Vec<String>,
}

/// A declaration that may read the values.
pub(super) struct Candidate {
    pub(super) declaration: Declaration,
    /// What the column declares in addition, as in a task file.
    pub(super) keys: Vec<String>,
    /// Of those that read as many values, the ones of the lowest rank are proposed.
    pub(super) rank: usize,
}

/// Declarations of one kind.
pub(super) struct Candidates {
    /// When they are right; `COLUMN` stands for the column.
    pub(super) condition: &'static str,
    pub(super) all: Vec<Candidate>,
}

/// The best ones of a kind.
struct Best<'a> {
    condition: &'static str,
    reads: usize,
    candidates: Vec<&'a Candidate>,
}

impl Declaration {
    /// The declaration of a column, with what the source declares for all of them.
    pub(super) fn of(column: &ColumnSpec, source: &SourceSpec) -> Self {
        let formats = column.format.as_ref().or_else(|| source.formats(column.sql_type));
        Self {
            sql_type: column.sql_type,
            values: column.values.clone().or(source.values()),
            formats: formats.map_or(vec![], |formats| formats.0.clone()),
        }
    }

    /// How many of the texts are values.
    pub(super) fn reads(&self, texts: &[&str]) -> usize {
        let Ok(form) = Form::declared(self.sql_type, &self.values, &self.formats) else { return 0 };
        let array: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        form.parse(&array).map_or(0, |typed| texts.len() - typed.invalid.len())
    }

    /// The same column as another type.
    pub(super) fn as_type(&self, sql_type: SqlType) -> Candidate {
        let name = sql_type.to_string();
        let name = if name.contains(',') { quoted(&name) } else { name };
        Candidate { declaration: Self { sql_type, ..self.clone() }, keys: vec![format!("`type: {name}`")], rank: 0 }
    }

    fn candidates(&self, texts: &[&str], others_are_read: bool) -> Vec<Candidates> {
        match self.sql_type {
            of if of.is_number() => vec![numbers::written(self, texts), numbers::types(self)],
            SqlType::Boolean => vec![self.words(texts)],
            SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz => {
                times::written(self, texts, others_are_read)
            }
            SqlType::Binary => vec![self.encodings()],
            _ => vec![],
        }
    }

    /// Words for true and false: a pair, or all those of which there are some.
    fn words(&self, texts: &[&str]) -> Candidates {
        let is_first = |at: &usize| {
            let (is_true, _) = SPELLINGS[*at];
            !SPELLINGS[..*at].iter().any(|(other, _)| other.eq_ignore_ascii_case(is_true))
        };
        let pairs = (0..SPELLINGS.len()).filter(is_first).map(|at| SPELLINGS[at]).chain([NUMBERS]);
        let pairs: Vec<(&str, &str)> = pairs.collect();
        let is_there = |word: &str| texts.iter().any(|text| text.trim().eq_ignore_ascii_case(word));
        let found = pairs.iter().copied().filter(|(is_true, is_false)| is_there(is_true) || is_there(is_false));
        let found: Vec<(&str, &str)> = found.collect();
        let with = |declared: &Option<Vec<Scalar>>, words: &[&str]| {
            let declared = declared.iter().flatten().map(|Scalar(word)| word.clone());
            declared.chain(words.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
        };
        let sets = pairs.iter().map(|pair| vec![*pair]).chain((found.len() > 1).then_some(found));
        let all = sets.map(|pairs| {
            let mut declaration = self.clone();
            let (is_true, is_false): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
            let rank = pairs.len();
            let is_true = with(&self.values.true_values, &is_true);
            let is_false = with(&self.values.false_values, &is_false);
            let keys = vec![
                format!("`true_values: {}`", list(is_true.iter().map(String::as_str))),
                format!("`false_values: {}`", list(is_false.iter().map(String::as_str))),
            ];
            declaration.values.true_values = Some(is_true.into_iter().map(Scalar).collect());
            declaration.values.false_values = Some(is_false.into_iter().map(Scalar).collect());
            Candidate { declaration, keys, rank }
        });
        Candidates { condition: "if the words of column COLUMN mean that", all: all.collect() }
    }

    fn encodings(&self) -> Candidates {
        let all = ["hex", "base64"].into_iter().map(|format| Candidate {
            declaration: Self { formats: vec![format.to_owned()], ..self.clone() },
            keys: vec![format!("`format: {format}`")],
            rank: 0,
        });
        Candidates { condition: "if the bytes of column COLUMN are written so", all: all.collect() }
    }
}

/// What a column has to declare to read most of the values that it rejects.
pub(super) fn proposal(
    column: &str,
    declared: &Declaration,
    texts: &[&str],
    others_are_read: bool,
    can_trim: bool,
) -> Option<String> {
    let (nulls, values): (Vec<&str>, Vec<&str>) = texts.iter().partition(|text| is_null_word(text));
    let mut advice = Vec::new();
    if !nulls.is_empty() {
        advice.push(of_nulls(column, declared, &nulls));
    }
    if is_one_word(declared, &values) {
        // The word may be a name: it is not shown.
        advice.push(format!(
            "if the word that most of these values of column `{column}` are means null, add it to `null_values` of the column"
        ));
    }
    let bare = |text| bare(text, can_trim);
    let cores = values.iter().map(|text| bare(text)).filter(|text| !text.is_empty() && declared.reads(&[*text]) == 0);
    let cores: Vec<&str> = cores.collect();
    let candidates = declared.candidates(&cores, others_are_read);
    let best = best(&candidates, &cores);
    let is_read = |text: &str| {
        let mut all = best.iter().flat_map(|best| &best.candidates).map(|candidate| &candidate.declaration);
        text.is_empty() || declared.reads(&[text]) == 1 || all.any(|other| other.reads(&[text]) == 1)
    };
    if values.iter().any(|text| bare(text) != *text && is_read(bare(text))) {
        let trim = "if blanks around values without quotes do not matter, specify `trim: true` next to the path";
        advice.push(trim.to_owned());
    }
    let best: Vec<String> = best.iter().map(|best| best.shown(column, cores.len())).collect();
    if !best.is_empty() {
        advice.push(best.join("; or "));
    }
    (!advice.is_empty()).then(|| advice.join("; "))
}

/// A text without blanks around it, if they can be declared to be no part of values.
fn bare(text: &str, can_trim: bool) -> &str {
    if can_trim { text.trim() } else { text }
}

/// The words for null. Those of a column replace those of the source.
fn of_nulls(column: &str, declared: &Declaration, found: &[&str]) -> String {
    let known = declared.values.null_values.as_deref().unwrap_or_default();
    let found: IndexSet<&str> = found.iter().map(|text| text.trim()).collect();
    let mut words: Vec<&str> = found.into_iter().collect();
    words.sort_by_key(|word| NULLS.iter().position(|known| *known == word.to_lowercase()));
    let shown = listed(&words.iter().map(|word| quoted(word)).collect::<Vec<_>>(), "and");
    words.retain(|word| !known.iter().any(|known| known == word));
    let all = list(known.iter().map(String::as_str).chain(words));
    format!("if {shown} in column `{column}` means null, add `null_values: {all}` to it")
}

/// Whether most of the values are one and the same word, which a column of numbers or times would not have otherwise.
fn is_one_word(declared: &Declaration, values: &[&str]) -> bool {
    let is_text = matches!(declared.sql_type, SqlType::String | SqlType::Json | SqlType::Boolean | SqlType::Binary);
    let mut counts = std::collections::HashMap::new();
    values.iter().for_each(|text| *counts.entry(text.trim()).or_insert(0) += 1);
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.is_some_and(|(word, count)| {
        !is_text && count >= REPEATED && count * 2 >= values.len() && !word.contains(|c: char| c.is_ascii_digit())
    })
}

/// The declarations that read most of the texts, and at least half of them.
fn best<'a>(candidates: &'a [Candidates], texts: &[&str]) -> Vec<Best<'a>> {
    let of_kind = |kind: &'a Candidates| {
        let counted = kind.all.iter().map(|one| (one.declaration.reads(texts), one)).filter(|(reads, _)| *reads > 0);
        let counted: Vec<(usize, &Candidate)> = counted.collect();
        let reads = counted.iter().map(|(reads, _)| *reads).max()?;
        let best = counted.into_iter().filter(|(other, _)| *other == reads).map(|(_, one)| one);
        let rank = best.clone().map(|one| one.rank).min()?;
        let candidates = best.filter(|one| one.rank == rank).collect();
        Some(Best { condition: kind.condition, reads, candidates })
    };
    let mut best: Vec<Best<'a>> = candidates.iter().filter_map(of_kind).collect();
    let most = best.iter().map(|best| best.reads).max().unwrap_or_default();
    best.retain(|best| best.reads == most && best.reads * 2 >= texts.len());
    best
}

impl Best<'_> {
    fn shown(&self, column: &str, texts: usize) -> String {
        // Candidates can differ in what is not needed.
        let keys: IndexSet<String> = self.candidates.iter().map(|one| listed(&one.keys, "and")).collect();
        let keys: Vec<String> = keys.into_iter().take(MOST_KEYS).collect();
        let condition = self.condition.replace("COLUMN", &format!("`{column}`"));
        let share = match self.reads == texts {
            true => String::new(),
            false => format!(", which reads {} of {texts} sampled values", self.reads),
        };
        format!("{condition}, add {} to it{share}", listed(&keys, "or"))
    }
}
