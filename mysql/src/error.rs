//! Errors of a database. No message contains a password.

use std::fmt;

use miette::Diagnostic;

use crate::server::ServerError;

/// Result of all fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
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
        server: Option<Box<ServerError>>,
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
    Refused(Box<Refusal>),

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
#[non_exhaustive]
pub struct Refusal {
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
    pub server: ServerError,
}

/// Without the values of rows.
impl fmt::Debug for Refusal {
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
    /// The server is shutting down.
    NotReady,
    /// All connections are in use.
    TooManyConnections,
    /// The host name cannot be resolved at the moment.
    LookupFailed,
    /// The host name is unknown.
    UnknownHost,
    /// The user does not exist, or the password is wrong, missing, expired, or of a kind that is not supported.
    Password,
    /// The user may not log in.
    User,
    /// The server does not admit this host.
    NotAdmitted,
    /// The database does not exist, or the user may not use it.
    Database,
    /// TLS is required, but the server does not support it.
    NoTls,
    /// The server's certificate is not trusted or has expired.
    Certificate,
    /// The server's certificate was issued for another host.
    HostName,
    /// TLS failed for another reason.
    Tls,
    /// A required file, such as the trusted certificates, cannot be used.
    File,
    /// Anything else.
    Other,
}

impl Reason {
    /// Whether it can pass without intervention, so that [`Database::connect`](crate::Database::connect) retries.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReady | Self::TooManyConnections | Self::LookupFailed)
    }
}

impl Error {
    /// Whether the connection broke during a statement.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether a retry may succeed, from the beginning of the transaction and, if the [connection is
    /// lost](Self::is_connection_lost), in a new session: deadlocks, locks that are held for too long, lost connections,
    /// and servers that stayed unreachable for the whole wait.
    ///
    /// Retry only idempotent work: if the connection is lost during `commit`, it is unknown whether the commit took
    /// effect.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Connect { reason, .. } => reason.is_transient(),
            Self::Statement { server, .. } => server.as_ref().is_some_and(|server| server.is_conflict()),
            Self::Url { .. } | Self::Table { .. } | Self::Refused(_) => false,
        }
    }

    /// The server's error in parts, if the server refused a statement.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Statement { server, .. } => server.as_deref(),
            Self::Refused(refusal) => Some(&refusal.server),
            _ => None,
        }
    }
}
