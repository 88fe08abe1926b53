//! Matches a file's columns with the declared ones by name, before a row is read.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// The columns that a file must have.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedNames {
    /// The table's columns, in order.
    pub(crate) columns: Vec<ExpectedName>,
    /// Whether files may have further columns.
    pub(crate) ignore_unknown: bool,
    /// Whether blanks around names and upper or lower case do not matter.
    pub(crate) are_loose: bool,
    /// Whether the names are a line of the file, which may be a row instead.
    pub(crate) are_a_line: bool,
}

/// A column that a file must have.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedName {
    /// Its name in the task.
    pub(crate) column: String,
    /// Its names in the files: each has one of them.
    pub(crate) headers: Vec<String>,
    /// Its position among the columns of the files, from 1, if that counts and not its name.
    pub(crate) position: Option<usize>,
    pub(crate) presence: Presence,
}

/// Whether a file has a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// Its values come from elsewhere; a column of the file is another one, whatever its name is.
    Elsewhere,
}

impl ExpectedNames {
    /// The columns whose values come from the file's own columns, with their index.
    fn in_file(&self) -> impl Iterator<Item = (usize, &ExpectedName)> + Clone {
        self.columns.iter().enumerate().filter(|(_, column)| column.presence != Presence::Elsewhere)
    }

    /// Whether any name is that of a declared column, or nearly so.
    pub(crate) fn knows_any(&self, names: &[String]) -> bool {
        let is_known = |name: &String| {
            let mut headers = self.in_file().flat_map(|(_, column)| &column.headers);
            headers.any(|header| header == name || is_near(name, header))
        };
        self.in_file().all(|(_, column)| column.position.is_some()) || names.iter().any(is_known)
    }

    /// Whether a column is found by this position.
    pub(crate) fn has_position(&self, place: usize) -> bool {
        self.in_file().any(|(_, column)| column.position == Some(place))
    }

    /// Whether each column that is found by its name is there.
    pub(crate) fn are_all_in(&self, names: &[String]) -> bool {
        let mut columns = self.in_file().filter(|(_, column)| column.position.is_none()).peekable();
        columns.peek().is_some()
            && columns.all(|(_, column)| names.iter().any(|name| self.is_spelling(&column.headers, name)))
    }

    fn is_spelling(&self, headers: &[String], name: &str) -> bool {
        headers.iter().any(|header| header == name || (self.are_loose && plain(header) == plain(name)))
    }

    /// The declared column of the file's column at a position, from 1, that has this name.
    pub(crate) fn target(&self, place: usize, name: &str) -> Option<usize> {
        let at_position = self.in_file().find(|(_, column)| column.position == Some(place));
        let by_name =
            || self.in_file().find(|(_, column)| column.position.is_none() && self.is_spelling(&column.headers, name));
        at_position.or_else(by_name).map(|(target, _)| target)
    }

    /// The declared columns of a file without names, with their positions.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.in_file().zip(1..).map(|((index, column), place)| (column.position.unwrap_or(place), index))
    }

    /// The declared column at a position, from 1, of a file without names.
    #[cfg(feature = "excel")]
    pub(crate) fn target_at(&self, place: usize) -> Option<usize> {
        self.places().find(|(other, _)| *other == place).map(|(_, target)| target)
    }

    /// The last position by which a column is declared, or 0.
    #[cfg(feature = "excel")]
    pub(crate) fn last_position(&self) -> usize {
        self.in_file().filter_map(|(_, column)| column.position).max().unwrap_or(0)
    }

    /// The declared column of each of a file's columns.
    pub(crate) fn match_with(&self, file: &str, names: &[String]) -> Result<Vec<Option<usize>>> {
        let mut targets = Vec::with_capacity(names.len());
        let mut seen: HashMap<usize, usize> = HashMap::new();
        for (place, name) in (1..).zip(names) {
            let target = self.target(place, name);
            if let Some(target) = target
                && let Some(first) = seen.insert(target, place)
            {
                return Err(self.duplicate(file, target, name, first, place));
            }
            targets.push(target);
        }
        let mut missing = self.in_file().filter(|(i, _)| !seen.contains_key(i)).map(|(_, column)| column);
        if let Some(required) = missing.clone().find(|column| column.presence == Presence::Required) {
            return Err(self.missing(file, required, names, &targets));
        }
        let unknown: Vec<&str> =
            names.iter().zip(&targets).filter(|(_, target)| target.is_none()).map(|(name, _)| name.as_str()).collect();
        let near_one = |column: &ExpectedName| {
            column.headers.iter().find_map(|header| Some((header.clone(), near(header, &unknown)?)))
        };
        if self.ignore_unknown
            && let Some((header, name)) = missing.find_map(near_one)
        {
            tracing::warn!(file, "the optional column `{header}` is missing, and the column `{name}` is ignored");
        }
        match unknown.first() {
            Some(unknown) if unknown.trim().is_empty() && !self.ignore_unknown => Err(Error::input(
                file,
                "its header has a column without a name",
                "correct the header line, declare the column with its `position`, or specify `unknown_columns: ignore`",
            )),
            Some(unknown) if !self.ignore_unknown => Err(Error::input(
                file,
                format!("column `{unknown}` is not declared"),
                "declare it under `columns`, or specify `unknown_columns: ignore`",
            )),
            _ => Ok(targets),
        }
    }

    /// The declared column of each column of a file without names, which has `found` of them, or none.
    pub(crate) fn by_position(&self, file: &str, found: usize) -> Result<Vec<Option<usize>>> {
        let places: Vec<(usize, usize)> = self.places().collect();
        let declared = places.iter().map(|(place, _)| *place).max().unwrap_or(0);
        let count = if self.ignore_unknown { declared.max(found) } else { declared };
        let at = |place: usize| places.iter().find(|(other, _)| *other == place).map(|(_, index)| *index);
        let targets: Vec<Option<usize>> = (1..=count).map(at).collect();
        if let Some(gap) = targets.iter().position(Option::is_none).filter(|_| !self.ignore_unknown) {
            return Err(Error::input(
                file,
                format!("its column {} is not declared", gap + 1),
                "declare a column with this `position`, or specify `unknown_columns: ignore`",
            ));
        }
        Ok(targets)
    }

    /// Why no file can have all columns, and what to do; the index of a column that is concerned.
    pub(crate) fn conflict(&self, has_header: bool) -> Option<(usize, String, &'static str)> {
        let columns: Vec<(usize, &ExpectedName)> = self.in_file().collect();
        let position = |place: usize| columns[place].1.position.or((!has_header).then_some(place + 1));
        for (place, (i, column)) in columns.iter().enumerate() {
            let i = *i;
            if column.position == Some(0) {
                return Some((i, "positions begin with 1".to_owned(), "correct the `position`"));
            }
            for (other_place, (_, other)) in columns[..place].iter().enumerate() {
                let other_name = &other.column;
                match (position(place), position(other_place)) {
                    (Some(one), Some(two)) if one == two => {
                        let message = format!("it has the same position in the files as column `{other_name}`, {one}");
                        return Some((i, message, "specify `position` for both, or for neither"));
                    }
                    (None, None) if column.headers.iter().any(|header| self.is_spelling(&other.headers, header)) => {
                        let message = format!("it has the same name in the files as column `{other_name}`");
                        return Some((
                            i,
                            message,
                            "specify different names as `header`, or take them apart by `position`",
                        ));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    fn duplicate(&self, file: &str, target: usize, name: &str, first: usize, second: usize) -> Error {
        let column = &self.columns[target].column;
        let help = format!(
            "take them apart by their positions, {column}: {{type: ..., position: {first}}} and another column with \
             `position: {second}`; or declare one of the two so, and `unknown_columns: ignore` in the source"
        );
        Error::input(file, format!("duplicate column `{name}`: its columns {first} and {second}"), help)
    }

    fn missing(&self, file: &str, missing: &ExpectedName, names: &[String], targets: &[Option<usize>]) -> Error {
        let ExpectedName { column, headers, position, .. } = missing;
        if let Some(position) = position {
            let message = format!("column `{column}` is missing: its position is {position} of {}", names.len());
            return Error::input(file, message, "correct the `position` of the column, or the file");
        }
        let header = headers.join("` or `");
        let unknown: Vec<&str> =
            names.iter().zip(targets).filter(|(_, target)| target.is_none()).map(|(name, _)| name.as_str()).collect();
        let known = targets.iter().flatten().count();
        // The values of a row must not be printed.
        let may_be_row = self.are_a_line && 2 * known <= self.in_file().count();
        let found = match may_be_row {
            true => "if its first line is a row and no header, specify `header: false` next to its path".to_owned(),
            false => format!("the file has: {}", names.join(", ")),
        };
        let is_loosely = |name: &&str| headers.iter().any(|header| plain(header) == plain(name));
        let in_folder = headers.iter().any(|header| has_folder(file, header));
        let help = match unknown.iter().find(|name| is_loosely(name)) {
            _ if in_folder => format!("to take it from the folder, declare {column}: {{type: ..., from: folder}}"),
            Some(found) => format!(
                "it has `{found}`: specify `headers: loose` next to its path, and case and blanks around names do not \
                 matter; or declare {column}: {{type: ..., header: \"{found}\"}}"
            ),
            None => match headers.iter().find_map(|header| match may_be_row {
                true => near(header, &unknown),
                false => renamed(header, &unknown),
            }) {
                Some(now) if headers.len() == 1 => format!(
                    "if it was renamed to `{now}`, declare {column}: {{type: ..., header: \"{now}\"}}, or with both \
                     names if other files have the former one, header: [\"{header}\", \"{now}\"]; {found}"
                ),
                Some(now) => format!("if it was renamed to `{now}`, add that to its `header`; {found}"),
                None => format!(
                    "fix the file, or the `columns` of the source; if files may lack it, declare {column}: {{type: \
                     ..., optional: true}}; {found}"
                ),
            },
        };
        Error::input(file, format!("column `{header}` is missing"), help)
    }
}

/// A name without the blanks around it, in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Whether a folder in the path of a file has a value of this name: `year=2024`.
pub(crate) fn has_folder(file: &str, name: &str) -> bool {
    folder_value(file, name).is_some()
}

/// The value of the innermost folder `name=value` in the path of a file, as it is written there.
pub(crate) fn folder_value<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    let (folders, _) = file.rsplit_once('/')?;
    folders
        .rsplit('/')
        .find_map(|folder| folder.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

/// The undeclared column whose name is a spelling of a declared one's.
pub(crate) fn near<'a>(declared: &str, unknown: &[&'a str]) -> Option<&'a str> {
    unknown.iter().find(|name| is_near(name, declared)).copied()
}

/// The undeclared column that a missing one was most likely renamed to.
fn renamed<'a>(missing: &str, unknown: &[&'a str]) -> Option<&'a str> {
    near(missing, unknown).or(match unknown {
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

    fn expected(columns: &[(&str, &[&str], Option<usize>)]) -> ExpectedNames {
        let columns = columns.iter().map(|(column, headers, position)| ExpectedName {
            column: (*column).to_owned(),
            headers: headers.iter().map(|header| (*header).to_owned()).collect(),
            position: *position,
            presence: Presence::Required,
        });
        let elsewhere = ExpectedName {
            column: "_file".to_owned(),
            headers: vec!["_file".to_owned()],
            position: None,
            presence: Presence::Elsewhere,
        };
        let columns = columns.chain([elsewhere]).collect();
        ExpectedNames { columns, ignore_unknown: false, are_loose: false, are_a_line: false }
    }

    fn two() -> ExpectedNames {
        expected(&[("name", &["name"], None), ("email", &["email"], None)])
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn message(expected: &ExpectedNames, names: &[&str]) -> String {
        let error = expected.match_with("in.csv", &owned(names)).unwrap_err();
        format!("{error}; {}", miette::Diagnostic::help(&error).unwrap())
    }

    #[test]
    fn columns_are_matched_by_name() {
        assert_eq!(two().match_with("in.csv", &owned(&["email", "name"])).unwrap(), [Some(1), Some(0)]);
    }

    #[test]
    fn an_undeclared_column_is_an_error_unless_ignored() {
        assert!(message(&two(), &["name", "email", "age"]).starts_with("in.csv: column `age` is not declared"));
        let lenient = ExpectedNames { ignore_unknown: true, ..two() };
        let targets = lenient.match_with("in.csv", &owned(&["name", "age", "email"])).unwrap();
        assert_eq!(targets, [Some(0), None, Some(1)]);
    }

    #[test]
    fn a_missing_column_is_an_error_that_suggests_its_new_name() {
        assert!(message(&two(), &["name"]).starts_with("in.csv: column `email` is missing"));
        assert!(message(&two(), &["name", "E-Mail"]).contains("if it was renamed to `E-Mail`"));
        assert!(message(&two(), &["name", " EMail"]).contains("specify `headers: loose`"));
    }

    #[test]
    fn a_line_that_may_be_a_row_is_not_printed() {
        let line = ExpectedNames { are_a_line: true, ..two() };
        let said = message(&line, &["7", "name", "secret@x.org"]);
        assert!(said.contains("specify `header: false`") && !said.contains("secret"), "{said}");
        assert!(message(&line, &["name", "E-Mail"]).contains("if it was renamed to `E-Mail`"));
    }

    #[test]
    fn loose_names_differ_in_case_and_in_the_blanks_around_them() {
        let loose = ExpectedNames { are_loose: true, ..two() };
        assert_eq!(loose.match_with("in.csv", &owned(&[" EMail\u{a0}", "NAME"])).unwrap(), [Some(1), Some(0)]);
        assert!(message(&loose, &["name", "email", "Name"]).starts_with("in.csv: duplicate column `Name`"));
    }

    #[test]
    fn a_missing_column_proposes_that_it_may_be_optional_or_come_from_a_folder() {
        assert!(message(&two(), &["name", "age", "x"]).contains("declare email: {type: ..., optional: true}"));
        let error = two().match_with("in/email=a/b=c/in.csv", &owned(&["name"])).unwrap_err();
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        assert_eq!(help, "to take it from the folder, declare email: {type: ..., from: folder}");
    }

    #[test]
    fn an_optional_column_may_be_missing() {
        let mut expected = two();
        expected.columns[1].presence = Presence::Optional;
        assert_eq!(expected.match_with("in.csv", &owned(&["name"])).unwrap(), [Some(0)]);
        assert_eq!(expected.match_with("in.csv", &owned(&["email", "name"])).unwrap(), [Some(1), Some(0)]);
    }

    #[test]
    fn the_value_of_a_folder_is_that_of_the_innermost_one() {
        assert_eq!(folder_value("a/year=1/year=2=3/x=y.csv", "year"), Some("2=3"));
        assert_eq!(folder_value("a/year=1/x=y.csv", "x"), None);
        assert_eq!(folder_value("x=y.csv", "x"), None);
    }

    #[test]
    fn a_column_can_have_several_names_and_a_file_has_one_of_them() {
        let columns = expected(&[("amount", &["Amount", "Amount (SGD)"], None)]);
        for name in ["Amount", "Amount (SGD)"] {
            assert_eq!(columns.match_with("in.csv", &owned(&[name])).unwrap(), [Some(0)]);
        }
        assert!(message(&columns, &["Amount", "Amount (SGD)"]).contains("duplicate column `Amount (SGD)`"));
        assert!(message(&columns, &["Sum"]).starts_with("in.csv: column `Amount` or `Amount (SGD)` is missing"));
    }

    #[test]
    fn a_duplicate_column_is_an_error_that_names_both_positions() {
        let message = message(&two(), &["name", "email", "name"]);
        assert!(message.starts_with("in.csv: duplicate column `name`: its columns 1 and 3"), "{message}");
        assert!(message.contains("name: {type: ..., position: 1}"), "{message}");
    }

    #[test]
    fn a_position_counts_and_not_the_name() {
        let columns = expected(&[("id", &["id"], None), ("one", &["one"], Some(2)), ("other", &["other"], Some(3))]);
        let targets = columns.match_with("in.csv", &owned(&["id", "note", "note"])).unwrap();
        assert_eq!(targets, [Some(0), Some(1), Some(2)]);
        assert!(message(&columns, &["id", "note"]).contains("column `other` is missing: its position is 3 of 2"));
    }

    #[test]
    fn without_names_columns_have_the_declared_order_or_their_positions() {
        assert_eq!(two().by_position("in.csv", 2).unwrap(), [Some(0), Some(1)]);
        let columns = expected(&[("b", &["b"], Some(3)), ("a", &["a"], Some(1))]);
        let error = columns.by_position("in.csv", 3).unwrap_err();
        assert_eq!(error.to_string(), "in.csv: its column 2 is not declared");
        let lenient = ExpectedNames { ignore_unknown: true, ..columns };
        assert_eq!(lenient.by_position("in.csv", 4).unwrap(), [Some(1), None, Some(0), None]);
    }
}
