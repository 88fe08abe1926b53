//! A URL that names a table: that of its database, and the table's name behind it.

use std::str::FromStr;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::text::decoded;

/// The URL of a table: `postgres://user@host:port/database/schema.table?option=value`.
///
/// ```
/// # use weir_postgres::TableUrl;
/// let url: TableUrl = "postgres://ann:secret@db.example/sales/shop.item?sslmode=verify-full".parse()?;
/// assert_eq!((url.database().to_string().as_str(), url.table()), ("ann@db.example:5432/sales", "shop.item"));
/// assert_eq!(url.with_password("${env:PASSWORD}"), "postgres://ann:${env:PASSWORD}@db.example/sales?sslmode=verify-full");
/// # Ok::<_, weir_postgres::Error>(())
/// ```
#[derive(Clone)]
pub struct TableUrl {
    database: Database,
    table: String,
    /// The URL of the database, cut where it has a password.
    parts: Vec<String>,
}

impl TableUrl {
    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The table's name, with its schema if the URL has one.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Whether the URL has a password.
    pub fn has_password(&self) -> bool {
        self.parts.len() > 1
    }

    /// The URL of the database, with another text in place of the password. A `$` elsewhere is percent-encoded.
    pub fn with_password(&self, password: &str) -> String {
        self.parts.iter().map(|part| part.replace('$', "%24")).collect::<Vec<_>>().join(password)
    }
}

impl FromStr for TableUrl {
    type Err = Error;

    /// Parses a URL. Files are not read until a session is opened.
    ///
    /// # Errors
    /// [`Error::Url`] if it is not the URL of a database, or does not name a table.
    fn from_str(text: &str) -> Result<Self> {
        // As a whole first: these errors do not repeat what could be a piece of a password.
        text.parse::<Database>()?;
        let no_table = || Error::Url {
            message: "it names no table".to_owned(),
            help: "append the table to the database: postgres://USER@HOST:PORT/DATABASE/SCHEMA.TABLE".to_owned(),
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(no_table)?;
        let authority_end = rest.find(['/', '@']).unwrap_or(rest.len());
        let (user, rest) = match rest[authority_end..].strip_prefix('@') {
            Some(behind) => (Some(&rest[..authority_end]), behind),
            None => (None, rest),
        };
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (servers, path) = place.split_once('/').ok_or_else(no_table)?;
        let (database, table) = path.split_once('/').ok_or_else(no_table)?;
        let table = decoded(table)?;
        if table.is_empty() || table.contains('/') {
            return Err(no_table());
        }
        let mut cut = Cut::default();
        cut.push(&format!("{scheme}://"));
        match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, "")) => cut.push(&format!("{user}@")),
            Some((user, password)) => {
                cut.push(&format!("{user}:"));
                cut.push_password(password);
                cut.push("@");
            }
            None => {}
        }
        cut.push(&format!("{servers}/{database}"));
        for (number, option) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            cut.push(if number == 0 { "?" } else { "&" });
            match option.split_once('=') {
                Some((name, value)) if decoded(name)? == "password" && !value.is_empty() => {
                    cut.push(&format!("{name}="));
                    cut.push_password(value);
                }
                _ => cut.push(option),
            }
        }
        let Cut { parts, whole } = cut;
        Ok(Self { database: whole.parse()?, table, parts })
    }
}

/// A URL, as a whole and cut at its passwords.
#[derive(Default)]
struct Cut {
    whole: String,
    parts: Vec<String>,
}

impl Cut {
    fn push(&mut self, text: &str) {
        self.whole.push_str(text);
        match self.parts.last_mut() {
            Some(part) => part.push_str(text),
            None => self.parts.push(text.to_owned()),
        }
    }

    fn push_password(&mut self, password: &str) {
        self.whole.push_str(password);
        self.parts.push(String::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_cut_out_wherever_it_is() {
        for (given, written, table) in [
            ("postgres://db/sales/item", "postgres://db/sales", "item"),
            ("postgresql://ann@db:5433/sales/shop.it%20em", "postgresql://ann@db:5433/sales", "shop.it em"),
            ("postgres://ann:s%40x@db/sales/item?sslmode=require", "postgres://ann:X@db/sales?sslmode=require", "item"),
            (
                "postgres://db/sales/item?user=a&pass%77ord=s&sslmode=require",
                "postgres://db/sales?user=a&pass%77ord=X&sslmode=require",
                "item",
            ),
            ("postgres://a:s@db/b/c?password=t", "postgres://a:X@db/b?password=X", "c"),
            ("postgres://ann@db/a$b/c", "postgres://ann@db/a%24b", "c"),
        ] {
            let url: TableUrl = given.parse().unwrap();
            assert_eq!((url.with_password("X").as_str(), url.table()), (written, table), "{given}");
            assert_eq!(url.has_password(), written.contains('X'), "{given}");
        }
    }

    #[test]
    fn a_url_without_a_table_says_how_to_name_one() {
        for given in [
            "postgres://ann:s3@db",
            "postgres://ann:s3@db/",
            "postgres://ann:s3@db/sales",
            "postgres://db/sales/",
            "postgres://db/a/b/c",
        ] {
            let error = given.parse::<TableUrl>().err().unwrap().to_string();
            assert!(error.contains("names no table") && !error.contains("s3"), "{given}: {error}");
        }
    }
}
