//! Errors of a database. No message contains a password.

use std::fmt;

use miette::Diagnostic;

/// What a server says about a statement, without the values of rows.
pub trait Report: fmt::Debug + Send + Sync + 'static {
    /// Whether the statement conflicted with another session: to repeat its transaction may succeed.
    fn is_conflict(&self) -> bool;

    /// Whether a right is missing.
    fn is_denied(&self) -> bool;
}

/// What is asked of an error, whatever the kind of the server.
pub trait DatabaseError {
    /// Whether the connection broke during a statement.
    fn is_connection_lost(&self) -> bool;

    /// Whether a retry may succeed, from the beginning of the transaction and, if the [connection is
    /// lost](Self::is_connection_lost), in a new session: [conflicts](Report::is_conflict), lost connections, and servers that
    /// stayed unreachable for the whole wait.
    ///
    /// Retry only idempotent work: if the connection is lost during `commit`, it is unknown whether the commit took
    /// effect.
    fn is_transient(&self) -> bool;

    /// Whether the server, or a load, refuses what it is asked, and would do so again.
    fn is_refusal(&self) -> bool;

    /// Whether the server refused a statement because a right is missing.
    fn is_denied(&self) -> bool;

    /// What to do about a refused row without its values, and whether these are known.
    fn advice(&self) -> Option<(&str, bool)>;
}

/// Why a database operation failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error<R: Report> {
    /// The URL or one of its options is wrong.
    #[error("database URL: {message}")]
    Url {
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// No session could be opened.
    #[error("{database}: {message}")]
    Connect {
        /// User, host, port and database.
        database: String,
        /// The cause, for programs.
        reason: Reason,
        /// What is wrong, and for how long connecting was retried.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The server refused a statement, or its answer was unexpected.
    #[error("{database}: {message}")]
    Statement {
        /// User, host, port and database.
        database: String,
        /// The server's message, without the values of rows.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The server's error in parts; none if the error did not come from the server.
        server: Option<Box<R>>,
    },

    /// The table cannot be loaded with these rows.
    #[error("{database}: table {table}: {message}")]
    Table {
        /// User, host, port and database.
        database: String,
        /// The table.
        table: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A table refuses a row, by a constraint.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(Box<Refusal<R>>),

    /// The connection broke. It is unknown whether the pending statement was executed; a transaction whose commit was
    /// not pending was rolled back.
    #[error("{database}: the connection broke: {message}")]
    Lost {
        /// User, host, port and database.
        database: String,
        /// How it broke.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },
}

/// A row that a table refuses.
#[derive(thiserror::Error, Diagnostic)]
#[error("{database}: table {table} refuses a row: {message}")]
pub struct Refusal<R: Report> {
    /// User, host, port and database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The server's message, without the values of rows.
    pub message: String,
    /// The keys of refused rows, where they could be found. They are values, so they are not in the message.
    pub rows: Vec<String>,
    /// What to do about it, with the rows.
    #[help]
    pub help: String,
    /// The same without the rows.
    pub advice: String,
    /// The server's error in parts.
    pub server: R,
}

/// Without the values of rows.
impl<R: Report> fmt::Debug for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, table, message, server, .. } = self;
        let mut refusal = f.debug_struct("Refusal");
        refusal.field("database", database).field("table", table).field("message", message).field("server", server);
        refusal.finish_non_exhaustive()
    }
}

/// Why a session could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No server answers at the host and port, or the connection broke before the session was open.
    Unreachable,
    /// The server is starting up, shutting down or recovering from a crash.
    NotReady,
    /// All connection slots are in use.
    TooManyConnections,
    /// The host name cannot be resolved at the moment.
    LookupFailed,
    /// The host name is unknown.
    UnknownHost,
    /// The password is wrong, missing, expired, or of a kind that is not supported. Most servers do not distinguish this from
    /// an unknown user.
    Password,
    /// The user does not exist, or may not log in.
    User,
    /// The server does not admit this user from this address, or only with TLS, or only without.
    NotAdmitted,
    /// The database does not exist, or the user may not use it.
    Database,
    /// TLS is required, but the server does not support it.
    NoTls,
    /// The server's certificate is not trusted or has expired.
    Certificate,
    /// The server's certificate was issued for another host.
    HostName,
    /// TLS failed for another reason, for example a missing client certificate.
    Tls,
    /// A required file, such as the trusted certificates, cannot be used.
    File,
    /// Anything else.
    Other,
}

impl Reason {
    /// Whether it can pass without intervention, so that [`Retries`](crate::Retries) repeat the attempt.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReady | Self::TooManyConnections | Self::LookupFailed)
    }
}

impl<R: Report> Error<R> {
    /// The server's error in parts, if the server refused a statement.
    pub fn server(&self) -> Option<&R> {
        match self {
            Self::Statement { server, .. } => server.as_deref(),
            Self::Refused(refusal) => Some(&refusal.server),
            _ => None,
        }
    }
}

impl<R: Report> DatabaseError for Error<R> {
    fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Connect { reason, .. } => reason.is_transient(),
            Self::Statement { server, .. } => server.as_ref().is_some_and(|server| server.is_conflict()),
            Self::Url { .. } | Self::Table { .. } | Self::Refused(_) => false,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Statement { .. } | Self::Table { .. }) && !self.is_transient()
    }

    fn is_denied(&self) -> bool {
        self.server().is_some_and(Report::is_denied)
    }

    fn advice(&self) -> Option<(&str, bool)> {
        match self {
            Self::Refused(refusal) => Some((&refusal.advice, refusal.help != refusal.advice)),
            _ => None,
        }
    }
}

/// A failed attempt to open a session.
#[derive(Debug)]
pub struct Failure {
    /// The cause, for programs.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Failure {
    /// A failure for a reason.
    pub fn new(reason: Reason, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: help.into() }
    }

    /// Whether TLS is the cause.
    pub fn is_tls(&self) -> bool {
        use Reason::{Certificate, File, HostName, NoTls, Tls};
        matches!(self.reason, Tls | NoTls | Certificate | HostName | File)
    }

    /// The error of a database, which is displayed without a password.
    pub fn of<R: Report>(self, database: impl fmt::Display) -> Error<R> {
        let Self { reason, message, help } = self;
        Error::Connect { database: database.to_string(), reason, message, help }
    }
}
