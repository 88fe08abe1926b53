//! What consumes the rows of a pass.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter_record_batch;

use super::receipt::Receipt;
use crate::error::{Error, Result};
use crate::plan::Stage;
use crate::scratch::{ScratchTable, ScratchWriter};
use crate::sink::{Part, Parts};

/// What a pass writes to.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// All sinks of the run; those of a stage by their positions.
    pub(crate) sinks: Arc<[Arc<dyn Parts>]>,
    /// The folder of rows that are kept, and of keys.
    pub(crate) scratch: PathBuf,
    /// If several processes share that folder.
    pub(crate) shared: Option<Shared>,
}

/// What it takes to work in a folder with others: files that they read must have arrived there.
#[derive(Default)]
pub(crate) struct Shared {
    /// Fails when nobody waits for the work any more.
    pub(crate) is_wanted: Option<Box<dyn Fn() -> Result<()> + Send + Sync>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Outputs {
    /// Fails when nobody waits for the work any more.
    pub(super) fn check_wanted(&self) -> Result<()> {
        self.shared.as_ref().and_then(|shared| shared.is_wanted.as_ref()).map_or(Ok(()), |is_wanted| is_wanted())
    }
}

/// Consumes the rows of one partition of a pass: writes them, keeps them, or measures them.
pub(super) trait RowConsumer: Send {
    /// Consumes the rows of a batch.
    fn consume(&mut self, rows: &RoutedRows<'_>) -> Result<()>;

    /// Completes what it has done, and enters it in the receipt of the partition.
    fn finish(self: Box<Self>, receipt: &mut Receipt) -> Result<()>;
}

/// The rows of a batch by their route.
pub(super) struct RoutedRows<'a> {
    pub(super) accepted: Option<ChosenRows<'a>>,
    /// With their reasons.
    pub(super) rejected: Option<ChosenRows<'a>>,
}

/// Some of the rows of a batch.
#[derive(Clone, Copy)]
pub(super) struct ChosenRows<'a> {
    pub(super) batch: &'a RecordBatch,
    /// Which; `None` means all.
    pub(super) chosen: Option<&'a BooleanBuffer>,
}

/// The consumers of one partition of a stage.
pub(super) fn consumers(stage: &Stage, to: &Outputs) -> Vec<Box<dyn RowConsumer>> {
    let mut consumers = sink_consumers(stage, to);
    if let Some(table) = &stage.scratch {
        let (name, table, folder) = (stage.table.clone(), table.clone(), to.scratch.clone());
        let is_shared = to.shared.is_some();
        consumers.push(Box::new(ScratchConsumer { name, table, folder, is_shared, writer: None }));
    }
    consumers
}

/// Those that write to the sinks of the stage.
pub(super) fn sink_consumers(stage: &Stage, to: &Outputs) -> Vec<Box<dyn RowConsumer>> {
    let sink = |rejected: bool| {
        move |number: &usize| {
            Box::new(SinkConsumer { number: *number, rejected, sink: to.sinks[*number].clone(), part: None })
                as Box<dyn RowConsumer>
        }
    };
    stage.accepted.iter().map(sink(false)).chain(stage.rejected.iter().map(sink(true))).collect()
}

/// Writes the rows of a route to a part of a sink, which begins with its first row.
struct SinkConsumer {
    /// The position of the sink.
    number: usize,
    rejected: bool,
    sink: Arc<dyn Parts>,
    part: Option<Box<dyn Part>>,
}

impl RowConsumer for SinkConsumer {
    fn consume(&mut self, rows: &RoutedRows<'_>) -> Result<()> {
        let rows = if self.rejected { rows.rejected } else { rows.accepted };
        let Some(ChosenRows { batch, chosen }) = rows else { return Ok(()) };
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(self.sink.part()?),
        };
        part.write(batch, chosen)
    }

    fn finish(self: Box<Self>, receipt: &mut Receipt) -> Result<()> {
        if let Some(part) = self.part {
            receipt.parts.extend(part.finish()?.into_iter().map(|written| (self.number, written)));
        }
        Ok(())
    }
}

/// Keeps the accepted rows for the models that read them.
struct ScratchConsumer {
    /// The name of the stage's table.
    name: String,
    table: Arc<ScratchTable>,
    folder: PathBuf,
    is_shared: bool,
    writer: Option<ScratchWriter>,
}

impl RowConsumer for ScratchConsumer {
    fn consume(&mut self, rows: &RoutedRows<'_>) -> Result<()> {
        let Some(ChosenRows { batch, chosen }) = rows.accepted else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.table.writer(&self.folder)?),
        };
        let written = match chosen {
            None => writer.write(batch),
            Some(chosen) => filter_record_batch(batch, &BooleanArray::new(chosen.clone(), None))
                .map_err(Into::into)
                .and_then(|batch| writer.write(&batch)),
        };
        written.map_err(|error| Error::query(&self.name, error))
    }

    fn finish(self: Box<Self>, receipt: &mut Receipt) -> Result<()> {
        let kept = self.writer.map(|writer| writer.finish(self.is_shared)).transpose();
        receipt.kept = kept.map_err(|error| Error::query(&self.name, error))?;
        Ok(())
    }
}
