//! Errors of the commands.

use miette::Diagnostic;

/// Result of all fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// Wrong usage.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A table of cars is invalid.
    #[error("{place}: {message}")]
    Table {
        /// The file, line and column.
        place: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The rows are valid, but not usable for the request.
    #[error("{message}")]
    Unfit {
        /// What is missing.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A model cannot be fitted to the rows.
    #[error("{model}: the model cannot be fitted: {message}")]
    #[diagnostic(help("check the rows; `section5 generate` writes a valid table"))]
    Fit {
        /// The model.
        model: &'static str,
        /// The solver's error.
        message: String,
    },

    /// A file is not a usable model.
    #[error("{path}: {message}")]
    Model {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// A chart cannot be drawn.
    #[error("the chart {chart:?} cannot be drawn: {message}")]
    #[diagnostic(help("`section5 evaluate` prints the figures without charts"))]
    Chart {
        /// Its title.
        chart: String,
        /// What is wrong.
        message: String,
    },

    /// A file cannot be read or written.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code of a process that ends with this error: 2 wrong usage, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            _ => 1,
        }
    }
}
