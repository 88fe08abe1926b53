//! A database, addressed by a URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::connect;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::server;
use crate::session::Session;

/// Address of a database and the user who connects. Displayed without the password: `user@host:port/database`.
///
/// Parsed from `mysql://user:password@host:port/database?option=value` (or `mariadb://`) with the options `ssl-mode`,
/// `ssl-ca`, `socket` and `connect-timeout`, as the command-line client has them.
///
/// ```
/// # use weir_mysql::Database;
/// let database: Database = "mysql://ann:secret@db.example/sales?ssl-mode=VERIFY_IDENTITY".parse()?;
/// assert_eq!(database.to_string(), "ann@db.example:3306/sales");
/// # Ok::<_, weir_mysql::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    pub(crate) options: Options,
}

impl FromStr for Database {
    type Err = Error;

    /// Parses a URL. Files are not read until a session is opened.
    ///
    /// # Errors
    /// [`Error::Url`] if it cannot be parsed, an option is unknown, or the value of an option is invalid.
    fn from_str(url: &str) -> Result<Self> {
        Ok(Self { options: Options::parse(url)? })
    }
}

impl Database {
    /// Sets the name that the server shows for sessions, in `performance_schema.session_connect_attrs`.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.options.program = Some(name.to_owned());
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

    /// Opens a session; retries until `wait` is over while the server cannot be reached.
    ///
    /// The pauses grow from 0.1 s to 5 s. The first attempt may take `connect-timeout` (10 s by default), regardless of
    /// `wait`; later ones end at most one second after `wait`. The session ends when it is dropped. Must be called in a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Connect`]. It is returned at once if its [reason](crate::Reason) is permanent: a wrong password, a
    /// missing database, any TLS error.
    pub async fn connect(&self, wait: Duration) -> Result<Session> {
        connect::connect(self, wait).await.map_err(|failure| failure.of(self))
    }

    /// Describes an error of a statement in a session with this database: [`Error::Lost`] if the connection broke,
    /// otherwise [`Error::Statement`]. Neither contains the values of rows.
    pub fn statement_error(&self, error: &mysql_async::Error) -> Error {
        server::describe(self.to_string(), error)
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.options.user, self.options.server(), self.options.database)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
