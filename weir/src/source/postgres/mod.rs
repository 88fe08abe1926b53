//! Tables, views and queries of a PostgreSQL database.
//!
//! The server writes their rows as CSV (`COPY … TO STDOUT`). `snapshot` is the consistent snapshot that a run reads
//! (REPEATABLE READ); `catalogue` looks up the columns, `reading` maps them to the declared ones; `constant` and `query` write
//! values in SQL; `answer` is the stream of a query's rows; `describe` is for `init`.

mod answer;
mod catalogue;
mod constant;
mod describe;
mod query;
mod reading;
mod snapshot;

use serde_saphyr::Spanned;
use weir_postgres::Dialect;

use crate::database::dialect;
use crate::error::Result;
use crate::task::Task;
pub(super) use describe::describe;
pub(super) use snapshot::PostgresSnapshot;

/// Fails if a source is on a server that speaks the protocol of PostgreSQL and cannot be read.
pub(super) fn check_dialect(task: &Task, source: &str, connection: &Spanned<String>) -> Result<()> {
    if dialect(&task.project, &connection.value) != Dialect::Redshift {
        return Ok(());
    }
    let of = &connection.value;
    let message = format!("source `{source}`: connection `{of}` is Amazon Redshift, which cannot be read yet");
    let help = "UNLOAD the rows to files, and read those: `files: {path: 's3://...', format: parquet}`";
    Err(Box::new(task.error(connection, message).with_help(help)).into())
}
