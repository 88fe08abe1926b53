//! The transaction that moves the staging table's rows into the target.

use tokio_postgres::{Client, GenericClient, Transaction};

use super::deduplicate::{self, Staged, check_complete, query_bool};
use super::{Load, Mode, target};
use crate::sql::{list, list_of, literal, quoted};
use crate::{Database, Result};

/// Result of a load. The unit is rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New rows in the table.
    pub inserted: u64,
    /// Existing rows that were changed.
    pub updated: u64,
    /// Existing rows that were already the same.
    pub unchanged: u64,
    /// Rows dropped in favour of a newer one of the same key, from the table or from the same run.
    pub superseded: u64,
    /// Rows deleted from the table.
    pub deleted: u64,
}

/// DDL of the ledger of applied loads.
pub(super) const LEDGER: &str = "
    begin;
    select pg_advisory_xact_lock(hashtextextended('weir.applied', 0));
    create schema if not exists weir;
    create table if not exists weir.applied (
        run text,
        sink text,
        target text not null,
        applied_at timestamptz not null default now(),
        inserted bigint not null default 0,
        updated bigint not null default 0,
        unchanged bigint not null default 0,
        superseded bigint not null default 0,
        deleted bigint not null default 0,
        primary key (run, sink)
    );
    comment on schema weir is 'Staging tables of weir, and the ledger of its applied runs.';
    comment on table weir.applied is 'Ledger of applied runs: each is recorded by the transaction that writes its rows.';
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

pub(super) async fn apply(load: &Load, database: &Database, client: &mut Client, staged: Staged) -> Result<Counts> {
    let failed = |error| database.statement_error(&error);
    let transaction = client.transaction().await.map_err(failed)?;
    // A concurrent `apply` of the same load waits here for the end of this transaction.
    let enter = "insert into weir.applied (run, sink, target) values ($1, $2, $3) on conflict do nothing";
    let entered = transaction.execute(enter, &[&load.run, &load.sink, &load.table.shown()]).await.map_err(failed)?;
    if entered == 0 {
        let counts = recorded_counts(load, &transaction).await.map_err(failed)?;
        transaction.rollback().await.map_err(failed)?;
        load.discard(database, client).await?;
        return Ok(counts.unwrap_or_default());
    }
    check_complete(load, database, &transaction, staged.rows).await?;
    let transfer = Transfer { load, transaction: &transaction };
    let counts = if target::exists(&transaction, &load.table).await.map_err(failed)? {
        transfer.apply_to_existing(staged.rows).await
    } else {
        transfer.promote_staging_table(staged.rows).await
    };
    let counts = counts.map_err(failed)?;
    let counts = Counts { superseded: counts.superseded + staged.superseded, ..counts };
    record_counts(load, &transaction, counts).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(counts)
}

async fn record_counts(
    load: &Load,
    transaction: &Transaction<'_>,
    counts: Counts,
) -> Result<(), tokio_postgres::Error> {
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    let [inserted, updated, unchanged, superseded, deleted] =
        [inserted, updated, unchanged, superseded, deleted].map(|count| count as i64);
    let sql = "update weir.applied set inserted = $3, updated = $4, unchanged = $5, superseded = $6, deleted = $7 \
               where run = $1 and sink = $2";
    transaction.execute(sql, &[&load.run, &load.sink, &inserted, &updated, &unchanged, &superseded, &deleted]).await?;
    Ok(())
}

/// A load within its transaction.
struct Transfer<'a> {
    load: &'a Load,
    transaction: &'a Transaction<'a>,
}

type QueryResult<T> = Result<T, tokio_postgres::Error>;

impl Transfer<'_> {
    /// Turns the staging table into the target.
    async fn promote_staging_table(&self, rows: u64) -> QueryResult<Counts> {
        let Self { load, transaction } = self;
        let (staging, name) = (load.staging(), quoted(&load.table.name));
        let schema = match &load.table.schema {
            Some(schema) => quoted(schema),
            None => quoted(transaction.query_one("select current_schema()::text", &[]).await?.get(0)),
        };
        let staged = format!("weir.{name}");
        // The target was dropped in the meantime: the staging table becomes the target and must be durable.
        let is_unlogged = format!(
            "select relpersistence = 'u' from pg_class where oid = to_regclass('{}')",
            staging.replace('\'', "''")
        );
        if query_bool(transaction, &is_unlogged).await? {
            transaction.batch_execute(&format!("alter table {staging} set logged")).await?;
        }
        let key = deduplicate::primary_key_name(load, *transaction).await?;
        let moved = format!("alter table {staging} rename to {name}; alter table {staged} set schema {schema}");
        transaction.batch_execute(&moved).await?;
        match &key {
            // The key is named after the staging table; it gets the usual name unless that is taken.
            Some(key) => {
                let usual = quoted(&format!("{}_pkey", load.table.name));
                let is_free = format!("select to_regclass({}) is null", literal(&format!("{schema}.{usual}")));
                if query_bool(transaction, &is_free).await? {
                    let renamed = format!("alter table {schema}.{name} rename constraint {} to {usual}", quoted(key));
                    transaction.batch_execute(&renamed).await?;
                }
            }
            None => transaction.batch_execute(&load.table.key(&load.table.name()).unwrap_or_default()).await?,
        }
        for statement in load.table.post_create_ddl() {
            transaction.batch_execute(&statement).await?;
        }
        Ok(Counts { inserted: rows, ..Counts::default() })
    }

    /// Applies the rows to an existing target.
    async fn apply_to_existing(&self, rows: u64) -> QueryResult<Counts> {
        let Self { load, transaction } = self;
        let (staging, target) = (load.staging(), load.table.name());
        // Other writers are blocked, so the counts are exact; readers are not.
        let ready = format!("analyze {staging}; lock table {target} in share row exclusive mode");
        transaction.batch_execute(&ready).await?;
        let has_key = !load.table.primary_key.is_empty();
        let mut counts = Counts::default();
        match &load.mode {
            Mode::Append => counts.inserted = self.insert().await?,
            Mode::Overwrite if !has_key => {
                counts.deleted = transaction.execute(&format!("delete from {target}"), &[]).await?;
                counts.inserted = self.insert().await?;
            }
            Mode::Overwrite => {
                let same = self.same_key();
                let delete = format!(
                    "delete from {target} as target where not exists (select from {staging} as staged where {same})"
                );
                counts.deleted = transaction.execute(&delete, &[]).await?;
                (counts.updated, counts.inserted) = self.merge(None).await?;
                counts.unchanged = rows - counts.updated - counts.inserted;
            }
            Mode::Merge { update_key } => {
                counts.superseded = self.older(update_key.as_deref()).await?;
                (counts.updated, counts.inserted) = self.merge(update_key.as_deref()).await?;
                counts.unchanged = rows - counts.superseded - counts.updated - counts.inserted;
            }
        }
        transaction.batch_execute(&format!("drop table {staging}")).await?;
        Ok(counts)
    }

    /// Inserts all rows of the staging table.
    async fn insert(&self) -> QueryResult<u64> {
        let columns: Vec<_> = self.load.table.columns().collect();
        let (target, columns) = (self.load.table.name(), list(&columns));
        let insert = format!("insert into {target} ({columns}) select {columns} from {}", self.load.staging());
        self.transaction.execute(&insert, &[]).await
    }

    /// Updates the rows that differ from the staging table and are not newer, and inserts the missing ones; returns
    /// both counts. The two tables are joined once, because most rows are often unchanged.
    async fn merge(&self, update_key: Option<&str>) -> QueryResult<(u64, u64)> {
        let table = &self.load.table;
        let (target, same) = (table.name(), self.same_key());
        let others: Vec<_> = table.others().collect();
        let all: Vec<_> = table.columns().collect();
        let key = table.primary_key.first().map(|key| quoted(key)).unwrap_or_default();
        // The columns may have any name.
        let mut row_exists = "row_exists".to_owned();
        while all.contains(&row_exists.as_str()) {
            row_exists.push('_');
        }
        let not_newer = update_key.map(|newer| format!(" and not ({})", is_older(newer))).unwrap_or_default();
        let differs = match others.is_empty() {
            true => "false".to_owned(),
            false => format!(
                "row({}) is distinct from row({}){not_newer}",
                list_of("target", others.iter().copied()),
                list_of("staged", others.iter().copied())
            ),
        };
        let set = others.iter().map(|name| format!("{0} = staged.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
        let update = match others.is_empty() {
            true => "select 1 where false".to_owned(),
            false => format!(
                "update {target} as target set {set} from changed as staged where staged.{row_exists} and {same} returning 1"
            ),
        };
        let merge = format!(
            "with changed as materialized (
                 select staged.*, target.{key} is not null as {row_exists}
                 from {} as staged left join {target} as target on {same}
                 where target.{key} is null or ({differs})
             ),
             updated as ({update}),
             inserted as (
                 insert into {target} ({}) select {} from changed as staged where not staged.{row_exists} returning 1
             )
             select (select count(*) from updated), (select count(*) from inserted)",
            self.load.staging(),
            list(&all),
            list_of("staged", all.iter().copied()),
        );
        let row = self.transaction.query_one(&merge, &[]).await?;
        let count = |column: usize| row.get::<_, i64>(column) as u64;
        Ok((count(0), count(1)))
    }

    /// The number of rows in the staging table that are older than the target's.
    async fn older(&self, update_key: Option<&str>) -> QueryResult<u64> {
        let Some(newer) = update_key else { return Ok(0) };
        let count = format!(
            "select count(*) from {} as target join {} as staged on {} where {}",
            self.load.table.name(),
            self.load.staging(),
            self.same_key(),
            is_older(newer)
        );
        Ok(self.transaction.query_one(&count, &[]).await?.get::<_, i64>(0) as u64)
    }

    fn same_key(&self) -> String {
        let same = |name: &String| format!("target.{0} = staged.{0}", quoted(name));
        self.load.table.primary_key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }
}

/// Whether a staging row is older than the target's; a row without a version is older than any with one.
fn is_older(newer: &str) -> String {
    let newer = quoted(newer);
    format!("target.{newer} is not null and (staged.{newer} is null or staged.{newer} < target.{newer})")
}
