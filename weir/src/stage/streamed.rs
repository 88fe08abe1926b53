//! A stage whose accepted rows go straight into the only stage that reads them.
//!
//! Its pass is a leaf of the reader's query plan: what is read of it is judged, written to its sinks and then handed on.
//! What the reader does not read, because of a limit, is read once the reader is done, so that every row is judged.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result as QueryResult;
use datafusion::execution::{RecordBatchStream, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::consumer::{Outputs, sink_consumers};
use super::execute::Partitions;
use super::reader::{AcceptedRows, Reader};
use super::receipt::{BrokenPartition, Receipt};
use crate::engine::{Leaf, leaf};
use crate::error::{Error, Result};
use crate::plan::Stage;
use crate::quality::Tally;
use crate::scratch::StreamedRows;

/// The pass over a streamed stage: how far each of its partitions is.
pub(super) struct StreamedPass {
    input: Arc<dyn ExecutionPlan>,
    stage: Arc<Stage>,
    to: Arc<Outputs>,
    partitions: Mutex<Vec<Partition>>,
    /// Each stream over a partition has a sender: once all are gone, nothing of the stage is written any more.
    streams: Mutex<Option<mpsc::Sender<()>>>,
    settled: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

/// One partition of a streamed stage.
enum Partition {
    /// Nobody has asked for it.
    NotStarted,
    /// A stream reads it.
    Read,
    /// Its stream was dropped before its end.
    Left(Box<Reading>),
    Done(Box<Receipt>),
    Broken(Box<BrokenPartition>),
}

/// A partition that is being read.
struct Reading {
    reader: Reader,
    rows: SendableRecordBatchStream,
}

impl StreamedPass {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, stage: Arc<Stage>, to: Arc<Outputs>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let (sender, receiver) = mpsc::channel(1);
        Self {
            input,
            stage,
            to,
            partitions: Mutex::new((0..partitions).map(|_| Partition::NotStarted).collect()),
            streams: Mutex::new(Some(sender)),
            settled: tokio::sync::Mutex::new(receiver),
        }
    }

    /// Waits until no stream reads a partition any more. No new one can begin after it.
    pub(super) async fn settle(&self) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.settled.lock().await.recv().await.is_some() {}
    }

    /// Reads what was left of each partition; each gives its receipt. It is called once, after [`Self::settle`].
    pub(super) fn finish(self: &Arc<Self>, context: &Arc<TaskContext>) -> Partitions {
        let mut partitions = JoinSet::new();
        for (number, partition) in std::mem::take(&mut *self.partitions()).into_iter().enumerate() {
            let (pass, context) = (self.clone(), context.clone());
            partitions.spawn(async move {
                match partition {
                    Partition::Done(receipt) => Ok(vec![*receipt]),
                    Partition::NotStarted => pass.start(number, context)?.read_rest().await,
                    Partition::Left(reading) => reading.read_rest().await,
                    Partition::Read | Partition::Broken(_) => {
                        let message = format!("partition {number} of `{}` has no result", pass.stage.table);
                        Err(Error::internal(message).into())
                    }
                }
            });
        }
        partitions
    }

    /// What was counted until the run ended with an error, and that error, if it is one of this stage.
    pub(super) fn broken_off(&self) -> (Tally, Option<Error>) {
        let mut all = (self.stage.tally(), None);
        for partition in std::mem::take(&mut *self.partitions()) {
            let tally = match partition {
                Partition::NotStarted | Partition::Read => continue,
                Partition::Left(reading) => reading.reader.into_tally(),
                Partition::Done(receipt) => receipt.tally,
                Partition::Broken(broken) => {
                    all.1.get_or_insert(broken.error);
                    broken.tally
                }
            };
            all.0.merge(tally);
        }
        all
    }

    /// Begins to read a partition, for a stream that holds the sender as long as it reads.
    fn begin(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<(Reading, mpsc::Sender<()>)> {
        let twice = || internal_datafusion_err!("partition {partition} of `{}` is read twice", self.stage.table);
        let alive = self.streams.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(twice)?;
        match self.partitions().get_mut(partition) {
            Some(state @ Partition::NotStarted) => *state = Partition::Read,
            _ => return Err(twice()),
        }
        Ok((self.start(partition, context)?, alive))
    }

    fn start(&self, partition: usize, context: Arc<TaskContext>) -> Result<Reading> {
        let reader = Reader::begin(&self.stage, &self.to, sink_consumers(&self.stage, &self.to));
        let rows = self.input.execute(partition, reader.context(&context));
        let rows = rows.map_err(|error| Error::query(&self.stage.table, error))?;
        Ok(Reading { reader, rows })
    }

    fn partitions(&self) -> MutexGuard<'_, Vec<Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, partition: usize, state: Partition) {
        if let Some(partition) = self.partitions().get_mut(partition) {
            *partition = state;
        }
    }
}

impl Reading {
    async fn read_rest(mut self) -> Result<Vec<Receipt>, Box<BrokenPartition>> {
        while let Some(batch) = self.rows.next().await {
            if let Err(error) = self.reader.route(batch) {
                return Err(Box::new(BrokenPartition { error, tally: self.reader.into_tally() }));
            }
        }
        Ok(vec![self.reader.finish()?])
    }
}

impl StreamedRows for StreamedPass {
    fn scan(self: Arc<Self>, schema: SchemaRef, columns: Vec<usize>) -> Arc<dyn ExecutionPlan> {
        let partitions = self.input.output_partitioning().partition_count();
        leaf(StreamedScan { pass: self, columns }, schema, partitions)
    }
}

impl fmt::Debug for StreamedPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedPass").field("table", &self.stage.table).finish_non_exhaustive()
    }
}

/// The accepted rows of a streamed stage, in the plan of its reader. The plan of the stage is complete: that of the reader is
/// planned without looking into it.
#[derive(Debug)]
struct StreamedScan {
    pass: Arc<StreamedPass>,
    /// The columns that are read, by their positions in the stage's table.
    columns: Vec<usize>,
}

impl Leaf for StreamedScan {
    fn name(&self) -> &'static str {
        "StreamedExec"
    }

    fn shown(&self) -> String {
        self.pass.stage.table.clone()
    }

    fn read(
        &self,
        partition: usize,
        schema: SchemaRef,
        context: Arc<TaskContext>,
    ) -> QueryResult<SendableRecordBatchStream> {
        let (pass, columns) = (self.pass.clone(), self.columns.clone());
        let (reading, alive) = pass.begin(partition, context)?;
        Ok(Box::pin(AcceptedStream {
            pass,
            partition,
            reading: Some(Box::new(reading)),
            columns,
            schema,
            _alive: alive,
        }))
    }
}

/// The accepted rows of one partition.
struct AcceptedStream {
    pass: Arc<StreamedPass>,
    partition: usize,
    /// None once it has ended.
    reading: Option<Box<Reading>>,
    columns: Vec<usize>,
    schema: SchemaRef,
    _alive: mpsc::Sender<()>,
}

impl AcceptedStream {
    /// The rows in the columns of the plan, which differ from those of the stage in what may be null.
    fn rows(&self, accepted: AcceptedRows) -> QueryResult<RecordBatch> {
        let rows = accepted.project(&self.columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), rows.columns().to_vec(), &options)?)
    }

    /// The partition is read to its end, or has failed: what the reader's plan gets.
    fn end(&mut self, result: Result<()>) -> Option<QueryResult<RecordBatch>> {
        let Reading { reader, .. } = *self.reading.take()?;
        let ended = match result {
            Ok(()) => reader.finish().map_err(|error| BrokenPartition { error, tally: Tally::default() }),
            Err(error) => Err(BrokenPartition { error, tally: reader.into_tally() }),
        };
        let (state, given) = match ended {
            Ok(receipt) => (Partition::Done(Box::new(receipt)), None),
            Err(broken) => {
                // The plan may wrap the error, and may give it to each of its partitions: it is kept here as it is.
                let error = internal_datafusion_err!("the rows of `{}` have ended", self.pass.stage.table);
                (Partition::Broken(Box::new(broken)), Some(Err(error)))
            }
        };
        self.pass.set(self.partition, state);
        given
    }
}

impl Stream for AcceptedStream {
    type Item = QueryResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let Some(batch) = ready!(reading.rows.poll_next_unpin(context)) else {
                return Poll::Ready(self.end(Ok(())));
            };
            match reading.reader.route(batch) {
                Ok(None) => {}
                Ok(Some(accepted)) => return Poll::Ready(Some(self.rows(accepted))),
                Err(error) => return Poll::Ready(self.end(Err(error))),
            }
        }
    }
}

impl RecordBatchStream for AcceptedStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Drop for AcceptedStream {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.pass.set(self.partition, Partition::Left(reading));
        }
    }
}
