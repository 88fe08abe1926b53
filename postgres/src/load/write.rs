//! The rows of one staging table on their way into its target.

use tokio_postgres::Client;

use super::apply::QueryResult;
use super::deduplicate::{self, query_bool};
use super::trigger::{self, Update};
use super::{Counts, Deletion, Kind, Load, Mode, deletion, history};
use crate::sql::{list, list_of, literal, quoted};
use crate::{Database, Result};

/// A load within its transaction.
pub(super) struct Transfer<'a> {
    /// Its position among the loads.
    pub(super) number: usize,
    pub(super) load: &'a Load,
    pub(super) client: &'a Client,
    /// Rows in the staging table.
    pub(super) rows: u64,
    /// The target's identity, if it exists.
    pub(super) oid: Option<u32>,
}

impl Transfer<'_> {
    pub(super) async fn record(&self, counts: Counts) -> QueryResult<()> {
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
    pub(super) async fn promote_staging_table(&self) -> QueryResult<Counts> {
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
    pub(super) async fn delete(&self) -> QueryResult<u64> {
        let (staging, target) = (self.load.staging(), self.load.table.name());
        let others = match self.load.table.primary_key.is_empty() {
            true => "true".to_owned(),
            false => format!("not exists (select from {staging} as staged where {})", self.same_key()),
        };
        let deleted = match (&self.load.mode, &self.load.deletion) {
            (Mode::Overwrite, _) => others,
            (Mode::Replace { partition_by }, _) => format!("{} and {others}", self.is_in_partitions(partition_by)),
            (Mode::Merge { update_key }, Some(deletion)) => {
                let same = self.same_key();
                let gone =
                    format!("staged.{} and {same}{}", quoted(&deletion.marker), not_newer(update_key.as_deref()));
                if let Some(mark) = &deletion.mark {
                    let version = update_key.iter().map(|newer| format!(", {0} = staged.{0}", quoted(newer)));
                    let update = format!(
                        "update {target} as target set {}{} from {staging} as staged where {gone} and {}",
                        deletion::set(mark, true),
                        version.collect::<String>(),
                        deletion::is_not_set(mark, "target")
                    );
                    return self.client.execute(&update, &[]).await;
                }
                format!("exists (select from {staging} as staged where {gone})")
            }
            _ => return Ok(0),
        };
        self.client.execute(&format!("delete from {target} as target where {deleted}"), &[]).await
    }

    /// Whether a row of the target has the values of a row of the staging table in these columns, null or not.
    fn is_in_partitions(&self, columns: &[String]) -> String {
        let (staging, names) = (self.load.staging(), list(columns));
        let targets = list_of("target", columns.iter().map(String::as_str));
        let same = columns.iter().map(|name| format!("target.{0} is not distinct from staged.{0}", quoted(name)));
        let same = same.collect::<Vec<_>>().join(" and ");
        let is_null = |table: &str| {
            let is_null = columns.iter().map(|name| format!("{table}.{} is null", quoted(name)));
            is_null.collect::<Vec<_>>().join(" or ")
        };
        // A list of values is looked up by hash, which nulls cannot be.
        format!(
            "(({targets}) in (select {names} from {staging})
              or ({}) and exists (select from {staging} as staged where ({}) and {same}))",
            is_null("target"),
            is_null("staged")
        )
    }

    /// Writes the rows to an existing target, of which that many were deleted.
    pub(super) async fn write(&self, database: &Database, deleted: u64) -> Result<Counts> {
        let failed = |error| database.statement_error(&error);
        let mut counts = Counts::default();
        match &self.load.mode {
            Mode::Overwrite if !self.load.table.primary_key.is_empty() => {
                (counts.updated, counts.inserted) = self.merge(database, None).await?;
                counts.unchanged = self.rows - counts.updated - counts.inserted;
            }
            Mode::Replace { .. } if !self.load.table.primary_key.is_empty() => {
                (counts.updated, counts.inserted) = self.merge(database, None).await?;
                counts.unchanged = self.rows - counts.updated - counts.inserted;
            }
            Mode::Append | Mode::Overwrite | Mode::Replace { .. } => {
                counts.inserted = self.insert().await.map_err(failed)?;
                self.check(database, "inserted", self.rows, counts.inserted)?;
            }
            Mode::Insert => {
                (counts.updated, counts.inserted) = self.merge(database, None).await?;
                counts.unchanged = self.rows - counts.inserted;
            }
            Mode::Merge { update_key } => {
                counts.superseded = self.older(update_key.as_deref()).await.map_err(failed)?;
                (counts.updated, counts.inserted) = self.merge(database, update_key.as_deref()).await?;
                let written = counts.superseded + counts.updated + counts.inserted + deleted;
                counts.unchanged = self.rows - written;
            }
            Mode::History { update_key, columns } => {
                counts = history::write(self, database, update_key.as_deref(), columns).await?;
            }
        }
        self.client.batch_execute(&self.load.drop_staging()).await.map_err(failed)?;
        Ok(counts)
    }

    /// Fails if a statement has written other rows than it was given: a trigger or a rule has swallowed some.
    pub(super) fn check(&self, database: &Database, done: &str, given: u64, written: u64) -> Result<()> {
        if given == written {
            return Ok(());
        }
        let message = format!("{given} rows were to be {done}, and {written} were: a trigger or a rule keeps rows out");
        let help = "nothing was changed; drop the trigger or the rule, or reject such rows in the task";
        Err(self.load.error(database, message, help))
    }

    /// Inserts all rows of the staging table.
    pub(super) async fn insert(&self) -> QueryResult<u64> {
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
        let stays = match &self.load.deletion {
            Some(Deletion { marker, .. }) => format!("staged.{} is not true", quoted(marker)),
            None => "true".to_owned(),
        };
        let mark = self.load.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref());
        let mut set: Vec<_> = others.iter().map(|name| format!("{0} = staged.{0}", quoted(name))).collect();
        let mut differs: Vec<_> = (!others.is_empty()).then(|| self.differs(&others)).into_iter().collect();
        if let Some(mark) = mark {
            set.push(deletion::set(mark, false));
            differs.push(format!("not ({})", deletion::is_not_set(mark, "target")));
        }
        let changes_rows = self.load.mode != Mode::Insert && !set.is_empty();
        let differs = match changes_rows {
            true => format!("({}){}", differs.join(" or "), not_newer(update_key)),
            false => "false".to_owned(),
        };
        if changes_rows && mark.is_none() {
            let condition = format!("{stays} and {differs}");
            let update = Update { columns: &others, condition: &condition };
            trigger::drop_futile(self, &update).await.map_err(|error| database.statement_error(&error))?;
        }
        let set = set.join(", ");
        let update = match !changes_rows {
            true => "select 1 where false".to_owned(),
            false => format!(
                "update {target} as target set {set} from changed as staged where staged.{row_exists} and {same} returning 1"
            ),
        };
        // A column of the target that only says whether a row is deleted.
        let (also, none) = mark.map(|mark| (format!(", {}", quoted(&mark.column)), deletion::none(mark))).unzip();
        let (also, none) = (also.unwrap_or_default(), none.map(|none| format!(", {none}")).unwrap_or_default());
        let merge = format!(
            "with changed as materialized (
                 select staged.*, target.{key} is not null as {row_exists}
                 from {} as staged left join {target} as target on {same}
                 where {stays} and (target.{key} is null or ({differs}))
             ),
             updated as ({update}),
             inserted as (
                 insert into {target} ({}{also}) select {}{none} from changed as staged where not staged.{row_exists} returning 1
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

    /// Whether a row of the staging table differs from that of the target in these columns.
    pub(super) fn differs(&self, columns: &[&str]) -> String {
        let (target, staged) = (self.compared("target", columns), self.compared("staged", columns));
        format!("row({target}) is distinct from row({staged})")
    }

    /// Columns of one of the two tables as they are compared: text by its bytes, whatever a column's collation holds equal.
    pub(super) fn compared(&self, table: &str, columns: &[&str]) -> String {
        let compared = |name: &&str| {
            let column = self.load.table.columns.iter().find(|column| column.name == **name);
            let by_bytes = column.is_some_and(|of| of.kind == Kind::Text || of.cast.is_some());
            let by_bytes = if by_bytes { "::text collate \"C\"" } else { "" };
            let table = if table.is_empty() { String::new() } else { format!("{table}.") };
            format!("{table}{}{by_bytes}", quoted(name))
        };
        columns.iter().map(compared).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn same_key(&self) -> String {
        let same = |name: &String| format!("target.{0} = staged.{0}", quoted(name));
        self.load.table.primary_key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }
}

/// The condition, in addition to others, that the target's row is not newer.
fn not_newer(update_key: Option<&str>) -> String {
    update_key.map(|newer| format!(" and not ({})", is_older(newer))).unwrap_or_default()
}

/// Whether a staging row is older than the target's; a row without a version is older than any with one.
fn is_older(newer: &str) -> String {
    let newer = quoted(newer);
    format!("target.{newer} is not null and (staged.{newer} is null or staged.{newer} < target.{newer})")
}
