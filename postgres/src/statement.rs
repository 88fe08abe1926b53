//! A server's errors about statements, without the values of rows.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io;

use tokio_postgres::error::{DbError, SqlState};

use weir_database::Report;

use crate::error::Error;

/// The SQLSTATE classes whose DETAIL has only names and counts. In others it may show rows: a unique violation (23505)
/// reports `Key (email)=(ann@example.com) already exists.`, a check violation (23514) and a view's check option (44000)
/// show the whole row, and the DETAIL of a raised exception (P0001) can have anything.
const CLASSES_WITH_PLAIN_DETAIL: [&str; 14] =
    ["08", "0A", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"];

/// The errors whose DETAIL begins with the key of the row: `Key (email)=(ann@example.com) already exists.`
const KEYED: [SqlState; 3] =
    [SqlState::UNIQUE_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION, SqlState::EXCLUSION_VIOLATION];

/// Quotation marks of the languages in which servers report errors.
const QUOTES: [char; 13] = ['"', '«', '»', '“', '”', '„', '‹', '›', '「', '」', '‘', '’', '\''];

/// A server's error in parts, without the values of rows.
///
/// Rows may be private, and errors end up in logs and tickets. So DETAIL is omitted where it can show values, and of
/// the CONTEXT only the position in a COPY is kept. Errors about data (class 22) quote the value in the message itself:
/// there the quoted text is removed. The message of a raised exception (P0001) is kept as its author wrote it.
#[derive(Clone, Debug)]
pub struct ServerError {
    code: SqlState,
    message: String,
    detail: Option<String>,
    row: Option<Values>,
    hint: Option<String>,
    place: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

/// Values of a row, which a log of the error must not have.
#[derive(Clone)]
struct Values(String);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("withheld")
    }
}

impl Report for ServerError {
    /// Serialization conflicts (40001, and 1023 of Amazon Redshift), deadlocks (40P01), and locks that are held for too long
    /// (55P03).
    fn is_conflict(&self) -> bool {
        let conflicts =
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE];
        conflicts.contains(&self.code) || self.is_conflict_of_redshift()
    }

    fn is_denied(&self) -> bool {
        self.code == SqlState::INSUFFICIENT_PRIVILEGE
    }
}

impl ServerError {
    /// Amazon Redshift reports a conflict of serializable transactions as error 1023 of its own.
    fn is_conflict_of_redshift(&self) -> bool {
        let message = self.message.trim();
        self.code == SqlState::INTERNAL_ERROR
            && (message == "1023" || message.to_lowercase().contains("serializable isolation violation"))
    }

    fn new(error: &DbError) -> Self {
        let class = error.code().code().get(..2).unwrap_or_default();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            code: error.code().clone(),
            message: if class == "22" { without_quoted(error.message()) } else { error.message().to_owned() },
            detail: owned(error.detail().filter(|_| CLASSES_WITH_PLAIN_DETAIL.contains(&class))),
            row: error.detail().filter(|_| KEYED.contains(error.code())).and_then(key_of).map(Values),
            hint: owned(error.hint()),
            place: error.where_().and_then(copy_place),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
        }
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &SqlState {
        &self.code
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The DETAIL, where it cannot show the values of rows.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The key of the refused row, of a unique or foreign key: `(email)=(ann@example.com)`. It has values, so it is part of
    /// no message.
    pub fn row(&self) -> Option<&str> {
        self.row.as_ref().map(|Values(row)| row.as_str())
    }

    /// The server's HINT.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The table, line and column of a COPY, as in `COPY members, line 3, column birthday`.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The schema of the table.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The table that the error is about.
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The column that the error is about.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The violated constraint.
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// The message with its detail, SQLSTATE and constraint.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.clone();
        for more in [&self.detail, &self.place].into_iter().flatten() {
            let _ = write!(text, "; {more}");
        }
        let _ = write!(text, " (SQLSTATE {}", self.code.code());
        if let Some(constraint) = &self.constraint {
            let _ = write!(text, ", constraint `{constraint}`");
        }
        text + ")"
    }

    fn help(&self) -> String {
        let code = self.code.code();
        match &self.hint {
            Some(hint) => hint.clone(),
            None if code.starts_with("22") || code.starts_with("23") || code.starts_with("44") => {
                "the values are omitted because they may be private; see the server's log".to_owned()
            }
            None if self.is_denied() => {
                "ask the owner for the missing privilege, or connect as another user".to_owned()
            }
            None if code.starts_with("40") => "run the transaction again".to_owned(),
            None => {
                "compare the task with the table and the rights of its user; the server's log may have more".to_owned()
            }
        }
    }
}

/// Describes an error of a statement.
pub(crate) fn describe(database: String, error: &tokio_postgres::Error) -> Error {
    match lost(error) {
        Some(message) => Error::Lost {
            database,
            message,
            help: "check that the server runs, read its log, and try again".to_owned(),
        },
        None => match error.as_db_error().map(ServerError::new) {
            Some(server) => {
                Error::Statement { database, message: server.text(), help: server.help(), server: Some(server.into()) }
            }
            None => Error::Statement {
                database,
                message: chain(error),
                help: "compare the statement's parameters and columns with those that the program expects".to_owned(),
                server: None,
            },
        },
    }
}

/// How the connection broke, if the error reports a broken connection.
fn lost(error: &tokio_postgres::Error) -> Option<String> {
    if let Some(server) = error.as_db_error() {
        let code = server.code();
        // An administrator's command, a crash or a shutdown ends all sessions, each with an error.
        let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
            || [SqlState::IDLE_SESSION_TIMEOUT, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(code)
            || code.code().starts_with("08");
        return ends.then(|| format!("{} (SQLSTATE {})", server.message(), code.code()));
    }
    if error.is_closed() {
        return Some("the server closed the connection".to_owned());
    }
    let error = error.source()?.downcast_ref::<io::Error>()?;
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    // Encoding and parsing errors have the same error kind, but the connection is still usable.
    let is_about_text = matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) && !is_tls;
    (!is_about_text).then(|| error.to_string())
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Replaces everything from the first quotation mark to the last one, because a value may contain such marks.
fn without_quoted(message: &str) -> String {
    match (message.find(QUOTES), message.rfind(QUOTES)) {
        (Some(first), Some(last)) => {
            let behind = message[last..].chars().next().map_or(0, char::len_utf8);
            format!("{}…{}", &message[..first], &message[last + behind..])
        }
        _ => message.to_owned(),
    }
}

/// The key in `Key (parent)=(7) is not present in table "p".`, whatever the language is.
fn key_of(detail: &str) -> Option<String> {
    let key = &detail[detail.find('(')?..];
    let end = key.rfind(')')?;
    Some(key[..=end].to_owned())
}

/// `COPY members, line 3, column birthday: "1990-02-30"` without the quoted value.
fn copy_place(context: &str) -> Option<String> {
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    let end = line.find(QUOTES).unwrap_or(line.len());
    Some(line[..end].trim_end_matches([' ', ':']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_cut_out_of_messages() {
        assert_eq!(
            without_quoted("invalid input syntax for type integer: \"a\"b\""),
            "invalid input syntax for type integer: …"
        );
        assert_eq!(
            without_quoted("value \"99\" is out of range for type integer"),
            "value … is out of range for type integer"
        );
        assert_eq!(
            without_quoted("ungültige Eingabesyntax für Typ integer: »a«"),
            "ungültige Eingabesyntax für Typ integer: …"
        );
        assert_eq!(without_quoted("division by zero"), "division by zero");
    }

    #[test]
    fn the_place_in_a_copy_is_kept_without_the_value() {
        assert_eq!(copy_place("COPY t, line 2, column id: \"x\"").as_deref(), Some("COPY t, line 2, column id"));
        assert_eq!(copy_place("COPY t, line 2: \"1,private\"\nPL/pgSQL").as_deref(), Some("COPY t, line 2"));
        assert_eq!(
            copy_place("COPY t, line 2, column id, null input").as_deref(),
            Some("COPY t, line 2, column id, null input")
        );
        assert_eq!(copy_place("SQL statement \"insert …\""), None);
    }
}
