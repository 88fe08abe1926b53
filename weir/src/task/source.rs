//! `sources:` what a task reads.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_saphyr::Spanned;

use super::sql_type::SqlType;
use super::text::{Scalar, ShortOrLong, short_or_long};

/// A source: one entry under `sources`, a table that models read in SQL by the source's name. Its rows come from `files`, from
/// a table of a database (`postgres`), or from where the program that runs the task gets them (`fetch`); one of the three is
/// given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Source")]
pub struct SourceSpec {
    /// The files that hold the rows.
    #[serde(default)]
    pub files: Option<FilesSpec>,
    /// The table, or view, that holds the rows.
    #[serde(default)]
    pub postgres: Option<OriginTableSpec>,
    /// What gets the rows when the task runs.
    #[serde(default)]
    pub fetch: Option<FetchSpec>,
    /// Which of the files are read.
    #[serde(default)]
    pub read: Read,
    /// What `read: new` does about a file that has other content than when a run read it under that path.
    #[serde(default)]
    pub if_changed: IfChanged,
    /// What to do when there is no file to read; `skip` when left out of a source with `read: new` or `archive`,
    /// else `fail`.
    #[serde(default)]
    pub if_missing: Option<IfMissing>,
    /// The folder to which the files are moved once the run that read them is published; `${param}` is filled in.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${input}/done")]
    pub archive: Option<Spanned<String>>,
    /// What to do about a column that a file has and `columns` does not name.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
    /// Texts without quotes that stand for null, beside an empty field.
    #[serde(default)]
    #[schemars(example = json!(["NA", "-"]))]
    pub null_values: Vec<String>,
    /// The columns by name, in the order in which the table shows them; files may order them otherwise.
    #[schemars(with = "IndexMap<String, ColumnSpec>", example = json!({"name": "string", "amount": {"type": "decimal(12,2)"}}))]
    pub columns: IndexMap<String, Spanned<ColumnSpec>>,
}

/// A table or view of a PostgreSQL database that is read. All that a run reads over one connection is as it was at one
/// moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OriginTable")]
pub struct OriginTableSpec {
    /// A connection of `weir.yaml`, by its name.
    #[schemars(with = "String", example = &"shop")]
    pub connection: Spanned<String>,
    /// The table or view, with its schema if that is not on the connection's search path: `sales` or `shop.sales`;
    /// `${param}` is filled in.
    #[schemars(with = "String", example = &"shop.sales")]
    pub table: Spanned<String>,
}

/// Rows that a program of its own gets from where `weir` alone cannot: `section4` from the APIs of its field.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fetch")]
pub struct FetchSpec {
    /// What gets them, by the name that the program has for it.
    #[schemars(with = "String", example = &"covid_cases")]
    pub with: Spanned<String>,
    /// What it is told; `${param}` is filled in.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>", example = json!({"country": "${country}"}))]
    pub options: IndexMap<String, Spanned<Scalar>>,
}

/// Where files are and how they are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Files")]
pub struct FilesSpec {
    /// Of a source a path or a pattern (`*`, `?`, `[a-z]`, `**`), of a sink a folder; relative to the working
    /// directory; `${param}` is filled in.
    #[schemars(with = "String", example = &"${input}/*.csv")]
    pub path: Spanned<String>,
    /// How the files are written.
    pub format: Format,
    /// How the files are compressed. A source goes by the end of each file's name when it is left out (`.gz`,
    /// `.zst`), a sink does not compress, except Parquet, which has `snappy`.
    #[serde(default)]
    #[schemars(with = "Option<Compression>")]
    pub compression: Option<Spanned<Compression>>,
}

impl FilesSpec {
    /// How the files are compressed, if the task says it.
    pub fn compression(&self) -> Option<Compression> {
        self.compression.as_ref().map(|compression| compression.value)
    }
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values in UTF-8 with a header line, as RFC 4180 has it.
    Csv,
    /// JSON Lines: one JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl SourceSpec {
    /// What to do when there is no file to read.
    pub fn if_missing(&self) -> IfMissing {
        let empties = self.read == Read::New || self.archive.is_some();
        self.if_missing.unwrap_or(if empties { IfMissing::Skip } else { IfMissing::Fail })
    }
}

impl Format {
    /// How the names of such files end, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Snappy, within Parquet files.
    Snappy,
}

/// Which files of a source a run reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// All that match, every time.
    #[default]
    All,
    /// Those that no published run of the task in this environment has read.
    New,
}

/// What `read: new` does about a file that was read before and has other content now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfChanged {
    /// End with an error: what is in it twice would be read twice.
    #[default]
    Fail,
    /// Read it again, whole.
    Read,
}

/// What a run does when a source has no file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfMissing {
    /// End with an error.
    Fail,
    /// Do nothing and publish nothing; the run counts as done.
    Skip,
    /// Go on with no rows.
    Empty,
}

/// What a run does about columns that the task does not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownColumns {
    /// End with an error that names file and column.
    #[default]
    Fail,
    /// Read past them.
    Ignore,
}

/// A source's column: its type alone, such as `string`, or a mapping such as `{type: string, header: "E-mail"}`.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    /// The column's type.
    pub sql_type: SqlType,
    /// How its values are written, as `strftime` has it; for dates and timestamps.
    pub format: Option<String>,
    /// The column's name in the files, where it is not the name in the task.
    pub header: Option<String>,
    /// Whether a null is an invalid value.
    pub not_null: bool,
    /// The only valid values, if there are any; null is none of them and is valid all the same.
    pub accepted_values: Option<Vec<Scalar>>,
    /// What becomes of a row with an invalid value.
    pub on_invalid: OnInvalid,
    /// What the column means.
    pub description: Option<String>,
}

impl ColumnSpec {
    /// A column of which nothing is said but its type.
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

/// What becomes of a row when a value does not fit its column's type, `not_null` or `accepted_values`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// It goes to `source.rejected`, with the reason.
    #[default]
    Reject,
    /// The value becomes null and is counted; the row is kept.
    SetNull,
    /// It ends the run.
    Fail,
}

/// A column written long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct LongColumn {
    /// The column's type.
    r#type: SqlType,
    /// How a `date` or `timestamp` is written in the files, as `strftime` has it; ISO 8601 when left out.
    #[schemars(example = &"%d/%m/%Y")]
    format: Option<String>,
    /// The column's name in the files, where it is not the name in the task.
    #[schemars(example = &"Amount (SGD)")]
    header: Option<String>,
    /// Whether a null is an invalid value.
    #[serde(default)]
    not_null: bool,
    /// The only valid values; null is valid all the same, unless `not_null` says otherwise.
    #[schemars(example = json!(["SGD", "USD"]))]
    accepted_values: Option<Vec<Scalar>>,
    /// What becomes of a row with a value that does not fit `type`, `not_null` or `accepted_values`.
    #[serde(default)]
    on_invalid: OnInvalid,
    /// What the column means.
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
