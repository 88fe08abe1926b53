//! `files:` of a source: where its files are, and their form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::dialect::{HeaderSpec, Headers, LineEnd, MergedCells, RepeatedHeader, ShortLines};
use super::text::Scalar;

/// The location and format of the files of a source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Files")]
pub struct FilesSpec {
    /// A path or a pattern (`*`, `?`, `[a-z]`, `**`), relative to the folder of the task file, or to `base_folder`; `-` for
    /// standard input; a pattern of objects (`s3://BUCKET/KEY`, `gs://`, `az://`); the `https://` or `http://` URL of one file.
    /// `${param}` is replaced, and in an `https://` URL `${env:NAME}` by an environment variable and `${file:PATH}` by the content
    /// of a file.
    #[schemars(with = "String", example = &"${input}/*.csv", example = &"s3://loans/in/*.csv")]
    pub path: Spanned<String>,
    /// The format of the files.
    pub format: Format,
    /// The compression of the files. Default: by the suffix of each file name (`.gz`, `.zst`, `.bz2`, `.xz`, `.zip`, in any
    /// case).
    #[serde(default)]
    #[schemars(with = "Option<Compression>")]
    pub compression: Option<Spanned<Compression>>,
    /// For `json`, the key of the array of records, if it is in an object; with dots between the keys of several objects.
    /// The records are then its elements. Default: a file is an array, or objects one after the other.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"data.items")]
    pub records: Option<Spanned<String>>,
    /// For `excel`, the sheet to read: its name, or else its number, from 1. `${param}` is replaced. Default: the only sheet
    /// with content.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>", example = &"Orders", example = &2)]
    pub sheet: Option<Spanned<Scalar>>,
    /// For `excel`, which of several merged cells have the value. Default: an error, if rows have merged cells in columns that
    /// are read. Those of `.xlsb` and `.ods` are not recognised.
    #[serde(default)]
    #[schemars(with = "Option<MergedCells>")]
    pub merged_cells: Option<Spanned<MergedCells>>,
    /// For CSV, what separates the columns: a character, several (`"||"`), or `tab`. Default: a comma.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &";")]
    pub delimiter: Option<Spanned<String>>,
    /// For CSV, the character that encloses a value, or `none`: then quotes are text. Default: `"`. A quote within a value is
    /// written twice.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"none")]
    pub quote: Option<Spanned<String>>,
    /// For CSV, the character that makes the next one part of the value, inside quotes and outside. After a backslash
    /// `0 b n r t Z` are the characters that MySQL and PostgreSQL mean by them. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &r"\")]
    pub escape: Option<Spanned<String>>,
    /// For CSV, JSON and fixed-width files, the encoding of the text, by a label of the WHATWG standard. What is no text in
    /// it rejects its row with `invalid_encoding`. Default: UTF-8.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"windows-1252", example = &"utf-16")]
    pub encoding: Option<Spanned<String>>,
    /// For CSV and Excel, whether a header line has the names of the columns, or the number of that line. Without one the
    /// columns are those that are declared, in their order or by their `position`. Default: `true`.
    #[serde(default)]
    #[schemars(with = "Option<HeaderSpec>", example = &false, example = &4)]
    pub header: Option<Spanned<HeaderSpec>>,
    /// How the names of columns in the files are compared with those that are declared. Default: `exact`.
    #[serde(default)]
    #[schemars(with = "Option<Headers>")]
    pub headers: Option<Spanned<Headers>>,
    /// For CSV, fixed-width files and Excel, the number of lines before the header line, or before the first row if there is none.
    #[serde(default)]
    #[schemars(with = "Option<u32>", example = &3)]
    pub skip_lines: Option<Spanned<u32>>,
    /// For CSV, fixed-width files and Excel, the number of records at the end of each file that are no rows, such as a line with totals.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(max = 1000), example = &1)]
    pub skip_last: Option<Spanned<u32>>,
    /// For CSV and fixed-width files, what a line begins with that is no record.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"#")]
    pub comment: Option<Spanned<String>>,
    /// Whether blanks around values are no part of them: for CSV around those without quotes and around names, `false` by
    /// default; for fixed-width files `true`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub trim: Option<Spanned<bool>>,
    /// For CSV, whether the header and the rows may end with a delimiter behind the last column. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub trailing_delimiter: Option<Spanned<bool>>,
    /// For CSV and Excel, what a record is that has the text of the header line. Default: `reject`.
    #[serde(default)]
    #[schemars(with = "Option<RepeatedHeader>")]
    pub repeated_header: Option<Spanned<RepeatedHeader>>,
    /// For CSV and fixed-width files, what ends a line. Default: `lf`.
    #[serde(default)]
    #[schemars(with = "Option<LineEnd>")]
    pub line_end: Option<Spanned<LineEnd>>,
    /// For CSV, the text without quotes that means null in place of the empty field, which is then the empty text. Default: the
    /// empty field means null.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &r"\N")]
    pub null_text: Option<Spanned<String>>,
    /// For fixed-width files, what a line is that ends before the characters of its last columns. Default: `reject`.
    #[serde(default)]
    #[schemars(with = "Option<ShortLines>")]
    pub short_lines: Option<Spanned<ShortLines>>,
}

impl FilesSpec {
    /// Files of a format in their default form.
    pub fn of(path: Spanned<String>, format: Format) -> Self {
        Self {
            path,
            format,
            compression: None,
            records: None,
            sheet: None,
            merged_cells: None,
            delimiter: None,
            quote: None,
            escape: None,
            encoding: None,
            header: None,
            headers: None,
            skip_lines: None,
            skip_last: None,
            comment: None,
            trim: None,
            trailing_delimiter: None,
            repeated_header: None,
            line_end: None,
            null_text: None,
            short_lines: None,
        }
    }

    /// Whether the files have the names of the columns.
    pub(crate) fn has_header(&self) -> bool {
        self.header.as_ref().is_none_or(|header| header.value != HeaderSpec::None)
    }

    /// Whether names of columns are compared loosely.
    pub(crate) fn has_loose_headers(&self) -> bool {
        self.headers.as_ref().is_some_and(|headers| headers.value == Headers::Loose)
    }

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
    /// JSON documents: an array of objects, on one line or many, or objects one after the other; it can be read. The
    /// number of a record takes the place of its line.
    Json,
    /// Lines in which every column has its characters; it can be read.
    FixedWidth,
    /// Apache Parquet.
    Parquet,
    /// Apache Avro; it can be read.
    Avro,
    /// A sheet of a workbook, of Excel (`.xlsx`, `.xlsb`, `.xls`) or OpenDocument (`.ods`); it can be read. The number of a
    /// row takes the place of its line.
    Excel,
}

impl Format {
    /// Its name in a task file, which the names of such files often have as their suffix.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::FixedWidth => "fixed_width",
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Excel => "xlsx",
        }
    }

    /// Its name in a task file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Excel => "excel",
            other => other.extension(),
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
    /// bzip2; it can be read.
    Bzip2,
    /// xz; it can be read.
    Xz,
    /// A zip archive, each of whose members is a file; it can be read.
    Zip,
}
