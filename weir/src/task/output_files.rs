//! `files:` of a sink: a folder of files, or one file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::dialect::{LineEnd, Quoting};
use super::files::{Compression, Format};

/// The files that a sink writes: a folder (`path`), or one file (`file`); exactly one of the two is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutputFiles")]
pub struct OutputFilesSpec {
    /// The target folder: part files and `_SUCCESS` are written into it. Relative to the folder of the task file, or to
    /// `base_folder`; or in a bucket, as `s3://BUCKET/FOLDER`, `gs://` or `az://`. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${output}/orders")]
    pub path: Option<Spanned<String>>,
    /// The target file, in place of a folder: it is replaced by one rename. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${output}/orders.csv")]
    pub file: Option<Spanned<String>>,
    /// The format of the files.
    pub format: OutputFormat,
    /// The compression of the files. Default: none, except `snappy` for Parquet; for a `file` by the suffix of its name (`.gz`,
    /// `.zst`).
    #[serde(default)]
    #[schemars(with = "Option<Compression>")]
    pub compression: Option<Spanned<Compression>>,
    /// How hard `gzip` (1 to 9, default 6) or `zstd` (1 to 22, default 3) compress.
    #[serde(default)]
    #[schemars(with = "Option<u8>", range(min = 1, max = 22), example = &9)]
    pub compression_level: Option<Spanned<u8>>,
    /// For Parquet files, the most rows of a row group. Default: 1048576, or as many as make up 16 MiB.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1), example = &100_000)]
    pub row_group_rows: Option<Spanned<u32>>,
    /// For CSV, what separates the columns: a character, several (`"||"`), or `tab`. Default: a comma.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &";")]
    pub delimiter: Option<Spanned<String>>,
    /// For CSV, the character that encloses a value, or `none`: then there are no quotes. Default: `"`. A quote within a value
    /// is written twice, or with the `escape`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"none")]
    pub quote: Option<Spanned<String>>,
    /// For CSV, the character that is written before a quote, and without quotes before a delimiter or a line break. Default:
    /// none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &r"\\")]
    pub escape: Option<Spanned<String>>,
    /// For CSV, the encoding of the text, by a label of the WHATWG standard. A value with a character that it does not have ends
    /// the run. Default: UTF-8.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"windows-1252", example = &"utf-16le")]
    pub encoding: Option<Spanned<String>>,
    /// For CSV, whether each file begins with a line with the names of the columns. Default: `true`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub header: Option<Spanned<bool>>,
    /// For CSV, what ends a line. Default: `lf`.
    #[serde(default)]
    #[schemars(with = "Option<LineEnd>")]
    pub line_end: Option<Spanned<LineEnd>>,
    /// For CSV, the text without quotes that null is written as. Default: the empty field.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &r"\\N")]
    pub null_text: Option<Spanned<String>>,
    /// For CSV, which values are enclosed in quotes. Default: `minimal`.
    #[serde(default)]
    #[schemars(with = "Option<Quoting>")]
    pub quoting: Option<Spanned<Quoting>>,
    /// For CSV, whether each file begins with a byte order mark, by which Excel recognizes Unicode. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub bom: Option<Spanned<bool>>,
}

/// The format of the files that a sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Comma-separated values in UTF-8 with a header line (RFC 4180).
    Csv,
    /// JSON Lines: one JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl OutputFormat {
    /// The suffix of the names of such files, without the dot.
    pub fn extension(self) -> &'static str {
        Format::from(self).extension()
    }
}

/// What a source reads such files as.
impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Csv => Self::Csv,
            OutputFormat::Jsonl => Self::Jsonl,
            OutputFormat::Parquet => Self::Parquet,
        }
    }
}

impl OutputFilesSpec {
    /// A folder of files.
    pub fn folder(path: Spanned<String>, format: OutputFormat) -> Self {
        Self {
            path: Some(path),
            file: None,
            format,
            compression: None,
            compression_level: None,
            row_group_rows: None,
            delimiter: None,
            quote: None,
            escape: None,
            encoding: None,
            header: None,
            line_end: None,
            null_text: None,
            quoting: None,
            bom: None,
        }
    }
}
