//! Quoting of names and texts in SQL.

/// Quotes an identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text as a literal that is valid with either value of `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Quoted identifiers, separated by commas.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Quoted identifiers, each qualified by a table, separated by commas.
pub(crate) fn list_of<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("{table}.{}", quoted(name))).collect::<Vec<_>>().join(", ")
}
