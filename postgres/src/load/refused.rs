//! Which row a server has refused: its key, for the person who has to correct it.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Load, Mode};
use crate::error::Refusal;
use crate::sql::{list, quoted};
use crate::{Database, Error};

/// How many rows are named.
const ROWS: usize = 3;

/// The error of a server that has refused a row, with the keys of such rows where they can be found. The transaction has
/// been rolled back, so that the staging tables are as they were.
pub(super) async fn name_row(database: &Database, client: &Client, loads: &[&Load], error: Error) -> Error {
    let Some(server) = error.server() else { return error };
    if !server.code().code().starts_with("23") {
        return error;
    }
    let (Some(table), message) = (server.table().map(str::to_owned), server.text()) else { return error };
    let found = loads.iter().filter(|load| load.table.name == table);
    let mut rows = server.row().map(|row| vec![row.to_owned()]).unwrap_or_default();
    for load in found.filter(|load| !load.table.primary_key.is_empty()) {
        // Only the first error counts: what follows is a courtesy.
        if let Some(found) = find(client, load, server.code(), server.column(), server.constraint()).await
            && !found.is_empty()
        {
            rows = found;
        }
    }
    if message.starts_with("no partition of relation") {
        // The detail names the values of the partition key, which may be private: the server's log has it.
        let advice = format!(
            "nothing was changed; create the partition that is missing, or one for all other rows: \
             `create table {table}_default partition of {table} default`; or reject such rows in the task"
        );
        let (database, server, help) = (database.to_string(), server.clone(), advice.clone());
        return Error::Refused(Box::new(Refusal { database, table, message, rows, help, advice, server }));
    }
    let which = if rows.is_empty() { String::new() } else { format!("; for example: {}", rows.join(" | ")) };
    let appended = loads.iter().any(|load| load.table.name == table && load.mode == Mode::Append);
    let key = server.row().and_then(columns_of).filter(|_| appended && *server.code() == SqlState::UNIQUE_VIOLATION);
    let advice = match key {
        Some(key) => format!(
            "nothing was changed; if such rows are in the table already, `mode: insert` with `primary_key: [{key}]` keeps \
             those and adds the new ones; otherwise reject them in the task, or correct them"
        ),
        None => "nothing was changed; reject such rows in the task, or correct them".to_owned(),
    };
    let (database, server, help) = (database.to_string(), server.clone(), format!("{advice}{which}"));
    Error::Refused(Box::new(Refusal { database, table, message, rows, help, advice, server }))
}

/// The columns in `(code, day)=(A, 2024-01-01)`, without the values; `None` if they are computed.
fn columns_of(row: &str) -> Option<&str> {
    let columns = row.strip_prefix('(')?.split_once(")=(")?.0;
    columns.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' ')).then_some(columns)
}

/// The keys of staged rows that miss a `check` or `not null` constraint.
async fn find(
    client: &Client,
    load: &Load,
    code: &SqlState,
    column: Option<&str>,
    constraint: Option<&str>,
) -> Option<Vec<String>> {
    let condition = match (column, constraint) {
        (Some(column), _) if *code == SqlState::NOT_NULL_VIOLATION => format!("{} is null", quoted(column)),
        (_, Some(constraint)) if *code == SqlState::CHECK_VIOLATION => {
            let sql = "select pg_get_expr(conbin, conrelid) from pg_constraint
                       where conrelid = to_regclass($1) and conname = $2 and contype = 'c'";
            let row = client.query_opt(sql, &[&load.table.name(), &constraint]).await.ok()??;
            format!("not ({})", row.get::<_, Option<String>>(0)?)
        }
        _ => return None,
    };
    let key = list(&load.table.primary_key);
    let sql = format!("select {key} from {} where {condition} order by {key} limit {ROWS}", load.staging());
    let answer = client.simple_query(&sql).await.ok()?;
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let value = |(place, name): (usize, &String)| format!("{name} = {}", row.get(place).unwrap_or("null"));
            Some(load.table.primary_key.iter().enumerate().map(value).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    });
    Some(rows.collect())
}
