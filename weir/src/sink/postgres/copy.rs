//! Rows on their way into a staging table: many readers encode, one session sends. In binary form for a `COPY`, as values of
//! `INSERT`s for a server without it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;
use futures::SinkExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use weir_postgres::Database;
use weir_postgres::load::Staging;
use weir_postgres::load::redshift::{Insert, Literals, MOST_BYTES};
use weir_postgres::tokio_postgres::{Client, CopyInSink};

use super::encode::{HEADER, TRAILER, rows};
use super::values::Values;
use crate::error::{Error, Result};
use crate::format::write::{InvalidValue, OutputColumn, invalid_value};
use crate::quality::Condition;
use crate::sink::{Part, Parts, Written, reject_them};

/// Bytes that a part hands over at once.
const CHUNK: usize = 256 << 10;
/// Bytes of the values of a statement. Each costs the server a plan.
const STATEMENT: usize = 1 << 20;
/// Rows that a statement inserts at most.
const MOST_ROWS: u64 = 10_000;
/// Bytes that a statement may have. Redshift takes 16 MB.
const MOST_STATEMENT: usize = 15 << 20;
/// Chunks that wait for the server; then the readers wait.
const WAITING: usize = 4;

/// The session that copies.
#[derive(Debug)]
pub(super) struct Copying {
    sender: Sender<Piece>,
    task: JoinHandle<Result<u64>>,
    broken: Arc<Mutex<Option<Error>>>,
    runtime: Handle,
    encoding: Encoding,
}

/// How rows are encoded.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    /// For a `COPY`.
    Binary,
    /// As values of an `INSERT`.
    Values(Literals),
}

/// What is handed to the session. Without an end, nothing is copied.
#[derive(Debug)]
enum Piece {
    Rows(Bytes, u64),
    End,
}

impl Copying {
    pub(super) fn start(database: Database, client: Client, staging: Staging) -> Self {
        let encoding = match &staging {
            Staging::Copy(_) => Encoding::Binary,
            Staging::Insert(insert) => Encoding::Values(insert.literals()),
        };
        let (sender, receiver) = channel(WAITING);
        let broken = Arc::new(Mutex::new(None));
        let task = tokio::spawn({
            let broken = broken.clone();
            async move {
                let sent = match staging {
                    Staging::Copy(sink) => send(client, sink, receiver).await,
                    Staging::Insert(insert) => send_statements(client, insert, receiver).await,
                };
                sent.map_err(|error| {
                    let error = || Error::from(database.statement_error(&error));
                    // The readers say why, if one of them is the first to be told.
                    *lock(&broken) = Some(error());
                    error()
                })
            }
        });
        Self { sender, task, broken, runtime: Handle::current(), encoding }
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
            encoding: self.encoding,
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
    mut sink: Pin<Box<CopyInSink<Bytes>>>,
    mut pieces: Receiver<Piece>,
) -> Result<u64, weir_postgres::tokio_postgres::Error> {
    sink.send(Bytes::from_static(HEADER)).await?;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(bytes, _) => sink.send(bytes).await?,
            Piece::End => {
                sink.send(Bytes::from_static(TRAILER)).await?;
                let rows = sink.as_mut().finish().await?;
                drop(client);
                return Ok(rows);
            }
        }
    }
    Ok(0) // the run ended without an end: the server rolls back with the session
}

/// Inserts each piece by a statement. The staging table is counted before its rows are applied.
async fn send_statements(
    client: Client,
    insert: Insert,
    mut pieces: Receiver<Piece>,
) -> Result<u64, weir_postgres::tokio_postgres::Error> {
    let mut sent = 0;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(_, 0) => {}
            Piece::Rows(bytes, rows) => {
                insert.send(&client, &String::from_utf8_lossy(&bytes)).await?;
                sent += rows;
            }
            Piece::End => {
                insert.finish(&client).await?;
                return Ok(sent);
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
    encoding: Encoding,
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
            encoding: self.encoding,
            waiting: 0,
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
    encoding: Encoding,
    buffer: Vec<u8>,
    /// Rows in the buffer.
    waiting: u64,
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
            if column.data_type().is_string() && self.is_too_long(column, chosen) {
                let help = reject_them(batch, &format!("octet_length({name}) <= {MOST_BYTES}"));
                return Err(self.error(format!("column `{name}` has a text of more than {MOST_BYTES} bytes"), help));
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

    /// Whether a chosen text is longer than the server can hold. PostgreSQL holds any.
    fn is_too_long(&self, column: &dyn Array, chosen: Option<&BooleanBuffer>) -> bool {
        let Encoding::Values(_) = self.encoding else { return false };
        any_text(column, chosen, |text| text.len() > MOST_BYTES as usize)
    }

    /// Encodes a row after the other, so that no statement is too long.
    fn write_values<'a>(
        &mut self,
        columns: impl Iterator<Item = &'a ArrayRef>,
        chosen: Option<&BooleanBuffer>,
        rows: usize,
        literals: Literals,
    ) -> Result<()> {
        let values = Values::new(columns, literals).map_err(|error| self.wrong(&error))?;
        for row in (0..rows).filter(|row| chosen.is_none_or(|chosen| chosen.value(*row))) {
            values.append(row, &mut self.buffer);
            self.waiting += 1;
            self.written.rows += 1;
            if self.buffer.len() > MOST_STATEMENT {
                let message = format!("a row has more than {MOST_STATEMENT} bytes as a statement");
                return Err(self.error(message, "make its texts shorter in the model".to_owned()));
            }
            if self.buffer.len() >= STATEMENT || self.waiting >= MOST_ROWS {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    fn wrong(&self, error: &ArrowError) -> Error {
        self.error(error.to_string(), "correct the model".to_owned())
    }

    fn error(&self, message: String, help: String) -> Error {
        Error::sink(&self.sink, "postgres".as_ref(), message, help)
    }

    /// Hands over what is encoded; waits while the server is busy.
    fn hand_over(&mut self) -> Result<()> {
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.written.bytes += bytes.len() as u64;
        let rows = std::mem::take(&mut self.waiting);
        let sent = tokio::task::block_in_place(|| self.runtime.block_on(self.sender.send(Piece::Rows(bytes, rows))));
        sent.map_err(|_| {
            let why = lock(&self.broken).take();
            why.unwrap_or_else(|| self.error("the session ended".to_owned(), "run the task again".to_owned()))
        })
    }
}

fn has_nul(column: &dyn Array, chosen: Option<&BooleanBuffer>) -> bool {
    // A view pads a short value with zeros: a search in the bytes of the views would find those.
    any_text(column, chosen, |text| memchr::memchr(0, text.as_bytes()).is_some())
}

fn any_text(column: &dyn Array, chosen: Option<&BooleanBuffer>, is: impl Fn(&str) -> bool) -> bool {
    let Some(values) = column.as_string_view_opt() else { return false };
    let at = |row: usize| values.is_valid(row) && is(values.value(row));
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
        let indexes: Vec<usize> = self.columns.iter().map(|column| column.index).collect();
        let columns = indexes.iter().map(|index| batch.column(*index)).chain(&deleted);
        if let Encoding::Values(literals) = self.encoding {
            return self.write_values(columns, chosen, batch.num_rows(), literals);
        }
        let written = rows(batch, columns, chosen, &mut self.buffer);
        self.written.rows += written.map_err(|error| self.wrong(&error))?;
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
