//! The staging table: its rows come by `INSERT`s of many rows, and are deduplicated before they are applied.

use tokio_postgres::Client;

use super::{Literals, Names, Session, column_definitions, free, is_history, kind_of, staging_name};
use crate::load::deduplicate::repeated_keys;
use crate::load::{Deletion, Kind, Load, Mode, SCHEMA, Staged, Table, blocked};
use crate::sql::{list, quoted};
use crate::{Database, Result};

/// A staging table that takes rows by statements, all in one transaction: see [`Load::begin_staging`](crate::load::Load).
#[derive(Clone, Debug)]
pub struct Insert {
    statement: String,
    literals: Literals,
}

impl Insert {
    /// How the server reads literals.
    pub fn literals(&self) -> Literals {
        self.literals
    }

    /// Inserts rows: `(1, 'a'), (2, 'b')`, with the table's columns in their order. The statement must have less than 16 MB.
    ///
    /// # Errors
    /// That of the server.
    pub async fn send(&self, client: &Client, rows: &str) -> Result<(), tokio_postgres::Error> {
        client.batch_execute(&format!("{} {rows}", self.statement)).await
    }

    /// Commits them.
    ///
    /// # Errors
    /// That of the server.
    pub async fn finish(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        client.batch_execute("commit").await
    }
}

/// Makes the staging table, and the ledger if there is none.
pub(in crate::load) async fn begin_insert(load: &Load, database: &Database, client: &Client) -> Result<Insert> {
    let session = Session::of(database, client).await?;
    create_ledger(&session).await?;
    let names = Names::of(load, &session);
    let mut columns: Vec<&str> = load.table.columns().collect();
    let mut definitions = column_definitions(&load.table);
    if let Some(Deletion { marker, .. }) = &load.deletion {
        definitions += &format!(", {} boolean", quoted(marker));
        columns.push(marker);
    }
    session.run(&format!("drop table if exists {}", names.staging)).await?;
    session.run(&format!("create table {} ({definitions})", names.staging)).await?;
    session.run("begin").await?;
    let statement = format!("insert into {} ({}) values", names.staging, list(&columns));
    Ok(Insert { statement, literals: session.literals })
}

/// The ledger of applied loads, as far as it is not there. `number` is the order in which they were applied, whatever the
/// clocks are.
async fn create_ledger(session: &Session<'_>) -> Result<()> {
    if session.relation(SCHEMA, "applied").await?.is_some() {
        return Ok(());
    }
    if !session.has("select 1 from pg_namespace where nspname = 'weir'").await? {
        let made = session.run("create schema if not exists weir").await;
        // Another session may have made it at the same time.
        if made.is_err() && !session.has("select 1 from pg_namespace where nspname = 'weir'").await? {
            return made;
        }
    }
    let ledger = "create table if not exists weir.applied (
            number bigint not null,
            run varchar(1024) not null,
            sink varchar(1024) not null,
            target varchar(1024) not null,
            applied_at timestamptz not null,
            inserted bigint not null,
            updated bigint not null,
            unchanged bigint not null,
            superseded bigint not null,
            deleted bigint not null,
            task varchar(1024)
        )";
    let made = session.run(ledger).await;
    if made.is_err() && session.relation(SCHEMA, "applied").await?.is_none() {
        return made;
    }
    Ok(())
}

/// The number of rows in the staging table; none if it does not exist.
pub(super) async fn count(load: &Load, session: &Session<'_>) -> Result<Option<u64>> {
    match session.has_staging(load).await? {
        true => session.count(&Names::of(load, session).staging).await.map(Some),
        false => Ok(None),
    }
}

pub(in crate::load) async fn is_complete(
    load: &Load,
    database: &Database,
    client: &Client,
    staged: Staged,
) -> Result<bool> {
    Ok(count(load, &Session::of(database, client).await?).await? == Some(staged.rows))
}

/// Fails unless the staging table has all its rows.
pub(super) async fn check_complete(load: &Load, session: &Session<'_>, rows: u64) -> Result<()> {
    let help = "the table is unchanged; run the task again to read its input again";
    match count(load, session).await? {
        Some(left) if left == rows => Ok(()),
        Some(left) => Err(load.error(session.database, format!("its staging table has {left} of {rows} rows"), help)),
        None => Err(load.error(session.database, "its staging table does not exist any more", help)),
    }
}

/// How long a lock of the staging table is waited for.
const DROP_TIMEOUT: &str = "set statement_timeout to 5000";

pub(in crate::load) async fn discard(load: &Load, database: &Database, client: &Client) -> Result<()> {
    let session = Session::of(database, client).await?;
    session.run(DROP_TIMEOUT).await?;
    let drop = format!("drop table if exists {}", Names::of(load, &session).staging);
    blocked::told("a staging table", session.run(&drop)).await?;
    session.run("reset statement_timeout").await
}

pub(in crate::load) async fn deduplicate(
    load: &Load,
    database: &Database,
    client: &Client,
    rows: u64,
) -> Result<Staged> {
    let session = Session::of(database, client).await?;
    check_complete(load, &session, rows).await?;
    let key = key_of_rows(load);
    let staging = Names::of(load, &session).staging;
    let repeated = |columns: &str, rows: &str| {
        format!("select 1 from {rows} as staged group by {columns} having count(*) > 1 limit 1")
    };
    if load.table.primary_key.is_empty() || !session.has(&repeated(&list(&key), &staging)).await? {
        return Ok(Staged { rows, superseded: 0 });
    }
    let order = match &load.mode {
        Mode::Merge { update_key } => update_key.as_ref(),
        _ => None,
    };
    // Rows of a key and, where there is one, of a version must not differ.
    let apart: Vec<&String> = key.iter().chain(order.filter(|order| !key.contains(order))).collect();
    let distinct = format!("(select distinct {} from {staging})", exact(&load.table, &apart, load.deletion.as_ref()));
    if session.has(&repeated(&list(&apart), &distinct)).await? {
        return Err(repeated_keys(load, database, &key, order.is_some()));
    }
    session.run("begin").await?;
    let kept = keep_newest(load, &session, &key, order).await;
    match kept {
        Ok(()) => session.run("commit").await?,
        // A session that is lost has no transaction any more.
        Err(_) => session.run("rollback").await.unwrap_or_default(),
    }
    kept?;
    let left = session.count(&staging).await?;
    Ok(Staged { rows: left, superseded: rows - left })
}

/// The columns of which each value may be there once.
fn key_of_rows(load: &Load) -> Vec<String> {
    let mut key = load.table.primary_key.clone();
    if let Mode::History { update_key, .. } = &load.mode {
        // Each time of a key is a version of its own.
        key.extend(update_key.clone().filter(|_| is_history(load)));
    }
    key
}

/// All columns; texts outside of the key by their digest, because the server holds some equal that differ.
fn exact(table: &Table, key: &[&String], deletion: Option<&Deletion>) -> String {
    let value = |name: &str| {
        let column = quoted(name);
        match kind_of(table, name) {
            Kind::Text | Kind::Varchar(_) if !key.iter().any(|of_key| *of_key == name) => {
                format!("md5({column}) as {column}")
            }
            _ => column,
        }
    };
    let marker = deletion.map(|deletion| quoted(&deletion.marker));
    table.columns().map(value).chain(marker).collect::<Vec<_>>().join(", ")
}

/// Makes the staging table anew with the newest row of each key. A row has no address by which it could be deleted.
async fn keep_newest(load: &Load, session: &Session<'_>, key: &[String], order: Option<&String>) -> Result<()> {
    let staging = Names::of(load, session).staging;
    let mut columns: Vec<&str> = load.table.columns().collect();
    columns.extend(load.deletion.as_ref().map(|deletion| deletion.marker.as_str()));
    let newest = quoted(&format!("{}_newest", staging_name(load)));
    let place = quoted(&free("place", &columns));
    let (key, columns) = (list(key), list(&columns));
    let order = order.map_or(key.clone(), |order| format!("{} desc nulls last", quoted(order)));
    let select = format!(
        "create table {SCHEMA}.{newest} as select {columns} from (
             select {columns}, row_number() over (partition by {key} order by {order}) as {place} from {staging}
         ) as ranked where {place} = 1"
    );
    session.run(&select).await?;
    session.run(&format!("drop table {staging}")).await?;
    session.run(&format!("alter table {SCHEMA}.{newest} rename to {}", quoted(&staging_name(load)))).await
}
