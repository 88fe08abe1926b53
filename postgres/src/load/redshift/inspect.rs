//! Inspection of the table to load, and the rights that it takes.

use tokio_postgres::Client;

use super::{MOST_BYTES, Relation, Session};
use crate::load::target::{Comparison, ExistingColumn, TargetState};
use crate::load::{Applied, Kind, Load, Mode, SCHEMA};
use crate::sql::quoted;
use crate::{Database, Result};

pub(in crate::load) async fn inspect(load: &Load, database: &Database, client: &Client) -> Result<TargetState> {
    let session = Session::of(database, client).await?;
    let Some(relation) = session.target(&load.table).await? else {
        if load.create {
            check_rights(load, &session, None).await?;
            return Ok(TargetState::New);
        }
        let help = "create it, or set `create: true` in the sink; a table without a schema is looked for in the first one \
                    of the search path";
        return Err(load.error(database, "does not exist", help));
    };
    if relation.kind != "r" {
        let help = "name a table: what runs write is locked, and other writers wait";
        return Err(load.error(database, "is no table, and cannot be loaded", help));
    }
    check_rights(load, &session, Some(&relation)).await?;
    let found = columns(&session, &relation).await?;
    let mut compared = Comparison::of(load, client, &found).await.map_err(|error| database.statement_error(&error))?;
    // It takes as many bytes as a text can have.
    compared.narrower.retain(|(_, kind)| *kind != Kind::Varchar(MOST_BYTES));
    compared.check(load, database)?;
    let schema = load.table.schema.as_deref().unwrap_or(&session.schema);
    let name = &load.table.name;
    let one_row = format!("select 1 from {}.{} limit 1", quoted(schema), quoted(name));
    let is_empty = !session.has(&one_row).await?;
    let applied = applied(&session, &[name, &format!("{schema}.{name}")]).await?;
    Ok(compared.into_existing(load, format!("{database}, table {}", relation.oid), is_empty, &applied))
}

async fn columns(session: &Session<'_>, relation: &Relation) -> Result<Vec<ExistingColumn>> {
    let sql = format!(
        "select attname, format_type(atttypid, atttypmod), attnotnull, atthasdef from pg_attribute
         where attrelid = {} and attnum > 0 and not attisdropped order by attnum",
        relation.oid
    );
    let column = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || row.next().unwrap_or_default();
        let (name, kind) = (next(), Kind::of_name(&next()));
        let (not_null, has_default) = (next() == "t", next() == "t");
        ExistingColumn { name, kind, cast: None, not_null, has_default, is_generated: false }
    };
    Ok(session.rows(&sql).await?.into_iter().map(column).collect())
}

/// The loads that were applied to a table under one of its names, the last of each task and sink, newest first.
async fn applied(session: &Session<'_>, names: &[&str]) -> Result<Vec<Applied>> {
    if session.relation(SCHEMA, "applied").await?.is_none() {
        return Ok(vec![]);
    }
    let names: Vec<_> = names.iter().map(|name| session.literal(name)).collect();
    let sql = format!(
        "select run, sink, task from (
             select run, sink, task, number, row_number() over (partition by sink, task order by number desc) as place
             from weir.applied where target in ({})
         ) as ranked where place = 1 order by number desc",
        names.join(", ")
    );
    let applied = session.rows(&sql).await?.into_iter().map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        Applied { run: next().unwrap_or_default(), sink: next().unwrap_or_default(), task: next() }
    });
    Ok(applied.collect())
}

/// Fails if the user lacks a right; the help has the statements that grant what is missing.
async fn check_rights(load: &Load, session: &Session<'_>, target: Option<&Relation>) -> Result<()> {
    let user = quoted(&session.row("select current_user").await?.into_iter().next().flatten().unwrap_or_default());
    let mut missing = own_schema(session, &user).await?;
    match target {
        Some(relation) => missing.extend(of_existing(load, session, relation, &user).await?),
        None => missing.extend(of_new(load, session, &user).await?),
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (what, statements): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    let help = format!("let an owner run: {}", statements.join("; "));
    Err(load.error(session.database, format!("user {user} may not {}", what.join(", ")), &help))
}

/// What is missing, and the statement that grants it.
type Missing = Vec<(String, String)>;

impl Session<'_> {
    /// Whether the user has a right, by the function that tells it.
    async fn may(&self, function: &str, of: &str, right: &str) -> Result<bool> {
        let sql = format!("select {function}({}, '{right}')", self.literal(of));
        Ok(self.row(&sql).await?.first().is_some_and(|may| may.as_deref() == Some("t")))
    }

    async fn has_schema(&self, schema: &str) -> Result<bool> {
        self.has(&format!("select 1 from pg_namespace where nspname = {}", self.literal(schema))).await
    }
}

/// The schema of staging tables and of the ledger.
async fn own_schema(session: &Session<'_>, user: &str) -> Result<Missing> {
    if !session.has_schema(SCHEMA).await? {
        let sql = "select has_database_privilege(current_database(), 'create')";
        let may = session.row(sql).await?.first().is_some_and(|may| may.as_deref() == Some("t"));
        let what = "create the schema `weir`, where rows are staged and runs recorded".to_owned();
        return Ok(if may { vec![] } else { vec![(what, format!("create schema weir authorization {user}"))] });
    }
    for right in ["create", "usage"] {
        if !session.may("has_schema_privilege", SCHEMA, right).await? {
            let what = "create tables in the schema `weir`, where rows are staged and runs recorded".to_owned();
            return Ok(vec![(what, format!("grant usage, create on schema weir to {user}"))]);
        }
    }
    if session.relation(SCHEMA, "applied").await?.is_some() {
        // The lock of the ledger takes the right to delete.
        let rights = ["select", "insert", "update", "delete"];
        let lacking = lacking(session, "weir.applied", &rights).await?;
        if !lacking.is_empty() {
            let grant = format!("grant {} on weir.applied to {user}", lacking.join(", "));
            return Ok(vec![("record runs in weir.applied".to_owned(), grant)]);
        }
    }
    Ok(vec![])
}

async fn lacking<'r>(session: &Session<'_>, table: &str, rights: &[&'r str]) -> Result<Vec<&'r str>> {
    let mut lacking = Vec::new();
    for right in rights {
        if !session.may("has_table_privilege", table, right).await? {
            lacking.push(*right);
        }
    }
    Ok(lacking)
}

async fn of_existing(load: &Load, session: &Session<'_>, relation: &Relation, user: &str) -> Result<Missing> {
    let schema = load.table.schema.as_deref().unwrap_or(&session.schema);
    let name = format!("{}.{}", quoted(schema), quoted(&load.table.name));
    let rights: &[&str] = match load.mode {
        Mode::Append => &["select", "insert"],
        _ => &["select", "insert", "update", "delete"],
    };
    let lacking = lacking(session, &name, rights).await?.join(", ");
    let mut missing = Missing::new();
    if !lacking.is_empty() {
        missing.push((format!("{lacking} in the table"), format!("grant {lacking} on {name} to {user}")));
    }
    let is_owner =
        format!("select 1 from pg_user where usename = current_user and (usesuper or usesysid = {})", relation.owner);
    if load.adds_columns && !session.has(&is_owner).await? {
        missing.push(("add columns to the table".to_owned(), format!("alter table {name} owner to {user}")));
    }
    Ok(missing)
}

/// Of a table that will be created.
async fn of_new(load: &Load, session: &Session<'_>, user: &str) -> Result<Missing> {
    let schema = load.table.schema.as_deref().unwrap_or(&session.schema);
    let name = quoted(schema);
    if !session.has_schema(schema).await? {
        let what = format!("use the schema `{schema}`, which does not exist");
        return Ok(vec![(what, format!("create schema {name} authorization {user}"))]);
    }
    Ok(match session.may("has_schema_privilege", schema, "create").await? {
        true => vec![],
        false => {
            vec![(
                format!("create tables in the schema `{schema}`"),
                format!("grant create on schema {name} to {user}"),
            )]
        }
    })
}
