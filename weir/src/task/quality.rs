//! `quality:` what must hold of a table's rows, and when the gate closes.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::text::{Limit, Names, Scalar, ShortOrLong, short_or_long};

/// One entry under `quality`, named for a model; for a source only `gate` can be given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualitySpec {
    /// Reason: requirement. A row for which one is not true for sure goes to the rejected route.
    pub reject_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. A row for which one is not true is counted and shown, and kept.
    pub warn_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. A row for which one is not true ends the run.
    pub fail_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// When nothing is published.
    pub gate: GateSpec,
}

/// When the gate closes, beside a rule's own `max`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// Above so many rejected rows, or so large a share of the rows.
    pub max_rejected: Option<Limit>,
    /// Below so many rows, accepted and rejected together.
    pub min_rows: Option<u64>,
}

/// A requirement, with the share of rows that may miss it before the gate closes.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// What must hold.
    pub requirement: Requirement,
    /// Above it the gate closes.
    pub max: Option<Limit>,
}

/// What must hold of a row. Null does not hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    /// A SQL condition over the table's columns.
    Condition(String),
    /// The columns are not null.
    NotNull(Vec<String>),
    /// No other row has the same values in these columns.
    Unique(Vec<String>),
    /// The column's text is one of these.
    AcceptedValues(String, Vec<String>),
    /// The column's text matches the regular expression, which is not anchored of itself.
    Matches(String, String),
    /// The column lies between the two, both included.
    Between(String, String, String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LongRule {
    requires: Option<String>,
    not_null: Option<Names>,
    unique: Option<Names>,
    accepted_values: Option<IndexMap<String, Vec<Scalar>>>,
    matches: Option<IndexMap<String, Scalar>>,
    between: Option<IndexMap<String, (Scalar, Scalar)>>,
    max: Option<Limit>,
}

impl<'de> ShortOrLong<'de> for RuleSpec {
    type Long = LongRule;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { requirement: Requirement::Condition(text.to_owned()), max: None })
    }

    fn long(long: LongRule) -> Result<Self, String> {
        let given: [Option<Result<_, String>>; 6] = [
            long.requires.map(|sql| Ok(Requirement::Condition(sql))),
            long.not_null.map(|names| Ok(Requirement::NotNull(names.0))),
            long.unique.map(|names| Ok(Requirement::Unique(names.0))),
            long.accepted_values.map(|map| {
                let (column, values) = one_column("accepted_values", map)?;
                Ok(Requirement::AcceptedValues(column, values.into_iter().map(|value| value.0).collect()))
            }),
            long.matches.map(|map| {
                let (column, pattern) = one_column("matches", map)?;
                Ok(Requirement::Matches(column, pattern.0))
            }),
            long.between.map(|map| {
                let (column, (low, high)) = one_column("between", map)?;
                Ok(Requirement::Between(column, low.0, high.0))
            }),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(requirement), None) => Ok(Self { requirement: requirement?, max: long.max }),
            (None, _) => Err(format!("a rule needs one of {KINDS}")),
            (Some(_), Some(_)) => Err(format!("a rule takes only one of {KINDS}; write a rule for each")),
        }
    }
}

const KINDS: &str = "requires, not_null, unique, accepted_values, matches, between";

fn one_column<V>(kind: &str, map: IndexMap<String, V>) -> Result<(String, V), String> {
    let mut entries = map.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(format!("`{kind}` takes one column; write a rule for each")),
    }
}

impl<'de> Deserialize<'de> for RuleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a SQL condition, or a mapping with a built-in rule")
    }
}
