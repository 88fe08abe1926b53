//! Names and texts, as they stand in SQL.

/// A name for SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text for SQL, whatever the server takes a backslash for.
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Names for SQL.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Names for SQL, each of a table.
pub(crate) fn list_of<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("{table}.{}", quoted(name))).collect::<Vec<_>>().join(", ")
}
