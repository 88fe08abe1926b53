//! Names that are one file where case is ignored, or everywhere.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use ahash::RandomState;

use crate::error::Error;

/// Names that are shown.
const SHOWN: usize = 3;

/// Fails if two documents of a run have one name where case is ignored.
///
/// Needs 16 bytes for each name next to the names.
pub(in crate::sink) fn check_names(sink: &str, target: &Path, names: &[String]) -> Result<(), Error> {
    let hasher = RandomState::new();
    let mut hashed: Vec<(u64, usize)> =
        names.iter().enumerate().map(|(at, name)| (hash(&hasher, name.as_bytes()), at)).collect();
    hashed.sort_unstable();
    let (mut rows, mut same, mut samples) = (0, 0, vec![]);
    for group in hashed.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1) {
        let mut group: Vec<&str> = group.iter().map(|(_, at)| names[*at].as_str()).collect();
        group.sort_unstable_by_key(|name| (name.to_ascii_lowercase(), *name));
        for same_file in group.chunk_by(|one, other| one.eq_ignore_ascii_case(other)).filter(|same| same.len() > 1) {
            rows += same_file.len() as u64;
            same += same_file.windows(2).filter(|pair| pair[0] == pair[1]).count();
            samples.push(format!("{}, {}", shown(same_file[0]), shown(same_file[1])));
        }
    }
    if samples.is_empty() {
        return Ok(());
    }
    samples.sort_unstable();
    samples.truncate(SHOWN);
    Err(Error::same_document(sink, target, rows, same == 0, samples.join(" | ")))
}

/// The error of a document whose name is taken.
pub(in crate::sink) fn same_name(sink: &str, target: &Path, name: &str) -> Error {
    Error::same_document(sink, target, 2, false, name.to_owned())
}

/// A name without the folder of its run.
fn shown(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn hash(hasher: &RandomState, name: &[u8]) -> u64 {
    let mut hash = hasher.build_hasher();
    let mut folded = [0; 64];
    for piece in name.chunks(folded.len()) {
        let folded = &mut folded[..piece.len()];
        folded.copy_from_slice(piece);
        folded.make_ascii_lowercase();
        hash.write(folded);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        check_names("document", Path::new("out"), &names).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn names_that_are_one_file_are_found() {
        let long = "x".repeat(200);
        assert_eq!(said(&["a", "b", "ab", "%C3%89", "%C3%A9", &format!("{long}a"), &format!("{long}b")]), "");
        assert!(said(&["a", "b", "a", "a"]).contains("3 rows have the same name"));
        assert!(said(&["a", "A", "a"]).contains("3 rows have the same name"));
        assert!(said(&["a", "b", "A"]).contains("2 rows have names that differ only in case"));
        assert!(said(&[&format!("{long}a"), &format!("{long}A")]).contains("2 rows have names"));
    }
}
