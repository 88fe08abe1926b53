//! What can go wrong with a database, said so that the reader can act on it. No message has a password in it.

use std::fmt::Display;

use miette::Diagnostic;
use tokio_postgres::error::SqlState;

use crate::statement::{self, ServerError};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a database cannot be worked with.
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
        /// What stood in the way, for programs.
        reason: Reason,
        /// What is wrong, and for how long it was tried.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The server refused a statement, or its answer was not the expected one.
    #[error("{database}: {message}")]
    Statement {
        /// User, host, port and database.
        database: String,
        /// What the server says, without the values of rows.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
        /// The server's error in parts; none if the server is not where the error is.
        server: Option<Box<ServerError>>,
    },

    /// A table cannot take the rows that were meant for it.
    #[error("{database}: table {table}: {message}")]
    Table {
        /// User, host, port and database.
        database: String,
        /// The table.
        table: String,
        /// What is in the way.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The connection broke. Whether a statement under way was done is not known: a transaction that was not being
    /// committed was not.
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

/// What stands in the way of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody answers at the host and port, or the connection broke before there was a session.
    Unreachable,
    /// The server starts up, shuts down or recovers from a crash.
    NotReady,
    /// All connections are taken.
    TooManyConnections,
    /// The host's name cannot be looked up for now.
    LookupFailed,
    /// The host's name is not known.
    UnknownHost,
    /// The password is wrong or missing. Most servers do not tell that from an unknown user.
    Password,
    /// The user does not exist, or may not log in.
    User,
    /// The server lets this user not in from here, or only with TLS, or only without.
    NotAdmitted,
    /// The database does not exist.
    Database,
    /// TLS is demanded, and the server has none.
    NoTls,
    /// The server's certificate is not trusted, or no longer valid.
    Certificate,
    /// The server's certificate is for another host.
    HostName,
    /// TLS failed in another way, for example for want of a client's certificate.
    Tls,
    /// A file that is needed, such as that with the trusted certificates, cannot be used.
    File,
    /// Anything else.
    Other,
}

impl Reason {
    /// Whether it can pass by itself, so that [`Database::connect`](crate::Database::connect) tries again.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReady | Self::TooManyConnections | Self::LookupFailed)
    }
}

impl Error {
    /// What went wrong with a statement on `database`, which is how a [`Database`](crate::Database) is shown:
    /// [`Error::Lost`] if the connection broke, else [`Error::Statement`].
    ///
    /// Neither has the values of rows in it; see [`ServerError`].
    pub fn statement(database: impl Display, error: &tokio_postgres::Error) -> Self {
        statement::describe(database.to_string(), error)
    }

    /// Whether the connection broke while statements went over it.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the same may go well if it is tried again, from the beginning of the transaction on and, if the
    /// [connection is lost](Self::is_connection_lost), in a new session: conflicts of transactions (40001), deadlocks
    /// (40P01), lost connections, and servers that were not there for as long as they were waited for.
    ///
    /// Only what may be done twice should be: a connection that is lost during `commit` leaves open whether it was.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Connect { reason, .. } => reason.is_transient(),
            Self::Statement { .. } => {
                matches!(self.sqlstate(), Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED))
            }
            Self::Url { .. } | Self::Table { .. } => false,
        }
    }

    /// The server's SQLSTATE, if the server refused a statement.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.server().map(ServerError::code)
    }

    /// The server's error in parts, if the server refused a statement.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Statement { server, .. } => server.as_deref(),
            _ => None,
        }
    }
}
