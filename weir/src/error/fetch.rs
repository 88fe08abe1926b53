//! The error of a source that the host program fetches.

use std::fmt;

use miette::Diagnostic;

/// A source could not be fetched.
#[derive(Debug)]
pub struct FetchFailed {
    /// The name of the source.
    pub(crate) source: String,
    pub(crate) error: Box<dyn Diagnostic + Send + Sync>,
}

impl fmt::Display for FetchFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source `{}`: {}", self.source, self.error)
    }
}

impl std::error::Error for FetchFailed {}

impl Diagnostic for FetchFailed {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.error.help()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.error.related()
    }
}
