//! Errors of ours on their way through the query engine, and out of it.

use std::sync::{Mutex, PoisonError};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::Error;

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(Carried { message: error.to_string(), error: Mutex::new(Some(error)) }))
    }
}

/// An error of ours on its way through the query engine, which may hand it to several readers.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Carried {
    message: String,
    error: Mutex<Option<Error>>,
}

/// The error of ours inside a DataFusion error, however deep it was wrapped on its way.
pub(super) fn unwrap_own(error: DataFusionError) -> Result<Error, DataFusionError> {
    own(&error).ok_or(error)
}

fn own(error: &DataFusionError) -> Option<Error> {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Carried>() {
            Some(carried) => {
                let mut held = carried.error.lock().unwrap_or_else(PoisonError::into_inner);
                let error = held.take();
                *held = error.as_ref().and_then(Error::copied);
                error
            }
            None => own(inner.downcast_ref::<DataFusionError>()?),
        },
        DataFusionError::Context(_, inner) => own(inner),
        DataFusionError::Shared(inner) => own(inner),
        // Kernels of Arrow wrap what a function of the engine has returned.
        DataFusionError::ArrowError(inner, _) => match &**inner {
            ArrowError::ExternalError(inner) => own(inner.downcast_ref::<DataFusionError>()?),
            _ => None,
        },
        _ => None,
    }
}

impl Error {
    /// The same error without its cause, if it is one of the rows that are read.
    fn copied(&self) -> Option<Self> {
        Some(match self {
            Self::Input { path, message, help, .. } => {
                Self::Input { path: path.clone(), message: message.clone(), help: help.clone(), cause: None }
            }
            Self::Unavailable { path, message, help } => {
                Self::Unavailable { path: path.clone(), message: message.clone(), help: help.clone() }
            }
            Self::Row { table, kind, message, help } => {
                Self::Row { table: table.clone(), kind, message: message.clone(), help: help.clone() }
            }
            Self::Interrupted => Self::Interrupted,
            _ => return None,
        })
    }
}
