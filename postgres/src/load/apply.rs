//! The transaction that moves the staging tables' rows into their targets.

use std::collections::HashMap;

use tokio_postgres::{Client, GenericClient};

use super::deduplicate::check_complete;
use super::write::Transfer;
use super::{Counts, Load, Staged, blocked, refused, target};
use crate::{Database, Result};

/// How long a statement waits for a lock that another session holds.
const LOCK_TIMEOUT: &str = "5s";

/// Makes the ledger of applied loads, as far as it is not there: a statement that would change nothing needs the rights of one
/// that does.
pub(super) const LEDGER: &str = "
    begin;
    select pg_advisory_xact_lock(hashtextextended('weir.applied', 0));
    do $$ begin
        if to_regnamespace('weir') is null then
            create schema weir;
            comment on schema weir is 'Staging tables of weir, and the ledger of its applied runs.';
        end if;
        if to_regclass('weir.applied') is null then
            create table weir.applied (
                run text,
                sink text,
                target text not null,
                applied_at timestamptz not null default now(),
                inserted bigint not null default 0,
                updated bigint not null default 0,
                unchanged bigint not null default 0,
                superseded bigint not null default 0,
                deleted bigint not null default 0,
                task text,
                primary key (run, sink)
            );
            comment on table weir.applied is
                'Ledger of applied runs: each is recorded by the transaction that writes its rows.';
        elsif not exists (
            select from pg_attribute where attrelid = to_regclass('weir.applied') and attname = 'task'
        ) then
            alter table weir.applied add column task text;
        end if;
    end $$;
    commit";

/// The recorded counts of the load if an earlier attempt committed it.
pub(super) async fn recorded_counts(
    load: &Load,
    client: &impl GenericClient,
) -> Result<Option<Counts>, tokio_postgres::Error> {
    if client.query_one("select to_regclass('weir.applied') is null", &[]).await?.get(0) {
        return Ok(None);
    }
    let sql = "select inserted, updated, unchanged, superseded, deleted from weir.applied where run = $1 and sink = $2";
    let row = client.query_opt(sql, &[&load.run, &load.sink]).await?;
    Ok(row.map(|row| {
        let [inserted, updated, unchanged, superseded, deleted] =
            [0, 1, 2, 3, 4].map(|column| row.get::<_, i64>(column) as u64);
        Counts { inserted, updated, unchanged, superseded, deleted }
    }))
}

/// Applies loads in one transaction, and leaves it open: see [`super::begin`].
pub(super) async fn begin(database: &Database, client: &Client, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
    let failed = |error| database.statement_error(&error);
    let begin = format!(
        "begin;
         select set_config('lock_timeout', '{LOCK_TIMEOUT}', true) where current_setting('lock_timeout') = '0';
         set constraints all deferred"
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    match apply(database, client, loads).await {
        Ok(counts) => Ok(counts),
        Err(error) => {
            // A session that is lost has no transaction any more.
            let _ = client.batch_execute("rollback").await;
            let loads: Vec<_> = loads.iter().map(|(load, _)| *load).collect();
            let error = blocked::name_session(client, &loads, error).await;
            Err(refused::name_row(database, client, &loads, error).await)
        }
    }
}

/// The recorded or new counts of each load.
async fn apply(database: &Database, client: &Client, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
    let failed = |error| database.statement_error(&error);
    let mut counts = vec![Counts::default(); loads.len()];
    let mut transfers = Vec::new();
    for (number, (load, staged)) in loads.iter().enumerate() {
        // Another session that applies the same load is waited for here.
        let enter = "insert into weir.applied (run, sink, target, task) values ($1, $2, $3, $4) on conflict do nothing";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&load.run, &load.sink, &load.table.shown(), &load.task];
        let entered = blocked::told("weir.applied", client.execute(enter, &values)).await;
        if entered.map_err(failed)? == 0 {
            counts[number] = recorded_counts(load, client).await.map_err(failed)?.unwrap_or_default();
            client.batch_execute(&load.drop_staging()).await.map_err(failed)?;
            continue;
        }
        check_complete(load, database, client, staged.rows).await?;
        let mut identity = target::identity(client, &load.table).await.map_err(failed)?;
        if identity.is_none() && load.create && !load.is_promoted() {
            client.batch_execute(&load.create_target()).await.map_err(failed)?;
            identity = target::identity(client, &load.table).await.map_err(failed)?;
        }
        if identity.is_none() && !load.create {
            let help = "nothing was changed; create the table again, and run the task again";
            return Err(load.error(database, "does not exist any more", help));
        }
        transfers.push(Transfer { number, load, client, rows: staged.rows, oid: identity });
    }
    // Other writers are blocked, so the counts are exact; readers are not. Always in the same order, so that two runs with
    // the same tables do not block each other.
    let mut targets: Vec<_> = transfers.iter().filter_map(|of| Some((of.oid?, &of.load.table))).collect();
    targets.sort_unstable_by_key(|(oid, target)| (*oid, target.name()));
    for (_, target) in targets {
        let lock = format!("lock table {} in share row exclusive mode", target.name());
        blocked::told(&target.shown(), client.batch_execute(&lock)).await.map_err(failed)?;
    }
    for transfer in &transfers {
        if let Some(add) = transfer.load.add_columns() {
            client.batch_execute(&add).await.map_err(failed)?;
        }
    }
    parents_first(client, &mut transfers).await.map_err(failed)?;
    for transfer in transfers.iter().rev().filter(|transfer| transfer.oid.is_some()) {
        let analyze = format!("analyze {}", transfer.load.staging());
        client.batch_execute(&analyze).await.map_err(failed)?;
        counts[transfer.number].deleted = transfer.delete().await.map_err(failed)?;
    }
    for transfer in &transfers {
        let staged = loads[transfer.number].1;
        let Counts { deleted, .. } = counts[transfer.number];
        let written = match transfer.oid {
            Some(_) => transfer.write(database, deleted).await?,
            None => transfer.promote_staging_table().await.map_err(failed)?,
        };
        let superseded = written.superseded + staged.superseded;
        counts[transfer.number] = Counts { deleted, superseded, ..written };
        transfer.record(counts[transfer.number]).await.map_err(failed)?;
    }
    client.batch_execute("set constraints all immediate").await.map_err(failed)?;
    Ok(counts)
}

pub(super) type QueryResult<T> = Result<T, tokio_postgres::Error>;

/// Sorts loads so that a table comes after those that its foreign keys refer to, as far as that is possible.
async fn parents_first(client: &Client, transfers: &mut Vec<Transfer<'_>>) -> QueryResult<()> {
    let oids: Vec<u32> = transfers.iter().filter_map(|transfer| transfer.oid).collect();
    if oids.len() < 2 {
        return Ok(());
    }
    let sql = "select conrelid, confrelid from pg_constraint
               where contype = 'f' and conrelid = any ($1) and confrelid = any ($1) and conrelid <> confrelid";
    let mut parents: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in client.query(sql, &[&oids]).await? {
        parents.entry(row.get(0)).or_default().push(row.get(1));
    }
    let mut sorted: Vec<Transfer<'_>> = Vec::with_capacity(transfers.len());
    while !transfers.is_empty() {
        let waits = |transfer: &Transfer<'_>| {
            let parents = transfer.oid.and_then(|oid| parents.get(&oid));
            parents.is_some_and(|parents| {
                transfers.iter().any(|other| other.oid.is_some_and(|oid| parents.contains(&oid)))
            })
        };
        // Tables that refer to each other in a circle have deferrable constraints, or nobody could fill them.
        let next = transfers.iter().position(|transfer| !waits(transfer)).unwrap_or_default();
        sorted.push(transfers.remove(next));
    }
    *transfers = sorted;
    Ok(())
}
