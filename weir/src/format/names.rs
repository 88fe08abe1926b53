//! Matches a file's columns with the declared ones by name, before a row is read.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// The columns that a file must have.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedNames {
    /// The table's columns: name in the task, name in the files.
    pub(crate) columns: Vec<(String, String)>,
    /// Whether files may have further columns.
    pub(crate) ignore_unknown: bool,
}

impl ExpectedNames {
    /// Fails if the first line of a file is not a header: none of its names is declared, or nearly so. The line may be a row,
    /// whose values belong in no message.
    pub(crate) fn check_header(&self, file: &str, names: &[String]) -> Result<()> {
        let is_known = |name: &String| self.columns.iter().any(|(_, header)| header == name || is_near(name, header));
        if self.columns.is_empty() || names.iter().any(is_known) {
            return Ok(());
        }
        Err(Error::input(
            file,
            "its first line has none of the declared columns",
            "write a header line with the names of the columns, or correct `columns` of the source",
        ))
    }

    /// The declared column of each of a file's columns.
    pub(crate) fn match_with(&self, file: &str, names: &[String]) -> Result<Vec<Option<usize>>> {
        let mut targets = Vec::with_capacity(names.len());
        let mut seen = HashMap::new();
        for name in names {
            let target = self.columns.iter().position(|(_, header)| header == name);
            if let Some(target) = target
                && seen.insert(target, name).is_some()
            {
                let help = "remove one of the two from the file";
                return Err(Error::input(file, format!("duplicate column `{name}`"), help));
            }
            targets.push(target);
        }
        let unknown: Vec<_> =
            names.iter().zip(&targets).filter(|(_, t)| t.is_none()).map(|(name, _)| name.as_str()).collect();
        if let Some((_, (column, header))) = self.columns.iter().enumerate().find(|(i, _)| !seen.contains_key(i)) {
            let found = format!("the file has: {}", names.join(", "));
            let help = match renamed(header, &unknown) {
                Some(now) => {
                    format!("if it was renamed to `{now}`, declare {column}: {{type: ..., header: \"{now}\"}}; {found}")
                }
                None => format!("fix the file, or the `columns` of the source; {found}"),
            };
            return Err(Error::input(file, format!("column `{header}` is missing"), help));
        }
        match unknown.first() {
            Some(unknown) if unknown.trim().is_empty() && !self.ignore_unknown => Err(Error::input(
                file,
                "its header has a column without a name; perhaps the line has a comma too many at its end",
                "correct the header line, or specify `unknown_columns: ignore` if the rows have that column, too",
            )),
            Some(unknown) if !self.ignore_unknown => Err(Error::input(
                file,
                format!("column `{unknown}` is not declared"),
                "declare it under `columns`, or specify `unknown_columns: ignore`",
            )),
            _ => Ok(targets),
        }
    }
}

/// The undeclared column that a missing one was most likely renamed to.
fn renamed<'a>(missing: &str, unknown: &[&'a str]) -> Option<&'a str> {
    unknown.iter().find(|name| is_near(name, missing)).copied().or(match unknown {
        [only] => Some(only),
        _ => None,
    })
}

/// Whether two names are spellings of one.
fn is_near(name: &str, other: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let (name, other) = (plain(name), plain(other));
    strsim::damerau_levenshtein(&name, &other) <= other.len() / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: &[&str], ignore_unknown: bool) -> Result<Vec<Option<usize>>> {
        let columns = ["name", "email"].map(|c| (c.to_owned(), c.to_owned())).to_vec();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        ExpectedNames { columns, ignore_unknown }.match_with("in.csv", &names)
    }

    fn message(names: &[&str]) -> String {
        let error = targets(names, false).unwrap_err();
        format!("{error}; {}", miette::Diagnostic::help(&error).unwrap())
    }

    #[test]
    fn columns_are_matched_by_name() {
        assert_eq!(targets(&["email", "name"], false).unwrap(), [Some(1), Some(0)]);
    }

    #[test]
    fn an_undeclared_column_is_an_error_unless_ignored() {
        assert!(message(&["name", "email", "age"]).starts_with("in.csv: column `age` is not declared"));
        assert_eq!(targets(&["name", "age", "email"], true).unwrap(), [Some(0), None, Some(1)]);
    }

    #[test]
    fn a_missing_column_is_an_error_that_suggests_its_new_name() {
        assert!(message(&["name"]).starts_with("in.csv: column `email` is missing"));
        assert!(message(&["name", "E-Mail"]).contains("if it was renamed to `E-Mail`"));
    }

    #[test]
    fn a_first_line_that_is_not_a_header_is_not_shown() {
        let names = ["Ann", "ann@example.com"].map(str::to_owned);
        let columns = ["name", "email"].map(|c| (c.to_owned(), c.to_owned())).to_vec();
        let error = ExpectedNames { columns, ignore_unknown: true }.check_header("in.csv", &names).unwrap_err();
        let message = format!("{error}; {}", miette::Diagnostic::help(&error).unwrap());
        assert!(message.starts_with("in.csv: its first line has none of the declared columns;"), "{message}");
        assert!(!message.contains("Ann"), "{message}");
    }

    #[test]
    fn a_duplicate_column_is_an_error() {
        assert!(message(&["name", "email", "name"]).starts_with("in.csv: duplicate column `name`"));
    }
}
