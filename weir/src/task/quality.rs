//! `quality:` rules on a table's rows, and the quality gate.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_saphyr::Spanned;

use super::text::{ColumnNames, Limit, Scalar, ShortOrLong, short_or_long};

/// The quality rules of one table: one entry under `quality`, by model name. For a source only `gate` is allowed: it
/// counts the records that could not be parsed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Quality")]
pub struct QualitySpec {
    /// Reason: requirement. A row for which one is false or null goes to `model.rejected` with all its reasons.
    #[schemars(with = "IndexMap<String, RuleSpec>", example = json!({"too_young": "age >= 18"}))]
    pub reject_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. Accepted rows for which one is false or null are counted and sampled, and kept.
    #[schemars(with = "IndexMap<String, RuleSpec>")]
    pub warn_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// Name: requirement. The first row for which one is false or null ends the run; nothing is published.
    #[schemars(with = "IndexMap<String, RuleSpec>")]
    pub fail_unless: IndexMap<String, Spanned<RuleSpec>>,
    /// The quality gate. When it closes, only sinks with `publish: always` are published, and the exit code is 3.
    pub gate: GateSpec,
}

/// Limits on a table; they close the gate, as does a rule's own `max`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Gate")]
pub struct GateSpec {
    /// The gate closes above this count, or this share of all rows, of rejected rows.
    #[schemars(example = &"5%")]
    pub max_rejected: Option<Limit>,
    /// The gate closes below this count of rows, accepted and rejected together.
    #[schemars(example = 1)]
    pub min_rows: Option<u64>,
}

/// A requirement, with the limit on rows that fail it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// The requirement.
    pub requirement: Requirement,
    /// The gate closes above it.
    pub max: Option<Limit>,
}

/// A requirement on every row. Null fails it.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    /// A SQL condition over the table's columns.
    Condition(String),
    /// The columns are not null.
    NotNull(Vec<String>),
    /// The columns are finite numbers: not null, not NaN, not infinite.
    Finite(Vec<String>),
    /// No other row has the same values in these columns.
    Unique(Vec<String>),
    /// The column's text is one of these values.
    AcceptedValues(String, Vec<String>),
    /// The column's text matches the regular expression, which is not anchored implicitly.
    Matches(String, String),
    /// The column is between the two, both inclusive.
    Between(String, String, String),
}

/// A rule in long form: exactly one of the requirements, and optionally `max`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct LongRule {
    /// A SQL condition over the table's columns and parameters; equivalent to the short form.
    #[schemars(example = &"amount > $least")]
    requires: Option<String>,
    /// The column, or each of the columns, is not null.
    #[schemars(example = &"email")]
    not_null: Option<ColumnNames>,
    /// The column, or each of the columns, is a finite number: not null, not NaN, not infinite.
    #[schemars(example = &"ratio")]
    finite: Option<ColumnNames>,
    /// No other row has the same values in these columns. Only for `warn_unless` and `fail_unless`: which of the
    /// duplicates to reject is not defined.
    #[schemars(example = json!(["name", "birthday"]))]
    unique: Option<ColumnNames>,
    /// The column's text is one of these values: `{column: [value, value]}`.
    #[schemars(example = json!({"currency": ["SGD", "USD"]}), extend("maxProperties" = 1))]
    accepted_values: Option<IndexMap<String, Vec<Scalar>>>,
    /// The column's text matches a regular expression, which is not anchored implicitly: `{column: pattern}`.
    #[schemars(example = json!({"mobile": "^[0-9]{8}$"}), extend("maxProperties" = 1))]
    matches: Option<IndexMap<String, Scalar>>,
    /// The column is between the two values, both inclusive: `{column: [least, greatest]}`.
    #[schemars(example = json!({"age": [18, 99]}), extend("maxProperties" = 1))]
    between: Option<IndexMap<String, (Scalar, Scalar)>>,
    /// The gate closes above this count, or this share of all rows, of rows that fail the rule.
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
            (None, _) => Err(format!("a rule has exactly one of {KINDS}")),
            (Some(_), Some(_)) => Err(format!("a rule has exactly one of {KINDS}; write one rule for each")),
        }
    }
}

const KINDS: &str = "requires, not_null, finite, unique, accepted_values, matches, between";

fn one_column<V>(kind: &str, map: IndexMap<String, V>) -> Result<(String, V), String> {
    let mut entries = map.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(format!("`{kind}` is for exactly one column; write one rule for each")),
    }
}

impl<'de> Deserialize<'de> for RuleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a SQL condition, or a mapping with a built-in rule")
    }
}
