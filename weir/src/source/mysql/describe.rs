//! A table as a new task has to know it: its columns in the types by which they are read, its key, the user's rights.

use std::path::PathBuf;

use weir_mysql::Database;

use super::catalogue::CatalogueColumn;
use super::kind::{Column, Kind};
use super::reading::{declarable, is_text};
use super::snapshot::MysqlSnapshot;
use crate::database::Session;
use crate::error::{Error, Result};
use crate::source::described::{Described, DescribedColumn, WAIT};
use crate::source::table::{FoundColumn, missing};
use crate::system::stop::Stop;
use crate::task::SqlType;

/// Looks a table up. No row is read.
pub(in crate::source) async fn describe(database: &Database, table: &str) -> Result<Described> {
    // No row goes into a folder.
    let snapshot = MysqlSnapshot::open(database.clone(), WAIT, PathBuf::new(), Stop::never()).await?;
    let described = of_table(&snapshot, table).await;
    snapshot.end().await;
    described
}

async fn of_table(snapshot: &MysqlSnapshot, name: &str) -> Result<Described> {
    let (schema, table) = name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
    let Some(found) = snapshot.look_up(schema, table).await? else {
        return Err(missing(snapshot, name, schema, table).await?);
    };
    let is_here = found.schema == snapshot.address().name();
    if !is_here && found.schema.contains('.') {
        let message =
            format!("its database `{}` has a dot in its name, which `table` of a source cannot have", found.schema);
        return Err(Error::input(name, message, "write the task by hand, with a `query`"));
    }
    let all = snapshot.columns_of(&found.schema, &found.table).await?;
    let key = snapshot.key_of(&found.schema, &found.table).await?;
    let (readable, forbidden): (Vec<_>, Vec<_>) = all.into_iter().partition(|column| column.may_read);
    let (unreadable, readable): (Vec<_>, Vec<_>) =
        readable.into_iter().partition(|column| column.column.kind == Kind::Other);
    let names = |columns: Vec<CatalogueColumn>| columns.into_iter().map(|column| column.column.name).collect();
    let (forbidden, unreadable): (Vec<String>, Vec<String>) = (names(forbidden), names(unreadable));
    if readable.is_empty() {
        let user = snapshot.address().user();
        let message = match forbidden.is_empty() {
            true => "has no columns that can be read".to_owned(),
            false => format!("`{user}` has no right to read it, in {}", snapshot.address()),
        };
        let help = format!("as an administrator: grant select on {} to '{user}';", found.name);
        return Err(Error::input(name, message, help));
    }
    let columns = readable.iter().map(|column| of_column(&column.column, column.is_not_null)).collect();
    let table = if is_here { found.table } else { format!("{}.{}", found.schema, found.table) };
    Ok(Described { table, columns, forbidden, unreadable, key })
}

fn of_column(column: &Column, is_not_null: bool) -> DescribedColumn {
    let sql_type = declarable(column);
    let read_as_text = (sql_type.is_none() && !is_text(column)).then(|| column.shown.clone());
    let is_ordered = column.order().is_some();
    let sql_type = sql_type.unwrap_or(SqlType::String);
    DescribedColumn { name: column.name.clone(), sql_type, read_as_text, is_not_null, is_ordered }
}
