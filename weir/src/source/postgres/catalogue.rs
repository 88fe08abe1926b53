//! The columns and the size of a table, from the server's catalogue.

use weir_postgres::load::Kind;
use weir_postgres::sql::{literal, quoted};

use super::reading::declarable;
use super::snapshot::PostgresSnapshot;
use crate::error::Result;
use crate::source::table::{Found, FoundColumn, Newest, Order};

/// A column of a table, view or query.
#[derive(Debug, Clone)]
pub(in crate::source) struct Column {
    pub(super) name: String,
    /// Its type; for a domain the underlying one.
    pub(super) kind: Kind,
    /// The type's name without sizes, as in the catalogue.
    pub(super) type_name: String,
    /// Whether the type is an enumeration.
    pub(super) is_enum: bool,
}

impl PostgresSnapshot {
    /// Describes the result of a query, which is not executed.
    pub(super) async fn describe_query(&self, sql: &str) -> Result<Found<Column>> {
        let failed = |error| self.address().statement_error(&error);
        // A line of its own: the query may end with a comment.
        let name = format!("({sql}\n) as query");
        let described = self.client().prepare(&format!("select * from {name}")).await.map_err(failed)?;
        let (types, modifiers): (Vec<u32>, Vec<i32>) =
            described.columns().iter().map(|column| (column.type_().oid(), column.type_modifier())).unzip();
        let sql = "select format_type(given.type, given.modifier), pg_type.typname, pg_type.typtype = 'e' \
                   from unnest($1::oid[], $2::int4[]) with ordinality as given(type, modifier, number) \
                   join pg_type on pg_type.oid = given.type order by number";
        let kinds = self.client().query(sql, &[&types, &modifiers]).await.map_err(failed)?;
        let columns = described.columns().iter().zip(&kinds).map(|(column, row)| Column {
            name: column.name().to_owned(),
            kind: Kind::of_name(row.get(0)),
            type_name: row.get(1),
            is_enum: row.get(2),
        });
        Ok(Found {
            name,
            schema: String::new(),
            table: String::new(),
            columns: columns.collect(),
            rows: None,
            bytes: 0,
        })
    }

    /// Looks up the table; returns `None` if it does not exist.
    pub(super) async fn look_up(&self, schema: Option<&str>, table: &str) -> Result<Option<Found<Column>>> {
        let failed = |error| self.address().statement_error(&error);
        let name = schema.iter().copied().chain([table]).map(quoted).collect::<Vec<_>>().join(".");
        let sql = "select c.oid, n.nspname, c.relname, c.reltuples::float8, \
                       case when c.relkind in ('r', 'm', 'p') then pg_table_size(c.oid) else 0 end \
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')";
        let Some(row) = self.client().query_opt(sql, &[&name]).await.map_err(failed)? else { return Ok(None) };
        let (oid, schema, table): (u32, &str, &str) = (row.get(0), row.get(1), row.get(2));
        // A domain is read as its underlying type.
        let sql = "with recursive resolved(number, name, type, modifier) as ( \
                       select attnum, attname, atttypid, atttypmod from pg_attribute \
                       where attrelid = $1 and attnum > 0 and not attisdropped \
                       union all \
                       select number, name, typbasetype, case when modifier = -1 then typtypmod else modifier end \
                       from resolved join pg_type on oid = type where typtype = 'd') \
                   select name, format_type(type, modifier), typname, typtype = 'e' \
                   from resolved join pg_type on oid = type where typtype <> 'd' order by number";
        let columns = self.client().query(sql, &[&oid]).await.map_err(failed)?;
        let columns = columns.iter().map(|row| Column {
            name: row.get(0),
            kind: Kind::of_name(row.get(1)),
            type_name: row.get(2),
            is_enum: row.get(3),
        });
        let (rows, bytes): (f64, i64) = (row.get(3), row.get(4));
        Ok(Some(Found {
            name: format!("{}.{}", quoted(schema), quoted(table)),
            schema: schema.to_owned(),
            table: table.to_owned(),
            columns: columns.collect(),
            rows: (rows >= 0.0 && bytes > 0).then_some(rows as usize),
            bytes: bytes.try_into().unwrap_or(0),
        }))
    }

    /// The schemas and names of all tables and views that the user sees.
    pub(super) async fn all_tables(&self) -> Result<Vec<(String, String)>> {
        let sql = "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition \
                       and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)' \
                       and has_schema_privilege(n.oid, 'usage') \
                   order by 1, 2";
        let rows = self.client().query(sql, &[]).await;
        let rows = rows.map_err(|error| self.address().statement_error(&error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The newest value of a cursor, and whether others are null.
    pub(super) async fn newest_of(&self, from: &str, column: &Column, last: Option<&str>) -> Result<Newest> {
        let (name, kind) = (quoted(&column.name), &column.kind);
        let last = last.map_or("null".to_owned(), literal);
        let sql = format!(
            "select greatest(max({name}), {last}::{kind})::text, coalesce(max({name}) > {last}::{kind}, true), \
             exists (select from {from} where {name} is null) from {from}"
        );
        let row = self.client().query_one(&sql, &[]).await;
        let row = row.map_err(|error| self.address().statement_error(&error))?;
        let value: Option<String> = row.get(0);
        let is_endless = value.as_ref().is_some_and(|value| ["infinity", "Infinity", "NaN"].contains(&value.as_str()));
        Ok(Newest { value, has_new: row.get(1), has_nulls: row.get(2), is_endless })
    }
}

impl FoundColumn for Column {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> String {
        self.kind.to_string()
    }

    fn order(&self) -> Option<Order> {
        match &self.kind {
            Kind::SmallInt | Kind::Integer | Kind::BigInt | Kind::Numeric(_) => Some(Order::Number),
            Kind::Date | Kind::Timestamp | Kind::TimestampTz => Some(Order::Time),
            _ => None,
        }
    }

    fn help(&self) -> String {
        match (declarable(self), &self.kind) {
            (Some(known), _) => format!("declare it as `{known}` or `string`, or cast it in a `query`"),
            (None, Kind::Numeric(_)) => "declare it as `decimal(p,s)` or `string`, or cast it in a `query`".to_owned(),
            (None, _) => "declare it as `string`, or cast it in a `query`".to_owned(),
        }
    }
}
