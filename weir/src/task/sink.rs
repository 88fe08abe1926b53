//! `sinks:` where a task's rows go.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use super::source::FilesSpec;
use super::text::{ShortOrLong, short_or_long};

/// One entry under `sinks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// The route that it takes: `model`, `model.rejected`, `source` or `source.rejected`.
    pub from: Spanned<Route>,
    /// What becomes of the rows that are there already.
    pub mode: Mode,
    /// Whether it is published when the gate is closed.
    #[serde(default)]
    pub publish: Publish,
    /// The folder that takes the files; `path` is the folder itself.
    pub files: FilesSpec,
    /// The columns in order, renamed where an entry is `{new_name: column}`; all of the route's when left out.
    #[serde(default)]
    pub columns: Option<Vec<Spanned<ColumnOut>>>,
}

/// What becomes of the rows that a sink has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are replaced by this run's.
    Overwrite,
}

/// When a sink is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
