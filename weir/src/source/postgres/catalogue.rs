//! The columns and the size of a table, from the server's catalogue.

use weir_postgres::load::Kind;
use weir_postgres::sql::quoted;

use super::snapshot::Snapshot;
use crate::error::{Error, Result, nearest};

/// An existing table or view.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name in SQL.
    pub(super) name: String,
    /// The name of its schema; empty for a query.
    pub(super) schema: String,
    /// Its name there.
    pub(super) table: String,
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
        Ok(Self { name, schema: String::new(), table: String::new(), columns: columns.collect(), rows: None, bytes: 0 })
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
            schema: schema.to_owned(),
            table: table.to_owned(),
            columns: columns.collect(),
            rows: (rows >= 0.0 && bytes > 0).then_some(rows as usize),
            bytes: bytes.try_into().unwrap_or(0),
        }))
    }
}

/// The number of tables that an error lists.
const LISTED: usize = 12;

/// The error about a table that does not exist, with the nearest ones.
pub(super) async fn missing(snapshot: &Snapshot, shown: &str, schema: Option<&str>, table: &str) -> Result<Error> {
    let sql = "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition \
                   and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)' \
                   and has_schema_privilege(n.oid, 'usage') \
               order by 1, 2";
    let rows = snapshot.client().query(sql, &[]).await;
    let rows = rows.map_err(|error| snapshot.database().statement_error(&error))?;
    let known: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let full: Vec<String> = known.iter().map(|(schema, table)| format!("{schema}.{table}")).collect();
    let names: Vec<&str> = full.iter().map(String::as_str).collect();
    let tables: Vec<&str> = known.iter().map(|(_, table)| table.as_str()).collect();
    let of_table = |near: &str| names.iter().zip(&tables).find(|(_, table)| **table == near).map(|(name, _)| *name);
    let near = match schema {
        // The schema may be the wrong part.
        Some(schema) => of_table(table).or_else(|| nearest(&format!("{schema}.{table}"), &names)),
        None => nearest(table, &tables).and_then(of_table),
    };
    let listed = match names.len() {
        0 => "this user sees no tables there: check the database, and the rights on its schemas".to_owned(),
        count if count <= LISTED => format!("there are: {}", names.join(", ")),
        count => format!("there are {count} tables, the first ones are: {}", names[..LISTED].join(", ")),
    };
    let help = near.map_or(listed.clone(), |near| format!("is it `{near}`? {listed}"));
    Ok(Error::input(shown, format!("no such table or view in {}", snapshot.database()), help))
}
