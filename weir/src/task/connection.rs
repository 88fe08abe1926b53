//! `weir.yaml`: what the tasks of a folder share.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;
use weir_postgres::Database;

use super::error::{Place, SourceText, TaskError};
use super::params::Params;
use super::secret;
use crate::error::Result;

/// The file, beside the task files that share it.
const FILE: &str = "weir.yaml";

/// So long a server that cannot be reached is waited for.
pub(crate) const SERVER_WAIT: Duration = Duration::from_secs(20);

/// What the tasks of a folder share: the file `weir.yaml` beside them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Folder")]
pub struct FolderSpec {
    /// The databases that sources and sinks name.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, ConnectionSpec>")]
    pub connections: IndexMap<String, Spanned<ConnectionSpec>>,
}

/// A connection: one entry under `connections` in `weir.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Connection")]
pub struct ConnectionSpec {
    /// The URL of a PostgreSQL database, as libpq reads it. `${param}` is filled in, `${env:NAME}` from the environment
    /// and `${file:PATH}` from a file: secrets do not stand here, and are never printed.
    #[schemars(with = "String", example = json!("postgres://loader:${env:LOADER_PASSWORD}@db.example/sales?sslmode=verify-full"))]
    pub postgres: Spanned<String>,
}

/// The connections that a task may name.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// The file's text, for error messages; none where there is no file.
    source: Option<SourceText>,
    specs: IndexMap<String, Spanned<ConnectionSpec>>,
}

impl Connections {
    /// Reads the file in a task's folder, if there is one.
    pub(super) fn beside(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let source = SourceText::new(&path, super::read(&path)?);
        let spec: FolderSpec = super::parse_yaml(&source)?;
        Ok(Self { source: Some(source), specs: spec.connections })
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.keys().map(String::as_str)
    }

    /// The database of that name; none if there is no such connection.
    pub fn database(&self, name: &str, params: &Params) -> Option<Result<Database>> {
        let (source, spec) = (self.source.as_ref()?, self.specs.get(name)?);
        let url = &spec.value.postgres;
        let parsed = secret::fill(source, url, params).and_then(|text| {
            text.parse::<Database>().map_err(|error| {
                let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
                let message = format!("connection `{name}`: {error}");
                Box::new(TaskError::new(source, Place::of(url.referenced), message).with_help(help)).into()
            })
        });
        Some(parsed.map(|database| database.application_name("weir")))
    }
}
