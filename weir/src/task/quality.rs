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

impl QualitySpec {
    /// The tables that rules look into.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.requirements().filter_map(|requirement| match requirement {
            Requirement::In { table, .. } => Some(table.as_str()),
            _ => None,
        })
    }

    /// The tables whose rows are counted for a rule.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &str> {
        self.requirements().filter_map(|requirement| match requirement {
            Requirement::EqualRows(table) => Some(table.as_str()),
            _ => None,
        })
    }

    fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        let groups = [&self.reject_unless, &self.warn_unless, &self.fail_unless];
        groups.into_iter().flat_map(IndexMap::values).map(|rule| &rule.value.requirement)
    }
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
    /// Whether a null passes, too.
    pub allow_null: bool,
}

impl RuleSpec {
    /// A requirement without a limit.
    pub fn of(requirement: Requirement) -> Self {
        Self { requirement, max: None, allow_null: false }
    }
}

/// Which of the rows with the same key stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// The one with the smallest value in this column.
    First(String),
    /// The one with the greatest value in this column.
    Last(String),
    /// None, if there are several.
    None,
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
    /// No other row has the same values in these columns; or the one of them that stays.
    Unique(Vec<String>, Option<Keep>),
    /// The column's value is one of those of a column of another table.
    In {
        /// The column.
        column: String,
        /// The source or model.
        table: String,
        /// Its column.
        key: String,
    },
    /// The table has as many rows as this source or model.
    EqualRows(String),
    /// The column's text has so many characters.
    Length {
        /// The column.
        column: String,
        /// At least.
        min: u32,
        /// At most.
        max: Option<u32>,
    },
    /// The column's text has the form of an e-mail address.
    Email(String),
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
    /// No other row has the same values in these columns. Under `reject_unless` with `keep`. Null is never unique.
    #[schemars(example = json!(["name", "birthday"]))]
    unique: Option<ColumnNames>,
    /// With `unique` under `reject_unless`: which of the rows with the same key stays. `first by COLUMN`: the one with the
    /// smallest value in that column, `last by COLUMN`: the one with the greatest value (a null is neither); `none`: all of
    /// them are rejected. Rows that another rule rejects do not count.
    #[schemars(with = "Option<String>", example = &"last by updated_at")]
    keep: Option<Keep>,
    /// The column's value is one of those of a column of another source or model, a foreign key: `{column: table.column}`.
    /// Nulls there are ignored; of a model with rules, its accepted rows count.
    #[serde(rename = "in")]
    #[schemars(example = json!({"country": "countries.code"}), extend("maxProperties" = 1))]
    r#in: Option<IndexMap<String, String>>,
    /// The table has one row for each accepted row of this source or model: a join neither multiplies rows nor loses them.
    /// Rejected rows of the table count as its rows. For `fail_unless` and `warn_unless`.
    #[schemars(example = &"sale")]
    equal_rows: Option<String>,
    /// The column's text has at least `min` and at most `max` characters.
    #[schemars(example = json!({"column": "name", "min": 1, "max": 50}))]
    length: Option<LengthSpec>,
    /// The column's text has the form of an e-mail address: `name@example.com`.
    #[schemars(example = &"email")]
    email: Option<String>,
    /// Null passes, too: for `accepted_values`, `matches`, `between`, `in`, `length` and `email`.
    allow_null: bool,
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

/// The length of a text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct LengthSpec {
    /// The column.
    column: String,
    /// The least number of characters; default 0.
    #[serde(default)]
    min: u32,
    /// The greatest number of characters; without it there is none.
    max: Option<u32>,
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let column = |rest: &str| rest.trim_start().strip_prefix("by ").map(|column| column.trim().to_owned());
        let keep = match text.trim() {
            "none" => Some(Self::None),
            text => match (text.strip_prefix("first "), text.strip_prefix("last ")) {
                (Some(rest), _) => column(rest).map(Self::First),
                (_, Some(rest)) => column(rest).map(Self::Last),
                _ => None,
            },
        };
        keep.ok_or_else(|| {
            let forms = "write `first by COLUMN`, `last by COLUMN` or `none`: rows have no order of their own";
            serde::de::Error::custom(format!("`{text}` does not say which row stays: {forms}"))
        })
    }
}

impl<'de> ShortOrLong<'de> for RuleSpec {
    type Long = LongRule;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self::of(Requirement::Condition(text.to_owned())))
    }

    fn long(long: LongRule) -> Result<Self, String> {
        if long.keep.is_some() && long.unique.is_none() {
            return Err("`keep` is for `unique`".to_owned());
        }
        let of_column = long.accepted_values.is_some()
            || long.matches.is_some()
            || long.between.is_some()
            || long.r#in.is_some()
            || long.length.is_some()
            || long.email.is_some();
        if long.allow_null && !of_column {
            let kinds = "accepted_values, matches, between, in, length and email";
            return Err(format!("`allow_null` is for {kinds}; write `column is null or …` in a condition"));
        }
        let given: [Option<Result<_, String>>; 11] = [
            long.requires.map(|sql| Ok(Requirement::Condition(sql))),
            long.not_null.map(|names| Ok(Requirement::NotNull(names.0))),
            long.finite.map(|names| Ok(Requirement::Finite(names.0))),
            long.unique.map(|names| Ok(Requirement::Unique(names.0, long.keep))),
            long.r#in.map(|map| {
                let (column, of) = one_column("in", map)?;
                let Some((table, key)) = of.split_once('.') else {
                    return Err(format!("`in`: `{of}` is not a column of a table: write table.column"));
                };
                Ok(Requirement::In { column, table: table.to_owned(), key: key.to_owned() })
            }),
            long.equal_rows.map(|table| Ok(Requirement::EqualRows(table))),
            long.length.map(|LengthSpec { column, min, max }| match max {
                None if min == 0 => Err("`length` needs `min`, `max` or both".to_owned()),
                Some(max) if max < min => {
                    Err(format!("`length`: no text has at least {min} and at most {max} characters"))
                }
                max => Ok(Requirement::Length { column, min, max }),
            }),
            long.email.map(|column| Ok(Requirement::Email(column))),
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
            (Some(requirement), None) => {
                Ok(Self { requirement: requirement?, max: long.max, allow_null: long.allow_null })
            }
            (None, _) => Err(format!("a rule has exactly one of {KINDS}")),
            (Some(_), Some(_)) => Err(format!("a rule has exactly one of {KINDS}; write one rule for each")),
        }
    }
}

const KINDS: &str =
    "requires, not_null, finite, unique, in, equal_rows, length, email, accepted_values, matches, between";

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
