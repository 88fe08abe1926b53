//! The transaction that moves the staging tables' rows into their targets.

use std::collections::HashMap;

use super::staging::{STRICT, check_complete};
use super::write::Transfer;
use super::{Counts, Load, Staged, blocked, refused, target};
use crate::session::Session;
use crate::sql::literal;
use crate::{DatabaseError as _, Result};

/// How long a run waits for another one that writes the same table. The unit is seconds.
const LOCK_TIMEOUT: u32 = 5;

/// Makes the table of applied loads, as far as it is not there.
pub(super) const LEDGER: &str = "
    create table if not exists weir_applied (
        run varchar(64) not null,
        sink varchar(255) not null,
        target varchar(255) not null,
        applied_at datetime(6) not null default current_timestamp(6),
        inserted bigint not null default 0,
        updated bigint not null default 0,
        unchanged bigint not null default 0,
        superseded bigint not null default 0,
        deleted bigint not null default 0,
        task varchar(255),
        primary key (run, sink)
    ) engine = InnoDB character set utf8mb4 collate utf8mb4_bin
    comment = 'Applied runs: each is recorded by the transaction that writes its rows.'";

/// The recorded counts of the load if an earlier attempt committed it.
pub(super) async fn recorded_counts(load: &Load, session: &mut Session) -> Result<Option<Counts>> {
    /// No such table.
    const MISSING: u16 = 1146;
    let sql = "select inserted, updated, unchanged, superseded, deleted from weir_applied where run = ? and sink = ?";
    let row = session.query_first_with::<(u64, u64, u64, u64, u64)>(sql, (&load.run, &load.sink)).await;
    let row = match row {
        Err(error) if error.server().is_some_and(|server| server.code() == MISSING) => None,
        row => row?,
    };
    Ok(row.map(|(inserted, updated, unchanged, superseded, deleted)| Counts {
        inserted,
        updated,
        unchanged,
        superseded,
        deleted,
    }))
}

/// Applies loads in one transaction, and leaves it open: see [`super::begin`].
pub(super) async fn begin(session: &mut Session, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
    session.execute(STRICT).await?;
    let done = match make_targets(session, loads).await {
        Ok(made) => apply(session, loads, &made).await,
        Err(error) => Err((None, error)),
    };
    match done {
        Ok(counts) => Ok(counts),
        Err((load, error)) => {
            super::roll_back(session).await;
            let error = blocked::name_session(session, loads, error).await;
            Err(match load {
                Some(load) => refused::name_row(session, load, error).await,
                None => error,
            })
        }
    }
}

/// Makes what the transaction needs and cannot make itself: missing targets and columns. Returns the numbers of the loads whose
/// targets it has made.
async fn make_targets(session: &mut Session, loads: &[(&Load, Staged)]) -> Result<Vec<usize>> {
    let mut made = Vec::new();
    for (number, (load, _)) in loads.iter().enumerate() {
        if recorded_counts(load, session).await?.is_some() {
            continue;
        }
        if !target::exists(load, session).await? {
            if !load.create {
                let help = "nothing was changed; create the table again, and run the task again";
                return Err(load.error(session.database(), "does not exist any more", help));
            }
            session.execute(&load.create_target(session)).await?;
            made.push(number);
        }
        // Without `if not exists`, which MySQL lacks: a column that another run has added is no error.
        for column in load.table.columns.iter().filter(|column| load.adds_columns && column.is_new) {
            const EXISTS: u16 = 1060;
            let add = format!("alter table {} add column {}", load.table.name(), load.table.definition(column));
            match session.execute(&add).await {
                Err(error) if error.server().is_some_and(|server| server.code() == EXISTS) => {}
                done => _ = done?,
            }
        }
    }
    Ok(made)
}

type Failed<'a> = (Option<&'a Load>, crate::Error);

/// The recorded or new counts of each load. An error is that of a load, if it is one of writing its rows.
async fn apply<'a>(
    session: &mut Session,
    loads: &[(&'a Load, Staged)],
    made: &[usize],
) -> Result<Vec<Counts>, Failed<'a>> {
    let failed = |error| (None, error);
    lock(session, loads).await.map_err(failed)?;
    session.execute("start transaction").await.map_err(failed)?;
    let mut counts = vec![Counts::default(); loads.len()];
    let mut transfers = Vec::new();
    for (number, (load, staged)) in loads.iter().enumerate() {
        // Another session that applies the same load is waited for here.
        let enter = "insert into weir_applied (run, sink, target, task) values (?, ?, ?, ?)
                     on duplicate key update run = weir_applied.run";
        let values = (&load.run, &load.sink, load.table.shown(), &load.task);
        if session.execute_with(enter, values).await.map_err(failed)? == 0 {
            counts[number] = recorded_counts(load, session).await.map_err(failed)?.unwrap_or_default();
            continue;
        }
        check_complete(load, session, staged.rows).await.map_err(failed)?;
        transfers.push(Transfer { number, load, rows: staged.rows, is_new: made.contains(&number) });
    }
    parents_first(session, &mut transfers).await.map_err(failed)?;
    for transfer in transfers.iter().rev() {
        let deleted = transfer.delete(session).await;
        counts[transfer.number].deleted = deleted.map_err(|error| (Some(transfer.load), error))?;
    }
    for transfer in &transfers {
        let failed = |error| (Some(transfer.load), error);
        let staged = loads[transfer.number].1;
        let Counts { deleted, .. } = counts[transfer.number];
        let written = transfer.write(session, deleted).await.map_err(failed)?;
        let superseded = written.superseded + staged.superseded;
        counts[transfer.number] = Counts { deleted, superseded, ..written };
        transfer.record(session, counts[transfer.number]).await.map_err(failed)?;
    }
    Ok(counts)
}

/// Keeps other runs out of the targets, always in the same order, so that two runs with the same tables do not block each
/// other. Other writers are kept out of the rows that the transaction writes.
async fn lock(session: &mut Session, loads: &[(&Load, Staged)]) -> Result<()> {
    let own = session.database().name().to_owned();
    let name = |load: &Load| format!("{}.{}", load.table.schema.as_ref().unwrap_or(&own), load.table.name);
    let mut targets: Vec<_> = loads.iter().map(|(load, _)| name(load)).collect();
    targets.sort_unstable();
    targets.dedup();
    for target in targets {
        let lock = format!("select get_lock(concat('weir:', sha1({})), {LOCK_TIMEOUT})", literal(&target));
        let has_lock: Option<Option<bool>> = session.query_first(&lock).await?;
        if has_lock.flatten() != Some(true) {
            return Err(blocked::by_another_run(session, &target));
        }
    }
    Ok(())
}

/// Lets other runs have the targets.
pub(super) async fn unlock(session: &mut Session) {
    // The locks end with the session at the latest.
    let _ = session.query_first::<u64>("select release_all_locks()").await;
}

/// Drops the staging tables of applied loads, and lets other runs have the targets.
pub(super) async fn release(session: &mut Session, loads: &[&Load]) -> Result<()> {
    unlock(session).await;
    for load in loads {
        // Only this one is left of a load that was applied.
        match session.execute(&format!("drop table if exists {}", load.staging())).await {
            Err(error) if !error.is_connection_lost() => {
                tracing::warn!("the staging table {} is left, and can be dropped: {error}", load.staging());
            }
            dropped => _ = dropped?,
        }
    }
    Ok(())
}

/// Sorts loads so that a table comes after those that its foreign keys refer to, as far as that is possible.
async fn parents_first(session: &mut Session, transfers: &mut Vec<Transfer<'_>>) -> Result<()> {
    if transfers.len() < 2 {
        return Ok(());
    }
    let own = session.database().name().to_owned();
    let place = |load: &Load| (load.table.schema.clone().unwrap_or_else(|| own.clone()), load.table.name.clone());
    let places: Vec<_> = transfers.iter().map(|transfer| place(transfer.load)).collect();
    let listed = places.iter().map(|(schema, name)| format!("({}, {})", literal(schema), literal(name)));
    let sql = format!(
        "select distinct table_schema, table_name, referenced_table_schema, referenced_table_name
         from information_schema.key_column_usage
         where referenced_table_name is not null and (table_schema, table_name) in ({})",
        listed.collect::<Vec<_>>().join(", ")
    );
    let mut parents: HashMap<(String, String), Vec<(String, String)>> = HashMap::new();
    for (schema, table, of_schema, of_table) in session.query::<(String, String, String, String)>(&sql).await? {
        let (child, parent) = ((schema, table), (of_schema, of_table));
        if child != parent {
            parents.entry(child).or_default().push(parent);
        }
    }
    let mut sorted: Vec<Transfer<'_>> = Vec::with_capacity(transfers.len());
    while !transfers.is_empty() {
        let waits = |transfer: &Transfer<'_>| {
            let parents = parents.get(&place(transfer.load));
            parents.is_some_and(|parents| transfers.iter().any(|other| parents.contains(&place(other.load))))
        };
        let next = transfers.iter().position(|transfer| !waits(transfer)).unwrap_or_default();
        sorted.push(transfers.remove(next));
    }
    *transfers = sorted;
    Ok(())
}
