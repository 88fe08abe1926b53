//! A database, as a URL names it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Client;

use crate::connect;
use crate::error::{Error, Result};
use crate::options::Options;

/// Where a database is, and who connects to it. It is shown without its password: `user@host:port/database`.
///
/// It is read from a URL or a list of `key=value`, with the options, environment variables (`PGHOST`, `PGUSER`,
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
/// It differs from libpq where libpq would be quietly unsafe: a file named by `sslrootcert` must be there, an option
/// that is not understood is an error, and `sslmode=prefer` does not send a password a second time, without TLS, after
/// it was wrong. A certificate's common name counts for nothing; `verify-full` looks at its alternative names, as
/// browsers do.
#[derive(Clone)]
pub struct Database {
    options: Options,
}

impl FromStr for Database {
    type Err = Error;

    /// Reads a URL or a list of `key=value`. Files are not read before there is a session to open.
    ///
    /// # Errors
    /// [`Error::Url`] if it cannot be read, an option is unknown, or a value is not one that the option can have.
    fn from_str(url: &str) -> Result<Self> {
        Ok(Self { options: Options::parse(url, |name| std::env::var(name).ok())? })
    }
}

impl Database {
    /// Sets the name that the server shows for sessions (`pg_stat_activity`), unless the URL or `PGAPPNAME` has one.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        if self.options.config.get_application_name().is_none() {
            self.options.config.application_name(name);
        }
        self
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.options.database
    }

    /// The user who connects.
    pub fn user(&self) -> &str {
        &self.options.user
    }

    /// Opens a session; while the server cannot be reached, tries again until `wait` is over.
    ///
    /// Pauses grow from a tenth of a second to five. The first attempt at an address may take as long as
    /// `connect_timeout` (10 s unless the URL says otherwise), whatever `wait` is; those that follow end within a second
    /// of it. The session ends when the client is dropped. This must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Connect`]. It comes at once if its [reason](crate::Reason) does not pass by itself: a wrong password, a
    /// database that is not there, anything about TLS.
    pub async fn connect(&self, wait: Duration) -> Result<Client> {
        connect::connect(&self.options, wait).await.map_err(|failure| Error::Connect {
            database: self.to_string(),
            reason: failure.reason,
            message: failure.message,
            help: failure.help,
        })
    }

    /// What went wrong with a statement in a session with this database; see [`Error::statement`].
    pub fn statement_error(&self, error: &tokio_postgres::Error) -> Error {
        Error::statement(self, error)
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
