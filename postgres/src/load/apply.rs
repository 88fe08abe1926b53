//! One transaction that brings staged rows into their table.

use tokio_postgres::{Client, GenericClient, Transaction};

use super::settle::{Staged, check_whole};
use super::{Load, Mode, target};
use crate::sql::{list, list_of, quoted};
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
        let moved = format!("alter table {staging} rename to {name}; alter table {staged} set schema {schema}");
        transaction.batch_execute(&moved).await?;
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
            Mode::Append => counts.inserted = self.insert(None).await?,
            Mode::Overwrite if !has_key => {
                counts.deleted = transaction.execute(&format!("delete from {target}"), &[]).await?;
                counts.inserted = self.insert(None).await?;
            }
            Mode::Overwrite => {
                let same = self.same_key();
                let delete = format!(
                    "delete from {target} as target where not exists (select from {staging} as staged where {same})"
                );
                counts.deleted = transaction.execute(&delete, &[]).await?;
                counts.updated = self.update(None).await?;
                counts.inserted = self.insert(Some(&same)).await?;
                counts.unchanged = rows - counts.updated - counts.inserted;
            }
            Mode::Merge { update_key } => {
                counts.superseded = self.older(update_key.as_deref()).await?;
                counts.updated = self.update(update_key.as_deref()).await?;
                counts.inserted = self.insert(Some(&self.same_key())).await?;
                counts.unchanged = rows - counts.superseded - counts.updated - counts.inserted;
            }
        }
        transaction.batch_execute(&format!("drop table {staging}")).await?;
        Ok(counts)
    }

    /// Inserts what is staged; with a condition on `target`, only where no row of the target meets it.
    async fn insert(&self, unless: Option<&str>) -> Asked<u64> {
        let (staging, target) = (self.load.staging(), self.load.table.name());
        let columns: Vec<_> = self.load.table.columns().collect();
        let unless =
            unless.map(|condition| format!("where not exists (select from {target} as target where {condition})"));
        let insert = format!(
            "insert into {target} ({}) select {} from {staging} as staged {}",
            list(&columns),
            list_of("staged", columns.iter().copied()),
            unless.unwrap_or_default()
        );
        self.transaction.execute(&insert, &[]).await
    }

    /// Updates the rows that are other than what is staged, and not newer.
    async fn update(&self, update_key: Option<&str>) -> Asked<u64> {
        let table = &self.load.table;
        let others: Vec<_> = table.others().collect();
        if others.is_empty() {
            return Ok(0);
        }
        let set = others.iter().map(|name| format!("{0} = staged.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
        let not_newer = update_key.map(|newer| format!(" and not ({})", is_older(newer))).unwrap_or_default();
        let update = format!(
            "update {} as target set {set} from {} as staged where {} and row({}) is distinct from row({}){not_newer}",
            table.name(),
            self.load.staging(),
            self.same_key(),
            list_of("target", others.iter().copied()),
            list_of("staged", others.iter().copied()),
        );
        self.transaction.execute(&update, &[]).await
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
