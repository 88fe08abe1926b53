//! The transaction that moves the staging tables' rows into their targets.

use chrono::Utc;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::stage::check_complete;
use super::write::Transfer;
use super::{Names, Session, column_definitions, is_history, moment, type_name};

use crate::load::{Counts, Kind, Load, Mode, SCHEMA, Staged, blocked, deletion};
use crate::sql::quoted;
use crate::{Database, Error, Result};

/// How long the locks are waited for, in milliseconds.
const LOCK_TIMEOUT: u32 = 30_000;

/// The recorded counts of the load if an earlier attempt committed it.
pub(in crate::load) async fn is_applied(load: &Load, database: &Database, client: &Client) -> Result<Option<Counts>> {
    let session = Session::of(database, client).await?;
    match session.relation(SCHEMA, "applied").await? {
        Some(_) => recorded_counts(load, &session).await,
        None => Ok(None),
    }
}

async fn recorded_counts(load: &Load, session: &Session<'_>) -> Result<Option<Counts>> {
    let sql = format!(
        "select inserted, updated, unchanged, superseded, deleted from weir.applied where run = {} and sink = {}",
        session.literal(&load.run),
        session.literal(&load.sink)
    );
    let row = session.row(&sql).await?;
    if row.is_empty() {
        return Ok(None);
    }
    let count = |at: usize| row[at].as_ref().and_then(|count| count.parse().ok()).unwrap_or_default();
    let [inserted, updated, unchanged, superseded, deleted] = [0, 1, 2, 3, 4].map(count);
    Ok(Some(Counts { inserted, updated, unchanged, superseded, deleted }))
}

/// Applies loads in one transaction, and leaves it open: see [`crate::load::begin`].
pub(in crate::load) async fn begin(
    database: &Database,
    client: &Client,
    loads: &[(&Load, Staged)],
) -> Result<Vec<Counts>> {
    let session = Session::of(database, client).await?;
    // Whatever is asked in the transaction before the locks would give it a snapshot without what others commit meanwhile.
    let mut exist = Vec::new();
    for (load, _) in loads {
        exist.push(session.target(&load.table).await?.is_some());
    }
    session.run("begin").await?;
    match apply(&session, loads, &exist).await {
        Ok(counts) => Ok(counts),
        Err(error) => {
            // A session that is lost has no transaction any more.
            let _ = session.run("rollback").await;
            Err(error)
        }
    }
}

async fn apply(session: &Session<'_>, loads: &[(&Load, Staged)], exist: &[bool]) -> Result<Vec<Counts>> {
    lock(session, loads, exist).await?;
    let mut counts = vec![Counts::default(); loads.len()];
    let mut transfers = Vec::new();
    for (number, ((load, staged), exists)) in loads.iter().zip(exist).enumerate() {
        let names = Names::of(load, session);
        if let Some(recorded) = recorded_counts(load, session).await? {
            counts[number] = recorded;
            session.run(&format!("drop table if exists {}", names.staging)).await?;
            continue;
        }
        check_complete(load, session, staged.rows).await?;
        match (exists, load.create) {
            (true, _) => add_columns(load, session, &names).await?,
            (false, true) => create_target(load, session, &names).await?,
            (false, false) => {
                let help = "nothing was changed; create the table again, and run the task again";
                return Err(load.error(session.database, "does not exist any more", help));
            }
        }
        transfers.push((number, Transfer { load, session, names, rows: staged.rows }));
    }
    for (number, transfer) in &transfers {
        transfer.check_key().await?;
        counts[*number].deleted = transfer.delete().await?;
    }
    for (number, transfer) in &transfers {
        let Counts { deleted, .. } = counts[*number];
        let written = transfer.write(deleted).await?;
        let superseded = written.superseded + loads[*number].1.superseded;
        counts[*number] = Counts { deleted, superseded, ..written };
        record(transfer, counts[*number]).await?;
        session.run(&format!("drop table {}", transfer.names.staging)).await?;
    }
    Ok(counts)
}

/// Locks the ledger and the targets that rows are compared with, always in the same order. The ledger is first: the
/// transactions of all runs come one after the other.
async fn lock(session: &Session<'_>, loads: &[(&Load, Staged)], exist: &[bool]) -> Result<()> {
    let locked = loads.iter().zip(exist).filter(|((load, _), exists)| **exists && load.mode != Mode::Append);
    let mut targets: Vec<_> = locked.map(|((load, _), _)| Names::of(load, session).target).collect();
    targets.sort_unstable();
    targets.dedup();
    session.run(&format!("set statement_timeout to {LOCK_TIMEOUT}")).await?;
    for table in std::iter::once("weir.applied".to_owned()).chain(targets) {
        let lock = format!("lock table {table}");
        blocked::told(&table, session.run(&lock)).await.map_err(|error| match error {
            Error::Statement { database, message, server, .. }
                if server.as_ref().is_some_and(|server| *server.code() == SqlState::QUERY_CANCELED) =>
            {
                let message = format!("a lock of {table} was not free within {} s: {message}", LOCK_TIMEOUT / 1000);
                let help = "nothing was changed; another session reads or writes it (svv_transactions): wait for it, or \
                            end it; then start the run again";
                Error::Statement { database, message, help: help.to_owned(), server }
            }
            error => error,
        })?;
    }
    session.run("reset statement_timeout").await
}

/// No key is declared: the server would not enforce it, and would plan queries as if it did.
async fn create_target(load: &Load, session: &Session<'_>, names: &Names) -> Result<()> {
    let table = &load.table;
    let mut columns = column_definitions(table);
    if let Mode::History { update_key, columns: history } = &load.mode {
        let of_key = table.columns.iter().find(|column| Some(&column.name) == update_key.as_ref());
        let kind = type_name(&of_key.map_or(Kind::TimestampTz, |column| column.kind.clone()));
        let (from, to) = (quoted(&history.valid_from), quoted(&history.valid_to));
        columns += &format!(", {from} {kind} not null, {to} {kind}");
    } else if let Some(mark) = load.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref()) {
        columns += &format!(", {}", deletion::definition(mark));
    }
    session.run(&format!("create table {} ({columns})", names.target)).await?;
    if let Some(comment) = &table.comment {
        session.run(&format!("comment on table {} is {}", names.target, session.literal(comment))).await?;
    }
    for column in &table.columns {
        if let Some(comment) = &column.comment {
            let (name, comment) = (quoted(&column.name), session.literal(comment));
            session.run(&format!("comment on column {}.{name} is {comment}", names.target)).await?;
        }
    }
    Ok(())
}

/// Adds the columns that the target lacks, one by one. An earlier attempt may have added some.
async fn add_columns(load: &Load, session: &Session<'_>, names: &Names) -> Result<()> {
    if !load.adds_columns {
        return Ok(());
    }
    let Some(relation) = session.target(&load.table).await? else { return Ok(()) };
    for column in load.table.columns.iter().filter(|column| column.is_new) {
        let exists = format!(
            "select 1 from pg_attribute where attrelid = {} and attname = {} and not attisdropped",
            relation.oid,
            session.literal(&column.name)
        );
        if !session.has(&exists).await? {
            let (name, kind) = (quoted(&column.name), type_name(&column.kind));
            session.run(&format!("alter table {} add column {name} {kind}", names.target)).await?;
        }
    }
    Ok(())
}

async fn record(transfer: &Transfer<'_>, counts: Counts) -> Result<()> {
    let Transfer { load, session, .. } = transfer;
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    let [run, sink, target] = [&load.run, &load.sink, &load.table.shown()].map(|text| session.literal(text));
    let task = load.task.as_ref().map_or("null".to_owned(), |task| session.literal(task));
    let sql = format!(
        "insert into weir.applied
             (number, run, sink, target, applied_at, inserted, updated, unchanged, superseded, deleted, task)
         select coalesce(max(number), 0) + 1, {run}, {sink}, {target}, {}, {inserted}, {updated}, {unchanged},
             {superseded}, {deleted}, {task} from weir.applied",
        moment(&Utc::now())
    );
    session.run(&sql).await
}

/// Whether the rows of a key are compared with those of the table.
pub(super) fn compares(load: &Load) -> bool {
    !load.table.primary_key.is_empty() && !matches!(load.mode, Mode::Append | Mode::Insert) && !is_history(load)
}
