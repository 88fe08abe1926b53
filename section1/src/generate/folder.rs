//! The folder that is generated into: what its files are called, and that they are the only ones.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Why nothing, or not everything, was generated.
#[derive(Debug)]
pub enum GenerateError {
    /// The folder has something that was not generated. Nothing in it was changed.
    OtherFiles {
        /// The folder.
        folder: PathBuf,
        /// One of the files.
        file: PathBuf,
    },
    /// A file or folder could not be read or written.
    Io {
        /// What was tried, as in "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for GenerateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherFiles { folder, file } => write!(
                formatter,
                "{} holds {}, which is no generated file: choose an empty folder, or one of \
                 generated files only, which will be replaced",
                folder.display(),
                file.display(),
            ),
            Self::Io { action, path, source } => write!(
                formatter,
                "cannot {action} {}: {source}; check its permissions and the free space, or choose \
                 another folder",
                path.display(),
            ),
        }
    }
}

impl std::error::Error for GenerateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OtherFiles { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

/// The name of a file with an index from 0.
pub(crate) fn name(index: u64) -> String {
    format!("{PREFIX}{:04}{SUFFIX}", index + 1)
}

/// The name of that file until it is whole.
pub(crate) fn partial_name(index: u64) -> String {
    format!(".{}{PARTIAL}", name(index))
}

const PREFIX: &str = "applications_";
const SUFFIX: &str = ".csv";
const PARTIAL: &str = ".partial";
/// Says that what is in a folder was generated: a file of somebody's own can have the name of a generated one.
const MARKER: &str = ".generated_by_section1";

/// Makes the folder, or empties it of generated files, if it holds nothing else.
pub(crate) fn clear(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    let marker = folder.join(MARKER);
    let is_own = marker.exists();
    let mut generated = vec![];
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let entry = entry.map_err(failed("list", folder))?;
        if entry.file_name() == MARKER {
            continue;
        }
        if !is_own || !is_generated(&entry.file_name()) {
            return Err(GenerateError::OtherFiles { folder: folder.into(), file: entry.file_name().into() });
        }
        generated.push(entry.path());
    }
    generated.iter().try_for_each(|path| fs::remove_file(path).map_err(failed("remove", path)))?;
    fs::write(&marker, "").map_err(failed("write", &marker))
}

/// Whether a file has one of the names that generated files have, for good or until they are whole.
fn is_generated(name: &OsStr) -> bool {
    let number = || {
        let name = name.to_str()?;
        let name = match name.strip_prefix('.') {
            Some(partial) => partial.strip_suffix(PARTIAL)?,
            None => name,
        };
        name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
    };
    number().is_some_and(|number| number.len() >= 4 && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Makes the error of an action on a path out of what the system says.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GenerateError {
    let path = path.to_owned();
    move |source| GenerateError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_given_are_known_as_generated() {
        for index in [0, 8, 9_998, 9_999, 1_234_567] {
            assert!(is_generated(name(index).as_ref()));
            assert!(is_generated(partial_name(index).as_ref()));
        }
    }

    #[test]
    fn other_names_are_not_taken_for_generated() {
        let others = [
            "applications.csv",
            "applications_1.csv",
            "applications_000a.csv",
            "applications_0001.csv.gz",
            "applications_0001.csv.partial",
            ".applications_0001.csv",
        ];
        for other in others {
            assert!(!is_generated(other.as_ref()), "{other}");
        }
    }

    #[test]
    fn the_first_file_has_the_number_one() {
        assert_eq!(name(0), "applications_0001.csv");
    }
}
