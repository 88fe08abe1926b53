//! Files whose names are not UTF-8, which no pattern of the glob library matches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::place::pattern::split;

/// As the glob library matches: no wildcard but `**` reaches into another folder.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Whether a path whose names are not all UTF-8 leads through a hidden folder: of those the glob library skips some only.
pub(super) fn is_hidden(path: &Path, base: &Path) -> bool {
    let below = path.strip_prefix(base).unwrap_or(path);
    path.to_str().is_none() && below.iter().any(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The files and folders below the pattern's fixed part that match it, where a byte that is not UTF-8 is any character, and
/// that the glob library passes over.
pub(super) fn matching(pattern: &str) -> io::Result<Vec<PathBuf>> {
    let (base, rest) = split(Path::new(pattern));
    let escaped = base.iter().map(|name| Pattern::escape(&name.to_string_lossy())).collect::<PathBuf>();
    let whole = escaped.join(rest.iter().collect::<PathBuf>());
    let Ok(matches) = Pattern::new(&whole.to_string_lossy()) else { return Ok(vec![]) };
    let depth = if rest.iter().any(|name| name == "**") { usize::MAX } else { rest.len() };
    let mut found = Vec::new();
    let mut folders = vec![(base, depth)];
    while let Some((folder, depth)) = folders.pop() {
        let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let entries = match fs::read_dir(listed) {
            Ok(entries) => entries,
            // What is not there, or may not be listed, is told where the other files are looked for.
            Err(_) => continue,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = folder.join(entry.file_name());
            if path.to_str().is_none() && matches.matches_with(&path.to_string_lossy(), OPTIONS) {
                found.push(path.clone());
            }
            // With `**` links are not followed: they may lead in a circle.
            let is_folder =
                || if depth == usize::MAX { entry.file_type().map(|kind| kind.is_dir()) } else { Ok(path.is_dir()) };
            if depth > 1 && is_folder()? {
                folders.push((path, depth.saturating_sub(usize::from(depth < usize::MAX))));
            }
        }
    }
    Ok(found)
}
