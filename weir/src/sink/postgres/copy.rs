//! Rows on their way into a staging table: in binary form for a `COPY`, as values of `INSERT`s for a server without it.

use std::pin::Pin;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use futures::SinkExt;
use tokio::sync::mpsc::Receiver;
use weir_database::load::Piece;
use weir_postgres::Database;
use weir_postgres::load::Staging as Statements;
use weir_postgres::load::redshift::{Insert, Literals, MOST_BYTES};
use weir_postgres::tokio_postgres::{self, Client, CopyInSink};

use super::encode::{HEADER, TRAILER, rows};
use super::server::Postgres;
use super::values::Values;
use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::function::encode::{InvalidValue, invalid_value};
use crate::sink::reject_them;
use crate::sink::table::{Buffer, Encode, Server as _, Staging};

/// Bytes of the values of a statement. Each costs the server a plan.
const STATEMENT: usize = 1 << 20;
/// Rows that a statement inserts at most.
const MOST_ROWS: u64 = 10_000;
/// Bytes that a statement may have. Redshift takes 16 MB.
const MOST_STATEMENT: usize = 15 << 20;

/// How rows are encoded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    /// For a `COPY`.
    Binary,
    /// As values of an `INSERT`.
    Values(Literals),
}

/// Starts to fill the staging table.
pub(super) fn start(database: Database, client: Client, statements: Statements) -> (Encoding, Staging) {
    let encoding = match &statements {
        Statements::Copy(_) => Encoding::Binary,
        Statements::Insert(insert) => Encoding::Values(insert.literals()),
    };
    let staging = Staging::start(move |pieces| async move {
        let sent = match statements {
            Statements::Copy(sink) => send(client, sink, pieces).await,
            Statements::Insert(insert) => send_statements(client, insert, pieces).await,
        };
        sent.map_err(|error| database.statement_error(&error).into())
    });
    (encoding, staging)
}

async fn send(
    client: Client,
    mut sink: Pin<Box<CopyInSink<Bytes>>>,
    mut pieces: Receiver<Piece>,
) -> Result<u64, tokio_postgres::Error> {
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
) -> Result<u64, tokio_postgres::Error> {
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

impl Encode for Encoding {
    const KEY: &'static str = Postgres::KEY;

    fn check(
        &self,
        columns: &[OutputColumn],
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
    ) -> Result<(), (String, String)> {
        for OutputColumn { name, index, .. } in columns {
            let column = batch.column(*index);
            if invalid_value(column, chosen, false) == Some(InvalidValue::Year) {
                let help = reject_them(batch, &format!("date_part('year', {name}) between 1 and 9999"));
                return Err((format!("column `{name}` has a date outside the years 1 to 9999"), help));
            }
            if column.data_type().is_string() && self.is_too_long(column, chosen) {
                let help = reject_them(batch, &format!("octet_length({name}) <= {MOST_BYTES}"));
                return Err((format!("column `{name}` has a text of more than {MOST_BYTES} bytes"), help));
            }
            if column.data_type().is_string() && has_nul(column, chosen) {
                let help = "remove it in the model: replace(column, chr(0), '')".to_owned();
                return Err((format!("column `{name}` has a NUL character, which PostgreSQL cannot hold"), help));
            }
        }
        Ok(())
    }

    fn chunk(&self) -> usize {
        match self {
            Self::Binary => 256 << 10,
            Self::Values(_) => STATEMENT,
        }
    }

    fn rows(
        &self,
        columns: &[&ArrayRef],
        number: usize,
        chosen: Option<&BooleanBuffer>,
        out: &mut Buffer,
    ) -> Result<()> {
        let columns = columns.iter().copied();
        match self {
            Self::Binary => {
                let written = rows(columns, number, chosen, &mut out.bytes);
                out.rows += written.map_err(|error| out.wrong(&error))?;
                Ok(())
            }
            Self::Values(literals) => {
                let values = Values::new(columns, *literals).map_err(|error| out.wrong(&error))?;
                (0..number)
                    .filter(|row| chosen.is_none_or(|chosen| chosen.value(*row)))
                    .try_for_each(|row| statement(&values, row, out))
            }
        }
    }
}

impl Encoding {
    /// Whether a chosen text is longer than the server can hold. PostgreSQL holds any.
    fn is_too_long(&self, column: &dyn Array, chosen: Option<&BooleanBuffer>) -> bool {
        let Self::Values(_) = self else { return false };
        any_text(column, chosen, |text| text.len() > MOST_BYTES as usize)
    }
}

/// Appends a row to those of a statement, and hands these over before it gets too long.
fn statement(values: &Values, row: usize, out: &mut Buffer) -> Result<()> {
    values.append(row, &mut out.bytes);
    out.rows += 1;
    if out.bytes.len() > MOST_STATEMENT {
        let message = format!("a row has more than {MOST_STATEMENT} bytes as a statement");
        return Err(out.error(message, "make its texts shorter in the model".to_owned()));
    }
    if out.bytes.len() >= STATEMENT || out.rows >= MOST_ROWS { out.hand_over() } else { Ok(()) }
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
