//! What can go wrong, said so that the reader can act on it.

use std::time::Duration;

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

    /// An option of the source is missing or wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Option(#[from] weir::fetch::OptionError),

    /// No answer came, or not all of it.
    #[error("{url}: {message}{tried}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What is wrong.
        message: String,
        /// How often it was tried.
        tried: Tried,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// The service answered with an error.
    #[error("{url}: the server answers {status}{says}{tried}")]
    Status {
        /// What was asked for.
        url: String,
        /// Code and reason.
        status: String,
        /// What else it says, with a colon before it, or nothing.
        says: String,
        /// How often it was tried.
        tried: Tried,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// The service sends its clients elsewhere.
    #[error("{url}: the server sends us on to {to}, which is not followed: {because}")]
    #[diagnostic(help("if that is where the data is now, name it: --base-url"))]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where to.
        to: String,
        /// Why it is not followed.
        because: &'static str,
    },

    /// The answer is larger than any right one.
    #[error("{url}: the answer is larger than {limit} bytes")]
    #[diagnostic(help("see what is there; if it is the right file, allow more: --max-bytes"))]
    TooLarge {
        /// What was asked for.
        url: String,
        /// What is allowed.
        limit: u64,
    },

    /// The answer is not what the source's format says.
    #[error("{url}: {message}")]
    Malformed {
        /// What was asked for, or a file.
        url: String,
        /// What is wrong, and where in the answer.
        message: String,
        /// What to do about it.
        #[help]
        help: &'static str,
    },

    /// The source does not know a country.
    #[error("{source_name} does not know the country `{country}`")]
    UnknownCountry {
        /// The source.
        source_name: &'static str,
        /// As it was asked for.
        country: String,
        /// Names that come near.
        #[help]
        help: String,
    },

    /// The source knows a country, and has no value of it.
    #[error("{source_name} has no values of {country}{days}")]
    #[diagnostic(help("ask for other days (--from, --to), or another source (--source)"))]
    Empty {
        /// The source.
        source_name: &'static str,
        /// As the source names it, or as it was asked for.
        country: String,
        /// Which days were asked for, with a blank before them, or nothing.
        days: String,
    },

    /// Several countries failed, each for its own reason.
    #[error("{} of {asked} countries could not be had", .failed.len())]
    #[diagnostic(help("nothing was written"))]
    Countries {
        /// How many were asked for.
        asked: usize,
        /// Why they failed.
        #[related]
        failed: Vec<Error>,
    },

    /// A file cannot be read or written, or an address not listened at.
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

    /// A picture cannot be made.
    #[error("the picture cannot be drawn: {0}")]
    #[diagnostic(help("leave out --png; the terminal shows the same values"))]
    Picture(String),

    /// TLS cannot be set up on this machine.
    #[error("no connection can be secured on this machine: {0}")]
    #[diagnostic(help("see that the certificates of the authorities are installed (package ca-certificates)"))]
    Tls(String),

    /// The answer cannot be printed.
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

    /// Whether it is about one country alone: others may be had.
    pub(crate) fn is_of_one_country(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::UnknownCountry { .. } | Self::Empty { .. })
    }
}

/// How often something was tried, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried {
    /// How often.
    pub times: u32,
    /// For how long, pauses included.
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
