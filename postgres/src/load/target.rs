//! The table that takes the rows, as it is.

use tokio_postgres::{Client, GenericClient};

use super::kind::{Fit, Kind};
use super::table::Table;
use super::{Load, Mode};
use crate::{Database, Result};

/// How a target can take the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is not there, and will be made.
    New,
    /// It is there; of the columns that are listed it takes only some values: those that fit the type.
    There(Vec<(String, Kind)>),
}

/// A column that is there.
struct Found {
    name: String,
    kind: Kind,
    not_null: bool,
    has_default: bool,
    is_generated: bool,
}

/// Whether a table is there.
pub(super) async fn exists(client: &impl GenericClient, table: &Table) -> Result<bool, tokio_postgres::Error> {
    let row = client.query_one("select to_regclass($1) is not null", &[&table.name()]).await?;
    Ok(row.get(0))
}

pub(super) async fn look(load: &Load, database: &Database, client: &Client) -> Result<Target> {
    let failed = |error| database.statement_error(&error);
    if !exists(client, &load.table).await.map_err(failed)? {
        if load.create {
            return Ok(Target::New);
        }
        let help = "make it, or let the task do it with `create: true`";
        return Err(load.error(database, "is not there", help));
    }
    let found = columns(client, &load.table).await.map_err(failed)?;
    let mut differences = Vec::new();
    let mut narrow = Vec::new();
    for column in &load.table.columns {
        let Some(there) = found.iter().find(|there| there.name == column.name) else {
            differences.push(format!("it has no column `{}`", column.name));
            continue;
        };
        if there.is_generated {
            differences.push(format!("its column `{}` is computed by the server", column.name));
        }
        match there.kind.takes(&column.kind) {
            Fit::All => {}
            Fit::Some => narrow.push((there.name.clone(), there.kind.clone())),
            Fit::None => differences
                .push(format!("its column `{}` is {}, and the rows have {}", column.name, there.kind, column.kind)),
        }
    }
    let is_filled =
        |there: &Found| !there.not_null || there.has_default || load.table.columns().any(|name| name == there.name);
    let unfilled = found.iter().filter(|there| !is_filled(there));
    differences.extend(unfilled.map(|there| format!("its column `{}` must have a value, and gets none", there.name)));
    let needs_key = matches!(load.mode, Mode::Merge { .. }) || !load.table.primary_key.is_empty();
    if needs_key && !has_unique_index(client, &load.table).await.map_err(failed)? {
        let key = load.table.primary_key.join(", ");
        differences.push(format!("it has no primary key, and no unique index, over just ({key})"));
    }
    if differences.is_empty() {
        return Ok(Target::There(narrow));
    }
    let help = "change the table, or the columns of the sink";
    Err(load.error(database, differences.join("; "), help))
}

async fn columns(client: &Client, table: &Table) -> Result<Vec<Found>, tokio_postgres::Error> {
    let sql = "select attname, format_type(atttypid, atttypmod), attnotnull, atthasdef or attidentity <> '', \
                   attgenerated <> '' or attidentity = 'a' \
               from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum";
    let rows = client.query(sql, &[&table.name()]).await?;
    let found = rows.iter().map(|row| Found {
        name: row.get(0),
        kind: Kind::of_name(row.get(1)),
        not_null: row.get(2),
        has_default: row.get(3),
        is_generated: row.get(4),
    });
    Ok(found.collect())
}

/// Whether the primary key that the load goes by is one that the server keeps.
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
