//! `params:` and `environments:` typed, named values: `$name` in SQL, `${name}` in paths.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use datafusion::scalar::ScalarValue;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::moving::Clock;
use super::sql_type::SqlType;
use super::text::Scalar;
use super::window::Window;
use crate::error::{Error, Result};
use crate::error::{Place, SourceText, TaskError};

/// The moment of the run, which every task has in SQL: `$run_started_at`.
pub(crate) const RUN_STARTED_AT: &str = "run_started_at";

/// A parameter: one entry under `params`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Param")]
pub struct ParamSpec {
    /// The parameter's type.
    pub r#type: SqlType,
    /// The value unless `--env` or `--param` sets another one. A parameter without a default must be set. A `date` can move
    /// with the day of the run: `today`, `yesterday`, `today - 7d`, `today - 1 month`; a `timestamp`, too: `now`, `now - 2h`,
    /// `today`. Days are those of the time zone of the `schedule`, otherwise of UTC; a `timestamp` is in UTC. A run that
    /// `weir schedule` starts computes them from its due time.
    #[schemars(with = "Option<Scalar>", example = &"2022-01-01", example = &"today - 7d")]
    pub default: Option<Spanned<Scalar>>,
    /// What the parameter is for.
    #[serde(default, rename = "description")]
    _description: Option<String>,
}

impl ParamSpec {
    /// Fails if a text is no value of the parameter.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let clock = Clock { moment: DateTime::UNIX_EPOCH, zone: Tz::UTC };
        typed(self, &clock, text).map(|_| ())
    }
}

/// An environment: one entry under `environments`. Each has its own runs, lock and sink folders.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Environment")]
pub struct EnvironmentSpec {
    /// The values that override parameters in this environment, by parameter name.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub params: IndexMap<String, Spanned<Scalar>>,
}

/// The choices on the command line about a run's parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamChoice {
    /// `--env NAME`.
    pub environment: Option<String>,
    /// `--param name=value`; the last one of a name counts.
    pub values: Vec<(String, String)>,
    /// The moment that `today`, `yesterday` and `now` are computed from, if not the present one.
    pub due: Option<DateTime<Utc>>,
    /// `--window LABEL`; without it the last window that is due.
    pub window: Option<String>,
}

/// A run's parameters: typed and complete.
#[derive(Debug, Clone, Default)]
pub struct Params(BTreeMap<String, Param>);

/// One parameter's value.
#[derive(Debug, Clone)]
pub struct Param {
    /// The declared type.
    pub sql_type: SqlType,
    /// The value as it was written.
    pub text: String,
    /// The value.
    pub value: ScalarValue,
    /// Whether the command line sets it: a path in it is then relative to the working directory.
    pub is_given: bool,
}

impl Params {
    /// Merges the defaults, the environment and the command line; the later ones override the earlier ones.
    pub(super) fn resolve(
        source: &SourceText,
        specs: &IndexMap<String, ParamSpec>,
        environments: &IndexMap<String, EnvironmentSpec>,
        choice: &ParamChoice,
        zone: Tz,
    ) -> Result<Self> {
        let clock = Clock { moment: choice.due.unwrap_or_else(Utc::now), zone };
        let mut values = BTreeMap::new();
        let parse = |name: &str, spec: &ParamSpec, text: &Spanned<Scalar>| {
            typed(spec, &clock, &text.value.0).map_err(|message| {
                TaskError::new(source, Place::of(text.referenced), format!("parameter `{name}`: {message}"))
            })
        };
        if let Some(spec) = specs.get(RUN_STARTED_AT) {
            let place = spec.default.as_ref().and_then(|default| Place::of(default.referenced));
            let message = format!("parameter `{RUN_STARTED_AT}`: every task has it already, as the moment of the run");
            return Err(Box::new(TaskError::new(source, place, message).with_help("choose another name")).into());
        }
        for (name, spec) in specs {
            if let Some(default) = &spec.default {
                values.insert(name.clone(), parse(name, spec, default).map_err(Box::new)?);
            }
        }
        for (environment, overrides) in environments {
            for (name, text) in &overrides.params {
                let Some(spec) = specs.get(name) else {
                    let place = Place::of(text.referenced);
                    let message = format!("environment `{environment}` sets the unknown parameter `{name}`");
                    return Err(Box::new(
                        TaskError::new(source, place, message).nearest(name, specs.keys().map(String::as_str)),
                    )
                    .into());
                };
                let value = parse(name, spec, text).map_err(Box::new)?;
                if choice.environment.as_ref() == Some(environment) {
                    values.insert(name.clone(), value);
                }
            }
        }
        if let Some(environment) = &choice.environment
            && !environments.contains_key(environment)
        {
            return Err(Error::usage(
                format!("{}: unknown environment `{environment}`", source.name()),
                known("environments", environments.keys()),
            ));
        }
        for (name, text) in &choice.values {
            let Some(spec) = specs.get(name) else {
                return Err(Error::usage(
                    format!("--param {name}: unknown parameter in {}", source.name()),
                    known("parameters", specs.keys()),
                ));
            };
            let value = typed(spec, &clock, text).map_err(|message| {
                Error::usage(format!("--param {name}: {message}"), "pass a value of the declared type")
            })?;
            values.insert(name.clone(), Param { is_given: true, ..value });
        }
        if let Some(name) = specs.keys().find(|name| !values.contains_key(*name)) {
            return Err(Error::usage(
                format!("{}: parameter `{name}` has no value", source.name()),
                format!("set it with --param {name}=VALUE, or declare a default in the task file"),
            ));
        }
        Ok(Self(values))
    }

    /// Adds what a run knows of its window.
    pub(super) fn add_window(
        &mut self,
        source: &SourceText,
        specs: &IndexMap<String, ParamSpec>,
        window: &Window,
    ) -> Result<()> {
        let time = |at: DateTime<Utc>| (SqlType::Timestamp, at.format("%Y-%m-%dT%H:%M:%S").to_string());
        let values = [("window", (SqlType::String, window.label.clone()))];
        let times = [("window_start", time(window.start)), ("window_end", time(window.end))];
        for (name, (sql_type, text)) in values.into_iter().chain(times) {
            if let Some(spec) = specs.get(name) {
                let place = spec.default.as_ref().and_then(|default| Place::of(default.referenced));
                let message = format!("parameter `{name}`: a task with windows has it already");
                return Err(Box::new(TaskError::new(source, place, message).with_help("choose another name")).into());
            }
            let value = sql_type.parse(&text).map_err(|message| Error::internal(format!("${name}: {message}")))?;
            self.0.insert(name.to_owned(), Param { sql_type, text, value, is_given: false });
        }
        Ok(())
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.0.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The command line has set these, and no others.
    pub(crate) fn only_given(&mut self, names: &[&str]) {
        self.0.iter_mut().for_each(|(name, param)| param.is_given = names.contains(&name.as_str()));
    }

    /// The names and texts of those that the command line sets.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.0.iter().filter(|(_, param)| param.is_given);
        given.map(|(name, param)| (name.as_str(), param.text.as_str()))
    }

    /// Whether a text begins with a parameter that the command line sets.
    pub(crate) fn begins_with_given(&self, text: &str) -> bool {
        let name = text.strip_prefix("${").and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
        name.and_then(|name| self.get(name)).is_some_and(|param| param.is_given)
    }

    /// Fills in every `${name}` in a text of the task file.
    pub fn fill(&self, source: &SourceText, text: &Spanned<String>) -> Result<String> {
        self.fill_with(source, text, str::to_owned)
    }

    /// Like `fill`, for a table's name, with its schema if one is given.
    pub(crate) fn fill_table(&self, source: &SourceText, text: &Spanned<String>) -> Result<(Option<String>, String)> {
        let full = self.fill(source, text)?;
        Ok(match full.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, full),
        })
    }

    /// Like `fill`, with each value escaped for the place where the text is used.
    pub fn fill_with(&self, source: &SourceText, text: &Spanned<String>, escape: fn(&str) -> String) -> Result<String> {
        self.fill_by(source, text, |name| self.get(name).map(|param| Ok(escape(&param.text))))
    }

    /// Like `fill`, where `known` supplies values for further names; parameters are always known.
    pub(super) fn fill_by(
        &self,
        source: &SourceText,
        text: &Spanned<String>,
        known: impl Fn(&str) -> Option<Result<String, Box<TaskError>>>,
    ) -> Result<String> {
        let mut rest = text.value.as_str();
        let mut filled = String::with_capacity(rest.len());
        while let Some(start) = rest.find("${") {
            let error = |message: String| TaskError::new(source, Place::of(text.referenced), message);
            let Some(length) = rest[start..].find('}') else {
                return Err(
                    Box::new(error(format!("`{}` is not closed", &rest[start..])).with_help("write ${name}")).into()
                );
            };
            let name = &rest[start + 2..start + length];
            let value = match known(name) {
                Some(value) => value?,
                None => match self.get(name) {
                    Some(param) => param.text.clone(),
                    None if name == RUN_STARTED_AT => {
                        let message = format!("`${{{name}}}`: the moment of the run is there in SQL only");
                        let help = format!(
                            "write ${name} in a model or a rule; for paths declare a parameter with `default: today`"
                        );
                        return Err(Box::new(error(message).with_help(help)).into());
                    }
                    None => {
                        let error = error(format!("unknown parameter `${{{name}}}`")).nearest(name, self.names());
                        return Err(Box::new(error).into());
                    }
                },
            };
            filled.push_str(&rest[..start]);
            filled.push_str(&value);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

fn typed(spec: &ParamSpec, clock: &Clock, text: &str) -> Result<Param, String> {
    let text = clock.fix(spec.r#type, text)?.unwrap_or_else(|| text.to_owned());
    let value = spec.r#type.parse(&text)?;
    Ok(Param { sql_type: spec.r#type, text, value, is_given: false })
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    if names.is_empty() { format!("it declares no {what}") } else { format!("its {what}: {}", names.join(", ")) }
}
