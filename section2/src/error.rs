//! Errors of the commands. No message contains a value of a member.

use miette::Diagnostic;

/// Result of all fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached, or refused a statement.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Database(#[from] weir_postgres::Error),

    /// The database's schema is not the one of this program.
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

    /// A file cannot be imported; nothing was imported.
    #[error("{place}: {message}")]
    #[diagnostic(help("nothing was imported; correct the file or the program that wrote it"))]
    Input {
        /// The file and the line number.
        place: String,
        /// What is wrong.
        message: String,
    },

    /// The database has nothing to generate sales from.
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

    /// A file cannot be written; an existing one is unchanged.
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

    /// The result cannot be printed.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}
