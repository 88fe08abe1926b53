//! `openlineage:` in `weir.yaml`: where events of lineage are sent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;

use super::params::Params;
use super::schedule::Span;
use super::secret;
use crate::error::{Place, Result, SourceText, TaskError};

/// `openlineage:` in `weir.yaml`: events of all runs are sent there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenLineage")]
pub struct OpenLineageSpec {
    /// The URL of the server; without a path `/api/v1/lineage` is added. `${env:NAME}` is replaced by an environment variable and
    /// `${file:PATH}` by the content of a file.
    #[schemars(with = "String", example = &"https://marquez.example")]
    pub url: Spanned<String>,
    /// The namespace of the jobs. Default: `weir`.
    #[serde(default = "weir")]
    #[schemars(with = "Option<String>", example = &"sales")]
    pub namespace: String,
    /// The key of the API, which is sent as a bearer token: a reference.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("${env:LINEAGE_KEY}"))]
    pub api_key: Option<Spanned<String>>,
    /// How long sending an event may take, with all attempts: the end of a run waits for no longer. Default: 5s.
    #[serde(default = "five_seconds")]
    #[schemars(with = "Option<Span>")]
    pub timeout: Span,
}

fn weir() -> String {
    "weir".to_owned()
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

/// Where events are sent, with all secrets. It is not printed.
#[derive(Clone)]
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "this program sends no events"))]
pub(crate) struct OpenLineageTarget {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) api_key: Option<String>,
    pub(crate) timeout: Duration,
}

impl OpenLineageSpec {
    pub(super) fn check(&self, source: &SourceText) -> Result<(), TaskError> {
        let wrong = |at: &Spanned<String>, message: &str, help: &str| {
            Err(TaskError::new(source, Place::of(at.referenced), message).with_help(help))
        };
        if !["https://", "http://", "${"].iter().any(|start| self.url.value.starts_with(start)) {
            return wrong(&self.url, "`url` is none of HTTP", "write https://… or http://…");
        }
        match &self.api_key {
            Some(key) if !key.value.contains("${") => {
                let help = "write ${env:NAME} or ${file:PATH}, and change the key if others have seen this file";
                wrong(key, "the key is written here", help)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn resolve(&self, source: &SourceText, params: &Params) -> Result<OpenLineageTarget> {
        let key = self.api_key.as_ref().map(|key| secret::fill_verbatim(source, key, params));
        Ok(OpenLineageTarget {
            url: secret::fill(source, &self.url, params)?,
            namespace: self.namespace.clone(),
            api_key: key.transpose()?,
            timeout: self.timeout.0,
        })
    }
}
