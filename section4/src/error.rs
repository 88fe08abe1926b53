//! Errors of the commands.

use std::time::Duration;

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

    /// An option of the source is missing or invalid.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Option(#[from] weir::fetch::OptionError),

    /// No response, or an incomplete one.
    #[error("{url}: {message}{tried}")]
    Unreachable {
        /// The requested URL.
        url: String,
        /// What is wrong.
        message: String,
        /// Number of attempts.
        tried: Tried,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// The server responded with an error status.
    #[error("{url}: the server responded with {status}{detail}{tried}")]
    Status {
        /// The requested URL.
        url: String,
        /// Code and reason.
        status: String,
        /// The message of the response with a colon before it, or nothing.
        detail: String,
        /// Number of attempts.
        tried: Tried,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The server redirects to a URL that is not followed.
    #[error("{url}: the server redirects to {to}, which is not followed: {because}")]
    #[diagnostic(help("if the data has moved there, specify the new address: --base-url"))]
    Redirect {
        /// The requested URL.
        url: String,
        /// The target of the redirect.
        to: String,
        /// Why it is not followed.
        because: &'static str,
    },

    /// The response exceeds the size limit.
    #[error("{url}: the response is larger than {limit} bytes")]
    #[diagnostic(help("check the address; if it is the right file, raise the limit: --max-bytes"))]
    TooLarge {
        /// The requested URL.
        url: String,
        /// The limit.
        limit: u64,
    },

    /// The response does not have the source's format.
    #[error("{url}: {message}")]
    Malformed {
        /// The requested URL, or a file.
        url: String,
        /// What is wrong, and its position in the response.
        message: String,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// The country is unknown to the source.
    #[error("unknown country `{country}` in {source_name}")]
    UnknownCountry {
        /// The source.
        source_name: &'static str,
        /// The requested name.
        country: String,
        /// The nearest names.
        #[help]
        help: String,
    },

    /// The source has no values of a country.
    #[error("{source_name} has no values of {country}{days}")]
    #[diagnostic(help("select other days (--from, --to) or another source (--source)"))]
    Empty {
        /// The source.
        source_name: &'static str,
        /// Its name in the source, or the requested one.
        country: String,
        /// The requested days with a blank before them, or nothing.
        days: String,
    },

    /// Several countries failed, with different errors.
    #[error("{} of {asked} countries could not be fetched", .failed.len())]
    #[diagnostic(help("nothing was written"))]
    Countries {
        /// Number of requested countries.
        asked: usize,
        /// Their errors.
        #[related]
        failed: Vec<Error>,
    },

    /// A file cannot be read or written, or an address cannot be listened on.
    #[error("{path}: {message}")]
    File {
        /// The file, folder or address.
        path: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// The database cannot be reached, or refused a statement.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Database(#[from] weir_postgres::Error),

    /// The database has no cases to show.
    #[error("{database}: {message}")]
    #[diagnostic(help("load first: section4 load --all --database-url URL"))]
    NothingLoaded {
        /// User, host, port and database.
        database: String,
        /// What is missing.
        message: &'static str,
    },

    /// A picture cannot be drawn.
    #[error("the picture cannot be drawn: {0}")]
    #[diagnostic(help("omit --png; the terminal shows the same values"))]
    Picture(String),

    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up on this machine: {0}")]
    #[diagnostic(help("install the certificates of the authorities (package ca-certificates)"))]
    Tls(String),

    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code of a process that ends with this error: 2 wrong usage, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Option(_) | Self::Database(weir_postgres::Error::Url { .. }) => 2,
            _ => 1,
        }
    }

    /// Whether it concerns one country only, so that others can still be fetched.
    pub(crate) fn is_of_one_country(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::UnknownCountry { .. } | Self::Empty { .. })
    }
}

/// Number and duration of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried {
    /// Number of attempts.
    pub times: u32,
    /// Total duration, including pauses.
    pub time: Duration,
}

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.times {
            0 | 1 => Ok(()),
            times => write!(f, " (tried {times} times in {:.1} s)", self.time.as_secs_f64()),
        }
    }
}
