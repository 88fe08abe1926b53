//! Which row a server has refused: its key, for the person who has to correct it.

use mysql_async::{Row, Value};

use super::{Load, Mode};
use crate::Error;
use crate::error::Refusal;
use crate::session::Session;
use crate::sql::{list, quoted};

/// How many rows are named.
const ROWS: usize = 3;

const DUPLICATE: [u16; 2] = [1062, 1586];
const IS_NULL: u16 = 1048;
/// A check constraint is not met: of MariaDB, of MySQL.
const CHECK: [u16; 2] = [4025, 3819];
/// What a server says of rows: keys, foreign keys, nulls, checks, values that do not fit, and errors that triggers raise.
const OF_ROWS: [u16; 17] =
    [1062, 1586, 1048, 1364, 1451, 1452, 1216, 1217, 4025, 3819, 1264, 1265, 1292, 1366, 1406, 1644, 1690];

/// The error of a server that has refused a row, with the keys of such rows where they can be found. The transaction has
/// been rolled back, so that the staging tables are as they were.
pub(super) async fn name_row(session: &mut Session, load: &Load, error: Error) -> Error {
    let Some(server) = error.server().filter(|server| OF_ROWS.contains(&server.code())).cloned() else { return error };
    let is_duplicate = DUPLICATE.contains(&server.code());
    let mut rows: Vec<String> = server.value().filter(|_| is_duplicate).map(str::to_owned).into_iter().collect();
    if let Some(found) = find(session, load, server.code(), server.message()).await {
        rows = found;
    }
    let advice = match is_duplicate && load.mode == Mode::Append {
        true => {
            "nothing was changed; if such rows are in the table already, `mode: insert` with a `primary_key` keeps those \
             and adds the new ones; otherwise reject them in the task, or correct them"
        }
        false => "nothing was changed; reject such rows in the task, or correct them",
    };
    let which = if rows.is_empty() { String::new() } else { format!("; for example: {}", rows.join(" | ")) };
    Error::Refused(Box::new(Refusal {
        database: session.database().to_string(),
        table: load.table.shown(),
        message: server.text(),
        rows,
        help: format!("{advice}{which}"),
        advice: advice.to_owned(),
        server,
    }))
}

/// The keys of staged rows that miss a `check` or `not null` constraint.
async fn find(session: &mut Session, load: &Load, code: u16, message: &str) -> Option<Vec<String>> {
    if load.table.primary_key.is_empty() {
        return None;
    }
    // The name of the column or of the constraint.
    let name = message.split(['\'', '`']).nth(1)?.to_owned();
    let condition = match code {
        IS_NULL => format!("{} is null", quoted(&name)),
        code if CHECK.contains(&code) => {
            let sql = "select check_clause from information_schema.check_constraints
                       where constraint_schema = ? and constraint_name = ? limit 1";
            let own = session.database().name().to_owned();
            let schema = load.table.schema.clone().unwrap_or(own);
            let constraint = name.rsplit('.').next().unwrap_or(&name).to_owned();
            let clause: Option<String> = session.query_first_with(sql, (schema, constraint)).await.ok()?;
            format!("not ({})", clause?)
        }
        _ => return None,
    };
    let key = list(&load.table.primary_key);
    let sql = format!("select {key} from {} where {condition} order by {key} limit {ROWS}", load.staging());
    let found: Vec<Row> = session.query(&sql).await.ok()?;
    let rows = found.into_iter().map(|row| {
        let values = row.unwrap().into_iter().zip(&load.table.primary_key);
        values.map(|(value, name)| format!("{name} = {}", shown(&value))).collect::<Vec<_>>().join(", ")
    });
    Some(rows.collect::<Vec<_>>()).filter(|rows| !rows.is_empty())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(true),
    }
}
