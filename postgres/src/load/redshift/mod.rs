//! Loads into Amazon Redshift, with the SQL that it has: no `ON CONFLICT`, no enforced keys, no `COPY FROM STDIN`, no
//! statement that writes within a query, no advisory locks, no `IS DISTINCT FROM`, no escape literals, and the catalogues
//! of PostgreSQL 8.0.
//!
//! Rows come into the staging table by `INSERT`s of many rows. The transaction that moves them begins with locks of the
//! ledger `weir.applied` and of the targets, so that each run is applied once and each key is there once though nothing
//! enforces it: before a transaction has read or written anything it has no snapshot, so it sees what others have
//! committed. All rows are counted before they are written.
//!
//! Statements are sent as text (simple query protocol): no type of a parameter has to be inferred.

mod apply;
mod history;
mod inspect;
mod stage;
mod write;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio_postgres::{Client, SimpleQueryMessage};

pub(super) use apply::{begin, is_applied};
pub(super) use inspect::inspect;
pub use stage::Insert;
pub(super) use stage::{begin_insert, deduplicate, discard, is_complete};

use super::{Kind, Load, Mode, SCHEMA, Table};
use crate::sql::quoted;
use crate::{Database, Error, Result};

/// Bytes of the longest text that a column can hold. `text` would be 256.
pub const MOST_BYTES: u32 = 65_535;

/// A session with the server.
struct Session<'a> {
    database: &'a Database,
    client: &'a Client,
    literals: Literals,
    /// The schema of tables without one.
    schema: String,
}

impl<'a> Session<'a> {
    async fn of(database: &'a Database, client: &'a Client) -> Result<Self> {
        let literals = Literals { backslash_escapes: false };
        let mut session = Self { database, client, literals, schema: String::new() };
        // Redshift takes a backslash for an escape; a server with `standard_conforming_strings` does not.
        let row = session.row(r"select length('\\'), current_schema()").await?;
        session.literals.backslash_escapes = row.first().is_some_and(|length| length.as_deref() == Some("1"));
        session.schema = row.into_iter().nth(1).flatten().unwrap_or_else(|| "public".to_owned());
        Ok(session)
    }

    async fn run(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| self.database.statement_error(&error))
    }

    /// The rows of a query, as texts.
    async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let answer = self.client.simple_query(sql).await.map_err(|error| self.database.statement_error(&error))?;
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first row of a query, empty if there is none.
    async fn row(&self, sql: &str) -> Result<Vec<Option<String>>> {
        Ok(self.rows(sql).await?.into_iter().next().unwrap_or_default())
    }

    /// Whether a query has a row.
    async fn has(&self, sql: &str) -> Result<bool> {
        Ok(!self.rows(sql).await?.is_empty())
    }

    /// The number that a query returns.
    async fn number(&self, sql: &str) -> Result<u64> {
        let number = self.row(sql).await?.into_iter().next().flatten().and_then(|number| number.parse().ok());
        number.ok_or_else(|| Error::Statement {
            database: self.database.to_string(),
            message: "a count is no number".to_owned(),
            help: "check that the connection has the right `dialect`".to_owned(),
            server: None,
        })
    }

    /// How many rows a `from` clause has.
    async fn count(&self, from: &str) -> Result<u64> {
        self.number(&format!("select count(*) from {from}")).await
    }

    fn literal(&self, text: &str) -> String {
        self.literals.text(text)
    }

    /// The identity and kind of a relation, if it exists.
    async fn relation(&self, schema: &str, name: &str) -> Result<Option<Relation>> {
        let sql = format!(
            "select c.oid, c.relkind, c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = {} and c.relname = {}",
            self.literal(schema),
            self.literal(name)
        );
        let row = self.row(&sql).await?;
        let [Some(oid), Some(kind), Some(owner)] = row.as_slice() else { return Ok(None) };
        Ok(Some(Relation { oid: oid.clone(), kind: kind.clone(), owner: owner.clone() }))
    }

    async fn target(&self, table: &Table) -> Result<Option<Relation>> {
        self.relation(table.schema.as_deref().unwrap_or(&self.schema), &table.name).await
    }

    async fn has_staging(&self, load: &Load) -> Result<bool> {
        Ok(self.relation(SCHEMA, &staging_name(load)).await?.is_some())
    }
}

/// A table or view.
struct Relation {
    oid: String,
    kind: String,
    owner: String,
}

/// How the server reads literals.
#[derive(Clone, Copy, Debug)]
pub struct Literals {
    /// Whether a backslash escapes what is behind it.
    backslash_escapes: bool,
}

impl Literals {
    fn text(self, text: &str) -> String {
        let mut literal = Vec::with_capacity(text.len() + 2);
        self.append(text, &mut literal);
        String::from_utf8(literal).unwrap_or_default()
    }

    /// Appends a text as a literal.
    pub fn append(self, text: &str, out: &mut Vec<u8>) {
        out.push(b'\'');
        for byte in text.bytes() {
            if byte == b'\'' || byte == b'\\' && self.backslash_escapes {
                out.push(byte);
            }
            out.push(byte);
        }
        out.push(b'\'');
    }
}

/// The name of the staging table. The server turns names into lower case, also in quotes.
fn staging_name(load: &Load) -> String {
    load.staging.to_lowercase()
}

/// The names of a load's tables in statements.
struct Names {
    /// The target, with its schema.
    target: String,
    /// The target, where a statement has named it: it has no alias in `update` and `delete`.
    row: String,
    /// The staging table, with its schema.
    staging: String,
    /// The staging table, where a statement has named it.
    staged: String,
}

impl Names {
    fn of(load: &Load, session: &Session<'_>) -> Self {
        let schema = load.table.schema.as_deref().unwrap_or(&session.schema);
        let row = quoted(&load.table.name);
        // No alias is the name of the target.
        let staged = if load.table.name.starts_with("staged") { "rows_of_run" } else { "staged" }.to_owned();
        let staging = format!("{SCHEMA}.{}", quoted(&staging_name(load)));
        Self { target: format!("{}.{row}", quoted(schema)), row, staging, staged }
    }

    /// The target in a `from` clause.
    fn aliased_target(&self) -> String {
        format!("{} as {}", self.target, self.row)
    }

    /// The staging table in a `from` clause.
    fn aliased_staging(&self) -> String {
        format!("{} as {}", self.staging, self.staged)
    }

    /// Whether rows of both have the same values in these columns, which are not null.
    fn same<'c>(&self, columns: impl IntoIterator<Item = &'c String>) -> String {
        let same = |name: &String| format!("{}.{1} = {2}.{1}", self.row, quoted(name), self.staged);
        columns.into_iter().map(same).collect::<Vec<_>>().join(" and ")
    }
}

/// The server's name of the type of a new column.
fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Text => format!("varchar({MOST_BYTES})"),
        kind => kind.to_string(),
    }
}

fn column_definitions(table: &Table) -> String {
    let definition = |column: &super::Column| {
        let must = if column.not_null || table.primary_key.contains(&column.name) { " not null" } else { "" };
        format!("{} {}{must}", quoted(&column.name), type_name(&column.kind))
    };
    table.columns.iter().map(definition).collect::<Vec<_>>().join(", ")
}

/// Whether two expressions of a type differ. Null differs from all others, and a text from any other: the server holds
/// texts equal that differ in blanks at their ends.
fn differs(kind: &Kind, one: &str, other: &str) -> String {
    let bytes = match kind {
        Kind::Text | Kind::Varchar(_) => format!(" or md5({one}) <> md5({other})"),
        _ => String::new(),
    };
    format!(
        "({one} <> {other}{bytes} or {one} is null and {other} is not null or {one} is not null and {other} is null)"
    )
}

/// The type of a column.
fn kind_of<'t>(table: &'t Table, name: &str) -> &'t Kind {
    table.columns.iter().find(|column| column.name == name).map_or(&Kind::Text, |column| &column.kind)
}

/// A moment as a literal.
fn moment(at: &DateTime<Utc>) -> String {
    format!("'{}'::timestamptz", at.to_rfc3339_opts(SecondsFormat::Micros, false).replace('T', " "))
}

/// Names that no column has.
fn free(name: &str, columns: &[&str]) -> String {
    weir_database::load::free_name(name, columns.iter().copied())
}

/// Whether the rows of a key are versions of it.
fn is_history(load: &Load) -> bool {
    matches!(load.mode, Mode::History { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_literal_of_its_own_with_either_meaning_of_a_backslash() {
        let text = r"it's \n";
        assert_eq!(Literals { backslash_escapes: true }.text(text), r"'it''s \\n'");
        assert_eq!(Literals { backslash_escapes: false }.text(text), r"'it''s \n'");
    }

    #[test]
    fn a_moment_has_microseconds() {
        let at = DateTime::from_timestamp(0, 123_456_789).unwrap();
        assert_eq!(moment(&at), "'1970-01-01 00:00:00.123456+00:00'::timestamptz");
    }
}
