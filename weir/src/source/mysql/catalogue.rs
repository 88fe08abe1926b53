//! The columns and the size of a table, from the server's catalogue.

use weir_database::DatabaseError;
use weir_mysql::sql::{literal, quoted};

use super::kind::{Column, TypeOf};
use super::serve::Answer;
use super::snapshot::MysqlSnapshot;
use crate::error::{Error, Result};
use crate::source::table::{Found, FoundColumn, Newest, Order, Snapshot};

impl MysqlSnapshot {
    /// Describes the result of a query, which is not executed.
    pub(super) async fn describe_query(&self, sql: &str) -> Result<Found<Column>> {
        // A line of its own: the query may end with a comment.
        let name = format!("({sql}\n) as query");
        let described = self.columns(format!("select * from {name}")).await?;
        let charsets = self.charsets().await?;
        let charset = |number: u16| charsets.iter().find(|(id, _)| *id == number).map(|(_, name)| name.clone());
        let columns = described.iter().map(|column| Column::of_query(column, &charset)).collect();
        Ok(Found { name, schema: String::new(), table: String::new(), columns, rows: None, bytes: 0 })
    }

    /// The character sets by the numbers of their collations.
    async fn charsets(&self) -> Result<Vec<(u16, String)>> {
        let sql = |table: &str| {
            format!(
                "select id, character_set_name from information_schema.{table} where id > 0 and character_set_name <> ''"
            )
        };
        // MariaDB has them all in one, MySQL in the other.
        let rows = match self.ask(sql("collation_character_set_applicability")).await {
            Ok(rows) => rows,
            Err(_) => self.ask(sql("collations")).await?,
        };
        Ok(rows.iter().filter_map(|row| Some((row.first()?.as_ref()?.parse().ok()?, row.get(1)?.clone()?))).collect())
    }

    /// Looks up the table; returns `None` if it does not exist.
    pub(super) async fn look_up(&self, schema: Option<&str>, table: &str) -> Result<Option<Found<Column>>> {
        let of_schema = schema.map_or_else(|| literal(self.address().name()), literal);
        let sql = format!(
            "select table_schema, table_name, table_rows, coalesce(data_length, 0), @@lower_case_table_names \
             from information_schema.tables where table_schema = {of_schema} and table_name = {}",
            literal(table)
        );
        let rows = self.ask(sql).await?;
        let is_exact = |row: &&Answer| text(row, 1) == table && schema.is_none_or(|schema| text(row, 0) == schema);
        let has_no_case = |row: &&Answer| text(row, 4) != "0";
        let Some(row) = rows.iter().find(is_exact).or_else(|| rows.iter().find(has_no_case)) else {
            let name = schema.into_iter().chain([table]).map(quoted).collect::<Vec<_>>().join(".");
            // The catalogue shows only tables to which the user has some right.
            self.check_right(&format!("select 1 from {name} limit 0")).await?;
            return Ok(None);
        };
        let (schema, table) = (text(row, 0), text(row, 1));
        let columns = self.columns_of(schema, table).await?.into_iter().map(|column| column.column).collect();
        let (rows, bytes) = (text(row, 2).parse().ok(), text(row, 3).parse().unwrap_or(0));
        Ok(Some(Found {
            name: format!("{}.{}", quoted(schema), quoted(table)),
            schema: schema.to_owned(),
            table: table.to_owned(),
            columns,
            rows: rows.filter(|_| bytes > 0),
            bytes,
        }))
    }

    /// The columns to which the user has some right.
    pub(super) async fn columns_of(&self, schema: &str, table: &str) -> Result<Vec<CatalogueColumn>> {
        let sql = format!(
            "select column_name, data_type, column_type, character_set_name, numeric_precision, numeric_scale, \
                 is_nullable, privileges \
             from information_schema.columns where table_schema = {} and table_name = {} order by ordinal_position",
            literal(schema),
            literal(table)
        );
        let columns = self.ask(sql).await?;
        let column = |row: &Answer| CatalogueColumn {
            column: Column::of(
                text(row, 0).to_owned(),
                &TypeOf {
                    name: text(row, 1),
                    full: text(row, 2),
                    charset: row.get(3).and_then(Option::as_deref),
                    digits: text(row, 4).parse().ok(),
                    scale: text(row, 5).parse().ok(),
                },
            ),
            is_not_null: text(row, 6) == "NO",
            may_read: text(row, 7).split(',').any(|right| right == "select"),
        };
        Ok(columns.iter().map(column).collect())
    }

    /// The columns of the primary key, in order.
    pub(super) async fn key_of(&self, schema: &str, table: &str) -> Result<Vec<String>> {
        let sql = format!(
            "select column_name from information_schema.statistics \
             where table_schema = {} and table_name = {} and index_name = 'PRIMARY' order by seq_in_index",
            literal(schema),
            literal(table)
        );
        Ok(self.ask(sql).await?.iter().map(|row| text(row, 0).to_owned()).collect())
    }

    /// The schemas and names of all tables and views that the user sees, first those of the connection's database.
    pub(super) async fn all_tables(&self) -> Result<Vec<(String, String)>> {
        let sql = "select table_schema, table_name from information_schema.tables \
                   where table_schema not in ('information_schema', 'mysql', 'performance_schema', 'sys') \
                   order by table_schema <> database(), 1, 2";
        let rows = self.ask(sql).await?;
        Ok(rows.iter().map(|row| (text(row, 0).to_owned(), text(row, 1).to_owned())).collect())
    }

    /// A table of an engine without transactions is in no snapshot.
    pub(super) async fn warn_about_engine(&self, found: &Found<Column>) -> Result<()> {
        let sql = format!(
            "select engine from information_schema.tables join information_schema.engines using (engine) \
             where table_schema = {} and table_name = {} and transactions = 'NO' \
                 and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')",
            literal(&found.schema),
            literal(&found.table)
        );
        if let Some(row) = self.ask(sql).await?.first() {
            tracing::warn!(
                "table {}.{} is not part of the snapshot that the run reads, because its engine {} has no transactions: \
                 rows that change meanwhile may not match those of other tables",
                found.schema,
                found.table,
                text(row, 0)
            );
        }
        Ok(())
    }

    /// Fails if the server says that a right is missing.
    pub(super) async fn check_right(&self, sql: &str) -> Result<()> {
        let is_other = |error: &dyn DatabaseError| !error.is_denied() && !error.is_connection_lost();
        match self.check(sql).await {
            Err(error) if error.of_database().is_some_and(is_other) => Ok(()),
            checked => checked,
        }
    }

    /// The newest value of a cursor, and whether others are null.
    pub(super) async fn newest_of(&self, from: &str, column: &Column, last: Option<&str>) -> Result<Newest> {
        let is_number = column.order() == Some(Order::Number);
        let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "+-.".contains(c));
        if let Some(last) = last.filter(|last| is_number && !is_digits(last)) {
            let message = format!("the cursor `{}` is {}, but `{last}` is no number", column.name, column.shown);
            let help = "restore its type, or rename the source to read everything again";
            return Err(Error::input(from, message, help));
        }
        let name = quoted(&column.name);
        let is_new = last.map_or("1".to_owned(), |last| format!("max({name}) > {}", Self::value(column, last)));
        // `is null` is true for some zero dates.
        let sql = format!(
            "select cast(max({name}) as char), coalesce({is_new}, 0), exists (select 1 from {from} where {name} <=> null) \
             from {from}"
        );
        let rows = self.ask(sql).await?;
        let Some(row) = rows.first() else { return Err(Error::internal("no newest value of a cursor")) };
        let has_new = text(row, 1) == "1";
        let newest = row.first().cloned().flatten();
        let value = if has_new { newest } else { last.map(str::to_owned) };
        let is_endless = !is_number && value.as_ref().is_some_and(|value| value.contains("-00"));
        Ok(Newest { value, has_new, has_nulls: text(row, 2) == "1", is_endless })
    }
}

/// A column, and what a new task has to know about it.
pub(super) struct CatalogueColumn {
    pub(super) column: Column,
    pub(super) is_not_null: bool,
    pub(super) may_read: bool,
}

fn text(row: &Answer, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}
