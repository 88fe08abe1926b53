//! Errors of a database. No message contains a password.

use std::fmt::{self, Display};

use miette::Diagnostic;
use tokio_postgres::error::SqlState;

use crate::statement::{self, ServerError};

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
    /// The server is starting up, shutting down or recovering from a crash.
    NotReady,
    /// All connection slots are in use.
    TooManyConnections,
    /// The host name cannot be resolved at the moment.
    LookupFailed,
    /// The host name is unknown.
    UnknownHost,
    /// The password is wrong or missing. Most servers do not distinguish this from an unknown user.
    Password,
    /// The user does not exist, or may not log in.
    User,
    /// `pg_hba.conf` does not admit this user from this address, or only with TLS, or only without.
    NotAdmitted,
    /// The database does not exist.
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
    /// Whether it can pass without intervention, so that [`Database::connect`](crate::Database::connect) retries.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReady | Self::TooManyConnections | Self::LookupFailed)
    }
}

impl Error {
    /// Describes an error of a statement on `database` (a displayed [`Database`](crate::Database)): [`Error::Lost`] if
    /// the connection broke, otherwise [`Error::Statement`].
    ///
    /// Neither contains the values of rows; see [`ServerError`].
    pub fn statement(database: impl Display, error: &tokio_postgres::Error) -> Self {
        statement::describe(database.to_string(), error)
    }

    /// Whether the connection broke during a statement.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether a retry may succeed, from the beginning of the transaction and, if the [connection is
    /// lost](Self::is_connection_lost), in a new session: serialization conflicts (40001, and 1023 of Amazon Redshift), deadlocks (40P01), locks
    /// that are held for too long (55P03), lost connections, and servers that stayed unreachable for the whole wait.
    ///
    /// Retry only idempotent work: if the connection is lost during `commit`, it is unknown whether the commit took
    /// effect.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Connect { reason, .. } => reason.is_transient(),
            Self::Statement { .. } => {
                let conflicts = [
                    &SqlState::T_R_SERIALIZATION_FAILURE,
                    &SqlState::T_R_DEADLOCK_DETECTED,
                    &SqlState::LOCK_NOT_AVAILABLE,
                ];
                self.sqlstate().is_some_and(|code| conflicts.contains(&code)) || self.is_conflict_of_redshift()
            }
            Self::Url { .. } | Self::Table { .. } | Self::Refused(_) => false,
        }
    }

    /// Amazon Redshift reports a conflict of serializable transactions as error 1023 of its own.
    fn is_conflict_of_redshift(&self) -> bool {
        self.server().filter(|server| *server.code() == SqlState::INTERNAL_ERROR).is_some_and(|server| {
            let message = server.message().trim();
            message == "1023" || message.to_lowercase().contains("serializable isolation violation")
        })
    }

    /// The server's SQLSTATE, if the server refused a statement.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.server().map(ServerError::code)
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
