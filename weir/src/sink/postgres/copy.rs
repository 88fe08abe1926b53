//! Rows on their way into a staging table: many readers encode, one session sends.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use futures::SinkExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::{Client, CopyInSink};

use super::encode::{HEADER, TRAILER, rows};
use crate::error::{Error, Result};
use crate::format::write::{InvalidValue, OutputColumn, invalid_value};
use crate::quality::Condition;
use crate::sink::{Part, Parts, Written, reject_them};

/// Bytes that a part hands over at once.
const CHUNK: usize = 256 << 10;
/// Chunks that wait for the server; then the readers wait.
const WAITING: usize = 4;

/// The session that copies.
#[derive(Debug)]
pub(super) struct Copying {
    sender: Sender<Piece>,
    task: JoinHandle<Result<u64>>,
    broken: Arc<Mutex<Option<Error>>>,
    runtime: Handle,
}

/// What is handed to the session. Without an end, nothing is copied.
#[derive(Debug)]
enum Piece {
    Rows(Bytes),
    End,
}

impl Copying {
    pub(super) fn start(database: Database, client: Client, sink: CopyInSink<Bytes>) -> Self {
        let (sender, receiver) = channel(WAITING);
        let broken = Arc::new(Mutex::new(None));
        let task = tokio::spawn({
            let broken = broken.clone();
            async move {
                let sent = send(client, sink, receiver).await;
                sent.map_err(|error| {
                    let error = || Error::from(database.statement_error(&error));
                    // The readers say why, if one of them is the first to be told.
                    *lock(&broken) = Some(error());
                    error()
                })
            }
        });
        Self { sender, task, broken, runtime: Handle::current() }
    }

    /// What creates the parts that hand their rows to this session.
    pub(super) fn parts(&self, sink: String, columns: Vec<OutputColumn>, deleted: Option<Condition>) -> TableParts {
        TableParts {
            sink,
            columns,
            deleted,
            sender: self.sender.clone(),
            broken: self.broken.clone(),
            runtime: self.runtime.clone(),
        }
    }

    /// Ends the copy; returns the rows that the server has taken.
    pub(super) async fn finish(self) -> Result<u64> {
        // A session that has ended already says why below.
        let _ = self.sender.send(Piece::End).await;
        drop(self.sender);
        self.task.await.map_err(|panic| Error::internal(format!("the copy broke off: {panic}")))?
    }

    /// Breaks off the copy and ends its session, so that the staging table can be dropped.
    pub(super) async fn cancel(self) {
        self.task.abort();
        // That it was broken off is what was asked for.
        let _ = self.task.await;
    }
}

async fn send(
    client: Client,
    sink: CopyInSink<Bytes>,
    mut pieces: Receiver<Piece>,
) -> Result<u64, weir_postgres::tokio_postgres::Error> {
    let mut sink = pin!(sink);
    sink.send(Bytes::from_static(HEADER)).await?;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(bytes) => sink.send(bytes).await?,
            Piece::End => {
                sink.send(Bytes::from_static(TRAILER)).await?;
                let rows = sink.finish().await?;
                drop(client);
                return Ok(rows);
            }
        }
    }
    Ok(0) // the run ended without an end: the server rolls back with the session
}

/// Creates the parts of a table.
#[derive(Debug)]
pub(super) struct TableParts {
    sink: String,
    columns: Vec<OutputColumn>,
    /// The condition of rows that say that a row is gone: a last column.
    deleted: Option<Condition>,
    sender: Sender<Piece>,
    broken: Arc<Mutex<Option<Error>>>,
    /// Parts may begin on threads that are not the runtime's.
    runtime: Handle,
}

impl Parts for TableParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        Ok(Box::new(TablePart {
            sink: self.sink.clone(),
            columns: self.columns.clone(),
            deleted: self.deleted.clone(),
            sender: self.sender.clone(),
            broken: self.broken.clone(),
            runtime: self.runtime.clone(),
            buffer: Vec::with_capacity(CHUNK),
            written: Written::default(),
        }))
    }
}

/// Rows of one reader.
struct TablePart {
    sink: String,
    columns: Vec<OutputColumn>,
    deleted: Option<Condition>,
    sender: Sender<Piece>,
    broken: Arc<Mutex<Option<Error>>>,
    runtime: Handle,
    buffer: Vec<u8>,
    written: Written,
}

impl TablePart {
    /// Fails if a chosen row has a value that no column of a table holds. Rows of models were judged for that.
    fn check(&self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        for OutputColumn { name, index, .. } in &self.columns {
            let column = batch.column(*index);
            if invalid_value(column, chosen, false) == Some(InvalidValue::Year) {
                let help = reject_them(batch, &format!("date_part('year', {name}) between 1 and 9999"));
                return Err(self.error(format!("column `{name}` has a date outside the years 1 to 9999"), help));
            }
            if column.data_type().is_string() && has_nul(column, chosen) {
                let help = "remove it in the model: replace(column, chr(0), '')".to_owned();
                return Err(
                    self.error(format!("column `{name}` has a NUL character, which PostgreSQL cannot hold"), help)
                );
            }
        }
        Ok(())
    }

    fn error(&self, message: String, help: String) -> Error {
        Error::sink(&self.sink, "postgres".as_ref(), message, help)
    }

    /// Hands over what is encoded; waits while the server is busy.
    fn hand_over(&mut self) -> Result<()> {
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.written.bytes += bytes.len() as u64;
        let sent = tokio::task::block_in_place(|| self.runtime.block_on(self.sender.send(Piece::Rows(bytes))));
        sent.map_err(|_| {
            let why = lock(&self.broken).take();
            why.unwrap_or_else(|| self.error("the session ended".to_owned(), "run the task again".to_owned()))
        })
    }
}

fn has_nul(column: &dyn Array, chosen: Option<&BooleanBuffer>) -> bool {
    let Some(values) = column.as_string_view_opt() else { return false };
    // A view pads a short value with zeros: a search in the bytes of the views would find those.
    let at = |row: usize| values.is_valid(row) && memchr::memchr(0, values.value(row).as_bytes()).is_some();
    match chosen {
        Some(chosen) => chosen.set_indices().any(at),
        None => (0..values.len()).any(at),
    }
}

impl Part for TablePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        self.check(batch, chosen)?;
        let deleted = match &self.deleted {
            Some(condition) => {
                let deleted = condition.is_true(batch).map_err(|error| Error::query(&self.sink, error))?;
                Some(Arc::new(BooleanArray::new(deleted, None)) as ArrayRef)
            }
            None => None,
        };
        let columns = self.columns.iter().map(|column| batch.column(column.index)).chain(&deleted);
        let written = rows(batch, columns, chosen, &mut self.buffer);
        self.written.rows += written.map_err(|error| self.error(error.to_string(), "correct the model".to_owned()))?;
        if self.buffer.len() >= CHUNK { self.hand_over() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        self.hand_over()?;
        Ok(self.written)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
