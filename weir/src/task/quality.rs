//! `quality:` what must hold of a table's rows, and when the gate closes.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_saphyr::Spanned;

use super::text::{Limit, Names, Scalar, ShortOrLong, short_or_long};

/// What must hold of one table's rows: one entry under `quality`, named for a model. For a source only `gate` can be
/// given: it counts the records that cannot be read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Quality")]
pub struct QualitySpec {
    /// Reason: requirement. A row for which one is not true, or null, goes to `model.rejected` with all its reasons.
    #[schemars(with = "IndexMap<String, RuleSpec>", example = json!({"too_young": "age >= 18"}))]
    pub reject_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. Accepted rows for which one is not true are counted and shown, and kept.
    #[schemars(with = "IndexMap<String, RuleSpec>")]
    pub warn_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. One row for which one is not true ends the run, and nothing is published.
    #[schemars(with = "IndexMap<String, RuleSpec>")]
    pub fail_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// When the gate closes: then only sinks with `publish: always` are published, and the exit code is 3.
    pub gate: GateSpec,
}

/// When the gate closes, beside a rule's own `max`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Gate")]
pub struct GateSpec {
    /// It closes above so many rejected rows, or above so large a share of all rows.
    #[schemars(example = &"5%")]
    pub max_rejected: Option<Limit>,
    /// It closes below so many rows, accepted and rejected together.
    #[schemars(example = 1)]
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
    /// The columns are numbers: neither null nor infinite nor "not a number".
    Finite(Vec<String>),
    /// No other row has the same values in these columns.
    Unique(Vec<String>),
    /// The column's text is one of these.
    AcceptedValues(String, Vec<String>),
    /// The column's text matches the regular expression, which is not anchored of itself.
    Matches(String, String),
    /// The column lies between the two, both included.
    Between(String, String, String),
}

/// A rule written long: exactly one of the requirements, and perhaps `max`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct LongRule {
    /// A SQL condition over the table's columns and parameters; the same as the condition alone.
    #[schemars(example = &"amount > $least")]
    requires: Option<String>,
    /// The column is not null, or none of the columns is.
    #[schemars(example = &"email")]
    not_null: Option<Names>,
    /// The column, or each of the columns, is a finite number: not null, not NaN, not an infinity.
    #[schemars(example = &"ratio")]
    finite: Option<Names>,
    /// No other row has the same values in these columns. For `warn_unless` and `fail_unless` only, because none of the
    /// rows is the wrong one.
    #[schemars(example = json!(["name", "birthday"]))]
    unique: Option<Names>,
    /// The column's text is one of these: `{column: [value, value]}`.
    #[schemars(example = json!({"currency": ["SGD", "USD"]}), extend("maxProperties" = 1))]
    accepted_values: Option<IndexMap<String, Vec<Scalar>>>,
    /// The column's text matches a regular expression, which is not anchored of itself: `{column: pattern}`.
    #[schemars(example = json!({"mobile": "^[0-9]{8}$"}), extend("maxProperties" = 1))]
    matches: Option<IndexMap<String, Scalar>>,
    /// The column lies between the two, both included: `{column: [least, greatest]}`.
    #[schemars(example = json!({"age": [18, 99]}), extend("maxProperties" = 1))]
    between: Option<IndexMap<String, (Scalar, Scalar)>>,
    /// The gate closes above so many rows that miss the rule, or above so large a share of all rows.
    #[schemars(example = &"1%")]
    max: Option<Limit>,
}

impl<'de> ShortOrLong<'de> for RuleSpec {
    type Long = LongRule;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { requirement: Requirement::Condition(text.to_owned()), max: None })
    }

    fn long(long: LongRule) -> Result<Self, String> {
        let given: [Option<Result<_, String>>; 7] = [
            long.requires.map(|sql| Ok(Requirement::Condition(sql))),
            long.not_null.map(|names| Ok(Requirement::NotNull(names.0))),
            long.finite.map(|names| Ok(Requirement::Finite(names.0))),
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

const KINDS: &str = "requires, not_null, finite, unique, accepted_values, matches, between";

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
