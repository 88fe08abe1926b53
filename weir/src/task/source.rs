//! `sources:` the inputs of a task.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_saphyr::Spanned;

use super::sql_type::SqlType;
use super::text::{Scalar, ShortOrLong, short_or_long};

/// A source: one entry under `sources`, a table that models read in SQL by the source's name. Its rows come from files
/// (`files`), from a database table (`postgres`), or from a fetcher of the program that runs the task (`fetch`);
/// exactly one of the three is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Source")]
pub struct SourceSpec {
    /// The files to read.
    #[serde(default)]
    pub files: Option<FilesSpec>,
    /// The database table or view to read.
    #[serde(default)]
    pub postgres: Option<PostgresSourceSpec>,
    /// The fetcher to call.
    #[serde(default)]
    pub fetch: Option<FetchSpec>,
    /// Which of the matching files are read.
    #[serde(default)]
    pub read: Read,
    /// With `read: new`: what to do about a file whose content differs from when a run read it under the same path.
    #[serde(default)]
    pub if_changed: IfChanged,
    /// What to do when there is no file to read. Default: `skip` for a source with `read: new` or `archive`, otherwise
    /// `fail`.
    #[serde(default)]
    pub if_missing: Option<IfMissing>,
    /// The folder to which files are moved after the run that read them is published. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${input}/done")]
    pub archive: Option<Spanned<String>>,
    /// What to do about a column that a file has and `columns` does not declare.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
    /// Unquoted texts that mean null, in addition to the empty field.
    #[serde(default)]
    #[schemars(example = json!(["NA", "-"]))]
    pub null_values: Vec<String>,
    /// The columns by name, in the order of the table; files may have them in another order.
    #[schemars(with = "IndexMap<String, ColumnSpec>", example = json!({"name": "string", "amount": {"type": "decimal(12,2)"}}))]
    pub columns: IndexMap<String, Spanned<ColumnSpec>>,
}

/// A table or view of a PostgreSQL database to read. A run reads a consistent snapshot (REPEATABLE READ): everything it
/// reads over one connection is from the same transaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PostgresSource")]
pub struct PostgresSourceSpec {
    /// The name of a connection in `weir.yaml`.
    #[schemars(with = "String", example = &"shop")]
    pub connection: Spanned<String>,
    /// The table or view, with its schema if that is not on the connection's search path: `sales` or `shop.sales`.
    /// `${param}` is replaced.
    #[schemars(with = "String", example = &"shop.sales")]
    pub table: Spanned<String>,
}

/// Rows from a fetcher that the program registers, such as the APIs of `section4`. `weir` itself has none.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fetch")]
pub struct FetchSpec {
    /// The name under which the program registers the fetcher.
    #[schemars(with = "String", example = &"covid_cases")]
    pub with: Spanned<String>,
    /// The arguments, by name. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>", example = json!({"country": "${country}"}))]
    pub options: IndexMap<String, Spanned<Scalar>>,
}

/// The location and format of the files of a source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Files")]
pub struct FilesSpec {
    /// A path or a pattern (`*`, `?`, `[a-z]`, `**`); relative to the working directory. `${param}` is replaced.
    #[schemars(with = "String", example = &"${input}/*.csv")]
    pub path: Spanned<String>,
    /// The format of the files.
    pub format: Format,
    /// The compression of the files. Default: by the suffix of each file name (`.gz`, `.zst`).
    #[serde(default)]
    #[schemars(with = "Option<Compression>")]
    pub compression: Option<Spanned<Compression>>,
}

impl FilesSpec {
    /// The compression, if the task specifies it.
    pub fn compression(&self) -> Option<Compression> {
        self.compression.as_ref().map(|compression| compression.value)
    }
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values in UTF-8 with a header line (RFC 4180).
    Csv,
    /// JSON Lines: one JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl SourceSpec {
    /// The effective `if_missing`, default included.
    pub fn if_missing(&self) -> IfMissing {
        let empties = self.read == Read::New || self.archive.is_some();
        self.if_missing.unwrap_or(if empties { IfMissing::Skip } else { IfMissing::Fail })
    }
}

impl Format {
    /// The suffix of the names of such files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Uncompressed.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Snappy, inside Parquet files.
    Snappy,
}

/// Which of the matching files a run reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// All of them, in every run.
    #[default]
    All,
    /// Only files that no published run of the task in this environment has read.
    New,
}

/// What `read: new` does about a file that was read before and whose content has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfChanged {
    /// End with an error: rows that are in both versions would be read twice.
    #[default]
    Fail,
    /// Read the whole file again.
    Read,
}

/// What a run does when a source has no file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfMissing {
    /// End with an error.
    Fail,
    /// Do nothing and publish nothing; the run succeeds.
    Skip,
    /// Continue with no rows.
    Empty,
}

/// What a run does about columns that the task does not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownColumns {
    /// End with an error that names the file and the column.
    #[default]
    Fail,
    /// Ignore them.
    Ignore,
}

/// A source's column: its type, such as `string`, or a mapping such as `{type: string, header: "E-mail"}`.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    /// The column's type.
    pub sql_type: SqlType,
    /// The format of its values in `strftime` syntax; for dates and timestamps.
    pub format: Option<String>,
    /// The column's name in the files, if it differs from the name in the task.
    pub header: Option<String>,
    /// Whether null is an invalid value.
    pub not_null: bool,
    /// The only valid values, if limited; null is valid as well.
    pub accepted_values: Option<Vec<Scalar>>,
    /// What happens to a row with an invalid value.
    pub on_invalid: OnInvalid,
    /// The column's description.
    pub description: Option<String>,
}

impl ColumnSpec {
    /// A column with a type and no further settings.
    pub fn of(sql_type: SqlType) -> Self {
        Self {
            sql_type,
            format: None,
            header: None,
            not_null: false,
            accepted_values: None,
            on_invalid: OnInvalid::default(),
            description: None,
        }
    }
}

/// What happens to a row with a value that does not fit its column's `type`, `not_null` or `accepted_values`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// The row goes to `source.rejected`, with the reason.
    #[default]
    Reject,
    /// The value becomes null and is counted; the row is kept.
    SetNull,
    /// The run ends with an error.
    Fail,
}

/// A column in long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct LongColumn {
    /// The column's type.
    r#type: SqlType,
    /// The format of a `date` or `timestamp` in the files, in `strftime` syntax. Default: ISO 8601.
    #[schemars(example = &"%d/%m/%Y")]
    format: Option<String>,
    /// The column's name in the files, if it differs from the name in the task.
    #[schemars(example = &"Amount (SGD)")]
    header: Option<String>,
    /// Whether null is an invalid value.
    #[serde(default)]
    not_null: bool,
    /// The only valid values. Null is valid as well, unless `not_null` is set.
    #[schemars(example = json!(["SGD", "USD"]))]
    accepted_values: Option<Vec<Scalar>>,
    /// What happens to a row with a value that does not fit `type`, `not_null` or `accepted_values`.
    #[serde(default)]
    on_invalid: OnInvalid,
    /// The column's description.
    description: Option<String>,
}

impl<'de> ShortOrLong<'de> for ColumnSpec {
    type Long = LongColumn;

    fn short(text: &str) -> Result<Self, String> {
        text.parse().map(Self::of)
    }

    fn long(long: LongColumn) -> Result<Self, String> {
        let LongColumn { r#type: sql_type, format, header, not_null, accepted_values, on_invalid, description } = long;
        Ok(Self { sql_type, format, header, not_null, accepted_values, on_invalid, description })
    }
}

impl<'de> Deserialize<'de> for ColumnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a type, or a mapping with `type`")
    }
}
