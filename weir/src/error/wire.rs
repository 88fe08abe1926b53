//! Errors as text that other processes read again, with all that a user is told.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::Error;

/// What stands before and behind an error in a text of somebody else.
const BEGIN: &str = "weir-error(";
const END: &str = ")";

/// The kinds of rows that cannot be computed, as [`Error::Row`] has them.
const KINDS: [&str; 4] = ["division_by_zero", "overflow", "invalid_cast", "invalid_value"];

/// An error without its cause. One that no other process has is its message.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    Input { path: String, message: String, help: String },
    Unavailable { path: String, message: String, help: String },
    Sink { sink: String, path: String, message: String, help: String },
    SameDocument { sink: String, path: String, rows: u64, only_case: bool, samples: String },
    State { path: String, message: String, help: String },
    RuleFailed { table: String, rule: String, rows: u64, samples: String },
    Query { table: String, message: String },
    Row { table: String, kind: String, message: String, help: String },
    Memory { table: String, message: String },
    System { message: String, help: String },
    Internal { message: String },
    Interrupted,
}

impl Error {
    /// The error as a text that [`from_wire`](Self::from_wire) finds in another one. `table` is the one that was computed.
    pub(crate) fn to_wire(&self, table: &str, more: &serde_json::Value) -> String {
        let json = serde_json::to_vec(&(Told::of(self, table), more)).unwrap_or_default();
        format!("{BEGIN}{}{END}", BASE64_STANDARD.encode(json))
    }

    /// The same error, of a table if it has none.
    pub(crate) fn of_table(mut self, name: &str) -> Self {
        if let Self::Query { table, .. } | Self::Row { table, .. } | Self::Memory { table, .. } = &mut self
            && table.is_empty()
        {
            name.clone_into(table);
        }
        self
    }

    /// The error that a text has, and what was told with it.
    pub(crate) fn from_wire(text: &str) -> Option<(Self, serde_json::Value)> {
        let (_, rest) = text.split_once(BEGIN)?;
        let (encoded, _) = rest.split_once(END)?;
        let (told, more): (Told, _) = serde_json::from_slice(&BASE64_STANDARD.decode(encoded).ok()?).ok()?;
        Some((told.into(), more))
    }
}

impl Told {
    fn of(error: &Error, table: &str) -> Self {
        match error {
            Error::Input { path, message, help, .. } => {
                Self::Input { path: path.clone(), message: message.clone(), help: help.clone() }
            }
            Error::Unavailable { path, message, help } => {
                Self::Unavailable { path: path.clone(), message: message.clone(), help: help.clone() }
            }
            Error::Sink { sink, path, message, help, .. } => {
                Self::Sink { sink: sink.clone(), path: path.clone(), message: message.clone(), help: help.clone() }
            }
            Error::SameDocument { sink, path, rows, only_case, samples } => Self::SameDocument {
                sink: sink.clone(),
                path: path.clone(),
                rows: *rows,
                only_case: *only_case,
                samples: samples.clone(),
            },
            Error::State { path, message, help, .. } => {
                Self::State { path: path.clone(), message: message.clone(), help: help.clone() }
            }
            Error::RuleFailed { table, rule, rows, samples } => {
                Self::RuleFailed { table: table.clone(), rule: rule.clone(), rows: *rows, samples: samples.clone() }
            }
            Error::Query { table, message } => Self::Query { table: table.clone(), message: message.clone() },
            Error::Row { table, kind, message, help } => Self::Row {
                table: table.clone(),
                kind: (*kind).to_owned(),
                message: message.clone(),
                help: help.clone(),
            },
            Error::Memory { table, message } => Self::Memory { table: table.clone(), message: message.clone() },
            Error::System { message, help, .. } => Self::System { message: message.clone(), help: help.clone() },
            Error::Internal { message } => Self::Internal { message: message.clone() },
            Error::Interrupted => Self::Interrupted,
            other => Self::Query { table: table.to_owned(), message: other.to_string() },
        }
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        let cause = None;
        match told {
            Told::Input { path, message, help } => Self::Input { path, message, help, cause },
            Told::Unavailable { path, message, help } => Self::Unavailable { path, message, help },
            Told::Sink { sink, path, message, help } => Self::Sink { sink, path, message, help, cause },
            Told::SameDocument { sink, path, rows, only_case, samples } => {
                Self::SameDocument { sink, path, rows, only_case, samples }
            }
            Told::State { path, message, help } => Self::State { path, message, help, cause },
            Told::RuleFailed { table, rule, rows, samples } => Self::RuleFailed { table, rule, rows, samples },
            Told::Query { table, message } => Self::Query { table, message },
            Told::Row { table, kind, message, help } => {
                let kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or("invalid_value");
                Self::Row { table, kind, message, help }
            }
            Told::Memory { table, message } => Self::Memory { table, message },
            Told::System { message, help } => Self::System { message, help, cause },
            Told::Internal { message } => Self::Internal { message },
            Told::Interrupted => Self::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic;

    use super::*;

    #[test]
    fn an_error_within_another_text_is_found_as_it_was() {
        let row =
            Error::Row { table: "t".into(), kind: "overflow", message: "1 + 1 (at \"x\")".into(), help: "do".into() };
        let rule = Error::RuleFailed { table: "t".into(), rule: "r".into(), rows: 3, samples: "a, b".into() };
        let all = [
            Error::input("f.csv:3", "bad", "mend"),
            Error::sink("s", "out".as_ref(), "full", "free"),
            Error::usage("of the client", "no"),
            Error::same_document("s", "out".as_ref(), 2, true, "a, A".into()),
            Error::Memory { table: "t".into(), message: "much".into() },
            Error::Interrupted,
            row,
            rule,
        ];
        for error in all {
            let text = format!("Job failed: External error: {} [stage 1]", error.to_wire("t", &7.into()));
            let (read, more) = Error::from_wire(&text).unwrap();
            assert_eq!(more, 7);
            let help = |error: &Error| error.help().map(|help| help.to_string());
            match &error {
                Error::Usage { .. } => assert_eq!(read.to_string(), "table `t`: of the client"),
                error => assert_eq!((read.to_string(), help(&read)), (error.to_string(), help(error))),
            }
            assert!(matches!(error, Error::Usage { .. }) || read.exit_code() == error.exit_code());
        }
        assert!(Error::from_wire("Job failed: weir-error(?) weir-error").is_none());
    }
}
