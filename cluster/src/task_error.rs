//! The error of a task, as the client gets it. Ballista sends what it would print for a developer, in which a text has quotes that
//! are escaped, and other errors around it.

use std::fmt;
use std::io::{self, ErrorKind};

use ballista_core::error::BallistaError;
use datafusion::error::DataFusionError;

/// Around the text within what Ballista makes of it.
const START: char = '⟪';
const END: char = '⟫';

/// The text of an error, which is printed as it is in any case.
struct Text(String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{START}{}{END}", self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Text {}

/// What an executor tells of an error. One after which Ballista tries again is left as it is.
pub(crate) fn told(error: DataFusionError) -> DataFusionError {
    if may_pass(&error) { error } else { DataFusionError::External(Box::new(Text(text(&error)))) }
}

/// Whether another attempt may succeed, as far as Ballista knows how to make one.
fn may_pass(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::IoError(error) => is_passing(error),
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(BallistaError::IoError(error)) => is_passing(error),
            Some(BallistaError::DataFusionError(inner)) => may_pass(inner),
            Some(BallistaError::FetchFailed(..) | BallistaError::Cancelled) => true,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a failure of a disk or a connection may be over soon.
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    !matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied | FileTooLarge)
}

/// What an error says, without what Ballista has put around it.
fn text(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Shared(inner) => text(inner),
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(BallistaError::DataFusionError(inner)) => text(inner),
            Some(BallistaError::ArrowError(inner)) => inner.to_string(),
            Some(BallistaError::General(inner)) => inner.clone(),
            _ => inner.to_string(),
        },
        _ => error.strip_backtrace(),
    }
}

/// A text of a log without what an error of a task says, which may have values of rows.
pub(crate) fn hidden(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(START)?;
    let (_, after) = rest.rsplit_once(END).unwrap_or_default();
    Some(format!("{before}{START}not shown, because it may have values of rows{END}{after}"))
}

/// The text of the task's error within what the scheduler says of a job.
pub(crate) fn of_job(error: &str) -> &str {
    let text = error.split_once(START).and_then(|(_, rest)| rest.rsplit_once(END));
    text.map_or(error, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ballista_core::serde::protobuf::FailedTask;
    use datafusion::arrow::error::ArrowError;

    use super::*;

    fn sent(error: DataFusionError) -> FailedTask {
        FailedTask::from(BallistaError::from(told(error)))
    }

    #[test]
    fn the_text_of_an_error_comes_through_as_it_is() {
        let text = "a \"quoted\" text\nof two lines, with a \\ and {\"json\": \"⟪x⟫\"}";
        let error = DataFusionError::Context("more".to_owned(), Box::new(DataFusionError::Execution(text.to_owned())));
        let expected = error.strip_backtrace();
        let failed = sent(error);
        assert!(!failed.retryable);
        assert_eq!(of_job(&format!("Job failed due to stage 1 failed: {}\n", failed.error)), expected);
        assert!(expected.contains(text));
    }

    #[test]
    fn an_error_that_may_pass_is_left_alone() {
        assert!(sent(io::Error::from(ErrorKind::ConnectionReset).into()).retryable);
        assert!(!sent(io::Error::from(ErrorKind::StorageFull).into()).retryable);
        let fetch = BallistaError::FetchFailed("e".to_owned(), 1, 2, "gone".to_owned()).into_datafusion();
        assert!(sent(fetch).failed_reason.is_some_and(|reason| format!("{reason:?}").contains("FetchPartition")));
    }

    #[test]
    fn what_is_around_an_error_is_left_out() {
        let zero = BallistaError::from(ArrowError::DivideByZero).into_datafusion();
        let failed = sent(DataFusionError::Shared(Arc::new(zero)));
        assert_eq!(of_job(&failed.error), "Divide by zero error");
        let inner = BallistaError::DataFusionError(Box::new(DataFusionError::External("own text".into())));
        assert_eq!(of_job(&sent(inner.into_datafusion()).error), "own text");
    }

    #[test]
    fn a_log_has_no_values_of_rows() {
        let line =
            format!("Job 1 failed: {}, at last", sent(DataFusionError::Execution("a ⟫ secret".to_owned())).error);
        let hidden = hidden(&line).unwrap();
        assert!(!hidden.contains("secret") && hidden.starts_with("Job 1 failed: ") && hidden.ends_with(", at last"));
        assert_eq!(super::hidden("no error of a task"), None);
    }

    #[test]
    fn what_the_scheduler_says_itself_is_left_alone() {
        assert_eq!(of_job("Job cancelled"), "Job cancelled");
    }
}
