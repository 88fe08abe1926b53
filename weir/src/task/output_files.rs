//! `files:` of a sink: a folder of files, or one file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::source::{Compression, Format};

/// The files that a sink writes: a folder (`path`), or one file (`file`); exactly one of the two is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutputFiles")]
pub struct OutputFilesSpec {
    /// The target folder: part files and `_SUCCESS` are written into it. Relative to the working directory. `${param}` is
    /// replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${output}/orders")]
    pub path: Option<Spanned<String>>,
    /// The target file, in place of a folder: it is replaced by one rename. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${output}/orders.csv")]
    pub file: Option<Spanned<String>>,
    /// The format of the files.
    pub format: Format,
    /// The compression of the files. Default: none, except `snappy` for Parquet; for a `file` by the suffix of its name (`.gz`,
    /// `.zst`).
    #[serde(default)]
    #[schemars(with = "Option<Compression>")]
    pub compression: Option<Spanned<Compression>>,
}

impl OutputFilesSpec {
    /// A folder of files.
    pub fn folder(path: Spanned<String>, format: Format) -> Self {
        Self { path: Some(path), file: None, format, compression: None }
    }
}
