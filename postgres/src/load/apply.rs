//! The transaction that moves the staging tables' rows into their targets.

use std::collections::HashMap;

use tokio_postgres::{Client, GenericClient};

use super::deduplicate::{self, Staged, check_complete, query_bool};
use super::{Kind, Load, Mode, refused, target};
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
        if client.execute(enter, &values).await.map_err(failed)? == 0 {
            counts[number] = recorded_counts(load, client).await.map_err(failed)?.unwrap_or_default();
            client.batch_execute(&load.drop_staging()).await.map_err(failed)?;
            continue;
        }
        check_complete(load, database, client, staged.rows).await?;
        let identity = target::identity(client, &load.table).await.map_err(failed)?;
        if identity.is_none() && !load.create {
            let help = "nothing was changed; create the table again, and run the task again";
            return Err(load.error(database, "does not exist any more", help));
        }
        transfers.push(Transfer { number, load, client, rows: staged.rows, oid: identity });
    }
    // Other writers are blocked, so the counts are exact; readers are not. Always in the same order, so that two runs with
    // the same tables do not block each other.
    let mut targets: Vec<_> = transfers.iter().filter_map(|of| Some((of.oid?, of.load.table.name()))).collect();
    targets.sort_unstable();
    for (_, target) in targets {
        let lock = format!("lock table {target} in share row exclusive mode");
        client.batch_execute(&lock).await.map_err(failed)?;
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
            Some(_) => transfer.write(database).await?,
            None => transfer.promote_staging_table().await.map_err(failed)?,
        };
        let superseded = written.superseded + staged.superseded;
        counts[transfer.number] = Counts { deleted, superseded, ..written };
        transfer.record(counts[transfer.number]).await.map_err(failed)?;
    }
    client.batch_execute("set constraints all immediate").await.map_err(failed)?;
    Ok(counts)
}

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

/// A load within its transaction.
struct Transfer<'a> {
    /// Its position among the loads.
    number: usize,
    load: &'a Load,
    client: &'a Client,
    /// Rows in the staging table.
    rows: u64,
    /// The target's identity, if it exists.
    oid: Option<u32>,
}

type QueryResult<T> = Result<T, tokio_postgres::Error>;

impl Transfer<'_> {
    async fn record(&self, counts: Counts) -> QueryResult<()> {
        let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
        let [inserted, updated, unchanged, superseded, deleted] =
            [inserted, updated, unchanged, superseded, deleted].map(|count| count as i64);
        let sql = "update weir.applied set inserted = $3, updated = $4, unchanged = $5, superseded = $6, deleted = $7
                   where run = $1 and sink = $2";
        let Load { run, sink, .. } = self.load;
        self.client.execute(sql, &[run, sink, &inserted, &updated, &unchanged, &superseded, &deleted]).await?;
        Ok(())
    }

    /// Turns the staging table into the target.
    async fn promote_staging_table(&self) -> QueryResult<Counts> {
        let Self { load, client, .. } = self;
        let (staging, name) = (load.staging(), quoted(&load.table.name));
        let schema = match &load.table.schema {
            Some(schema) => quoted(schema),
            None => quoted(client.query_one("select current_schema()::text", &[]).await?.get(0)),
        };
        let staged = format!("weir.{name}");
        // The target was dropped in the meantime: the staging table becomes the target and must be durable.
        let is_unlogged = format!(
            "select relpersistence = 'u' from pg_class where oid = to_regclass('{}')",
            staging.replace('\'', "''")
        );
        if query_bool(*client, &is_unlogged).await? {
            client.batch_execute(&format!("alter table {staging} set logged")).await?;
        }
        let key = deduplicate::primary_key_name(load, *client).await?;
        let moved = format!("alter table {staging} rename to {name}; alter table {staged} set schema {schema}");
        client.batch_execute(&moved).await?;
        match &key {
            // The key is named after the staging table; it gets the usual name unless that is taken.
            Some(key) => {
                let usual = quoted(&format!("{}_pkey", load.table.name));
                let is_free = format!("select to_regclass({}) is null", literal(&format!("{schema}.{usual}")));
                if query_bool(*client, &is_free).await? {
                    let renamed = format!("alter table {schema}.{name} rename constraint {} to {usual}", quoted(key));
                    client.batch_execute(&renamed).await?;
                }
            }
            None => client.batch_execute(&load.table.key(&load.table.name()).unwrap_or_default()).await?,
        }
        for statement in load.table.post_create_ddl() {
            client.batch_execute(&statement).await?;
        }
        Ok(Counts { inserted: self.rows, ..Counts::default() })
    }

    /// Deletes the rows of an existing target that the load replaces and does not have; returns their number.
    async fn delete(&self) -> QueryResult<u64> {
        if self.load.mode != Mode::Overwrite {
            return Ok(0);
        }
        let (staging, target) = (self.load.staging(), self.load.table.name());
        let kept = match self.load.table.primary_key.is_empty() {
            true => String::new(),
            false => format!("where not exists (select from {staging} as staged where {})", self.same_key()),
        };
        self.client.execute(&format!("delete from {target} as target {kept}"), &[]).await
    }

    /// Writes the rows to an existing target.
    async fn write(&self, database: &Database) -> Result<Counts> {
        let failed = |error| database.statement_error(&error);
        let mut counts = Counts::default();
        match &self.load.mode {
            Mode::Overwrite if !self.load.table.primary_key.is_empty() => {
                (counts.updated, counts.inserted) = self.merge(database, None).await?;
                counts.unchanged = self.rows - counts.updated - counts.inserted;
            }
            Mode::Append | Mode::Overwrite => {
                counts.inserted = self.insert().await.map_err(failed)?;
                self.check(database, "inserted", self.rows, counts.inserted)?;
            }
            Mode::Merge { update_key } => {
                counts.superseded = self.older(update_key.as_deref()).await.map_err(failed)?;
                (counts.updated, counts.inserted) = self.merge(database, update_key.as_deref()).await?;
                counts.unchanged = self.rows - counts.superseded - counts.updated - counts.inserted;
            }
        }
        self.client.batch_execute(&self.load.drop_staging()).await.map_err(failed)?;
        Ok(counts)
    }

    /// Fails if a statement has written other rows than it was given: a trigger or a rule has swallowed some.
    fn check(&self, database: &Database, done: &str, given: u64, written: u64) -> Result<()> {
        if given == written {
            return Ok(());
        }
        let message = format!("{given} rows were to be {done}, and {written} were: a trigger or a rule keeps rows out");
        let help = "nothing was changed; drop the trigger or the rule, or reject such rows in the task";
        Err(self.load.error(database, message, help))
    }

    /// Inserts all rows of the staging table.
    async fn insert(&self) -> QueryResult<u64> {
        let columns: Vec<_> = self.load.table.columns().collect();
        let (target, columns) = (self.load.table.name(), list(&columns));
        let insert = format!("insert into {target} ({columns}) select {columns} from {}", self.load.staging());
        self.client.execute(&insert, &[]).await
    }

    /// Updates the rows that differ from the staging table and are not newer, and inserts the missing ones; returns
    /// both counts. The two tables are joined once, because most rows are often unchanged.
    async fn merge(&self, database: &Database, update_key: Option<&str>) -> Result<(u64, u64)> {
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
                self.compared("target", &others),
                self.compared("staged", &others)
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
             select (select count(*) from updated), (select count(*) from inserted),
                 (select count(*) from changed where {row_exists}), (select count(*) from changed where not {row_exists})",
            self.load.staging(),
            list(&all),
            list_of("staged", all.iter().copied()),
        );
        let row = self.client.query_one(&merge, &[]).await.map_err(|error| database.statement_error(&error))?;
        let [updated, inserted, to_update, to_insert] = [0, 1, 2, 3].map(|column| row.get::<_, i64>(column) as u64);
        self.check(database, "updated", to_update, updated)?;
        self.check(database, "inserted", to_insert, inserted)?;
        Ok((updated, inserted))
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
        Ok(self.client.query_one(&count, &[]).await?.get::<_, i64>(0) as u64)
    }

    /// Columns of one of the two tables as they are compared: text by its bytes, whatever a column's collation holds equal.
    fn compared(&self, table: &str, columns: &[&str]) -> String {
        let compared = |name: &&str| {
            let column = self.load.table.columns.iter().find(|column| column.name == **name);
            let by_bytes = column.is_some_and(|of| of.kind == Kind::Text || of.cast.is_some());
            let by_bytes = if by_bytes { "::text collate \"C\"" } else { "" };
            format!("{table}.{}{by_bytes}", quoted(name))
        };
        columns.iter().map(compared).collect::<Vec<_>>().join(", ")
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
