//! Quoting of names and texts in SQL.

use std::fmt::Write;

/// Quotes an identifier.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal that means the same in every SQL mode.
pub fn literal(text: &str) -> String {
    if !text.contains('\\') {
        return format!("'{}'", text.replace('\'', "''"));
    }
    // Whether a backslash escapes depends on the mode; hexadecimal digits are the same in all.
    let mut hex = "_utf8mb4 x'".to_owned();
    for byte in text.bytes() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex + "'"
}

/// Quoted identifiers, separated by commas.
pub fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_end_early() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'"), "_utf8mb4 x'5c27'");
        assert_eq!(list(&["a", "b"]), "`a`, `b`");
    }
}
