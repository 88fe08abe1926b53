//! Databases: the connections of `weir.yaml`, and what sources and sinks of one kind of server share.

pub(crate) mod mysql;
pub(crate) mod postgres;
mod server;
mod sessions;

use std::time::Duration;

pub(crate) use server::{Server, TableUrl};
pub(crate) use sessions::{Session, Sessions};

use crate::error::{Error, Result};
use crate::task::{Dialect, Params, Project, Task};

/// Time for which a server that cannot be reached is waited for.
pub(crate) const SERVER_WAIT: Duration = Duration::from_secs(20);

/// Resolves the connections that a task names. A server is asked for nothing.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    project: Project,
    params: Params,
    /// A connection whose server was named on the command line.
    given: Option<(String, Server)>,
}

impl Connector {
    /// The connections of a task, with its parameters filled in.
    pub(crate) fn of(task: &Task) -> Self {
        Self::new(task.project.clone(), task.params.clone())
    }

    /// Project without a task: of what a run has left.
    pub(crate) fn new(project: Project, params: Params) -> Self {
        Self { project, params, given: None }
    }

    /// With the server of a connection, which is not asked for in the project.
    pub(crate) fn with(self, connection: &str, server: Server) -> Self {
        Self { given: Some((connection.to_owned(), server)), ..self }
    }

    fn given(&self, name: &str) -> Option<&Server> {
        self.given.as_ref().filter(|(given, _)| given == name).map(|(_, server)| server)
    }

    /// What it resolves.
    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    /// The PostgreSQL database of a connection.
    pub(crate) fn postgres(&self, name: &str) -> Result<weir_postgres::Database> {
        if let Some(Server::Postgres(database)) = self.given(name) {
            return Ok((**database).clone());
        }
        let database = self.project.resolve(name, &self.params, |spec| spec.postgres.as_ref(), |url| url.parse());
        let database: weir_postgres::Database = database.unwrap_or_else(|| Err(unknown(name, "PostgreSQL")))?;
        Ok(database.application_name("weir").speaking(dialect(&self.project, name)))
    }

    /// The MySQL database of a connection.
    pub(crate) fn mysql(&self, name: &str) -> Result<weir_mysql::Database> {
        if let Some(Server::MySql(database)) = self.given(name) {
            return Ok((**database).clone());
        }
        let database = self.project.resolve(name, &self.params, |spec| spec.mysql.as_ref(), |url| url.parse());
        let database: weir_mysql::Database = database.unwrap_or_else(|| Err(unknown(name, "MySQL")))?;
        Ok(database.application_name("weir"))
    }
}

/// The SQL that the PostgreSQL server of a connection takes.
pub(crate) fn dialect(project: &Project, connection: &str) -> weir_postgres::Dialect {
    match project.dialect(connection) {
        Dialect::Postgres => weir_postgres::Dialect::Postgres,
        Dialect::Redshift => weir_postgres::Dialect::Redshift,
    }
}

fn unknown(name: &str, kind: &str) -> Error {
    let message = format!("weir.yaml has no connection `{name}` of {kind}");
    Error::usage(
        message,
        "add it under `connections` in weir.yaml; a run that has not ended may have rows waiting for it there",
    )
}
