//! Whose locks a transaction waits for, or has waited for in vain: for the person who has to end that session or wait for it.

use std::pin::pin;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Load;
use crate::error::Error;
use crate::statement::ServerError;

/// How many sessions are named.
const SESSIONS: i64 = 3;

/// How long a lock is waited for in silence.
const SILENCE: Duration = Duration::from_secs(1);

/// Carries out a statement that takes no time but for the lock of a table, and says so if it waits for it.
pub(super) async fn told<T>(table: &str, statement: impl Future<Output = T>) -> T {
    let mut statement = pin!(statement);
    if let Ok(done) = tokio::time::timeout(SILENCE, &mut statement).await {
        return done;
    }
    tracing::warn!("waiting for a lock of {table}, which another session has");
    statement.await
}

/// The error of a transaction that did not get a lock in time, with the sessions that have locks of its tables. The
/// transaction has been rolled back, so that its own are gone.
pub(super) async fn name_session(client: &Client, loads: &[&Load], error: Error) -> Error {
    if error.server().map(ServerError::code) != Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return error;
    }
    let Error::Statement { database, message, server, .. } = error else { return error };
    // Only the first error counts: what follows is a courtesy.
    let sessions = sessions(client, loads).await.unwrap_or_default();
    let (waited, help) = match sessions.is_empty() {
        true => {
            let tables: Vec<_> = loads.iter().map(|load| load.table.shown()).collect();
            (format!("a lock of {} was not free in time", tables.join(" or ")), "start the run again")
        }
        false => (sessions.join("; "), "wait for that session, or end it; then start the run again"),
    };
    let message = format!("{waited}: {message}");
    Error::Statement { database, message, help: format!("nothing was changed; {help}"), server }
}

/// The other sessions with locks of the tables that more than readers have.
async fn sessions(client: &Client, loads: &[&Load]) -> Result<Vec<String>, tokio_postgres::Error> {
    let names: Vec<String> = loads.iter().map(|load| load.table.name()).collect();
    let sql = "select distinct format('table %s is locked by process %s of user %s%s', l.relation::regclass, l.pid,
                   coalesce(a.usename, '?'), ' (' || nullif(a.application_name, '') || ')')
               from pg_locks l left join pg_stat_activity a using (pid)
               where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock'
                 and l.database = (select oid from pg_database where datname = current_database())
                 and l.relation in (select to_regclass(name)::oid from unnest($1::text[]) as name)
               order by 1 limit $2";
    let rows = client.query(sql, &[&names, &SESSIONS]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
