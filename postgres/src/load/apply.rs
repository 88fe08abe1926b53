//! One transaction that brings staged rows into their table.

use tokio_postgres::{Client, GenericClient, Transaction};

use super::settle::{self, Staged, check_whole};
use super::{Load, Mode, target};
use crate::sql::{list, list_of, literal, quoted};
use crate::{Database, Result};

/// What a load came to, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are new in the table.
    pub inserted: u64,
    /// Rows of the table that are other than before.
    pub updated: u64,
    /// Rows that the table had already, just so.
    pub unchanged: u64,
    /// Rows that went after a newer one of the same key, which was there or came with them.
    pub superseded: u64,
    /// Rows of the table that are gone.
    pub deleted: u64,
}

/// The table of what was applied.
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
    comment on schema weir is 'What weir stages, and which of its runs are in the tables of this database.';
    comment on table weir.applied is 'The runs whose rows are in their tables: each is entered by the transaction that brings them there.';
    commit";

/// What an earlier try came to, if it came to its end.
pub(super) async fn of_earlier_try(
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
    // Whoever applies the same load meanwhile waits here for the end of this transaction.
    let enter = "insert into weir.applied (run, sink, target) values ($1, $2, $3) on conflict do nothing";
    let entered = transaction.execute(enter, &[&load.run, &load.sink, &load.table.shown()]).await.map_err(failed)?;
    if entered == 0 {
        let counts = of_earlier_try(load, &transaction).await.map_err(failed)?;
        transaction.rollback().await.map_err(failed)?;
        load.discard(database, client).await?;
        return Ok(counts.unwrap_or_default());
    }
    check_whole(load, database, &transaction, staged.rows).await?;
    let applying = Applying { load, transaction: &transaction };
    let counts = if target::exists(&transaction, &load.table).await.map_err(failed)? {
        applying.bring_over(staged.rows).await
    } else {
        applying.become_the_target(staged.rows).await
    };
    let counts = counts.map_err(failed)?;
    let counts = Counts { superseded: counts.superseded + staged.superseded, ..counts };
    enter_counts(load, &transaction, counts).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(counts)
}

async fn enter_counts(load: &Load, transaction: &Transaction<'_>, counts: Counts) -> Result<(), tokio_postgres::Error> {
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    let [inserted, updated, unchanged, superseded, deleted] =
        [inserted, updated, unchanged, superseded, deleted].map(|count| count as i64);
    let sql = "update weir.applied set inserted = $3, updated = $4, unchanged = $5, superseded = $6, deleted = $7 \
               where run = $1 and sink = $2";
    transaction.execute(sql, &[&load.run, &load.sink, &inserted, &updated, &unchanged, &superseded, &deleted]).await?;
    Ok(())
}

/// A load in its transaction.
struct Applying<'a> {
    load: &'a Load,
    transaction: &'a Transaction<'a>,
}

type Asked<T> = Result<T, tokio_postgres::Error>;

impl Applying<'_> {
    /// The staging table becomes the target.
    async fn become_the_target(&self, rows: u64) -> Asked<Counts> {
        let Self { load, transaction } = self;
        let (staging, name) = (load.staging(), quoted(&load.table.name));
        let schema = match &load.table.schema {
            Some(schema) => quoted(schema),
            None => quoted(transaction.query_one("select current_schema()::text", &[]).await?.get(0)),
        };
        let staged = format!("weir.{name}");
        // A target that was dropped meanwhile: what was staged for it has to last now.
        let is_unlogged = format!(
            "select relpersistence = 'u' from pg_class where oid = to_regclass('{}')",
            staging.replace('\'', "''")
        );
        if self.is(&is_unlogged).await? {
            transaction.batch_execute(&format!("alter table {staging} set logged")).await?;
        }
        let key = settle::staged_key(load, *transaction).await?;
        let moved = format!("alter table {staging} rename to {name}; alter table {staged} set schema {schema}");
        transaction.batch_execute(&moved).await?;
        match &key {
            // It is called after the staging table, and gets the name that it would have here, if nothing else has it.
            Some(key) => {
                let usual = quoted(&format!("{}_pkey", load.table.name));
                let is_free = format!("select to_regclass({}) is null", literal(&format!("{schema}.{usual}")));
                if self.is(&is_free).await? {
                    let renamed = format!("alter table {schema}.{name} rename constraint {} to {usual}", quoted(key));
                    transaction.batch_execute(&renamed).await?;
                }
            }
            None => transaction.batch_execute(&load.table.key(&load.table.name()).unwrap_or_default()).await?,
        }
        for furnishing in load.table.furnishings() {
            transaction.batch_execute(&furnishing).await?;
        }
        Ok(Counts { inserted: rows, ..Counts::default() })
    }

    /// The rows go over into a target that is there.
    async fn bring_over(&self, rows: u64) -> Asked<Counts> {
        let Self { load, transaction } = self;
        let (staging, target) = (load.staging(), load.table.name());
        // Nobody else writes meanwhile, so that what is counted is what is done; readers go on.
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

    /// Inserts what is staged.
    async fn insert(&self) -> Asked<u64> {
        let columns: Vec<_> = self.load.table.columns().collect();
        let (target, columns) = (self.load.table.name(), list(&columns));
        let insert = format!("insert into {target} ({columns}) select {columns} from {}", self.load.staging());
        self.transaction.execute(&insert, &[]).await
    }

    /// Updates the rows that are other than what is staged, and not newer, and inserts those that are not there; gives
    /// how many of each. The target is held against what is staged once: most rows are often the same.
    async fn merge(&self, update_key: Option<&str>) -> Asked<(u64, u64)> {
        let table = &self.load.table;
        let (target, same) = (table.name(), self.same_key());
        let others: Vec<_> = table.others().collect();
        let all: Vec<_> = table.columns().collect();
        let key = table.primary_key.first().map(|key| quoted(key)).unwrap_or_default();
        // A column may be called anything.
        let mut is_there = "is_there".to_owned();
        while all.contains(&is_there.as_str()) {
            is_there.push('_');
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
                "update {target} as target set {set} from changed as staged where staged.{is_there} and {same} returning 1"
            ),
        };
        let merge = format!(
            "with changed as materialized (
                 select staged.*, target.{key} is not null as {is_there}
                 from {} as staged left join {target} as target on {same}
                 where target.{key} is null or ({differs})
             ),
             updated as ({update}),
             inserted as (
                 insert into {target} ({}) select {} from changed as staged where not staged.{is_there} returning 1
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

    /// How many staged rows are older than what the target has.
    async fn older(&self, update_key: Option<&str>) -> Asked<u64> {
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

    async fn is(&self, question: &str) -> Asked<bool> {
        Ok(self.transaction.query_one(question, &[]).await?.get(0))
    }
}

/// Whether a staged row is older than the target's; one without a time is older than any that has one.
fn is_older(newer: &str) -> String {
    let newer = quoted(newer);
    format!("target.{newer} is not null and (staged.{newer} is null or staged.{newer} < target.{newer})")
}
