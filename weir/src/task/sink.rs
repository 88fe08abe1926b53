//! `sinks:` the outputs of a task.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use serde_saphyr::Spanned;

use super::documents::DocumentsSpec;
use super::output_files::OutputFilesSpec;
use super::text::{ShortOrLong, short_or_long};

/// A sink: one entry under `sinks`. It writes the rows of one route to a folder or a file (`files`), to a folder with a file
/// for each row (`documents`) or to a database table (`postgres`, `mysql`); exactly one of them is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sink")]
pub struct SinkSpec {
    /// The route to read: `model` or `source` for accepted rows, `model.rejected` for rows that failed a rule, with
    /// `reasons`, `source.rejected` for records that could not be parsed.
    #[schemars(with = "Route")]
    pub from: Spanned<Route>,
    /// How the target's existing rows are treated. It has no default, so that nothing is replaced by accident.
    pub mode: Mode,
    /// Whether the sink is published when the quality gate is closed.
    #[serde(default)]
    pub publish: Publish,
    /// The target folder or file.
    #[serde(default)]
    pub files: Option<OutputFilesSpec>,
    /// The target folder with a file for each row.
    #[serde(default)]
    pub documents: Option<DocumentsSpec>,
    /// The target table.
    #[serde(default)]
    pub postgres: Option<TableSpec>,
    /// The target table of a MySQL or MariaDB database.
    #[serde(default)]
    pub mysql: Option<TableSpec>,
    /// For a table, the columns that identify a row, the key of `merge`, `insert` and `scd2`. A row with a null in them is
    /// rejected.
    #[serde(default)]
    #[schemars(example = json!(["country", "measurement_date"]))]
    pub primary_key: Vec<String>,
    /// For `mode: merge`, the column that orders two rows with the same key: an older row never overwrites a newer
    /// one. Without it, different rows with the same key in one run end the run. For `mode: scd2`, the column with the time of
    /// a version; by default it is the time of the run.
    #[serde(default)]
    pub update_key: Option<String>,
    /// The columns by whose values rows are put into partitions. In a folder each combination of values has a folder of its own,
    /// such as `year=2024/month=01`, and the files do not have these columns. `mode: replace` replaces the partitions that the
    /// rows of a run have, of a folder or of a table.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = json!(["year", "month"]))]
    pub partition_by: Vec<Spanned<String>>,
    /// For `mode: merge` and `mode: scd2`, a SQL condition over the columns of the route: a row for which it is true says that
    /// the row of its key is gone. The row of the table is deleted, or marked where there is `soft_delete`; in `scd2` its
    /// current version ends.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"op = 'D'")]
    pub deleted_when: Option<Spanned<String>>,
    /// The column of the table that marks a deleted row instead of deleting it: a boolean, or the time of the deletion. It is
    /// no column of the rows. A row that comes back loses the mark.
    #[serde(default)]
    #[schemars(example = &"deleted_at")]
    pub soft_delete: Option<String>,
    /// For `mode: scd2`, the names of the columns that say when a version of a row began and ended.
    #[serde(default)]
    pub history: Option<HistorySpec>,
    /// For a table or a `file`, whether `mode: overwrite` may replace what no run of the task has written. Without it such a
    /// table is refused, unless it is empty, and such a file.
    #[serde(default)]
    pub adopt: bool,
    /// For a folder with `mode: append`, how many small part files it may have: with more, the next run merges them. Small is
    /// one of less than 16 MiB.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 2), example = &100)]
    pub compact: Option<Spanned<u32>>,
    /// For CSV files, whether an apostrophe is put before a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage
    /// return: a spreadsheet program would compute it. Such a text is then read back with the apostrophe.
    #[serde(default)]
    pub escape_formulas: bool,
    /// The columns of the route that are written as they are, although they are computed from private columns of sources. A
    /// reviewer sees them here.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = json!(["patient_count"]))]
    pub public: Vec<Spanned<String>>,
    /// The columns in order, renamed where an entry is `{new_name: column}`. Default: all columns of the route.
    #[serde(default)]
    #[schemars(with = "Option<Vec<OutputColumnSpec>>", example = json!(["name", {"mobile_no": "mobile"}]))]
    pub columns: Option<Vec<Spanned<OutputColumnSpec>>>,
}

impl SinkSpec {
    /// The folder that it writes, as the task has it; none if it writes one file or a table.
    pub(crate) fn folder(&self) -> Option<&Spanned<String>> {
        let of_files = self.files.as_ref().filter(|files| files.file.is_none()).and_then(|files| files.path.as_ref());
        of_files.or_else(|| self.documents.as_ref().map(|documents| &documents.path))
    }
}

/// How the existing rows of a target are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are replaced by the rows of this run.
    Overwrite,
    /// They are kept, and the rows of this run are added. Requires a source with `read: new`, because every run would
    /// add the same rows again otherwise.
    Append,
    /// Upsert by `primary_key`: rows with a new key are inserted, changed rows are updated, identical rows are not
    /// written.
    Merge,
    /// They stay, and rows with a new `primary_key` are inserted.
    Insert,
    /// The partitions that the rows of this run have (`partition_by`) are replaced, the others stay.
    Replace,
    /// History, slowly changing dimension type 2: a changed row ends the version before it and begins a new one.
    Scd2,
}

impl Mode {
    /// Its name in a task file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Merge => "merge",
            Self::Insert => "insert",
            Self::Replace => "replace",
            Self::Scd2 => "scd2",
        }
    }
}

/// The columns of a table with `mode: scd2` that say when a version of a row began and ended. They are no columns of the rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "History")]
pub struct HistorySpec {
    /// When a version began.
    pub valid_from: String,
    /// When a version ended; null while it is the current one.
    pub valid_to: String,
}

impl Default for HistorySpec {
    fn default() -> Self {
        Self { valid_from: "valid_from".to_owned(), valid_to: "valid_to".to_owned() }
    }
}

/// What happens if the rows have columns that an existing table lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChanges {
    /// The run fails before it reads anything.
    #[default]
    Fail,
    /// The columns are added to the table, by the transaction that publishes the rows. They are null in the rows that are
    /// there.
    Add,
}

/// A table of a database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Table")]
pub struct TableSpec {
    /// The name of a connection in `weir.yaml`.
    #[schemars(with = "String", example = &"warehouse")]
    pub connection: Spanned<String>,
    /// The table, with its schema if that is not on the connection's search path: `sales` or `shop.sales`. `${param}`
    /// is replaced.
    #[schemars(with = "String", example = &"shop.sales")]
    pub table: Spanned<String>,
    /// Whether a missing table is created, with the columns of the sink, its primary key, indexes and comments. An
    /// existing table is not altered but by `schema_changes: add`; differences are reported before a run reads anything.
    #[serde(default)]
    pub create: bool,
    /// What happens if the rows have columns that an existing table lacks.
    #[serde(default)]
    pub schema_changes: SchemaChanges,
    /// The indexes of a created table, in addition to its primary key: the columns of each.
    #[serde(default)]
    #[schemars(example = json!([["measurement_date"]]))]
    pub indexes: Vec<Vec<String>>,
    /// The comment on a created table.
    #[serde(default)]
    pub comment: Option<String>,
    /// The comments on the columns of a created table, by column name.
    #[serde(default)]
    #[schemars(example = json!({"num_cases": "Confirmed cases of the day."}))]
    pub comments: IndexMap<String, String>,
}

/// When a sink is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// Only when the gate is open.
    #[default]
    Gated,
    /// Also when the gate is closed: for quarantine (dead-letter) sinks.
    Always,
}

/// A table's accepted or rejected rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The source or model.
    pub table: String,
    /// Whether it is the rejected rows instead of the accepted ones.
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
            _ => Err(de::Error::custom(format!("`{text}` is not a valid route: write `table` or `table.rejected`"))),
        }
    }
}

/// A column of a sink: `email`, or `{mobile_no: mobile}` to rename the column `mobile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumnSpec {
    /// The name in the sink.
    pub name: String,
    /// The name in the route.
    pub column: String,
}

impl<'de> ShortOrLong<'de> for OutputColumnSpec {
    type Long = IndexMap<String, String>;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { name: text.to_owned(), column: text.to_owned() })
    }

    fn long(long: Self::Long) -> Result<Self, String> {
        let mut entries = long.into_iter();
        match (entries.next(), entries.next()) {
            (Some((name, column)), None) => Ok(Self { name, column }),
            _ => Err("write a renamed column as {new_name: column}, one per entry".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for OutputColumnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a column name, or {new_name: column}")
    }
}
