//! Tables of databases: the connections by which the user names them, and their columns as the server describes them.

use std::path::{Path, PathBuf};

use datafusion::logical_expr::ScalarUDF;

use super::files::yaml;
use super::guess::{self, Guessed};
use super::input::Found;
use super::sample::{Column, names};
use crate::database::{Connector, Server, TableUrl};
use crate::engine::{self, Resources};
use crate::error::{Error, Result, nearest};
use crate::source::{Described, describe};
use crate::task::{PROJECT_FILE, Params, Project};

/// A table, as the user names it.
pub(in crate::command) struct GivenTable {
    pub(in crate::command) connection: String,
    pub(in crate::command) server: Server,
    table: String,
}

impl GivenTable {
    /// The table's name without its schema.
    pub(in crate::command) fn plain_name(&self) -> String {
        guess::plain(self.table.rsplit('.').next().unwrap_or_default())
    }
}

/// The connections of the task's folder, and those that are new.
pub(in crate::command) struct Connections {
    folder: PathBuf,
    /// `weir.yaml`, read when a table is named first.
    project: Option<Project>,
    new: Vec<New>,
}

/// A connection that `weir.yaml` does not have yet.
struct New {
    name: String,
    server: Server,
    url: String,
    /// The environment variable of the password, if the URL had one.
    password: Option<String>,
}

impl Connections {
    pub(in crate::command) fn of(folder: &Path) -> Self {
        // Messages show the file without `./`.
        let folder = if folder == Path::new(".") { PathBuf::new() } else { folder.to_path_buf() };
        Self { folder, project: None, new: vec![] }
    }

    /// The table that is named by its URL, or as `connection:table`; `None` if it is the path of a file.
    pub(in crate::command) fn table(&mut self, given: &Path) -> Result<Option<GivenTable>> {
        let Some(text) = given.to_str().filter(|_| !given.exists()) else { return Ok(None) };
        if let Some(url) = TableUrl::parse(text) {
            return self.of_url(url?).map(Some);
        }
        match text.split_once(':') {
            Some((connection, table)) if !connection.is_empty() && !table.is_empty() && !connection.contains('/') => {
                self.of_connection(connection, table).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn of_connection(&mut self, connection: &str, table: &str) -> Result<GivenTable> {
        let shown = self.folder.join(PROJECT_FILE);
        let project = self.project()?;
        let known: Vec<&str> = project.connections().collect();
        if !known.contains(&connection) {
            let message =
                format!("`{connection}:{table}` is no file, and {} has no connection `{connection}`", shown.display());
            let help = match (nearest(connection, &known), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}:{table}`? Its connections: {}", known.join(", ")),
                (None, false) => format!("its connections: {}", known.join(", ")),
                (None, true) => {
                    "name a table by its URL, as in postgres://USER@HOST:PORT/DATABASE/SCHEMA.TABLE".to_owned()
                }
            };
            return Err(Error::usage(message, help));
        }
        let server = Connector::new(project.clone(), Params::default()).server(connection)?;
        Ok(GivenTable { connection: connection.to_owned(), server, table: table.to_owned() })
    }

    /// By the connection of the same user and database, or by a new one.
    fn of_url(&mut self, url: TableUrl) -> Result<GivenTable> {
        let is_same =
            |server: &Server| server.key() == url.server.key() && server.to_string() == url.server.to_string();
        let project = self.project()?.clone();
        let connector = Connector::new(project.clone(), Params::default());
        let server = |name: &str| connector.server(name).ok().or_else(|| connector.server_without_secrets(name));
        let known = project.connections().find(|name| server(name).is_some_and(|server| is_same(&server)));
        let new = self.new.iter().find(|new| is_same(&new.server)).map(|new| new.name.as_str());
        let connection = match known.or(new) {
            Some(name) => name.to_owned(),
            None => {
                let name = self.free_name(&project, url.server.name());
                let password = url.has_password.then(|| format!("{}_PASSWORD", name.to_uppercase()));
                let reference = password.as_ref().map(|variable| format!("${{env:{variable}}}"));
                self.new.push(New {
                    name: name.clone(),
                    server: url.server.clone(),
                    url: (url.with_password)(&reference.unwrap_or_default()),
                    password,
                });
                name
            }
        };
        Ok(GivenTable { connection, server: url.server, table: url.table })
    }

    /// `weir.yaml` of the folder.
    pub(super) fn project(&mut self) -> Result<&Project> {
        let project = match self.project.take() {
            Some(project) => project,
            None => Project::load(&self.folder)?,
        };
        Ok(self.project.insert(project))
    }

    /// A name for a connection with a database.
    fn free_name(&self, project: &Project, database: &str) -> String {
        let plain = guess::plain(database);
        let plain = if guess::is_plain(&plain) { plain } else { "database".to_owned() };
        let is_taken = |name: &String| {
            project.connections().any(|known| known == name) || self.new.iter().any(|new| new.name == *name)
        };
        let others = (2..).map(|number| format!("{plain}_{number}"));
        std::iter::once(plain.clone()).chain(others).find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// Whether there is a `weir.yaml`, which is not changed.
    fn has_file(&self) -> bool {
        self.project.as_ref().is_some_and(Project::exists)
    }

    /// `weir.yaml`, if it has to be written.
    pub(super) fn file(&self) -> Option<(String, Vec<u8>)> {
        let is_new = !self.new.is_empty() && !self.has_file();
        let text = || {
            format!(
                "# The connections that the tasks in this folder share. Secrets are references: ${{env:NAME}}, \
                 ${{file:PATH}}.\nconnections:\n{}",
                self.entries()
            )
        };
        is_new.then(|| (PROJECT_FILE.to_owned(), text().into_bytes()))
    }

    /// `weir.yaml` with the new connections.
    pub(in crate::command) fn project_with_new(&mut self) -> Result<Project> {
        let entries = self.entries();
        let mut project = self.project()?.clone();
        if !entries.is_empty() {
            project.add(&format!("connections:\n{entries}"))?;
        }
        Ok(project)
    }

    fn entries(&self) -> String {
        let entry = |New { name, server, url, .. }: &New| format!("  {name}:\n    {}: {}\n", server.key(), yaml(url));
        self.new.iter().map(entry).collect()
    }

    /// What the user has to do before the task can be run: lines for `weir.yaml`, and commands.
    pub(super) fn steps(&self) -> (String, String) {
        let lines = match self.has_file() && !self.new.is_empty() {
            true => format!("{PROJECT_FILE} is there already: add to it, under `connections`:\n{}\n", self.entries()),
            false => String::new(),
        };
        let export = |new: &New| {
            let variable = new.password.as_ref()?;
            Some(format!(
                "  export {variable}=…   # the password of {}: {PROJECT_FILE} has only its name\n",
                new.server
            ))
        };
        (lines, self.new.iter().filter_map(export).collect())
    }
}

/// A table with the names and types of its columns.
pub(in crate::command) struct DatabaseTable {
    pub(in crate::command) columns: Vec<Column>,
    pub(in crate::command) given: GivenTable,
    described: Described,
}

impl DatabaseTable {
    /// Asks the server for the columns. No row is read.
    pub(in crate::command) async fn take(given: GivenTable, functions: &[ScalarUDF]) -> Result<Self> {
        let described = describe(&given.server, &given.table).await?;
        let resources = Resources { threads: 1, ..Resources::default() };
        let session = engine::session(resources, &std::env::temp_dir(), functions, None)?;
        let found: Vec<Found> =
            described.columns.iter().map(|column| Found::named(&column.name, Some(column.sql_type))).collect();
        let names = names(&session, &found).await;
        let columns = names.into_iter().zip(found).zip(&described.columns).map(|((name, found), column)| Column {
            name,
            found,
            guessed: Guessed {
                comment: column.read_as_text.as_ref().map(|kind| match kind.starts_with("numeric") {
                    true => format!("{kind}, as text: decimal(p,s) if no value has more digits"),
                    false => format!("{kind}, as text"),
                }),
                ..Guessed::plain(column.sql_type)
            },
            is_full: column.is_not_null,
        });
        Ok(Self { columns: columns.collect(), given, described })
    }

    /// Its name in messages.
    pub(in crate::command) fn shown(&self) -> String {
        format!("{}: {}", self.given.connection, self.described.table)
    }

    /// Its name with its schema.
    pub(super) fn table(&self) -> &str {
        &self.described.table
    }

    /// What the author of the task should know.
    pub(in crate::command) fn notes(&self) -> Vec<String> {
        let Described { forbidden, unreadable, .. } = &self.described;
        let user = self.given.server.user();
        let of_rights = || format!("not read, without a right of `{user}` to: {}", forbidden.join(", "));
        let of_types = || format!("not read, as their types have no text form: {}", unreadable.join(", "));
        let notes = [(!forbidden.is_empty()).then(of_rights), (!unreadable.is_empty()).then(of_types)];
        notes.into_iter().flatten().collect()
    }

    /// The lines of the source above its columns.
    pub(in crate::command) fn origin(&self) -> String {
        let key = self.given.server.key();
        let of = format!("connection: {}, table: {}", word(&self.given.connection), word(self.table()));
        let cursor = self.cursor().map(|(column, when)| {
            format!("    # {key}: {{{of}, cursor: {{column: {}}}}}   # only new rows, if {when}\n", word(column))
        });
        format!("    {key}: {{{of}}}\n{}", cursor.unwrap_or_default())
    }

    /// The column that could be a cursor, and under which condition.
    fn cursor(&self) -> Option<(&str, &'static str)> {
        let ordered = || self.described.columns.iter().filter(|column| column.is_ordered && column.is_not_null);
        let time = ordered().find(|column| column.sql_type.is_timestamp());
        let key = ordered().find(|column| self.described.key == [column.name.as_str()]);
        match (key, time) {
            (Some(key), _) => Some((&key.name, "a row never changes, and a new one has a greater value")),
            (None, Some(time)) => Some((&time.name, "it is the time of a row's last change")),
            (None, None) => None,
        }
    }

    /// The columns of the primary key, by their names in the task; empty without one, or if one of them is not read.
    pub(super) fn key(&self) -> Vec<&Column> {
        let position = |name: &String| self.described.columns.iter().position(|column| column.name == *name);
        let key: Option<Vec<_>> = self.described.key.iter().map(|name| self.columns.get(position(name)?)).collect();
        key.unwrap_or_default()
    }
}

/// A name in YAML: in quotes if it may need them.
fn word(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_plain { name.to_owned() } else { yaml(name) }
}
