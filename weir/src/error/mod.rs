//! Errors: what is wrong, where, and what to do next.

mod carried;
mod document;
mod fetch;
mod query;
mod summary;
mod text;
mod wire;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;
use miette::Diagnostic;
use weir_database::DatabaseError;

use carried::unwrap_own;
pub use fetch::FetchFailed;
pub(crate) use query::{NO_PATTERN, plain, plain_message, plain_types};
pub(crate) use summary::Summary;
pub use text::{Place, SourceText, TaskError};
pub(crate) use text::{nearest, number_of, printable};

/// An error of a library, or of the operating system.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that ends a run. A bad row is not an error: it goes to the rejected route.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The task file, or a SQL file that it names, is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Task(#[from] Box<TaskError>),

    /// The command line asks for something that cannot be.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// Another run of the same task holds the lock.
    #[error("{message}")]
    #[diagnostic(help("wait for it to end, or stop that process; the lock goes with it"))]
    Locked {
        /// Who holds the lock and since when.
        message: String,
    },

    /// An input cannot be read as the task says.
    #[error("{path}: {message}")]
    Input {
        /// The file or pattern.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The error that caused it; its text is part of the message.
        #[source]
        cause: Option<Cause>,
    },

    /// An input cannot be had now, and perhaps later.
    #[error("{path}: {message}")]
    Unavailable {
        /// Where it is.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A sink cannot take the rows, or cannot be published.
    #[error("sink `{sink}`: {path}: {message}")]
    Sink {
        /// The sink's name in the task file.
        sink: String,
        /// The file or folder.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The error that caused it; its text is part of the message.
        #[source]
        cause: Option<Cause>,
    },

    /// Another run has written a sink's target since this one began.
    #[error("sink `{sink}`: {path}: {message}")]
    Overtaken {
        /// The sink's name in the task file.
        sink: String,
        /// The folder.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// Several rows of a sink would be one file.
    #[error("sink `{sink}`: {path}: {}", document::message(*rows, *only_case))]
    #[diagnostic(help("{}; for example: {samples}", document::help(*only_case)))]
    SameDocument {
        /// The sink's name in the task file.
        sink: String,
        /// The folder.
        path: String,
        /// How many rows, as far as is known.
        rows: u64,
        /// Whether it is so only where case is ignored.
        only_case: bool,
        /// Some of the names. They are shown and not kept.
        samples: String,
    },

    /// A PostgreSQL database cannot be reached, or does not do what it was asked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Database(#[from] weir_postgres::Error),

    /// A MySQL database cannot be reached, or does not do what it was asked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    MySql(#[from] weir_mysql::Error),

    /// A fetcher could not get the rows.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchFailed),

    /// The state folder (ledger, locks, scratch) cannot be used.
    #[error("state folder: {path}: {message}")]
    State {
        /// The file or folder.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The error that caused it; its text is part of the message.
        #[source]
        cause: Option<Cause>,
    },

    /// A rule under `fail_unless` did not hold.
    #[error("table `{table}`: rule `{rule}` (fail_unless) failed for at least {}", number_of(*rows, "row"))]
    #[diagnostic(help(
        "nothing was published; correct the input, or make it a rule that rejects or warns; for example: {samples}"
    ))]
    RuleFailed {
        /// The judged table.
        table: String,
        /// The rule's name.
        rule: String,
        /// Rows for which it does not hold, among those that were judged before the run ended.
        rows: u64,
        /// A few of them. They are shown and not kept.
        samples: String,
    },

    /// A rule `equal_rows` under `fail_unless` did not hold.
    #[error("table `{table}`: rule `{rule}` (fail_unless) failed: {message}")]
    #[diagnostic(help(
        "nothing was published; a join multiplies rows where the other table has several rows with the same key, and an inner join \
         loses those without one"
    ))]
    RowsDiffer {
        /// The judged table.
        table: String,
        /// The rule's name.
        rule: String,
        /// The rows of both tables.
        message: String,
    },

    /// A model or a rule failed while rows went through it.
    #[error("table `{table}`: {message}")]
    #[diagnostic(help("nothing was published"))]
    Query {
        /// The model or source that was being computed.
        table: String,
        /// What the engine says.
        message: String,
    },

    /// A row cannot be computed, and cannot be rejected.
    #[error("table `{table}`: a row cannot be computed: {message}")]
    Row {
        /// The model that was being computed.
        table: String,
        /// What is wrong, as `reasons` have it: `division_by_zero`, `overflow`, `invalid_cast` or `invalid_value`.
        kind: &'static str,
        /// What the engine says.
        message: String,
        /// What to do about it, without values of the row.
        #[help]
        help: String,
    },

    /// The run needs more memory than it may have.
    #[error("table `{table}`: {message}")]
    #[diagnostic(help(
        "nothing was published; raise --memory-limit or give fewer --threads; sorts, aggregates and `unique` go to disk when memory is short, but window functions and the smaller side of a join hold all of their rows: let them see fewer rows or columns"
    ))]
    Memory {
        /// The model or source that was being computed.
        table: String,
        /// How much it had, and how much it may have.
        message: String,
    },

    /// The operating system refuses something that is neither a file of the task nor its state.
    #[error("{message}")]
    System {
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The error that caused it; its text is part of the message.
        #[source]
        cause: Option<Cause>,
    },

    /// The engine contradicts itself.
    #[error("internal error: {message}")]
    #[diagnostic(help("this is a bug in weir: please report it with the task file"))]
    Internal {
        /// What contradicts what.
        message: String,
    },

    /// The counts of a run disagree: rows were lost or made up.
    #[error("row counts disagree: {message}")]
    #[diagnostic(help("nothing was published; this is a bug in weir: please report it with the task file"))]
    Unbalanced {
        /// Which counts, and by how much.
        message: String,
    },

    /// A run has a commit record, and not all of its sinks could be committed.
    #[error("run {run} has a commit record, but not all of its sinks could be committed: {message}")]
    #[diagnostic(help(
        "fix that; the next run of the task in this environment first commits the rest. Until then some sinks may hold this run and others the one before"
    ))]
    Unpublished {
        /// The run's id.
        run: String,
        /// What stood in the way.
        message: String,
    },

    /// The user or the system asked the run to stop.
    #[error("interrupted")]
    #[diagnostic(help("nothing was published; start the run again"))]
    Interrupted,

    /// The run took longer than it may.
    #[error("stopped because it took longer than its timeout of {}", humantime::format_duration(*timeout))]
    #[diagnostic(help(
        "nothing was published; if the run needs more time, raise the timeout, otherwise look in the log for what it waited for"
    ))]
    TimedOut {
        /// The time that it may take.
        timeout: std::time::Duration,
    },
}

/// Where an error is shown with values of rows.
const SHOWS_VALUES: &str = "a run on a terminal, or with --show-values (WEIR_SHOW_VALUES=true),";

/// What stands in place of values, and of messages that may quote them, where a task has private columns.
const NOT_SHOWN: &str = "not shown, because the task has private columns";

impl Error {
    /// An error about an input.
    pub fn input(path: impl Display, message: impl Display, help: impl Display) -> Self {
        Self::Input { path: path.to_string(), message: message.to_string(), help: help.to_string(), cause: None }
    }

    /// An error about the command line.
    pub fn usage(message: impl Display, help: impl Display) -> Self {
        Self::Usage { message: message.to_string(), help: help.to_string() }
    }

    /// An error about a sink's file or folder.
    pub fn sink(sink: &str, path: &Path, message: impl Display, help: impl Display) -> Self {
        Self::Sink {
            sink: sink.to_owned(),
            path: path.display().to_string(),
            message: message.to_string(),
            help: help.to_string(),
            cause: None,
        }
    }

    /// The error of rows that would be one file.
    pub(crate) fn same_document(sink: &str, path: &Path, rows: u64, only_case: bool, samples: String) -> Self {
        Self::SameDocument { sink: sink.to_owned(), path: path.display().to_string(), rows, only_case, samples }
    }

    /// An error about the state folder.
    pub fn state(path: &Path, message: impl Display, help: impl Display) -> Self {
        let (path, message, help) = (path.display().to_string(), message.to_string(), help.to_string());
        Self::State { path, message, help, cause: None }
    }

    /// An error of the operating system; `what` could not be done.
    pub fn system(what: impl Display, cause: impl Into<Cause>, help: impl Display) -> Self {
        let cause = cause.into();
        Self::System { message: format!("{what}: {cause}"), help: help.to_string(), cause: Some(cause) }
    }

    /// A bug in the engine.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::Internal { message: message.to_string() }
    }

    /// Keeps the error that caused this one as its [`source`](std::error::Error::source).
    #[must_use]
    pub fn because(mut self, error: impl Into<Cause>) -> Self {
        if let Self::Input { cause, .. } | Self::Sink { cause, .. } | Self::State { cause, .. } = &mut self {
            *cause = Some(error.into());
        }
        self
    }

    /// What DataFusion says of a table's computation; an error of ours that travelled through it comes out as it was.
    pub fn query(table: &str, error: DataFusionError) -> Self {
        match unwrap_own(error) {
            Ok(own) => own,
            Err(foreign) => Self::Query { table: table.to_owned(), message: query::plain(&foreign) },
        }
    }

    /// What to do about it, as a log may have it: without values of rows.
    pub(crate) fn help_without_values(&self) -> Option<String> {
        match self {
            Self::RuleFailed { .. } => Some(format!(
                "nothing was published; correct the input, or make it a rule that rejects or warns; {SHOWS_VALUES} shows \
                 examples"
            )),
            Self::Query { .. } => Some(format!("nothing was published; {SHOWS_VALUES} says how")),
            Self::SameDocument { only_case, .. } => {
                Some(format!("{}; {SHOWS_VALUES} shows examples", document::help(*only_case)))
            }
            // The value is in the message only.
            Self::Row { help, .. } => Some(format!("{help}; {SHOWS_VALUES} shows the value")),
            other => match other.of_database().and_then(DatabaseError::advice) {
                Some((advice, has_rows)) => Some(without_rows(advice, has_rows)),
                None => other.help().map(|help| help.to_string()),
            },
        }
    }

    /// The error as the ledger and logs keep it: without values of rows, which do not belong there.
    pub(crate) fn without_values(&self) -> String {
        match self {
            Self::Query { table, .. } => format!("table `{table}`: its computation failed; {SHOWS_VALUES} says how"),
            Self::Row { table, kind, .. } => format!("table `{table}`: a row cannot be computed: {kind}"),
            other => other.to_string(),
        }
    }

    /// The same error, of a task with private columns: no value of a row is in it.
    pub(crate) fn hiding_values(self) -> Self {
        match self {
            Self::Query { table, .. } => Self::Query { table, message: NOT_SHOWN.to_owned() },
            Self::Row { table, kind, help, .. } => Self::Row { table, kind, message: kind.to_owned(), help },
            Self::RuleFailed { table, rule, rows, .. } => {
                Self::RuleFailed { table, rule, rows, samples: NOT_SHOWN.to_owned() }
            }
            Self::SameDocument { sink, path, rows, only_case, .. } => {
                Self::SameDocument { sink, path, rows, only_case, samples: NOT_SHOWN.to_owned() }
            }
            other => other,
        }
    }

    /// The same error, of a run that is past its commit record.
    pub(crate) fn while_publishing(self, run: &str) -> Self {
        Self::Unpublished { run: run.to_owned(), message: self.to_string() }
    }

    /// The error of a database, whatever the kind of its server.
    pub(crate) fn of_database(&self) -> Option<&dyn DatabaseError> {
        match self {
            Self::Database(error) => Some(error),
            Self::MySql(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a target refuses what is prepared for it, and would do so again.
    pub(crate) fn is_refusal(&self) -> bool {
        let is_overtaken = matches!(self, Self::Overtaken { .. });
        is_overtaken || self.of_database().is_some_and(DatabaseError::is_refusal)
    }

    /// Whether the same run may succeed when it is started again: a database or a server that was away or had a conflict.
    pub(crate) fn is_transient(&self) -> bool {
        // The next start completes what is unpublished.
        let is_unfinished =
            matches!(self, Self::Unpublished { .. } | Self::Unavailable { .. } | Self::Overtaken { .. });
        is_unfinished || self.of_database().is_some_and(DatabaseError::is_transient)
    }

    /// Whether the session with a server is lost, so that it is unknown what it has done last.
    pub(crate) fn is_lost(&self) -> bool {
        self.of_database().is_some_and(DatabaseError::is_connection_lost)
    }

    /// The exit code of a process that ends with this error: 2 wrong usage or task file, 4 locked, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Task(_) | Self::Usage { .. } => 2,
            Self::Locked { .. } => 4,
            _ => 1,
        }
    }
}

/// What a log says about rows that a table refuses, instead of the rows.
fn without_rows(advice: &str, has_rows: bool) -> String {
    if has_rows { format!("{advice}; {SHOWS_VALUES} names the rows") } else { advice.to_owned() }
}

/// Adds the path to an I/O error of the state folder.
pub(crate) fn state_io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = PathBuf::from(path);
    move |error| {
        Error::state(&path, &error, "check that the folder exists, is writable and has free space").because(error)
    }
}
