//! The rows of a query as lines of CSV text.

use std::io::Write;

use mysql_async::prelude::Queryable;
use mysql_async::{QueryResult, Row, TextProtocol, Value};

use crate::database::Database;
use crate::error::Result;
use crate::session::Session;

/// The result of a query that is being read. While there is one, its session can do nothing else; what is not read is
/// skipped by the next statement.
#[derive(Debug)]
pub struct CsvRows<'a> {
    database: Database,
    rows: QueryResult<'a, 'static, TextProtocol>,
}

impl Session {
    /// Begins a query whose rows are read one after the other, in the text forms of the server.
    pub async fn csv(&mut self, sql: &str) -> Result<CsvRows<'_>> {
        let database = self.database().clone();
        match self.connection().query_iter(sql.to_owned()).await {
            Ok(rows) => Ok(CsvRows { database, rows }),
            Err(error) => Err(database.statement_error(&error)),
        }
    }
}

impl CsvRows<'_> {
    /// Appends rows until there are `length` bytes, or a few more; returns whether there are further ones. Null is an empty
    /// field, the empty text one in quotes.
    pub async fn append(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        while bytes.len() < length {
            match self.rows.next().await {
                Ok(Some(row)) => append(row, bytes),
                Ok(None) => return Ok(false),
                Err(error) => return Err(self.database.statement_error(&error)),
            }
        }
        Ok(true)
    }
}

fn append(row: Row, line: &mut Vec<u8>) {
    for (number, value) in row.unwrap_raw().iter().flatten().enumerate() {
        if number > 0 {
            line.push(b',');
        }
        match value {
            Value::NULL => {}
            Value::Bytes(text) => field(text, line),
            // The text protocol has only texts.
            other => _ = write!(line, "{}", other.as_sql(true)),
        }
    }
    line.push(b'\n');
}

fn field(text: &[u8], line: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    if !text.is_empty() && !text.iter().any(is_special) {
        return line.extend_from_slice(text);
    }
    line.push(b'"');
    for part in text.split_inclusive(|byte| *byte == b'"') {
        line.extend_from_slice(part);
        if part.ends_with(b"\"") {
            line.push(b'"');
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (text, written) in [
            ("", "\"\""),
            (" a ", " a "),
            ("ü", "ü"),
            ("a,b", "\"a,b\""),
            ("\"", "\"\"\"\""),
            ("say \"a\" now", "\"say \"\"a\"\" now\""),
            ("a\nb", "\"a\nb\""),
            ("\r", "\"\r\""),
            ("\\N", "\\N"),
        ] {
            let mut line = vec![];
            field(text.as_bytes(), &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), written);
        }
    }
}
