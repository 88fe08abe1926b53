//! A URL that names a table: that of its database, and the table's name behind it.

use std::str::FromStr;

use url::Url;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::options::decoded;

/// The URL of a table: `mysql://user@host:port/database/table?option=value`.
///
/// ```
/// # use weir_mysql::TableUrl;
/// let url: TableUrl = "mysql://ann:secret@db.example/sales/item?ssl-mode=REQUIRED".parse()?;
/// assert_eq!((url.database().to_string().as_str(), url.table()), ("ann@db.example:3306/sales", "item"));
/// assert_eq!(url.with_password("${env:PASSWORD}"), "mysql://ann:${env:PASSWORD}@db.example/sales?ssl-mode=REQUIRED");
/// # Ok::<_, weir_mysql::Error>(())
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

    /// The table's name.
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
        let no_table = || Error::Url {
            message: "it names no table".to_owned(),
            help: "append the table to the database: mysql://USER@HOST:PORT/DATABASE/TABLE".to_owned(),
        };
        let Ok(mut url) = Url::parse(text) else {
            // This error does not repeat what could be a piece of a password.
            text.parse::<Database>()?;
            return Err(no_table());
        };
        let names: Vec<&str> = url.path().trim_start_matches('/').split('/').collect();
        let [database, table] = names.as_slice() else {
            text.parse::<Database>()?;
            return Err(no_table());
        };
        let table = decoded(table)?;
        if database.is_empty() || table.is_empty() {
            return Err(no_table());
        }
        let database = format!("/{database}");
        url.set_path(&database);
        let whole = url.to_string();
        let parts = match url.password() {
            Some(_) => {
                // No URL has this character unencoded.
                let mark = "\u{1}";
                let written =
                    whole.replacen(&format!(":{}@", url.password().unwrap_or_default()), &format!(":{mark}@"), 1);
                written.split(mark).map(str::to_owned).collect()
            }
            None => vec![whole.clone()],
        };
        Ok(Self { database: whole.parse()?, table, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_cut_out() {
        for (given, written, table) in [
            ("mysql://ann@db/sales/item", "mysql://ann@db/sales", "item"),
            (
                "mariadb://ann:s%40x@db:3307/sales/it%20em?ssl-mode=required",
                "mariadb://ann:X@db:3307/sales?ssl-mode=required",
                "it em",
            ),
            ("mysql://a:a@a/a$b/c", "mysql://a:X@a/a%24b", "c"),
        ] {
            let url: TableUrl = given.parse().unwrap();
            assert_eq!((url.with_password("X").as_str(), url.table()), (written, table), "{given}");
            assert_eq!(url.has_password(), written.contains('X'), "{given}");
        }
    }

    #[test]
    fn a_url_without_a_table_says_how_to_name_one() {
        for given in ["mysql://ann:s3@db/sales", "mysql://ann:s3@db/sales/", "mysql://ann:s3@db//item"] {
            let error = given.parse::<TableUrl>().err().unwrap().to_string();
            assert!(error.contains("names no table") && !error.contains("s3"), "{given}: {error}");
        }
    }
}
