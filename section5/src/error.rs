//! What can go wrong, said so that the reader can act on it.

use miette::Diagnostic;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The command was not asked rightly.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A table of cars is not what it must be.
    #[error("{place}: {message}")]
    Table {
        /// The file, and the line and column in it.
        place: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The rows are sound, but they cannot be used for what was asked.
    #[error("{message}")]
    Unfit {
        /// What they lack.
        message: String,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A model cannot be fitted to the rows.
    #[error("{model}: the model cannot be fitted: {message}")]
    #[diagnostic(help("see that the rows are what they should be; `section5 generate` makes a table that works"))]
    Fit {
        /// The model.
        model: &'static str,
        /// What the solver says.
        message: String,
    },

    /// A file is no model that this program can use.
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

    /// The answer cannot be printed.
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
