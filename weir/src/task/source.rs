//! `sources:` what a task reads.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::sql_type::SqlType;
use super::text::{ShortOrLong, short_or_long};

/// One entry under `sources`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// The files that hold the rows.
    pub files: FilesSpec,
    /// Which of the files are read.
    #[serde(default)]
    pub read: Read,
    /// What to do when no file matches.
    #[serde(default)]
    pub if_missing: IfMissing,
    /// What to do about a column that a file has and `columns` does not name.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
    /// Texts that stand for null, beside an empty field.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// The columns by name, in the order in which the table shows them; files may order them otherwise.
    pub columns: IndexMap<String, Spanned<ColumnSpec>>,
}

/// Where files are and how they are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSpec {
    /// A path or a pattern (`*`, `?`, `[a-z]`, `**`), relative to the working directory; `${param}` is filled in.
    pub path: Spanned<String>,
    /// How the files are written.
    pub format: Format,
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values with a header line, as RFC 4180 has it.
    Csv,
}

impl Format {
    /// How the names of such files end, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
        }
    }
}

/// Which files of a source a run reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// All that match, every time.
    #[default]
    All,
}

/// What a run does when no file of a source matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfMissing {
    /// End with an error.
    #[default]
    Fail,
    /// Do nothing and publish nothing; the run counts as done.
    Skip,
    /// Go on with no rows.
    Empty,
}

/// What a run does about columns that the task does not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownColumns {
    /// End with an error that names file and column.
    #[default]
    Fail,
    /// Read past them.
    Ignore,
}

/// A column: `string`, or `{type: string, header: "E-mail"}`.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    /// The column's type.
    pub sql_type: SqlType,
    /// The column's name in the files, where it is not the name in the task.
    pub header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongColumn {
    r#type: SqlType,
    header: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
}

impl<'de> ShortOrLong<'de> for ColumnSpec {
    type Long = LongColumn;

    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { sql_type: text.parse()?, header: None })
    }

    fn long(long: LongColumn) -> Result<Self, String> {
        Ok(Self { sql_type: long.r#type, header: long.header })
    }
}

impl<'de> Deserialize<'de> for ColumnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a type, or a mapping with `type`")
    }
}
