//! Inspection of the table to load.

use tokio_postgres::{Client, GenericClient};

use super::cast::Cast;
use super::kind::Kind;
use super::table::Table;
use super::{Applied, Fit, Load, Mode, cast, rights};
use crate::{Database, Result};

/// State of the target table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// It does not exist and will be created.
    New,
    /// It exists.
    Existing(Box<Existing>),
}

/// A target that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// The server, database and table, whatever name it is addressed by.
    pub identity: String,
    /// The columns with narrower types than the rows, so that not all values fit.
    pub narrower: Vec<(String, Kind)>,
    /// How values become those of columns of another type, so that not all values fit.
    pub casts: Vec<(String, Cast)>,
    /// The columns outside the key in which no value may be missing.
    pub not_null: Vec<String>,
    /// The columns that it lacks, and will get.
    pub added: Vec<String>,
    /// Whether the column that marks deleted rows is a boolean, if there is one.
    pub mark_is_boolean: bool,
    /// Whether it has no rows.
    pub is_empty: bool,
    /// The load that was applied to it last; none if there was none.
    pub last: Option<Applied>,
    /// The last one of the same task and sink.
    pub own: Option<Applied>,
}

/// A column of an existing table.
pub(super) struct ExistingColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// None if the server casts no values to it.
    pub(super) cast: Option<Cast>,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    pub(super) is_generated: bool,
}

impl ExistingColumn {
    fn is_time(&self) -> bool {
        match &self.cast {
            Some(cast) => ["date", "timestamp", "timestamptz"].contains(&cast.name.as_str()),
            None => matches!(self.kind, Kind::Date | Kind::Timestamp | Kind::TimestampTz),
        }
    }
}

/// The columns of an existing table beside those of the rows.
#[derive(Default)]
pub(super) struct Comparison {
    /// What keeps the table from being loaded.
    pub(super) differences: Vec<String>,
    /// Whether it lacks columns.
    lacks_columns: bool,
    pub(super) narrower: Vec<(String, Kind)>,
    pub(super) casts: Vec<(String, Cast)>,
    pub(super) not_null: Vec<String>,
    pub(super) added: Vec<String>,
    pub(super) mark_is_boolean: bool,
}

/// The identity of a table in its database, if it exists.
pub(super) async fn identity(client: &impl GenericClient, table: &Table) -> Result<Option<u32>, tokio_postgres::Error> {
    Ok(client.query_one("select to_regclass($1)::oid", &[&table.name()]).await?.get(0))
}

pub(super) async fn inspect(load: &Load, database: &Database, client: &Client) -> Result<TargetState> {
    let failed = |error| database.statement_error(&error);
    let Some(oid) = identity(client, &load.table).await.map_err(failed)? else {
        if load.create {
            rights::check(load, database, client, false).await?;
            return Ok(TargetState::New);
        }
        let help = "create it, or set `create: true` in the sink";
        return Err(load.error(database, "does not exist", help));
    };
    let kind = "select relkind::text from pg_class where oid = $1";
    let kind: String = client.query_one(kind, &[&oid]).await.map_err(failed)?.get(0);
    if let Some(what) = unloadable(&kind) {
        let help = "name a table: what runs write is locked, and other writers wait";
        return Err(load.error(database, format!("is {what}, which cannot be loaded"), help));
    }
    rights::check(load, database, client, true).await?;
    let found = columns(client, &load.table).await.map_err(failed)?;
    let mut compared = Comparison::of(load, client, &found).await.map_err(failed)?;
    let locks_out = matches!(load.mode, Mode::Insert | Mode::History { .. });
    let needs_key = !locks_out && !load.table.primary_key.is_empty();
    if needs_key && !has_unique_index(client, &load.table).await.map_err(failed)? {
        let key = load.table.primary_key.join(", ");
        if kind == "v" {
            let help = "name the table below the view; or load the view without a key, with `mode: append`, or with `mode: insert`";
            let message = format!("is a view, of which the server does not say whether ({key}) is unique");
            return Err(load.error(database, message, help));
        }
        compared.differences.push(format!("it has no primary key or unique index on exactly ({key})"));
    }
    if compared.differences.is_empty() && !compared.added.is_empty() {
        rights::check_altering(load, database, client, &compared.added).await?;
    }
    compared.check(load, database)?;
    let about =
        "select (pg_postmaster_start_time(), (select oid from pg_database where datname = current_database()))::text,
                     relnamespace::regnamespace::text, relname::text from pg_class where oid = $1";
    let about = client.query_one(about, &[&oid]).await.map_err(failed)?;
    let (server, schema, name): (String, String, String) = (about.get(0), about.get(1), about.get(2));
    let is_empty = format!("select not exists (select from {})", load.table.name());
    let is_empty = client.query_one(&is_empty, &[]).await.map_err(failed)?.get(0);
    let applied =
        applied(client, &[load.table.shown(), name.clone(), format!("{schema}.{name}")]).await.map_err(failed)?;
    Ok(compared.into_existing(load, format!("{server}, table {oid}"), is_empty, &applied))
}

impl Comparison {
    pub(super) async fn of(
        load: &Load,
        client: &Client,
        found: &[ExistingColumn],
    ) -> Result<Self, tokio_postgres::Error> {
        let mut compared = Self::default();
        for column in &load.table.columns {
            let Some(existing) = found.iter().find(|existing| existing.name == column.name) else {
                match load.adds_columns && !load.table.primary_key.contains(&column.name) {
                    true => compared.added.push(column.name.clone()),
                    false => {
                        compared.lacks_columns = true;
                        compared.differences.push(no_column(&column.name, found));
                    }
                }
                continue;
            };
            if existing.is_generated {
                compared.differences.push(format!("its column `{}` is generated by the server", column.name));
            }
            let cast = existing.cast.as_ref().filter(|cast| cast.takes(&column.kind));
            match (existing.kind.takes(&column.kind), cast) {
                (Fit::All, _) => {}
                (Fit::Some, _) => compared.narrower.push((existing.name.clone(), existing.kind.clone())),
                (Fit::None, Some(cast)) => match cast::check(client, cast, &column.kind).await? {
                    None => compared.casts.push((existing.name.clone(), cast.clone())),
                    Some(why) => {
                        compared.differences.push(format!("its column `{}` takes no text: {why}", column.name));
                    }
                },
                (Fit::None, None) => {
                    let (name, is, have) = (&column.name, &existing.kind, &column.kind);
                    compared.differences.push(format!("its column `{name}` is {is}, but the rows have {have}"));
                }
            }
        }
        for own in load.own_columns() {
            match found.iter().find(|existing| existing.name == own) {
                None => compared.differences.push(no_column(own, found)),
                Some(existing) if existing.kind == Kind::Boolean => compared.mark_is_boolean = true,
                Some(existing) if existing.is_time() => {}
                Some(existing) => {
                    let why = format!("its column `{own}` is {}, and cannot be a time", existing.kind);
                    compared.differences.push(why);
                }
            }
        }
        let is_own = |column: &&ExistingColumn| load.own_columns().any(|own| own == column.name);
        for column in found.iter().filter(|column| column.not_null && !column.has_default && !is_own(column)) {
            if !load.table.columns().any(|name| name == column.name) {
                let why = "is `not null` without a default, but the rows do not have it";
                compared.differences.push(format!("its column `{}` {why}", column.name));
            }
        }
        let may_be_null =
            |existing: &&ExistingColumn| !existing.not_null || load.table.primary_key.contains(&existing.name);
        let of_rows = |existing: &&ExistingColumn| load.table.columns().any(|name| name == existing.name);
        let not_null = found.iter().filter(of_rows).filter(|existing| !may_be_null(existing));
        compared.not_null = not_null.map(|existing| existing.name.clone()).collect();
        Ok(compared)
    }

    /// Fails if there are differences.
    pub(super) fn check(&self, load: &Load, database: &Database) -> Result<()> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let mut help = "convert the values in the model, choose the sink's `columns`, or change the table".to_owned();
        if self.lacks_columns && !load.adds_columns {
            help += "; `schema_changes: add` lets a run add the columns that the table lacks";
        }
        Err(load.error(database, self.differences.join("; "), &help))
    }

    /// `applied` are the loads that were applied to it, newest first.
    pub(super) fn into_existing(
        self,
        load: &Load,
        identity: String,
        is_empty: bool,
        applied: &[Applied],
    ) -> TargetState {
        let Self { narrower, casts, not_null, added, mark_is_boolean, .. } = self;
        let is_own = |of: &&Applied| of.sink == load.sink && (of.task.is_none() || of.task == load.task);
        let (last, own) = (applied.first().cloned(), applied.iter().find(is_own).cloned());
        TargetState::Existing(Box::new(Existing {
            identity,
            narrower,
            casts,
            not_null,
            added,
            mark_is_boolean,
            is_empty,
            last,
            own,
        }))
    }
}

/// What a relation is that cannot be loaded.
fn unloadable(kind: &str) -> Option<&'static str> {
    match kind {
        "f" => Some("a foreign table"),
        "m" => Some("a materialized view"),
        "S" => Some("a sequence"),
        "r" | "p" | "v" => None,
        _ => Some("no table"),
    }
}

/// That a table lacks a column; it may have one whose name differs by case.
fn no_column(name: &str, found: &[ExistingColumn]) -> String {
    match found.iter().find(|existing| existing.name.to_lowercase() == name.to_lowercase()) {
        Some(other) => {
            format!("it has no column `{name}`, but `{0}`: write {{{0}: {name}}} in the sink's `columns`", other.name)
        }
        None => format!("it has no column `{name}`"),
    }
}

/// The loads that were applied to a table under one of its names, the last of each task and sink, newest first.
async fn applied(client: &Client, names: &[String]) -> Result<Vec<Applied>, tokio_postgres::Error> {
    let task =
        "select exists (select from pg_attribute where attrelid = to_regclass('weir.applied') and attname = 'task'),
                    to_regclass('weir.applied') is not null";
    let row = client.query_one(task, &[]).await?;
    let (has_task, exists): (bool, bool) = (row.get(0), row.get(1));
    if !exists {
        return Ok(vec![]);
    }
    let task = if has_task { "task" } else { "null::text" };
    let sql = format!(
        "select run, sink, task from (
             select distinct on (sink, {task}) run, sink, {task} as task, applied_at
             from weir.applied where target = any ($1) order by sink, {task}, applied_at desc
         ) as last order by applied_at desc"
    );
    let rows = client.query(&sql, &[&names]).await?;
    Ok(rows.iter().map(|row| Applied { run: row.get(0), sink: row.get(1), task: row.get(2) }).collect())
}

async fn columns(client: &Client, table: &Table) -> Result<Vec<ExistingColumn>, tokio_postgres::Error> {
    // A domain is followed down to the type that it is made of.
    let sql = "with recursive below (attnum, type, typmod, not_null) as (
                   select attnum, atttypid, atttypmod, attnotnull from pg_attribute
                   where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
                   union all
                   select attnum, typbasetype, case typtypmod when -1 then typmod else typtypmod end,
                       not_null or typnotnull
                   from below join pg_type on oid = type where typtype = 'd'
               )
               select attname::text, format_type(atttypid, atttypmod), not_null, atthasdef or attidentity <> '',
                   attgenerated <> '' or attidentity = 'a',
                   quote_ident(nspname) || '.' || quote_ident(typname), typname::text, typcategory::text, typmod <> -1
               from below join pg_type on pg_type.oid = type join pg_namespace on pg_namespace.oid = typnamespace
                   join pg_attribute using (attnum)
               where typtype <> 'd' and attrelid = to_regclass($1) order by attnum";
    let rows = client.query(sql, &[&table.name()]).await?;
    let found = rows.iter().map(|row| ExistingColumn {
        name: row.get(0),
        kind: Kind::of_name(row.get(1)),
        not_null: row.get(2),
        has_default: row.get(3),
        is_generated: row.get(4),
        cast: Some(Cast {
            to: row.get(1),
            base: row.get(5),
            name: row.get(6),
            category: row.get(7),
            is_limited: row.get(8),
        }),
    });
    Ok(found.collect())
}

/// Whether the server enforces uniqueness of the load's primary key.
async fn has_unique_index(client: &Client, table: &Table) -> Result<bool, tokio_postgres::Error> {
    let sql = "select array_agg(attname::text) from pg_index \
               join pg_attribute on attrelid = indrelid and attnum = any (indkey) \
               where indrelid = to_regclass($1) and indisunique and indisvalid and indpred is null and indexprs is null \
               group by indexrelid";
    let rows = client.query(sql, &[&table.name()]).await?;
    let mut key = table.primary_key.clone();
    key.sort();
    Ok(rows.iter().any(|row| {
        let mut columns: Vec<String> = row.get(0);
        columns.sort();
        columns == key
    }))
}
