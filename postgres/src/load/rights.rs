//! The rights that a load needs, checked before anything is written.

use tokio_postgres::Client;

use super::{Load, Mode};
use crate::sql::{literal, quoted};
use crate::{Database, Result};

/// Fails if the user lacks a right to stage, publish or record the load; the help has the statements that grant them.
pub(super) async fn check(load: &Load, database: &Database, client: &Client, exists: bool) -> Result<()> {
    let failed = |error| database.statement_error(&error);
    let user: String = client.query_one("select current_user::text", &[]).await.map_err(failed)?.get(0);
    let user = quoted(&user);
    let mut missing = own_schema(client, &user).await.map_err(failed)?;
    let of_target = if exists { existing(load, client, &user).await } else { new(load, client, &user).await };
    missing.extend(of_target.map_err(failed)?);
    if missing.is_empty() {
        return Ok(());
    }
    let (what, statements): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    let help = format!("let an owner run: {}", statements.join("; "));
    Err(load.error(database, format!("user {user} may not {}", what.join(", ")), &help))
}

/// What is missing, and the statement that grants it.
type Missing = Vec<(String, String)>;

/// The schema of staging tables and of the ledger.
async fn own_schema(client: &Client, user: &str) -> Result<Missing, tokio_postgres::Error> {
    let row = client
        .query_one(
            "select to_regnamespace('weir') is not null,
                 has_database_privilege(current_database(), 'create'),
                 coalesce(has_schema_privilege(to_regnamespace('weir')::oid, 'create')
                     and has_schema_privilege(to_regnamespace('weir')::oid, 'usage'), false)",
            &[],
        )
        .await?;
    let (exists, may_create, may_use): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let mut missing = Missing::new();
    match (exists, may_create, may_use) {
        (false, false, _) => missing.push((
            "create the schema `weir`, where rows are staged and runs recorded".to_owned(),
            format!("create schema weir authorization {user}"),
        )),
        (true, _, false) => missing.push((
            "create tables in the schema `weir`, where rows are staged and runs recorded".to_owned(),
            format!("grant usage, create on schema weir to {user}"),
        )),
        (true, _, true) => missing.extend(ledger(client, user).await?),
        (false, true, _) => {}
    }
    Ok(missing)
}

async fn ledger(client: &Client, user: &str) -> Result<Missing, tokio_postgres::Error> {
    let row = client
        .query_opt(
            "select has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
                     and has_table_privilege(oid, 'update'),
                 pg_has_role(relowner, 'usage')
                     or exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'task')
             from pg_class where oid = to_regclass('weir.applied')",
            &[],
        )
        .await?;
    let Some(row) = row else { return Ok(vec![]) };
    let (may_write, is_current): (bool, bool) = (row.get(0), row.get(1));
    let mut missing = Missing::new();
    if !may_write {
        let grant = format!("grant select, insert, update on weir.applied to {user}");
        missing.push(("record runs in weir.applied".to_owned(), grant));
    }
    if !is_current {
        let alter = "alter table weir.applied add column if not exists task text".to_owned();
        missing.push(("add the column `task` to weir.applied".to_owned(), alter));
    }
    Ok(missing)
}

/// Of a table that exists. Locking it against other writers takes more than the right to insert.
async fn existing(load: &Load, client: &Client, user: &str) -> Result<Missing, tokio_postgres::Error> {
    let mut rights = vec!["select", "insert", "update"];
    let marks = load.deletion.as_ref().is_some_and(|deletion| deletion.mark.is_some());
    let deletes_marked = load.deletion.is_some() && !marks && matches!(load.mode, Mode::Merge { .. });
    if matches!(load.mode, Mode::Overwrite | Mode::Replace { .. }) || deletes_marked {
        rights.push("delete");
    }
    let mut lacking = Vec::new();
    for right in rights {
        let sql = "select has_table_privilege(to_regclass($1)::oid, $2)";
        let may: Option<bool> = client.query_one(sql, &[&load.table.name(), &right]).await?.get(0);
        if may != Some(true) {
            lacking.push(right);
        }
    }
    if lacking.is_empty() {
        return Ok(vec![]);
    }
    let lacking = lacking.join(", ");
    let grant = format!("grant {lacking} on {} to {user}", load.table.name());
    Ok(vec![(format!("{lacking} in the table"), grant)])
}

/// Fails if the user may not add columns to the table.
pub(super) async fn check_altering(load: &Load, database: &Database, client: &Client, added: &[String]) -> Result<()> {
    let failed = |error| database.statement_error(&error);
    let sql =
        "select pg_has_role(relowner, 'usage') and relkind in ('r', 'p') from pg_class where oid = to_regclass($1)";
    if client.query_one(sql, &[&load.table.name()]).await.map_err(failed)?.get::<_, Option<bool>>(0) == Some(true) {
        return Ok(());
    }
    let columns = load.table.columns.iter().filter(|column| added.contains(&column.name));
    let add = columns.map(|column| format!("add column {} {}", quoted(&column.name), column.kind));
    let help = format!("let an owner run: alter table {} {}", load.table.name(), add.collect::<Vec<_>>().join(", "));
    Err(load.error(database, format!("the user may not add the columns {}", added.join(", ")), &help))
}

/// Of a table that will be created.
async fn new(load: &Load, client: &Client, user: &str) -> Result<Missing, tokio_postgres::Error> {
    let schema = match &load.table.schema {
        Some(schema) => literal(schema),
        None => "current_schema()::text".to_owned(),
    };
    let sql = format!(
        "select {schema}, exists (select from pg_namespace where nspname = {schema}),
             coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = {schema}), false)"
    );
    let row = client.query_one(&sql, &[]).await?;
    let (schema, exists, may_create): (Option<String>, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let shown = schema.unwrap_or_else(|| "public".to_owned());
    let schema = quoted(&shown);
    Ok(match (exists, may_create) {
        (false, _) => {
            vec![(
                format!("use the schema `{shown}`, which does not exist"),
                format!("create schema {schema} authorization {user}"),
            )]
        }
        (true, false) => {
            vec![(
                format!("create tables in the schema `{shown}`"),
                format!("grant create on schema {schema} to {user}"),
            )]
        }
        (true, true) => vec![],
    })
}
