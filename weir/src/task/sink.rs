//! `sinks:` where a task's rows go.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use serde_saphyr::Spanned;

use super::source::FilesSpec;
use super::text::{ShortOrLong, short_or_long};

/// A sink: one entry under `sinks`. It takes one route's rows to a folder (`files`) or to a table of a database
/// (`postgres`); one of the two is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sink")]
pub struct SinkSpec {
    /// The rows that it takes: `model` or `source` are the accepted ones, `model.rejected` those that miss a rule,
    /// with `reasons`, and `source.rejected` the records that could not be read.
    #[schemars(with = "Route")]
    pub from: Spanned<Route>,
    /// What becomes of the rows that are there already. It has no default: replacing is never a surprise.
    pub mode: Mode,
    /// Whether it is published when the gate is closed.
    #[serde(default)]
    pub publish: Publish,
    /// The folder that takes the files: `path` is the folder itself, part files and `_SUCCESS` come into it.
    #[serde(default)]
    pub files: Option<FilesSpec>,
    /// The table that takes the rows.
    #[serde(default)]
    pub postgres: Option<TableSpec>,
    /// Of a table the columns that tell its rows apart: what `mode: merge` goes by. Rows without them are rejected.
    #[serde(default)]
    #[schemars(example = json!(["country", "measurement_date"]))]
    pub primary_key: Vec<String>,
    /// Of `mode: merge` the column that says which of two rows of one key is newer: an older row never goes before a newer
    /// one. Without it, rows of one run that differ and have one key end the run.
    #[serde(default)]
    pub update_key: Option<String>,
    /// The columns in order, renamed where an entry is `{new_name: column}`; all of the route's when left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<ColumnOut>>", example = json!(["name", {"mobile_no": "mobile"}]))]
    pub columns: Option<Vec<Spanned<ColumnOut>>>,
}

/// What becomes of the rows that a sink has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are replaced by this run's.
    Overwrite,
    /// They stay, and this run's are added. Needs a source with `read: new`, or every run would add the same rows.
    Append,
    /// Of a table with a `primary_key`: rows with the same key are updated, others inserted; what is the same already is not
    /// written.
    Merge,
}

/// A table of a PostgreSQL database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Table")]
pub struct TableSpec {
    /// A connection of `weir.yaml`, by its name.
    #[schemars(with = "String", example = &"warehouse")]
    pub connection: Spanned<String>,
    /// The table, with its schema if it is not the connection's own: `sales` or `shop.sales`; `${param}` is filled in.
    #[schemars(with = "String", example = &"shop.sales")]
    pub table: Spanned<String>,
    /// Whether a table that is not there is made: with the columns of the sink, its key, indexes and comments. A table that
    /// is there is never changed; what differs is said before a run reads anything.
    #[serde(default)]
    pub create: bool,
    /// The columns of each index that a table is made with, beside its key.
    #[serde(default)]
    #[schemars(example = json!([["measurement_date"]]))]
    pub indexes: Vec<Vec<String>>,
    /// What a table that is made says of itself to those who look at the database.
    #[serde(default)]
    pub comment: Option<String>,
    /// What its columns say of themselves, by the column's name.
    #[serde(default)]
    #[schemars(example = json!({"num_cases": "Confirmed cases of the day."}))]
    pub comments: IndexMap<String, String>,
}

/// When a sink is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// Only if the gate is open.
    #[default]
    Gated,
    /// Also if the gate is closed: for quarantines.
    Always,
}

/// A table's accepted or rejected rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The source or model.
    pub table: String,
    /// The rejected rows instead of the accepted.
    pub rejected: bool,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.table, if self.rejected { ".rejected" } else { "" })
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (table, route) = text.split_once('.').unwrap_or((&text, ""));
        match route {
            "" | "rejected" if !table.is_empty() => Ok(Self { table: table.to_owned(), rejected: route == "rejected" }),
            _ => Err(de::Error::custom(format!("`{text}` is no route: write `table` or `table.rejected`"))),
        }
    }
}

/// A column of a sink: `email`, or `{mobile_no: mobile}` to give the column `mobile` another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnOut {
    /// The name in the sink.
    pub name: String,
    /// The name in the route.
    pub column: String,
}

impl<'de> ShortOrLong<'de> for ColumnOut {
    type Long = IndexMap<String, String>;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { name: text.to_owned(), column: text.to_owned() })
    }

    fn long(long: Self::Long) -> Result<Self, String> {
        let mut entries = long.into_iter();
        match (entries.next(), entries.next()) {
            (Some((name, column)), None) => Ok(Self { name, column }),
            _ => Err("a renamed column is written {new_name: column}, one an entry".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for ColumnOut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a column name, or {new_name: column}")
    }
}
