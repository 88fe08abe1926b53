//! What can go wrong, said so that the reader can act on it. No message has a value of a member in it.

use miette::Diagnostic;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached, or refused a statement.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Database(#[from] weir_postgres::Error),

    /// The database's schema is not this program's.
    #[error("{database}: {message}")]
    Schema {
        /// User, host, port and database.
        database: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A file cannot be imported; nothing was.
    #[error("{place}: {message}")]
    #[diagnostic(help("nothing was imported; mend the file, or what wrote it"))]
    Input {
        /// The file, and the line in it.
        place: String,
        /// What is wrong.
        message: String,
    },

    /// The database has nothing to make sales from.
    #[error("{database}: {message}")]
    Nothing {
        /// User, host, port and database.
        database: String,
        /// What is missing.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A file cannot be written; what was there is there still.
    #[error("{path}: {message}")]
    Write {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The answer cannot be printed.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}
