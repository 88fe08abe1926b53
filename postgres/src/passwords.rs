//! libpq's password file: `~/.pgpass`, or the file named by `passfile` or `PGPASSFILE`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Looks up a password. Lines are `host:port:database:user:password`; any of the first four may be `*`.
///
/// As in libpq, a file that other users can read is ignored, and so is a missing one.
pub(crate) fn find(file: &Path, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() {
        return None;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!("{} is ignored because other users can read it: run chmod 0600 on it", file.display());
        return None;
    }
    let wanted = [host, &port.to_string(), database, user];
    fs::read_to_string(file).ok()?.lines().find_map(|line| password(line, &wanted))
}

fn password(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        if field != "*" && unescaped(field) != **wanted {
            return None;
        }
        rest = after;
    }
    // Text after another colon does not belong to the password; libpq stops there too.
    let password = field(rest).map_or(rest, |(password, _)| password);
    Some(unescaped(password))
}

/// The text up to the next unescaped colon, and the text after it.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            ':' if !escaped => return Some((&text[..at], &text[at + 1..])),
            _ => escaped = character == '\\' && !escaped,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut out = String::new();
    while let Some(character) = characters.next() {
        out.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        fs::write(&file, "# h:1:d:u:comment\nother:*:*:*:no\nh:1:d:u:it\\:s\\\\mine\n*:*:*:u:any\nbad line\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let found = |host, port, user| find(&file, host, port, "d", user);
        assert_eq!(found("h", 1, "u").as_deref(), Some(r"it:s\mine"));
        assert_eq!(found("h", 2, "u").as_deref(), Some("any"));
        assert_eq!(found("h", 1, "somebody"), None);
    }

    #[test]
    fn a_file_that_others_can_read_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        fs::write(&file, "*:*:*:*:open\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(find(&file, "h", 1, "d", "u"), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find(&file, "h", 1, "d", "u").as_deref(), Some("open"));
    }
}
