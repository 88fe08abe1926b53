//! What is staged, before it is applied: all of it, and one row of each key.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient, Transaction};

use super::{Load, Mode, target};
use crate::sql::{list, quoted};
use crate::{Database, Result};

/// What is staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Rows that are left.
    pub rows: u64,
    /// Rows that went after a newer one of the same key.
    pub superseded: u64,
}

pub(super) async fn settle(load: &Load, database: &Database, client: &mut Client, rows: u64) -> Result<Staged> {
    let failed = |error| database.statement_error(&error);
    let mut transaction = client.transaction().await.map_err(failed)?;
    check_whole(load, database, &transaction, rows).await?;
    let superseded = leave_one_of_each_key(load, database, &mut transaction).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(Staged { rows: rows - superseded, superseded })
}

/// Fails unless all that was staged is there: a crash of the server empties unlogged tables.
pub(super) async fn check_whole(
    load: &Load,
    database: &Database,
    transaction: &Transaction<'_>,
    rows: u64,
) -> Result<()> {
    let failed = |error| database.statement_error(&error);
    let gone = |message: String| {
        load.error(database, message, "nothing was changed in it; run the task again, which reads its input again")
    };
    match left(load, transaction).await.map_err(failed)? {
        Some(left) if left == rows => Ok(()),
        Some(left) => {
            Err(gone(format!("{rows} rows were staged for it, and {left} are left, as after a crash of the server")))
        }
        None => Err(gone("what was staged for it is gone".to_owned())),
    }
}

/// How many staged rows there are; none if nothing is staged.
pub(super) async fn left(load: &Load, client: &impl GenericClient) -> Result<Option<u64>, tokio_postgres::Error> {
    let staging = load.staging();
    if client.query_one("select to_regclass($1) is null", &[&staging]).await?.get(0) {
        return Ok(None);
    }
    let count = client.query_one(&format!("select count(*) from {staging}"), &[]).await?;
    Ok(Some(count.get::<_, i64>(0) as u64))
}

/// Of several staged rows of one key only the newest is left; gives how many went.
async fn leave_one_of_each_key(load: &Load, database: &Database, transaction: &mut Transaction<'_>) -> Result<u64> {
    let failed = |error| database.statement_error(&error);
    let staging = load.staging();
    let key = list(&load.table.primary_key);
    if load.table.primary_key.is_empty() {
        return Ok(0);
    }
    if !target::exists(&*transaction, &load.table).await.map_err(failed)? {
        // What is staged becomes the table, and needs the key anyway: it says whether one is there twice.
        match add_key(load, transaction).await {
            Ok(()) => return Ok(0),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let repeated = |columns: &str, rows: &str| {
        format!("select exists (select from {rows} as staged group by {columns} having count(*) > 1)")
    };
    if !is(transaction, &repeated(&key, &staging)).await.map_err(failed)? {
        return Ok(0);
    }
    let distinct = format!("(select distinct * from {staging})");
    let (order, apart, help) = match &load.mode {
        Mode::Merge { update_key: Some(newer) } => (
            format!("{} desc nulls last", quoted(newer)),
            format!("{key}, {}", quoted(newer)),
            "reject such rows with the rule `unique`, or let `update_key` tell them apart",
        ),
        _ => ("ctid".to_owned(), key.clone(), "reject such rows with the rule `unique`, or name an `update_key`"),
    };
    if is(transaction, &repeated(&apart, &distinct)).await.map_err(failed)? {
        let columns = load.table.primary_key.join(", ");
        let message = format!("rows of this run differ and have the same ({columns})");
        return Err(load.error(database, message, help));
    }
    let delete = format!(
        "delete from {staging} as staged using (
                 select ctid, row_number() over (partition by {key} order by {order}) as place from {staging}
             ) as ranked
             where ranked.ctid = staged.ctid and ranked.place > 1"
    );
    transaction.execute(&delete, &[]).await.map_err(failed)
}

async fn add_key(load: &Load, transaction: &mut Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    let Some(add) = load.table.key(&load.staging()) else { return Ok(()) };
    let attempt = transaction.savepoint("key").await?;
    attempt.batch_execute(&add).await?;
    attempt.commit().await
}

/// The name of the key that the staging table has already, if it has one.
pub(super) async fn staged_key(
    load: &Load,
    client: &impl GenericClient,
) -> Result<Option<String>, tokio_postgres::Error> {
    let sql = "select conname::text from pg_constraint where conrelid = to_regclass($1) and contype = 'p'";
    Ok(client.query_opt(sql, &[&load.staging()]).await?.map(|row| row.get(0)))
}

async fn is(transaction: &Transaction<'_>, question: &str) -> Result<bool, tokio_postgres::Error> {
    Ok(transaction.query_one(question, &[]).await?.get(0))
}
