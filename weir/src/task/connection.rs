//! `weir.yaml`: what the tasks of a folder share.

use std::path::Path;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;

use super::params::Params;
use super::secret;
use crate::error::Result;
use crate::error::{Place, SourceText, TaskError};

/// The file, beside the task files that share it.
const FILE: &str = "weir.yaml";

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
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("postgres://loader:${env:LOADER_PASSWORD}@db.example/sales?sslmode=verify-full"))]
    pub postgres: Option<Spanned<String>>,
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
        for (name, connection) in &spec.connections {
            if connection.value.postgres.is_none() {
                let message = format!("connection `{name}` names no database");
                let error = TaskError::new(&source, Place::of(connection.referenced), message);
                return Err(Box::new(error.with_help("add its URL, as `postgres: postgres://...`")).into());
            }
        }
        Ok(Self { source: Some(source), specs: spec.connections })
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.keys().map(String::as_str)
    }

    /// The URL of a connection, parameters and secrets filled in, as `parse` reads it; none if there is no such connection,
    /// or if `url` finds it to be of another kind.
    pub(crate) fn resolve<T, E: miette::Diagnostic>(
        &self,
        name: &str,
        params: &Params,
        url: impl Fn(&ConnectionSpec) -> Option<&Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Result<T>> {
        let source = self.source.as_ref()?;
        let url = url(&self.specs.get(name)?.value)?;
        let parsed = secret::fill(source, url, params).and_then(|text| {
            parse(&text).map_err(|error| {
                let help = error.help().map(|help| help.to_string()).unwrap_or_default();
                let message = format!("connection `{name}`: {error}");
                Box::new(TaskError::new(source, Place::of(url.referenced), message).with_help(help)).into()
            })
        });
        Some(parsed)
    }
}
