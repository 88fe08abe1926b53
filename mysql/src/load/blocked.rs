//! Whose locks a transaction has waited for in vain, for the person who has to end that session or wait for it.

use super::{Load, Staged};
use crate::error::Error;
use crate::session::Session;

/// A lock was not free in time.
const TIMED_OUT: u16 = 1205;
/// How many sessions are named.
const SESSIONS: usize = 3;

/// The error of a transaction that did not get a lock in time, with the sessions that hold locks. The transaction has been
/// rolled back, so that its own are gone.
pub(super) async fn name_session(session: &mut Session, loads: &[(&Load, Staged)], error: Error) -> Error {
    if error.server().is_none_or(|server| server.code() != TIMED_OUT) {
        return error;
    }
    let Error::Statement { database, message, server, .. } = error else { return error };
    // Only the first error counts: what follows is a courtesy, for which the user may lack the right.
    let sql = format!(
        "select trx.trx_mysql_thread_id, process.user from information_schema.innodb_trx trx
         left join information_schema.processlist process on process.id = trx.trx_mysql_thread_id
         where trx.trx_rows_locked > 0 and trx.trx_mysql_thread_id <> connection_id() limit {SESSIONS}"
    );
    let sessions: Vec<(u64, Option<String>)> = session.query(&sql).await.unwrap_or_default();
    let tables: Vec<_> = loads.iter().map(|(load, _)| load.table.shown()).collect();
    let tables = tables.join(" or ");
    let (waited, help) = match sessions.is_empty() {
        true => (format!("a lock of {tables} was not free in time"), "start the run again"),
        false => {
            let named =
                sessions.iter().map(|(id, user)| format!("session {id} of user {}", user.as_deref().unwrap_or("?")));
            let named = named.collect::<Vec<_>>().join(", ");
            let waited = format!("a lock of {tables} was not free in time; {named} holds locks");
            (waited, "wait for that session, or end it (`kill`); then start the run again")
        }
    };
    let message = format!("{waited}: {message}");
    Error::Statement { database, message, help: format!("nothing was changed; {help}"), server }
}

/// The error of a run that did not get a table in time because another one writes it.
pub(super) fn by_another_run(session: &Session, target: &str) -> Error {
    Error::Table {
        database: session.database().to_string(),
        table: target.to_owned(),
        message: "another run is writing to it".to_owned(),
        help: "nothing was changed; start the run again when that one has ended".to_owned(),
    }
}
