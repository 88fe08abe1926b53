//! A table as a new task has to know it: its columns in the types by which they are read, its key, the user's rights.

use weir_postgres::Database;

use super::catalogue::Column;
use super::reading::{declarable, is_text};
use super::snapshot::PostgresSnapshot;
use crate::database::Session;
use crate::error::{Error, Result};
use crate::source::described::{Described, DescribedColumn, WAIT};
use crate::source::table::{FoundColumn, missing};
use crate::system::stop::Stop;
use crate::task::SqlType;

/// Looks a table up. No row is read.
pub(in crate::source) async fn describe(database: &Database, table: &str) -> Result<Described> {
    let snapshot = PostgresSnapshot::open(database.clone(), WAIT, Stop::never()).await?;
    let described = of_table(&snapshot, table).await;
    snapshot.end().await;
    described
}

async fn of_table(snapshot: &PostgresSnapshot, name: &str) -> Result<Described> {
    let (schema, table) = name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
    let Some(found) = snapshot.look_up(schema, table).await? else {
        return Err(missing(snapshot, name, schema, table).await?);
    };
    if found.schema.contains('.') {
        let message =
            format!("its schema `{}` has a dot in its name, which `table` of a source cannot have", found.schema);
        return Err(Error::input(name, message, "write the task by hand, with a `query`"));
    }
    let sql = "select attname::text, attnotnull, has_column_privilege(attrelid, attnum, 'select'), \
                   array_position(indkey::int2[], attnum) \
               from pg_attribute left join pg_index on indrelid = attrelid and indisprimary \
               where attrelid = to_regclass($1) and attnum > 0 and not attisdropped";
    let rows = snapshot.client().query(sql, &[&found.name]).await;
    let rows = rows.map_err(|error| snapshot.address().statement_error(&error))?;
    let mut key: Vec<(i32, String)> = Vec::new();
    let (mut columns, mut forbidden) = (Vec::new(), Vec::new());
    for column in &found.columns {
        let Some(row) = rows.iter().find(|row| row.get::<_, &str>(0) == column.name) else { continue };
        let (is_not_null, may_read, place): (bool, bool, Option<i32>) = (row.get(1), row.get(2), row.get(3));
        if !may_read {
            forbidden.push(column.name.clone());
            continue;
        }
        key.extend(place.map(|place| (place, column.name.clone())));
        columns.push(of_column(column, is_not_null));
    }
    if columns.is_empty() {
        let user = snapshot.address().user();
        let message = match forbidden.is_empty() {
            true => "has no columns".to_owned(),
            false => format!("`{user}` has no right to read it, in {}", snapshot.address()),
        };
        let help = format!("as its owner: grant select on {} to {};", found.name, weir_postgres::sql::quoted(user));
        return Err(Error::input(name, message, help));
    }
    key.sort();
    let table = format!("{}.{}", found.schema, found.table);
    Ok(Described {
        table,
        columns,
        forbidden,
        unreadable: vec![],
        key: key.into_iter().map(|(_, name)| name).collect(),
    })
}

fn of_column(column: &Column, is_not_null: bool) -> DescribedColumn {
    let sql_type = declarable(column);
    let read_as_text = (sql_type.is_none() && !is_text(column)).then(|| column.kind.to_string());
    let is_ordered = column.order().is_some();
    let sql_type = sql_type.unwrap_or(SqlType::String);
    DescribedColumn { name: column.name.clone(), sql_type, read_as_text, is_not_null, is_ordered }
}
