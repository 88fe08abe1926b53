//! Parts that several readers write to: for rows that are rejected where they are read or computed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;

use super::{Part, Parts, Written};
use crate::error::Result;

/// A part of each of some sinks. The parts begin with their first row.
pub(crate) struct SharedParts {
    all: Arc<[Arc<dyn Parts>]>,
    sinks: Vec<usize>,
    parts: Mutex<Vec<Box<dyn Part>>>,
}

impl SharedParts {
    /// Parts of the sinks at these positions.
    pub(crate) fn new(all: Arc<[Arc<dyn Parts>]>, sinks: Vec<usize>) -> Self {
        Self { all, sinks, parts: Mutex::default() }
    }

    /// Writes a batch to each of the sinks.
    pub(crate) fn write(&self, batch: &RecordBatch) -> Result<()> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.is_empty() {
            *parts = self.sinks.iter().map(|sink| self.all[*sink].part()).collect::<Result<_>>()?;
        }
        parts.iter_mut().try_for_each(|part| part.write(batch, None))
    }

    /// Completes the parts; returns them with the positions of their sinks.
    pub(crate) fn finish(&self) -> Result<Vec<(usize, Written)>> {
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        let mut written = Vec::new();
        for (sink, part) in self.sinks.iter().zip(parts) {
            written.extend(part.finish()?.into_iter().map(|file| (*sink, file)));
        }
        Ok(written)
    }
}

impl fmt::Debug for SharedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedParts").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}
