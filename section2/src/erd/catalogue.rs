//! Reads tables and their relations from the catalogue.

use weir_postgres::Database;
use weir_postgres::tokio_postgres::{Client, Error, IsolationLevel, Row, Transaction};

use super::{Column, Entities, Relation, Table};
use crate::Result;

/// One row per column; tables without columns have one row too.
const COLUMNS: &str = "
    select
        class.relname::text as table_name,
        obj_description(class.oid, 'pg_class') as table_comment,
        attribute.attname::text as column_name,
        attribute.attnum as number,
        format_type(attribute.atttypid, attribute.atttypmod) as type,
        attribute.attnotnull as not_null,
        col_description(class.oid, attribute.attnum) as column_comment
    from pg_class as class
    left join pg_attribute as attribute
        on attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
    where class.relnamespace = 'public'::regnamespace
        and class.relkind in ('r', 'p')
        and not class.relispartition
        and class.relname <> 'refinery_schema_history'
    order by class.relname::text collate \"C\", attribute.attnum
";

/// Keys that apply to all rows: no partial indexes and no indexes on expressions.
const KEYS: &str = "
    select
        class.relname::text as table_name,
        index.indisprimary as is_primary,
        (index.indkey::int2[])[0:index.indnkeyatts - 1] as numbers
    from pg_index as index
    join pg_class as class on class.oid = index.indrelid
    where class.relnamespace = 'public'::regnamespace
        and index.indisunique and index.indisvalid and index.indpred is null and index.indexprs is null
";

/// Without those that a partition inherits from its table.
const FOREIGN_KEYS: &str = "
    select
        child.relname::text as table_name,
        parent.relname::text as parent_name,
        parent.relnamespace = 'public'::regnamespace as parent_is_public,
        reference.conkey as numbers
    from pg_constraint as reference
    join pg_class as child on child.oid = reference.conrelid
    join pg_class as parent on parent.oid = reference.confrelid
    where reference.contype = 'f' and reference.conparentid = 0 and child.relnamespace = 'public'::regnamespace
    order by child.relname::text collate \"C\", parent.relname::text collate \"C\", reference.conkey,
        reference.conname::text collate \"C\"
";

/// Reads the tables of the schema `public`, sorted by name.
pub(super) async fn read(database: &Database, client: &mut Client) -> Result<Entities> {
    let entities = read_at_once(client).await;
    Ok(entities.map_err(|error| database.statement_error(&error))?)
}

/// In one snapshot: a concurrent migration is visible completely or not at all.
async fn read_at_once(client: &mut Client) -> Result<Entities, Error> {
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = builder.start().await?;
    // Type names must not depend on the search path of the session.
    transaction.batch_execute("set local search_path = public").await?;
    let entities = read_in(&transaction).await?;
    transaction.commit().await?;
    Ok(entities)
}

async fn read_in(transaction: &Transaction<'_>) -> Result<Entities, Error> {
    let mut tables: Vec<Numbered> = Vec::new();
    for row in transaction.query(COLUMNS, &[]).await? {
        let name: String = row.get("table_name");
        if tables.last().is_none_or(|last| last.table.name != name) {
            let table = Table { name, comment: row.get("table_comment"), columns: vec![], depth: 0 };
            tables.push(Numbered { table, numbers: vec![], keys: vec![] });
        }
        if let (Some(last), Some(number)) = (tables.last_mut(), row.get("number")) {
            last.numbers.push(number);
            last.table.columns.push(column(&row));
        }
    }
    for row in transaction.query(KEYS, &[]).await? {
        let Some(at) = position(&tables, row.get("table_name")) else { continue };
        let (is_primary, key) = (row.get("is_primary"), tables[at].columns(row.get("numbers")));
        for &column in &key {
            let column = &mut tables[at].table.columns[column];
            if is_primary { column.is_primary = true } else { column.is_unique = true }
        }
        tables[at].keys.push(key);
    }
    let mut relations = Vec::new();
    for row in transaction.query(FOREIGN_KEYS, &[]).await? {
        let Some(child) = position(&tables, row.get("table_name")) else { continue };
        let columns = tables[child].columns(row.get("numbers"));
        for &column in &columns {
            tables[child].table.columns[column].is_foreign = true;
        }
        if row.get("parent_is_public")
            && let Some(parent) = position(&tables, row.get("parent_name"))
        {
            // If the referring columns contain a key, no two rows refer to the same row.
            let is_one = tables[child].keys.iter().any(|key| key.iter().all(|column| columns.contains(column)));
            relations.push(Relation { child, parent, columns, is_one });
        }
    }
    Ok(Entities { tables: tables.into_iter().map(|numbered| numbered.table).collect(), relations })
}

/// A table while it is read: the catalogue's column numbers have gaps where columns were dropped.
struct Numbered {
    table: Table,
    numbers: Vec<i16>,
    keys: Vec<Vec<usize>>,
}

impl Numbered {
    fn columns(&self, numbers: Vec<i16>) -> Vec<usize> {
        numbers.iter().filter_map(|number| self.numbers.iter().position(|known| known == number)).collect()
    }
}

fn position(tables: &[Numbered], name: &str) -> Option<usize> {
    tables.iter().position(|numbered| numbered.table.name == name)
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get("column_name"),
        of: short(row.get("type")),
        is_not_null: row.get("not_null"),
        is_primary: false,
        is_foreign: false,
        is_unique: false,
        comment: row.get("column_comment"),
    }
}

/// The short name of a type whose standard name is long.
fn short(of: String) -> String {
    let (begin, zone) = match (of.strip_suffix(" with time zone"), of.strip_suffix(" without time zone")) {
        (Some(begin), _) => (begin, "tz"),
        (_, Some(begin)) => (begin, ""),
        _ => return of.replace("character varying", "varchar").replace("double precision", "float8"),
    };
    // The precision comes before the zone: timestamp(3) with time zone.
    match begin.split_once('(') {
        Some((name, precision)) => format!("{name}{zone}({precision}"),
        None => format!("{begin}{zone}"),
    }
}
