//! Checks and deduplicates the staging table before it is applied.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient, Transaction};

use super::{Load, Mode, Staged, cast, target};
use crate::sql::{list, quoted};
use crate::{Database, Error, Result};

pub(super) async fn deduplicate(load: &Load, database: &Database, client: &mut Client, rows: u64) -> Result<Staged> {
    let failed = |error| database.statement_error(&error);
    let mut transaction = client.transaction().await.map_err(failed)?;
    check_complete(load, database, &transaction, rows).await?;
    if let Some(change) = cast::change_types(load) {
        transaction.batch_execute(&change).await.map_err(failed)?;
    }
    let superseded = delete_older_duplicates(load, database, &mut transaction).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(Staged { rows: rows - superseded, superseded })
}

/// Fails unless the staging table has all copied rows: a crash of the server empties unlogged tables.
pub(super) async fn check_complete(
    load: &Load,
    database: &Database,
    client: &impl GenericClient,
    rows: u64,
) -> Result<()> {
    let failed = |error| database.statement_error(&error);
    let gone = |message: String| {
        load.error(database, message, "the table is unchanged; run the task again to read its input again")
    };
    match count(load, client).await.map_err(failed)? {
        Some(left) if left == rows => Ok(()),
        Some(left) => {
            Err(gone(format!("its staging table has {left} of {rows} rows; the server has probably crashed")))
        }
        None => Err(gone("its staging table does not exist any more".to_owned())),
    }
}

/// The number of rows in the staging table; none if it does not exist.
pub(super) async fn count(load: &Load, client: &impl GenericClient) -> Result<Option<u64>, tokio_postgres::Error> {
    let staging = load.staging();
    if client.query_one("select to_regclass($1) is null", &[&staging]).await?.get(0) {
        return Ok(None);
    }
    let count = client.query_one(&format!("select count(*) from {staging}"), &[]).await?;
    Ok(Some(count.get::<_, i64>(0) as u64))
}

/// Deletes all but the newest of several rows with the same key; returns the number of deleted rows.
async fn delete_older_duplicates(load: &Load, database: &Database, transaction: &mut Transaction<'_>) -> Result<u64> {
    let failed = |error| database.statement_error(&error);
    let staging = load.staging();
    let mut of_key = load.table.primary_key.clone();
    if let Mode::History { update_key, .. } = &load.mode {
        // Each time of a key is a version of its own.
        of_key.extend(update_key.clone());
    }
    let key = list(&of_key);
    if load.table.primary_key.is_empty() {
        return Ok(0);
    }
    if load.is_promoted() && target::identity(&*transaction, &load.table).await.map_err(failed)?.is_none() {
        // The staging table becomes the target and needs the key anyway; adding it detects duplicates.
        match add_key(load, transaction).await {
            Ok(()) => return Ok(0),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let repeated = |columns: &str, rows: &str| {
        format!("select exists (select from {rows} as staged group by {columns} having count(*) > 1)")
    };
    if !query_bool(&*transaction, &repeated(&key, &staging)).await.map_err(failed)? {
        return Ok(0);
    }
    // A type such as json has no equality, but its text has.
    let others = load.table.columns.iter().filter(|column| !of_key.contains(&column.name));
    let others = others.map(|column| {
        let is_order = matches!(&load.mode, Mode::Merge { update_key: Some(newer) } if *newer == column.name);
        let as_text = if column.cast.is_some() && !is_order { "::text as " } else { " as " };
        format!(", {0}{as_text}{0}", quoted(&column.name))
    });
    let marker = load.deletion.iter().map(|deletion| format!(", {}", quoted(&deletion.marker)));
    let others = others.chain(marker).collect::<String>();
    let distinct = format!("(select distinct {key}{others} from {staging})");
    let (order, apart, is_ordered) = match &load.mode {
        Mode::Merge { update_key: Some(newer) } => {
            (format!("{} desc nulls last", quoted(newer)), format!("{key}, {}", quoted(newer)), true)
        }
        _ => ("ctid".to_owned(), key.clone(), false),
    };
    if query_bool(&*transaction, &repeated(&apart, &distinct)).await.map_err(failed)? {
        return Err(repeated_keys(load, database, &of_key, is_ordered));
    }
    let delete = format!(
        "delete from {staging} as staged using (
                 select ctid, row_number() over (partition by {key} order by {order}) as place from {staging}
             ) as ranked
             where ranked.ctid = staged.ctid and ranked.place > 1"
    );
    transaction.execute(&delete, &[]).await.map_err(failed)
}

/// The error about rows of one key of which none is the newest.
pub(super) fn repeated_keys(load: &Load, database: &Database, key: &[String], is_ordered: bool) -> Error {
    let help = match is_ordered {
        true => "reject such rows with the rule `unique`, or choose an `update_key` that orders them",
        false => "reject such rows with the rule `unique`, or set an `update_key`",
    };
    load.error(database, format!("rows of this run differ and have the same ({})", key.join(", ")), help)
}

async fn add_key(load: &Load, transaction: &mut Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    let Some(add) = load.table.key(&load.staging()) else { return Ok(()) };
    let attempt = transaction.savepoint("key").await?;
    attempt.batch_execute(&add).await?;
    attempt.commit().await
}

/// The name of the staging table's primary key, if it has one already.
pub(super) async fn primary_key_name(
    load: &Load,
    client: &impl GenericClient,
) -> Result<Option<String>, tokio_postgres::Error> {
    let sql = "select conname::text from pg_constraint where conrelid = to_regclass($1) and contype = 'p'";
    Ok(client.query_opt(sql, &[&load.staging()]).await?.map(|row| row.get(0)))
}

/// Runs a query that returns one boolean.
pub(super) async fn query_bool(client: &impl GenericClient, sql: &str) -> Result<bool, tokio_postgres::Error> {
    Ok(client.query_one(sql, &[]).await?.get(0))
}
