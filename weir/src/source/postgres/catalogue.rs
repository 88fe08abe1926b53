//! The columns and the size of a table, from the server's catalogue.

use weir_postgres::load::Kind;
use weir_postgres::sql::quoted;

use super::snapshot::Snapshot;
use crate::error::Result;

/// An existing table or view.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name in SQL.
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The estimated number of rows, if the server has one.
    pub(super) rows: Option<usize>,
    /// The bytes that they take on the server's disk.
    pub(super) bytes: u64,
}

/// A column of it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type; for a domain the underlying one.
    pub(super) kind: Kind,
    /// The type's name without sizes, as in the catalogue.
    pub(super) type_name: String,
    /// Whether the type is an enumeration.
    pub(super) is_enum: bool,
}

impl Found {
    /// Describes the result of a query, which is not executed.
    pub(super) async fn of_query(snapshot: &Snapshot, sql: &str) -> Result<Self> {
        let failed = |error| snapshot.database().statement_error(&error);
        // A line of its own: the query may end with a comment.
        let name = format!("({sql}\n) as query");
        let described = snapshot.client().prepare(&format!("select * from {name}")).await.map_err(failed)?;
        let (types, modifiers): (Vec<u32>, Vec<i32>) =
            described.columns().iter().map(|column| (column.type_().oid(), column.type_modifier())).unzip();
        let sql = "select format_type(given.type, given.modifier), pg_type.typname, pg_type.typtype = 'e' \
                   from unnest($1::oid[], $2::int4[]) with ordinality as given(type, modifier, number) \
                   join pg_type on pg_type.oid = given.type order by number";
        let kinds = snapshot.client().query(sql, &[&types, &modifiers]).await.map_err(failed)?;
        let columns = described.columns().iter().zip(&kinds).map(|(column, row)| Column {
            name: column.name().to_owned(),
            kind: Kind::of_name(row.get(0)),
            type_name: row.get(1),
            is_enum: row.get(2),
        });
        Ok(Self { columns: columns.collect(), name, rows: None, bytes: 0 })
    }

    /// Looks up the table; returns `None` if it does not exist.
    pub(super) async fn find(snapshot: &Snapshot, schema: Option<&str>, table: &str) -> Result<Option<Self>> {
        let failed = |error| snapshot.database().statement_error(&error);
        let name = schema.iter().copied().chain([table]).map(quoted).collect::<Vec<_>>().join(".");
        let sql = "select c.oid, n.nspname, c.relname, c.reltuples::float8, \
                       case when c.relkind in ('r', 'm', 'p') then pg_table_size(c.oid) else 0 end \
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')";
        let Some(row) = snapshot.client().query_opt(sql, &[&name]).await.map_err(failed)? else { return Ok(None) };
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
        let columns = snapshot.client().query(sql, &[&oid]).await.map_err(failed)?;
        let columns = columns.iter().map(|row| Column {
            name: row.get(0),
            kind: Kind::of_name(row.get(1)),
            type_name: row.get(2),
            is_enum: row.get(3),
        });
        let (rows, bytes): (f64, i64) = (row.get(3), row.get(4));
        Ok(Some(Self {
            name: format!("{}.{}", quoted(schema), quoted(table)),
            columns: columns.collect(),
            rows: (rows >= 0.0 && bytes > 0).then_some(rows as usize),
            bytes: bytes.try_into().unwrap_or(0),
        }))
    }
}
