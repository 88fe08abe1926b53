//! `weir.yaml`: what the task files of a folder share: connections, object stores, and how long the history stays.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;

use super::alert::AlertSpec;
use super::openlineage::{OpenLineageSpec, OpenLineageTarget};
use super::params::Params;
use super::private::KeySpec;
use super::schedule::Span;
use super::secret;
use super::store::{StoreSettings, StoreSpec, is_in};
use crate::error::Result;
use crate::error::{Place, SourceText, TaskError};

/// The name of the file, in the folder of the task files that share it.
pub(crate) const PROJECT_FILE: &str = "weir.yaml";

/// The id of a key, and its bytes.
pub(crate) type KeyBytes = (String, Vec<u8>);

/// The fewest bytes of a key.
const LEAST_KEY: usize = 32;

/// The file `weir.yaml`, shared by the task files in its folder.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Project")]
pub struct ProjectSpec {
    /// The database connections that sources and sinks refer to, by name.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, ConnectionSpec>")]
    pub connections: IndexMap<String, Spanned<ConnectionSpec>>,
    /// The object stores that paths of sources and sinks lead to, by the URL that the paths begin with. A bucket without an
    /// entry is reached with what the environment has.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, StoreSpec>", example = json!({"s3://loans": {"region": "eu-central-1"}}))]
    pub stores: IndexMap<String, Spanned<StoreSpec>>,
    /// The keys with which private columns are hashed and encrypted, by name. `default` is taken where a column names none.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, KeySpec>")]
    pub keys: IndexMap<String, Spanned<KeySpec>>,
    /// How long what earlier runs have left stays. Without it nothing is removed.
    #[serde(default)]
    pub retention: RetentionSpec,
    /// Where events of OpenLineage are sent.
    #[serde(default)]
    pub openlineage: Option<OpenLineageSpec>,
    /// Where metrics for Prometheus are written.
    #[serde(default)]
    pub metrics: Option<MetricsSpec>,
    /// Who is told how runs end, by name.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, AlertSpec>", example = json!({"ops": {"webhook": {"url": "${env:HOOK}"}}}))]
    pub alerts: IndexMap<String, Spanned<AlertSpec>>,
}

/// `retention:` in `weir.yaml`: what is older is removed at the end of each run, and by `weir prune`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retention")]
pub struct RetentionSpec {
    /// How long the ledger keeps the reports of runs. What tells which files were read, and what was published, stays.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"90d")]
    pub runs: Option<Span>,
    /// How long files stay in the `archive` of a source, counted from the run that has read them.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"365d")]
    pub archives: Option<Span>,
}

/// `metrics:` in `weir.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Metrics")]
pub struct MetricsSpec {
    /// A file that each run replaces with the metrics of all tasks of its state folder, in the text format of Prometheus, for the
    /// textfile collector of the node exporter: its name ends with `.prom`. A relative path starts from the folder of this file.
    #[schemars(with = "String", example = &"/var/lib/node_exporter/weir.prom")]
    pub textfile: Spanned<String>,
}

/// A connection: one entry under `connections` in `weir.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Connection")]
pub struct ConnectionSpec {
    /// The URL of a PostgreSQL database, in libpq syntax. `${param}` is replaced by a parameter, `${env:NAME}` by an
    /// environment variable and `${file:PATH}` by the content of a file (a relative path starts from the folder of this file): secrets are kept out of this file,
    /// and are never printed.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("postgres://loader:${env:LOADER_PASSWORD}@db.example/sales?sslmode=verify-full"))]
    pub postgres: Option<Spanned<String>>,
    /// The SQL of the server behind `postgres`.
    #[serde(default)]
    #[schemars(with = "Option<Dialect>")]
    pub dialect: Option<Spanned<Dialect>>,
    /// The URL of a MySQL or MariaDB database, with the options `ssl-mode` (`DISABLED`, `PREFERRED`, `REQUIRED`,
    /// `VERIFY_IDENTITY`), `ssl-ca`, `socket` and `connect-timeout`. References are filled in as in `postgres`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("mysql://loader:${env:LOADER_PASSWORD}@db.example/sales?ssl-mode=VERIFY_IDENTITY"))]
    pub mysql: Option<Spanned<String>>,
}

impl ConnectionSpec {
    /// The URLs that it has, by the keys of their kinds.
    fn urls(&self) -> impl Iterator<Item = (&'static str, &Spanned<String>)> {
        let all = [("postgres", &self.postgres), ("mysql", &self.mysql)];
        all.into_iter().filter_map(|(key, url)| Some((key, url.as_ref()?)))
    }

    /// The key of its kind, and its URL.
    pub(crate) fn url(&self) -> Option<(&'static str, &Spanned<String>)> {
        self.urls().next()
    }
}

/// The SQL of a server that speaks the protocol of PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// That of PostgreSQL. The default.
    #[default]
    Postgres,
    /// That of Amazon Redshift. For sinks; its tables cannot be read yet.
    Redshift,
}

/// What `weir.yaml` has: nothing, if there is no such file.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The file's text, for error messages; `None` if there is no file.
    source: Option<SourceText>,
    spec: ProjectSpec,
}

impl Project {
    /// Reads `weir.yaml` in a task's folder, if it exists.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(PROJECT_FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(SourceText::new(&path, super::read(&path)?))
    }

    fn parse(source: SourceText) -> Result<Self> {
        let spec: ProjectSpec = super::parse_yaml(&source)?;
        for (name, connection) in &spec.connections {
            let wrong = |message: &str, help: &str| {
                let message = format!("connection `{name}` {message}");
                Box::new(TaskError::new(&source, Place::of(connection.referenced), message).with_help(help))
            };
            match connection.value.urls().count() {
                0 => {
                    let help = "add its URL, as `postgres: postgres://...` or `mysql: mysql://...`";
                    return Err(wrong("has no database URL", help).into());
                }
                1 if connection.value.postgres.is_none() && connection.value.dialect.is_some() => {
                    return Err(wrong("has a `dialect`, which is for `postgres`", "remove it").into());
                }
                1 => {}
                _ => return Err(wrong("has two database URLs", "make a connection of each").into()),
            }
        }
        for (name, key) in &spec.keys {
            // Both stand in each encrypted value.
            let wrong = |text: &str| {
                let message = format!("key `{name}`: `{text}` can have letters, digits, `.`, `_` and `-` only");
                Box::new(TaskError::new(&source, Place::of(key.referenced), message))
            };
            let KeySpec { id, former, .. } = &key.value;
            let is_plain =
                |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if let Some(text) = [name, id].into_iter().chain(former.keys()).find(|text| !is_plain(text)) {
                return Err(wrong(text).into());
            }
            if former.contains_key(id) {
                let message = format!("key `{name}`: `{id}` is its id and that of a former key");
                return Err(Box::new(TaskError::new(&source, Place::of(key.referenced), message)).into());
            }
        }
        for (url, store) in &spec.stores {
            store.value.check(&source, url, Place::of(store.referenced)).map_err(Box::new)?;
        }
        if let Some(MetricsSpec { textfile }) = spec.metrics.as_ref().filter(|of| !of.textfile.value.ends_with(".prom"))
        {
            let error =
                TaskError::new(&source, Place::of(textfile.referenced), "`textfile` is not the name of a file *.prom");
            return Err(Box::new(error.with_help("the node exporter reads files of this name only")).into());
        }
        if let Some(openlineage) = &spec.openlineage {
            openlineage.check(&source).map_err(Box::new)?;
        }
        for (name, alert) in &spec.alerts {
            alert.value.check(&source, name, Place::of(alert.referenced)).map_err(Box::new)?;
        }
        Ok(Self { source: Some(source), spec })
    }

    /// The file of the metrics, if there is to be one.
    pub(crate) fn textfile(&self) -> Option<PathBuf> {
        let (source, metrics) = (self.source.as_ref()?, self.spec.metrics.as_ref()?);
        Some(Path::new(source.name()).with_file_name("").join(&metrics.textfile.value))
    }

    /// Where events of OpenLineage are sent, secrets filled in, if they are to be.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "this program sends nothing by HTTP"))]
    pub(crate) fn openlineage(&self, params: &Params) -> Option<Result<OpenLineageTarget>> {
        let (source, openlineage) = (self.source.as_ref()?, self.spec.openlineage.as_ref()?);
        Some(openlineage.resolve(source, params))
    }

    /// The alerts of the file, with its text.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = (&SourceText, &str, &AlertSpec)> {
        let alerts = self.spec.alerts.iter();
        self.source
            .iter()
            .flat_map(move |source| alerts.clone().map(move |(name, alert)| (source, name.as_str(), &alert.value)))
    }

    /// The settings of the store of a URL, secrets filled in.
    #[cfg_attr(
        not(any(test, feature = "object-stores")),
        expect(dead_code, reason = "this program has no object stores")
    )]
    pub(crate) fn store(&self, url: &str) -> Result<StoreSettings> {
        let of_url = self.spec.stores.iter().filter(|(store, _)| is_in(url, store));
        match (of_url.max_by_key(|(store, _)| store.len()), &self.source) {
            (Some((_, store)), Some(source)) => store.value.resolve(source),
            _ => Ok(StoreSettings::default()),
        }
    }

    /// Adds the connections of a text in the form of the file. Their URLs are not resolved: whoever adds them knows their
    /// servers.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        let added = Self::parse(SourceText::new(Path::new(PROJECT_FILE), text.to_owned()))?;
        self.spec.connections.extend(added.spec.connections);
        Ok(())
    }

    /// A key and its former ones, each with its id, the key itself first; `None` if there is no such key.
    pub(crate) fn key(&self, name: &str) -> Option<Result<Vec<KeyBytes>>> {
        let (source, key) = (self.source.as_ref()?, self.spec.keys.get(name)?);
        let KeySpec { id, secret, former } = &key.value;
        let all = std::iter::once((id, secret)).chain(former);
        Some(all.map(|(id, secret)| Ok((id.clone(), key_bytes(source, name, secret)?))).collect())
    }

    /// The names of the keys, in file order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.spec.keys.keys().map(String::as_str)
    }

    /// How long what earlier runs have left stays.
    pub fn retention(&self) -> RetentionSpec {
        self.spec.retention
    }

    /// Whether there is a file.
    pub(crate) fn exists(&self) -> bool {
        self.source.is_some()
    }

    /// The names of the connections, in file order.
    pub fn connections(&self) -> impl Iterator<Item = &str> {
        self.spec.connections.keys().map(String::as_str)
    }

    /// What a connection has, nothing filled in.
    pub(crate) fn connection(&self, name: &str) -> Option<&ConnectionSpec> {
        self.spec.connections.get(name).map(|connection| &connection.value)
    }

    /// The SQL that the server of a connection takes.
    pub(crate) fn dialect(&self, name: &str) -> Dialect {
        let dialect = self.connection(name).and_then(|connection| connection.dialect.as_ref());
        dialect.map(|dialect| dialect.value).unwrap_or_default()
    }

    /// The URL of a connection, parameters and secrets filled in, as `parse` reads it; `None` if there is no such
    /// connection, or if `url` finds it to be of another kind.
    pub(crate) fn resolve<T, E: miette::Diagnostic>(
        &self,
        name: &str,
        params: &Params,
        url: impl Fn(&ConnectionSpec) -> Option<&Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Result<T>> {
        let source = self.source.as_ref()?;
        let url = url(self.connection(name)?)?;
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

/// The bytes of a key that a secret refers to.
fn key_bytes(source: &SourceText, name: &str, secret: &Spanned<String>) -> Result<Vec<u8>> {
    let wrong = |message: &str, help: &str| {
        let message = format!("key `{name}`: {message}");
        Box::new(TaskError::new(source, Place::of(secret.referenced), message).with_help(help))
    };
    if !secret.value.starts_with("${") {
        return Err(
            wrong("the secret stands in the file", "write ${env:NAME} or ${file:PATH}, and make a new key").into()
        );
    }
    let text = secret::fill(source, secret, &Params::default())?;
    match BASE64_STANDARD.decode(text.trim()) {
        Ok(bytes) if bytes.len() >= LEAST_KEY => Ok(bytes),
        _ => {
            let help = "make one with `openssl rand -base64 32`";
            Err(wrong("the secret is not base64 of 32 bytes or more", help).into())
        }
    }
}
