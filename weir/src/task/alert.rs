//! `alerts:` in `weir.yaml` or in a task: who is told how runs end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_saphyr::Spanned;

use super::params::Params;
use super::schedule::Span;
use super::secret;
use crate::error::{Place, Result, SourceText, TaskError};

/// An alert: one entry under `alerts` in `weir.yaml`, for all tasks of the folder, or in a task. One in a task replaces the one
/// of the same name in `weir.yaml`. It has one of `webhook`, `command` and `email`. It has no values of rows: only counts, names
/// and reasons. `weir doctor --send-test-alert` tries it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Alert")]
pub struct AlertSpec {
    /// Sends it to a URL, by HTTP POST.
    #[serde(default)]
    #[schemars(example = json!({"url": "${env:SLACK_URL}", "template": "slack"}))]
    pub webhook: Option<WebhookSpec>,
    /// Starts a program, with its arguments: no shell. It gets the alert as JSON on its standard input, and `WEIR_ALERT_EVENT`,
    /// `WEIR_ALERT_TASK`, `WEIR_ALERT_ENVIRONMENT`, `WEIR_ALERT_WINDOW`, `WEIR_ALERT_RUN` and `WEIR_ALERT_TEXT` in its
    /// environment. A relative path with a `/` starts from the folder of this file.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = json!(["./page-me", "--team", "data"]))]
    pub command: Option<Vec<Spanned<String>>>,
    /// Sends it as an e-mail.
    #[serde(default)]
    pub email: Option<EmailSpec>,
    /// What it is sent for.
    #[serde(default = "usual_events")]
    #[schemars(with = "Option<Vec<AlertEvent>>", example = json!(["failed", "gate_closed", "recovered"]))]
    pub events: Vec<AlertEvent>,
    /// The environments whose runs it is sent for. Default: all.
    #[serde(default)]
    #[schemars(example = json!(["prod"]))]
    pub environments: Vec<String>,
    /// How long after an alert no further one is sent for the same event of the task in the environment; the next one says how
    /// many were not. Default: 10m.
    #[serde(default = "ten_minutes")]
    #[schemars(with = "Option<Span>")]
    pub interval: Span,
    /// How long sending may take, with all attempts: the end of a run waits for no longer. Default: 10s.
    #[serde(default = "ten_seconds")]
    #[schemars(with = "Option<Span>")]
    pub timeout: Span,
}

/// What an alert is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertEvent {
    /// A run ended with an error, took longer than its timeout, or died.
    Failed,
    /// The gate of a run closed.
    GateClosed,
    /// A run was published, and rows of it missed rules under `warn_unless`.
    Warned,
    /// Windows are due and have no data for longer than `late_after`; or a run was due and was not started.
    Late,
    /// A run succeeded after others of the same task and window had not, or nothing is late any more.
    Recovered,
}

impl AlertEvent {
    /// The event as text: `gate_closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::GateClosed => "gate_closed",
            Self::Warned => "warned",
            Self::Late => "late",
            Self::Recovered => "recovered",
        }
    }
}

/// Where an alert is sent by HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Webhook")]
pub struct WebhookSpec {
    /// The URL. `${param}` is replaced by a parameter, `${env:NAME}` by an environment variable and `${file:PATH}` by the content
    /// of a file: a URL with a token is a secret. No part of it is printed but the host.
    #[schemars(with = "String", example = json!("${env:SLACK_URL}"))]
    pub url: Spanned<String>,
    /// What is sent.
    #[serde(default)]
    pub template: Template,
    /// Further headers, filled in as the URL.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>", example = json!({"Authorization": "Bearer ${env:TOKEN}"}))]
    pub headers: IndexMap<String, Spanned<String>>,
}

/// What a webhook is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Template {
    /// The alert as JSON. The default.
    #[default]
    Json,
    /// A message of Slack, for an incoming webhook.
    Slack,
    /// A card of Microsoft Teams, for a workflow that is started by a webhook.
    Teams,
}

/// How an alert is sent by e-mail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Email")]
pub struct EmailSpec {
    /// The server: `smtps://` with TLS, `smtp://HOST:587?tls=required` with STARTTLS, `smtp://` without encryption. The password is a
    /// reference, as in the URL of a webhook.
    #[schemars(with = "String", example = json!("smtps://weir:${file:/run/secrets/smtp}@mail.example:465"))]
    pub smtp: Spanned<String>,
    /// The sender.
    #[schemars(with = "String", example = &"Weir <weir@example.com>")]
    pub from: Spanned<String>,
    /// The receivers.
    #[schemars(with = "Vec<String>", example = json!(["data@example.com"]))]
    pub to: Vec<Spanned<String>>,
}

fn usual_events() -> Vec<AlertEvent> {
    vec![AlertEvent::Failed, AlertEvent::GateClosed, AlertEvent::Late, AlertEvent::Recovered]
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

/// How an alert is sent, all that it refers to filled in. It has secrets: it is not printed.
#[derive(Clone)]
pub(crate) enum Channel {
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "this program sends no webhooks"))]
    Webhook {
        url: String,
        template: Template,
        headers: Vec<(String, String)>,
    },
    Command {
        program: PathBuf,
        arguments: Vec<String>,
    },
    #[cfg_attr(not(feature = "email"), expect(dead_code, reason = "this program sends no e-mails"))]
    Email {
        smtp: String,
        from: String,
        to: Vec<String>,
    },
}

impl AlertSpec {
    /// Fails if it is not sent in exactly one way, or a password is written in it.
    pub(super) fn check(&self, source: &SourceText, name: &str, at: Option<Place>) -> Result<(), TaskError> {
        let error = |at, message: String, help: &str| {
            Err(TaskError::new(source, at, format!("alert `{name}` {message}")).with_help(help))
        };
        let ways = [self.webhook.is_some(), self.command.is_some(), self.email.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            let help = "give it one of `webhook`, `command` and `email`; make an alert of each";
            return error(at, "is not sent in exactly one way".to_owned(), help);
        }
        if let Some(WebhookSpec { url, .. }) = &self.webhook {
            let is_url = ["https://", "http://", "${"].iter().any(|start| url.value.starts_with(start));
            if !is_url {
                let help = "write https://… or http://…; `${env:NAME}` is an environment variable";
                return error(Place::of(url.referenced), "has a `url` that is none of HTTP".to_owned(), help);
            }
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            return error(at, "has an empty `command`".to_owned(), "write the program and its arguments");
        }
        if let Some(EmailSpec { smtp, to, .. }) = &self.email {
            let at = Place::of(smtp.referenced);
            if !["smtps://", "smtp://", "${"].iter().any(|start| smtp.value.starts_with(start)) {
                return error(at, "has an `smtp` that is no URL of a mail server".to_owned(), "write smtps://HOST");
            }
            let login =
                smtp.value.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
            let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
            if password.is_some_and(|password| !password.contains("${")) {
                let help = "write ${env:NAME} or ${file:PATH}, and change the password if others have seen this file";
                return error(at, "has a password that is written here".to_owned(), help);
            }
            if to.is_empty() {
                return error(at, "has no receiver".to_owned(), "write their addresses under `to`");
            }
        }
        Ok(())
    }

    /// How it is sent, with what it refers to. No error has a secret.
    pub(crate) fn channel(&self, source: &SourceText, params: &Params) -> Result<Channel> {
        let verbatim = |text: &Spanned<String>| secret::fill_verbatim(source, text, params);
        if let Some(WebhookSpec { url, template, headers }) = &self.webhook {
            let headers = headers.iter().map(|(name, value)| Ok((name.clone(), verbatim(value)?)));
            return Ok(Channel::Webhook {
                url: secret::fill(source, url, params)?,
                template: *template,
                headers: headers.collect::<Result<_>>()?,
            });
        }
        if let Some(EmailSpec { smtp, from, to }) = &self.email {
            return Ok(Channel::Email {
                smtp: secret::fill(source, smtp, params)?,
                from: verbatim(from)?,
                to: to.iter().map(verbatim).collect::<Result<_>>()?,
            });
        }
        let mut words = self.command.iter().flatten().map(verbatim).collect::<Result<Vec<_>>>()?.into_iter();
        let program = words.next().unwrap_or_default();
        let is_path = program.contains('/');
        let program = if is_path { Path::new(source.name()).with_file_name("").join(program) } else { program.into() };
        // A program is looked for in the search path unless its path has a slash.
        let program = if is_path && program.is_relative() { Path::new(".").join(program) } else { program };
        Ok(Channel::Command { program, arguments: words.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> std::result::Result<AlertSpec, String> {
        let source = SourceText::new(Path::new("weir.yaml"), text.to_owned());
        let spec: AlertSpec = crate::task::parse_yaml(&source).map_err(|error| error.to_string())?;
        spec.check(&source, "ops", None).map_err(|error| error.to_string())?;
        Ok(spec)
    }

    #[test]
    fn an_alert_is_sent_in_one_way() {
        let spec = checked("webhook: {url: 'https://x.example/a', template: teams}").unwrap();
        assert_eq!((spec.events, spec.timeout.0.as_secs(), spec.interval.0.as_secs()), (usual_events(), 10, 600));
        for (text, expected) in [
            ("events: [failed]", "not sent in exactly one way"),
            ("{command: [a], email: {smtp: 'smtp://x', from: a@b.c, to: [a@b.c]}}", "not sent in exactly one way"),
            ("webhook: {url: 'hooks.example'}", "none of HTTP"),
            ("command: []", "empty `command`"),
            ("email: {smtp: 'mail.example', from: a@b.c, to: [a@b.c]}", "no URL of a mail server"),
            ("email: {smtp: 'smtps://a:s3cret@x', from: a@b.c, to: [a@b.c]}", "password that is written here"),
            ("email: {smtp: 'smtps://a:${env:PASSWORD}@x', from: a@b.c, to: []}", "no receiver"),
            ("{command: [a], events: [started]}", "started"),
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_program_with_a_slash_is_next_to_the_file_and_a_header_is_verbatim() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "a/b+c\n").unwrap();
        let source = SourceText::new(&folder.path().join("weir.yaml"), String::new());
        let channel = |text: &str| checked(text).unwrap().channel(&source, &Params::default()).unwrap();
        let Channel::Command { program, arguments } = channel("command: [./page, '${file:token}']") else { panic!() };
        assert_eq!((program, arguments), (folder.path().join("./page"), vec!["a/b+c".to_owned()]));
        let text = "webhook: {url: 'https://x/${file:token}', headers: {Authorization: 'Bearer ${file:token}'}}";
        let Channel::Webhook { url, headers, .. } = channel(text) else { panic!() };
        assert_eq!((url.as_str(), headers[0].1.as_str()), ("https://x/a%2Fb%2Bc", "Bearer a/b+c"));
    }
}
