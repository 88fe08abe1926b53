//! An error as others may be told it: what went wrong, and where, without any text that data or secrets could be in.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Error, number_of};

/// What is known of an error apart from its own texts. Names in it are those of the task file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// A stable name of the kind of error.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<&'static str>,
}

impl Summary {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: Option<&'static str>) -> Self {
        Self { code, message: message.into(), help }
    }
}

const NOTHING: Option<&str> = Some("nothing was published");

impl Error {
    /// The error without the texts that it was made of: messages of databases and files, paths and parameters can have values.
    pub(crate) fn summary(&self) -> Summary {
        let of = |code, message: &str, help| Summary::new(code, message, help);
        let of_sink = |code, sink: &str, what: &str| Summary::new(code, format!("sink `{sink}` {what}"), NOTHING);
        let of_table = |code, table: &str, what: &str| Summary::new(code, format!("table `{table}`: {what}"), NOTHING);
        match self {
            Self::Task(_) => {
                of("wrong_task", "the task file, or a file that it names, is wrong", Some("`weir validate` says how"))
            }
            Self::Usage { .. } => of("wrong_usage", "the run was started with what it cannot do", None),
            Self::Locked { .. } => of("locked", "another process is running the task", None),
            Self::Input { .. } => of("input", "an input cannot be read as the task says", NOTHING),
            Self::Unavailable { .. } => of("unavailable", "an input cannot be had now, and perhaps later", NOTHING),
            Self::Sink { sink, .. } => of_sink("sink", sink, "cannot take the rows, or cannot be published"),
            Self::Overtaken { sink, .. } => {
                of_sink("overtaken", sink, "was written by another run since this one began")
            }
            Self::SameDocument { sink, .. } => of_sink("same_document", sink, "has several rows for one file"),
            Self::Database(_) | Self::MySql(_) if self.is_transient() => {
                of("database", "a database cannot be reached, broke off, or had a conflict", NOTHING)
            }
            Self::Database(_) | Self::MySql(_) => of("database", "a database refuses what it is asked", NOTHING),
            Self::Fetch(_) => of("fetch", "rows could not be fetched", NOTHING),
            Self::State { .. } => of("state_folder", "the state folder cannot be used", None),
            Self::RuleFailed { table, rule, rows, .. } => {
                let rows = number_of(*rows, "row");
                of_table("rule_failed", table, &format!("rule `{rule}` (fail_unless) failed for at least {rows}"))
            }
            Self::RowsDiffer { table, rule, .. } => {
                of_table("rows_differ", table, &format!("rule `{rule}` (fail_unless) failed: it has other rows"))
            }
            Self::Query { table, .. } => of_table("query", table, "its computation failed"),
            Self::Row { table, kind, .. } => of_table("row", table, &format!("a row cannot be computed: {kind}")),
            Self::Memory { table, .. } => of_table("memory", table, "the run needs more memory than it may have"),
            Self::System { .. } => of("system", "the operating system refuses something", None),
            Self::Internal { .. } => of("internal", "the engine contradicts itself", Some("this is a bug in weir")),
            Self::Unbalanced { .. } => of("unbalanced", "row counts disagree", Some("this is a bug in weir")),
            Self::Unpublished { .. } => {
                let help = "the next run of the task first commits the rest; until then some sinks may hold this run";
                of(
                    "unpublished",
                    "the run has a commit record, but not all of its sinks could be committed",
                    Some(help),
                )
            }
            Self::Interrupted => of("interrupted", "it was stopped", NOTHING),
            Self::TimedOut { timeout } => {
                let mut message = "it took longer than its timeout".to_owned();
                let _ = write!(message, " of {}", humantime::format_duration(*timeout));
                of("timed_out", &message, NOTHING)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_no_text_of_the_error() {
        let private = "S1234567D";
        for error in [
            Error::input(private, private, private),
            Error::usage(private, private),
            Error::state(private.as_ref(), private, private),
            Error::sink("good", private.as_ref(), private, private),
            Error::same_document("good", private.as_ref(), 2, false, private.to_owned()),
            Error::system(private, private, private),
            Error::internal(private),
            Error::Query { table: "adult".into(), message: private.into() },
            Error::Row { table: "adult".into(), kind: "overflow", message: private.into(), help: private.into() },
            Error::RuleFailed { table: "adult".into(), rule: "too_young".into(), rows: 2, samples: private.into() },
            Error::RowsDiffer { table: "adult".into(), rule: "too_young".into(), message: private.into() },
            Error::Unavailable { path: private.into(), message: private.into(), help: private.into() },
            Error::internal(private).while_publishing("7"),
        ] {
            let summary = error.summary();
            assert!(
                error.to_string().contains(private) || summary.code == "rule_failed" || summary.code == "same_document"
            );
            assert!(!serde_json::to_string(&summary).unwrap().contains(private), "{summary:?}");
        }
        let timeout = std::time::Duration::from_secs(90);
        assert_eq!(Error::TimedOut { timeout }.summary().message, "it took longer than its timeout of 1m 30s");
    }
}
