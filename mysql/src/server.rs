//! A server's errors about statements, without the values of rows.

use std::fmt;

use mysql_async::{DriverError, Error as DriverFailure};
use weir_database::Report;

use crate::error::Error;

/// The errors whose message quotes a value of a row: duplicate keys, and values that a type or a function refuses.
const QUOTING: [u16; 8] = [1062, 1292, 1366, 1367, 1411, 1525, 1586, 1690];
/// Deadlocks, and locks that are held for too long.
const CONFLICTS: [u16; 3] = [1205, 1213, 3572];
/// The server ends the session, or shuts down.
const ENDED: [u16; 5] = [1053, 1077, 1079, 1927, 3169];
/// A right is missing.
const DENIED: [u16; 8] = [1044, 1045, 1142, 1143, 1227, 1370, 1410, 3118];

/// A server's error in parts, without the values of rows.
///
/// Rows may be private, and errors end up in logs and tickets. So the value that a message quotes is removed from it.
#[derive(Clone, Debug)]
pub struct ServerError {
    code: u16,
    state: String,
    message: String,
    value: Option<Value>,
}

/// A value of a row, which a log of the error must not have.
#[derive(Clone)]
struct Value(String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("withheld")
    }
}

impl Report for ServerError {
    fn is_conflict(&self) -> bool {
        CONFLICTS.contains(&self.code)
    }

    fn is_denied(&self) -> bool {
        DENIED.contains(&self.code)
    }
}

impl ServerError {
    fn new(error: &mysql_async::ServerError) -> Self {
        let quoted = QUOTING.contains(&error.code).then(|| quoted_value(&error.message)).flatten();
        let (message, value) = match quoted {
            Some((before, value, behind)) => (format!("{before}…{behind}"), Some(Value(value.to_owned()))),
            None => (error.message.clone(), None),
        };
        Self { code: error.code, state: error.state.clone(), message, value }
    }

    /// The number of the error: `1062`.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The value that the server's message quotes: of a duplicate key those of its columns, joined by `-`. It is part of no
    /// message.
    pub fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|Value(value)| value.as_str())
    }

    /// The message with its number.
    pub(crate) fn text(&self) -> String {
        format!("{} (error {}, SQLSTATE {})", self.message, self.code, self.state)
    }

    fn help(&self) -> String {
        match self.code {
            1153 => "raise max_allowed_packet on the server: a row or a statement is larger than it takes".to_owned(),
            3948 | 3950 | 1148 | 4166 => {
                "let the server take rows from its clients: set global local_infile = on".to_owned()
            }
            1114 => "the server has no space left for the table: free disk space, or raise the limit".to_owned(),
            _ if self.is_conflict() => "run the transaction again when the other session has ended".to_owned(),
            _ if self.is_denied() => {
                "ask an administrator for the missing right, or connect as another user".to_owned()
            }
            _ if self.value.is_some() => {
                "the value is omitted because it may be private; find it by the column that is named".to_owned()
            }
            _ => {
                "compare the task with the table and the rights of its user; the server's log may have more".to_owned()
            }
        }
    }
}

/// The text before a quoted value, the value, and the text behind it. A value may have quotation marks itself.
fn quoted_value(message: &str) -> Option<(&str, &str, &str)> {
    let from = message.find('\'')? + 1;
    let to = match message.rfind("' for ") {
        Some(to) if to >= from => to,
        _ => message.rfind('\'')?,
    };
    (to >= from).then(|| (&message[..from], &message[from..to], &message[to..]))
}

/// Describes an error of a statement; `database` is displayed without a password.
pub(crate) fn describe(database: String, error: &DriverFailure) -> Error {
    let lost = |message: String| {
        let help = "check the server and the network, then run again: what was not committed was rolled back";
        Error::Lost { database: database.clone(), message, help: help.to_owned() }
    };
    match error {
        DriverFailure::Server(error) if ENDED.contains(&error.code) => lost(error.message.clone()),
        DriverFailure::Server(error) => {
            let server = ServerError::new(error);
            let (message, help) = (server.text(), server.help());
            Error::Statement { database, message, help, server: Some(Box::new(server)) }
        }
        DriverFailure::Io(error) => lost(error.to_string()),
        DriverFailure::Driver(DriverError::ConnectionClosed | DriverError::PacketOutOfOrder) => {
            lost("the server has closed it".to_owned())
        }
        // Others may show a row: they derive their text from it.
        DriverFailure::Driver(DriverError::FromRow { .. } | DriverError::FromValue { .. }) => {
            let message = "a value of the answer has another type than expected".to_owned();
            let help = "compare the version of the server with those that are supported".to_owned();
            Error::Statement { database, message, help, server: None }
        }
        other => {
            let help = "see the server's log".to_owned();
            Error::Statement { database, message: other.to_string(), help, server: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, message: &str) -> ServerError {
        ServerError::new(&mysql_async::ServerError { code, message: message.to_owned(), state: "23000".to_owned() })
    }

    #[test]
    fn messages_have_no_values() {
        for (code, message, expected, value) in [
            (1062, "Duplicate entry 'ann-7' for key 'PRIMARY'", "Duplicate entry '…' for key 'PRIMARY'", Some("ann-7")),
            (1062, "Duplicate entry 'it's' for key 'k'", "Duplicate entry '…' for key 'k'", Some("it's")),
            (
                1366,
                "Incorrect integer value: 'x' for column `a`.`b`.`c` at row 3",
                "Incorrect integer value: '…' for column `a`.`b`.`c` at row 3",
                Some("x"),
            ),
            (
                1292,
                "Truncated incorrect DOUBLE value: '7 apples'",
                "Truncated incorrect DOUBLE value: '…'",
                Some("7 apples"),
            ),
            (1146, "Table 'shop.item' doesn't exist", "Table 'shop.item' doesn't exist", None),
        ] {
            let error = error(code, message);
            assert_eq!((error.message(), error.value()), (expected, value));
            assert!(value.is_none_or(|value| !format!("{error:?} {}", error.text()).contains(value)));
        }
    }
}
