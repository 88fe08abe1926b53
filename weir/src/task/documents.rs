//! `documents:` of a sink: a folder with one file for each row.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A folder of documents that a sink writes: a file for each row, named by its key, for a program that reads one by its key.
/// `mode: overwrite` replaces all of them at once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Documents")]
pub struct DocumentsSpec {
    /// The target folder: a file for each row and `_SUCCESS` are written into it. Relative to the folder of the task file, or
    /// to `base_folder`; or in a bucket, as `s3://BUCKET/FOLDER`, `gs://` or `az://`. `${param}` is replaced.
    #[schemars(with = "String", example = &"${output}/players")]
    pub path: Spanned<String>,
    /// The name of a row's file: `${column}` is replaced by the value of that column of the route, with special characters as
    /// `%2F`, and `${param}` by that of a parameter. A row in which a value is null or empty, or whose name would have more
    /// than 255 bytes, is rejected.
    #[schemars(with = "String", example = &"${unique_key}.json")]
    pub name: Spanned<String>,
    /// The column of the route with the content of the file, a text. Its bytes are written as they are, without a line break
    /// at the end. A row in which it is null is rejected.
    #[schemars(with = "String", example = &"body")]
    pub body: Spanned<String>,
}
