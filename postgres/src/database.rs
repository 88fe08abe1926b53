//! A database, addressed by a URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Client;

use crate::connect;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::statement;

/// Address of a database and the user who connects. Displayed without the password: `user@host:port/database`.
///
/// Parsed from a URL or a list of `key=value`, with the options, environment variables (`PGHOST`, `PGUSER`,
/// `PGPASSWORD`, `PGSSLMODE`, …), password file (`~/.pgpass`) and defaults of
/// [libpq](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING).
///
/// ```
/// # use weir_postgres::Database;
/// let database: Database = "postgres://ann:secret@db.example/sales?sslmode=verify-full".parse()?;
/// assert_eq!(database.to_string(), "ann@db.example:5432/sales");
/// # Ok::<_, weir_postgres::Error>(())
/// ```
///
/// Deviations from libpq, where libpq would be silently unsafe: a file named by `sslrootcert` must exist, an
/// unsupported option is an error, and `sslmode=prefer` does not send a wrong password a second time without TLS. A
/// certificate's common name is ignored; `verify-full` checks its subject alternative names, as browsers do.
#[derive(Clone)]
pub struct Database {
    options: Options,
    dialect: Dialect,
}

/// The SQL that a server takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// That of PostgreSQL.
    #[default]
    Postgres,
    /// That of Amazon Redshift: see [`crate::load`].
    Redshift,
}

impl FromStr for Database {
    type Err = Error;

    /// Parses a URL or a list of `key=value`. Files are not read until a session is opened.
    ///
    /// # Errors
    /// [`Error::Url`] if it cannot be parsed, an option is unknown, or the value of an option is invalid.
    fn from_str(url: &str) -> Result<Self> {
        let options = Options::parse(url, |name| std::env::var(name).ok())?;
        Ok(Self { options, dialect: Dialect::default() })
    }
}

impl Database {
    /// Sets the name that the server shows for sessions (`pg_stat_activity`), unless the URL or `PGAPPNAME` sets one.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        if self.options.config.get_application_name().is_none() {
            self.options.config.application_name(name);
        }
        self
    }

    /// Sets the SQL that the server takes. No URL tells it.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The SQL that the server takes.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.options.database
    }

    /// The user who connects.
    pub fn user(&self) -> &str {
        &self.options.user
    }

    /// Opens a session; retries until `wait` is over while the server cannot be reached.
    ///
    /// The pauses grow from 0.1 s to 5 s. The first attempt at an address may take `connect_timeout` (10 s by default),
    /// regardless of `wait`; later ones end at most one second after `wait`. The session ends when the client is
    /// dropped. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Connect`]. It is returned at once if its [reason](crate::Reason) is permanent: a wrong password, a
    /// missing database, any TLS error.
    pub async fn connect(&self, wait: Duration) -> Result<Client> {
        connect::connect(&self.options, wait).await.map_err(|failure| failure.of(self))
    }

    /// Describes an error of a statement in a session with this database: [`Error::Lost`] if the connection broke, otherwise
    /// [`Error::Statement`]. Neither contains the values of rows; see [`ServerError`](crate::ServerError).
    pub fn statement_error(&self, error: &tokio_postgres::Error) -> Error {
        statement::describe(self.to_string(), error)
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.options.servers.iter().map(ToString::to_string).collect();
        write!(f, "{}@{}/{}", self.options.user, servers.join(","), self.options.database)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
