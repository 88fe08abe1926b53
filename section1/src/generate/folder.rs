//! The output folder of the generator: the names of its files, and the check that it has no others.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Why generating failed.
#[derive(Debug)]
pub enum GenerateError {
    /// The folder has files that were not generated. It was not changed.
    OtherFiles {
        /// The folder.
        folder: PathBuf,
        /// One of the files.
        file: PathBuf,
    },
    /// A file or folder could not be read or written.
    Io {
        /// The failed action, as in "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for GenerateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherFiles { folder, file } => write!(
                formatter,
                "{} contains {}, which was not generated: choose an empty folder, or one with \
                 only generated files, which will be replaced",
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

/// The name of the file with this index, from 0.
pub(crate) fn name(index: u64) -> String {
    format!("{PREFIX}{:04}{SUFFIX}", index + 1)
}

/// The temporary name of that file until it is complete.
pub(crate) fn partial_name(index: u64) -> String {
    format!(".{}{PARTIAL}", name(index))
}

const PREFIX: &str = "applications_";
const SUFFIX: &str = ".csv";
const PARTIAL: &str = ".partial";
/// Marks a folder of generated files: a foreign file may have the name of a generated one.
const MARKER: &str = ".generated_by_section1";

/// Creates the folder, or removes its generated files if it has no others.
pub(crate) fn clear(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
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

/// Whether a file has the final or temporary name of a generated file.
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

/// Creates the error of an action on a path from the system's error.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GenerateError {
    let path = path.to_owned();
    move |source| GenerateError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_generated_files_are_recognised() {
        for index in [0, 8, 9_998, 9_999, 1_234_567] {
            assert!(is_generated(name(index).as_ref()));
            assert!(is_generated(partial_name(index).as_ref()));
        }
    }

    #[test]
    fn other_names_are_not_recognised() {
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
