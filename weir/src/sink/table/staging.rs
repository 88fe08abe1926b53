//! Rows on their way into a staging table: many readers encode, one session sends.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use weir_database::load::Piece;

use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::sink::{Part, Parts, Written};

/// Bytes that a part hands over at once, where nothing else is asked for.
const CHUNK: usize = 256 << 10;
/// Chunks that wait for the server; then the readers wait.
const WAITING: usize = 4;

/// How rows are encoded for a kind of server.
pub(in crate::sink) trait Encode: Debug + Clone + Send + Sync + 'static {
    /// The key of the kind of server.
    const KEY: &'static str;

    /// The problem and the remedy, if a chosen row has a value that no column of a table holds. Rows of models were judged for
    /// that.
    fn check(
        &self,
        columns: &[OutputColumn],
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
    ) -> Result<(), (String, String)>;

    /// Bytes that a part hands over at once.
    fn chunk(&self) -> usize {
        CHUNK
    }

    /// Appends the chosen rows, or all, of columns of that many rows.
    fn rows(
        &self,
        columns: &[&ArrayRef],
        rows: usize,
        chosen: Option<&BooleanBuffer>,
        out: &mut Buffer,
    ) -> Result<(), Error>;
}

/// Encoded rows on their way to the session.
pub(in crate::sink) struct Buffer {
    sink: String,
    /// The key of the kind of server.
    key: &'static str,
    sender: Sender<Piece>,
    broken: Broken,
    /// Parts may begin on threads that are not the runtime's.
    runtime: Handle,
    /// The rows that are not handed over.
    pub(in crate::sink) bytes: Vec<u8>,
    /// How many they are.
    pub(in crate::sink) rows: u64,
    written: Written,
}

impl Buffer {
    /// Hands over what is encoded; waits while the server is busy.
    pub(in crate::sink) fn hand_over(&mut self) -> Result<()> {
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, Vec::with_capacity(CHUNK)));
        let rows = std::mem::take(&mut self.rows);
        self.written.bytes += bytes.len() as u64;
        self.written.rows += rows;
        let piece = Piece::Rows(bytes, rows);
        let sent = tokio::task::block_in_place(|| self.runtime.block_on(self.sender.send(piece)));
        sent.map_err(|_| {
            let why = self.broken.take();
            why.unwrap_or_else(|| self.error("the session ended".to_owned(), "run the task again".to_owned()))
        })
    }

    /// An error about a value.
    pub(in crate::sink) fn wrong(&self, error: &ArrowError) -> Error {
        self.error(error.to_string(), "correct the model".to_owned())
    }

    /// An error of the sink.
    pub(in crate::sink) fn error(&self, message: String, help: String) -> Error {
        Error::sink(&self.sink, self.key.as_ref(), message, help)
    }
}

/// Why the session ended, for the first who asks.
#[derive(Debug, Clone, Default)]
struct Broken(Arc<Mutex<Option<Error>>>);

impl Broken {
    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The session that fills the staging table.
#[derive(Debug)]
pub(in crate::sink) struct Staging {
    sender: Sender<Piece>,
    /// The rows that the server has taken; none if it has ended before.
    task: JoinHandle<Option<u64>>,
    broken: Broken,
    runtime: Handle,
}

impl Staging {
    /// Starts to send: `send` sends all pieces until the end, and returns the rows that the server has taken. Without an end
    /// it leaves nothing.
    pub(in crate::sink) fn start<F: Future<Output = Result<u64>> + Send + 'static>(
        send: impl FnOnce(Receiver<Piece>) -> F,
    ) -> Self {
        let (sender, receiver) = channel(WAITING);
        let broken = Broken::default();
        let sending = send(receiver);
        let task = tokio::spawn({
            let broken = broken.clone();
            async move { sending.await.map_err(|error| broken.set(error)).ok() }
        });
        Self { sender, task, broken, runtime: Handle::current() }
    }

    /// What creates the parts that hand their rows to this session.
    pub(in crate::sink) fn parts<E: Encode>(
        &self,
        sink: String,
        columns: Vec<OutputColumn>,
        deleted: Option<Condition>,
        encode: E,
    ) -> Arc<dyn Parts> {
        let (sender, broken, runtime) = (self.sender.clone(), self.broken.clone(), self.runtime.clone());
        Arc::new(TableParts { sink, columns, deleted, encode, sender, broken, runtime })
    }

    /// Ends the rows; returns how many the server has taken.
    pub(in crate::sink) async fn finish(self) -> Result<u64> {
        // A session that has ended already says why below.
        let _ = self.sender.send(Piece::End).await;
        drop(self.sender);
        let taken = self.task.await.map_err(|panic| Error::internal(format!("the copy broke off: {panic}")))?;
        let why =
            || self.broken.take().unwrap_or_else(|| Error::internal("the session ended without a reason".to_owned()));
        taken.ok_or_else(why)
    }

    /// Breaks off, and ends the session, so that the staging table can be dropped.
    pub(in crate::sink) async fn cancel(self) {
        self.task.abort();
        // That it was broken off is what was asked for.
        let _ = self.task.await;
    }
}

/// Creates the parts of a table.
#[derive(Debug)]
struct TableParts<E> {
    sink: String,
    columns: Vec<OutputColumn>,
    /// The condition of rows that say that a row is gone: a last column.
    deleted: Option<Condition>,
    encode: E,
    sender: Sender<Piece>,
    broken: Broken,
    runtime: Handle,
}

impl<E: Encode> Parts for TableParts<E> {
    fn part(&self) -> Result<Box<dyn Part>> {
        let buffer = Buffer {
            sink: self.sink.clone(),
            key: E::KEY,
            sender: self.sender.clone(),
            broken: self.broken.clone(),
            runtime: self.runtime.clone(),
            bytes: Vec::with_capacity(CHUNK),
            rows: 0,
            written: Written::default(),
        };
        let (columns, deleted, encode) = (self.columns.clone(), self.deleted.clone(), self.encode.clone());
        Ok(Box::new(TablePart { columns, deleted, encode, buffer }))
    }
}

/// Rows of one reader.
struct TablePart<E> {
    columns: Vec<OutputColumn>,
    deleted: Option<Condition>,
    encode: E,
    buffer: Buffer,
}

impl<E: Encode> Part for TablePart<E> {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let Self { columns, deleted, encode, buffer } = self;
        encode.check(columns, batch, chosen).map_err(|(message, help)| buffer.error(message, help))?;
        let deleted = match deleted {
            Some(condition) => {
                let deleted = condition.is_true(batch).map_err(|error| Error::query(&buffer.sink, error))?;
                Some(Arc::new(BooleanArray::new(deleted, None)) as ArrayRef)
            }
            None => None,
        };
        let columns: Vec<_> = columns.iter().map(|column| batch.column(column.index)).chain(&deleted).collect();
        encode.rows(&columns, batch.num_rows(), chosen, buffer)?;
        if buffer.bytes.len() >= encode.chunk() { buffer.hand_over() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Written>> {
        self.buffer.hand_over()?;
        Ok(vec![self.buffer.written])
    }
}
