//! The consistent snapshot in which a run reads a database.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use tokio::sync::{mpsc, oneshot};
use weir_mysql::mysql_async::Column as DriverColumn;
use weir_mysql::sql::{literal, quoted};
use weir_mysql::{Database, Product};

use super::answer::Query;
use super::constant::constant;
use super::kind::{Column, Kind};
use super::query::QUOTES;
use super::reading::{Times, reading};
use super::serve::{Answer, Request, serve};
use crate::database::{SERVER_WAIT, Session};
use crate::error::{Error, Result};
use crate::format::columns;
use crate::format::text::OpenText;
use crate::source::table::{Begin, Compared, Found, FoundColumn, Lag, Newest, Order, Quotes, Reading, Snapshot};
use crate::system::stop::Stop;

/// Fixes which rows and values a query has, whatever the server or the user is configured to.
const FORMS: &str = "set session sql_mode = replace(replace(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', ''), \
                     'EMPTY_STRING_IS_NULL', ''), session sql_select_limit = 18446744073709551615, \
                     session sql_auto_is_null = 0, session sql_big_selects = 1";

/// Other time limits of a transaction than those that every session sets.
const MARIADB_LIMITS: &str = "set session idle_transaction_timeout = 0, session idle_readonly_transaction_timeout = 0";

/// The session that holds the snapshot, and reads everything.
pub(in crate::source) struct MysqlSnapshot {
    database: Database,
    requests: mpsc::UnboundedSender<Request>,
    stop: Stop,
    /// The session ends when this is dropped.
    _is_used: oneshot::Sender<()>,
}

impl MysqlSnapshot {
    /// Begins the transaction; `wait` is how long a server that cannot be reached is waited for.
    pub(super) async fn open(database: Database, wait: Duration, scratch: PathBuf, stop: Stop) -> Result<Self> {
        let mut session = database.connect(wait).await?;
        session.execute(FORMS).await?;
        if session.product() == Product::MariaDb {
            session.execute(MARIADB_LIMITS).await?;
        }
        session.execute("start transaction with consistent snapshot, read only").await?;
        let (requests, of_session) = mpsc::unbounded_channel();
        let (_is_used, used) = oneshot::channel();
        tokio::spawn(serve(session, of_session, used, scratch, stop.clone()));
        Ok(Self { database, requests, stop, _is_used })
    }

    /// The database.
    pub(super) fn address(&self) -> &Database {
        &self.database
    }

    pub(super) fn request(&self, request: Request) -> Result<()> {
        self.requests.send(request).map_err(|_| self.has_ended())
    }

    /// The error about a session that ended before it has answered.
    pub(super) fn has_ended(&self) -> Error {
        match self.stop.is_wanted() {
            true => Error::Interrupted,
            false => Error::internal(format!("the session with {} has ended", self.database)),
        }
    }

    /// Waits for an answer, or until the run is to stop.
    pub(super) async fn unless_stopped<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            answer = answer => answer,
            () = stop.wanted() => Err(Error::Interrupted),
        }
    }

    async fn answer<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.request(request(reply))?;
        self.unless_stopped(async { answer.await.map_err(|_| self.has_ended())? }).await
    }

    /// The rows of a query, as texts.
    pub(super) async fn ask(&self, sql: impl Into<String>) -> Result<Vec<Answer>> {
        let sql = sql.into();
        self.answer(|reply| Request::Ask(sql, reply)).await
    }

    /// The columns of a query, which is not executed.
    pub(super) async fn columns(&self, sql: String) -> Result<Arc<[DriverColumn]>> {
        self.answer(|reply| Request::Columns(sql, reply)).await
    }
}

#[async_trait]
impl Session for MysqlSnapshot {
    async fn end(&self) {
        let (ended, end) = oneshot::channel();
        // A lost session has ended, too.
        if self.request(Request::End(ended)).is_ok() {
            let _ = end.await;
        }
    }
}

#[async_trait]
impl Snapshot for MysqlSnapshot {
    type Column = Column;
    type Options = Times;

    const SCAN: &'static str = "MysqlScanExec";
    const QUOTES: Quotes = QUOTES;

    async fn begin(begin: Begin<'_>) -> Result<Self> {
        Self::open(begin.connector.mysql(begin.connection)?, SERVER_WAIT, begin.scratch, begin.stop).await
    }

    fn database(&self) -> &(dyn Display + Sync) {
        &self.database
    }

    async fn find(&self, schema: Option<&str>, table: &str) -> Result<Option<Found<Column>>> {
        let found = self.look_up(schema, table).await?;
        if let Some(found) = &found {
            self.warn_about_engine(found).await?;
        }
        Ok(found)
    }

    async fn of_query(&self, sql: &str) -> Result<Found<Column>> {
        self.describe_query(sql).await
    }

    async fn tables(&self) -> Result<Vec<(String, String)>> {
        self.all_tables().await
    }

    async fn check_visible(&self, column: &str, from: &str) -> Result<()> {
        self.check_right(&format!("select {} from {from} limit 0", quoted(column))).await
    }

    fn reading(declared: &columns::Column, there: &Column, times: &Times) -> Option<Reading> {
        reading(declared, there, *times)
    }

    /// Case does not matter in names of columns.
    fn is_same_name(a: &str, b: &str) -> bool {
        a.to_lowercase() == b.to_lowercase()
    }

    fn quoted(name: &str) -> String {
        quoted(name)
    }

    async fn check(&self, sql: &str) -> Result<()> {
        self.ask(sql).await.map(drop)
    }

    fn text(self: &Arc<Self>, sql: String) -> Arc<dyn OpenText> {
        Arc::new(Query { snapshot: self.clone(), sql })
    }

    fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
        constant(compared, value)
    }

    async fn newest(&self, from: &str, column: &Column, last: Option<&str>) -> Result<Newest> {
        self.newest_of(from, column, last).await
    }

    fn value(column: &Column, text: &str) -> String {
        match (column.order(), &column.kind) {
            (Some(Order::Number), _) => text.to_owned(),
            (_, Kind::Date) => format!("date {}", literal(text)),
            _ => format!("timestamp {}", literal(text)),
        }
    }

    fn minus(lag: Lag) -> String {
        match lag {
            Lag::Number(lag) => format!(" - {lag}"),
            Lag::Time(lag) => format!(" - interval {} second", lag.as_secs()),
        }
    }
}

impl fmt::Debug for MysqlSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlSnapshot({})", self.database)
    }
}
