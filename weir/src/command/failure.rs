//! How an error is printed: for a person on a terminal, as text or as a line of the log.

use std::io::IsTerminal;

use miette::Diagnostic;

use crate::error::{Error, printable};
use crate::watch::LogFormat;

/// An error whose message has the text of its cause already.
#[derive(Debug)]
pub(super) struct WithoutCause(pub(super) Error);

impl std::fmt::Display for WithoutCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&lines_of(&self.0.to_string()))
    }
}

impl std::error::Error for WithoutCause {}

impl Diagnostic for WithoutCause {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.0.help().map(|help| Box::new(lines_of(&help.to_string())) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.0.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.0.related()
    }
}

/// Prints an error for a person on a terminal, otherwise as a log line; returns the exit code. Values of rows are for the
/// terminal only, unless they are asked for.
pub(super) fn report_error(error: &miette::Report, format: LogFormat, show_values: bool) -> u8 {
    let own = error.downcast_ref::<WithoutCause>().map(|WithoutCause(error)| error);
    let own = own.or_else(|| error.downcast_ref::<Error>());
    let is_terminal = std::io::stderr().is_terminal();
    let (message, help) = match own.filter(|_| !show_values) {
        Some(own) => (lines_of(&own.without_values()), own.help_without_values()),
        None => (error.to_string(), error.help().map(|help| help.to_string())),
    };
    let help = help.map(|help| lines_of(&help));
    match format {
        LogFormat::Text if is_terminal => complain!("{error:?}"),
        LogFormat::Text => {
            complain!("error: {message}");
            for related in error.related().into_iter().flatten() {
                complain!("  {related}");
            }
            if let Some(help) = help {
                complain!("help: {help}");
            }
        }
        LogFormat::Json => {
            for related in error.related().into_iter().flatten() {
                tracing::error!("{related}");
            }
            tracing::error!(help, "{message}");
        }
    }
    own.map_or(1, Error::exit_code)
}

/// A text of several lines, each printable.
fn lines_of(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
