//! A database, whatever the kind of its server: what `init` knows about the kinds.

use std::fmt;

use super::Connector;
use crate::error::{Error, Result};
use crate::task::ConnectionSpec;

/// A database of one of the kinds of servers.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    /// PostgreSQL.
    Postgres(Box<weir_postgres::Database>),
    /// MySQL or MariaDB.
    MySql(Box<weir_mysql::Database>),
}

impl Server {
    /// The key of its kind: under a connection of `weir.yaml`, and under a source.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MySql(_) => "mysql",
        }
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Postgres(database) => database.name(),
            Self::MySql(database) => database.name(),
        }
    }

    /// The user who connects.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Postgres(database) => database.user(),
            Self::MySql(database) => database.user(),
        }
    }
}

/// Without the password: `user@host:port/database`.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(database) => database.fmt(f),
            Self::MySql(database) => database.fmt(f),
        }
    }
}

impl Connector {
    /// The database of a connection.
    pub(crate) fn server(&self, name: &str) -> Result<Server> {
        if let Some(("mysql", _)) = self.project.connection(name).and_then(ConnectionSpec::url) {
            return self.mysql(name).map(|database| Server::MySql(Box::new(database)));
        }
        let database = self.postgres(name)?;
        if database.dialect() == weir_postgres::Dialect::Redshift {
            let message = format!("connection `{name}` is Amazon Redshift, which cannot be read yet");
            return Err(Error::usage(message, "UNLOAD the rows to files, and name those"));
        }
        Ok(Server::Postgres(Box::new(database)))
    }

    /// Like `server`, by what the URL has besides its secrets, which may not be set here; `None` if that is not enough. No
    /// session can be opened with it.
    pub(crate) fn server_without_secrets(&self, name: &str) -> Option<Server> {
        let (key, url) = self.project.connection(name)?.url()?;
        let mut text = String::new();
        let mut rest = url.value.as_str();
        while let Some((before, reference)) = rest.split_once("${") {
            text.push_str(before);
            // No name of a server, user or database.
            text.push_str("%01");
            rest = reference.split_once('}')?.1;
        }
        text.push_str(rest);
        match key {
            "mysql" => text.parse().ok().map(|database| Server::MySql(Box::new(database))),
            _ => text.parse().ok().map(|database| Server::Postgres(Box::new(database))),
        }
    }
}

/// The URL of a table: that of its database, and the name of the table behind it.
pub(crate) struct TableUrl {
    pub(crate) server: Server,
    /// As given: `table`, or `schema.table`.
    pub(crate) table: String,
    pub(crate) has_password: bool,
    /// The URL of the database, with another text in place of the password.
    pub(crate) with_password: Box<dyn Fn(&str) -> String>,
}

impl TableUrl {
    /// Parses the URL of a table; `None` if the text is not the URL of a database.
    pub(crate) fn parse(text: &str) -> Option<Result<Self>> {
        /// URLs of files.
        const FILES: [&str; 13] =
            ["file", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "http", "https", "ftp", "sftp"];
        let (scheme, _) = text.split_once("://")?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        if !scheme.chars().all(is_scheme) || FILES.contains(&scheme.to_ascii_lowercase().as_str()) {
            return None;
        }
        if ["mysql", "mariadb"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Some(text.parse::<weir_mysql::TableUrl>().map_err(Error::from).map(Self::of_mysql));
        }
        // The parser knows the URLs of other kinds of databases, and names them in its error.
        Some(text.parse::<weir_postgres::TableUrl>().map_err(Error::from).map(Self::of_postgres))
    }

    fn of_mysql(url: weir_mysql::TableUrl) -> Self {
        Self {
            server: Server::MySql(Box::new(url.database().clone().application_name("weir"))),
            table: url.table().to_owned(),
            has_password: url.has_password(),
            with_password: Box::new(move |password| url.with_password(password)),
        }
    }

    fn of_postgres(url: weir_postgres::TableUrl) -> Self {
        Self {
            server: Server::Postgres(Box::new(url.database().clone().application_name("weir"))),
            table: url.table().to_owned(),
            has_password: url.has_password(),
            with_password: Box::new(move |password| url.with_password(password)),
        }
    }
}
