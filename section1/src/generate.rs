//! Generates applications: CSV files like real ones, of any size, with every kind of defect that real ones have.
//!
//! The files `applications_0001.csv`, `applications_0002.csv` and so on begin with the header
//! `name,email,date_of_birth,mobile_no`; lines end with LF and are about 60 bytes. The same
//! [`Generate`] gives the same bytes on any machine, with any number of processors.
//!
//! # Contents
//!
//! | field | value | share |
//! |---|---|---|
//! | name | two words | 94.48 % |
//! | | an honorific before two words (`Dr. Ann Lee`) | 2 % |
//! | | a suffix after two words (`Ann Lee MD`) | 2 % |
//! | | three words | 1 % |
//! | | white space around it, or repeated white space inside | 0.2 % |
//! | | non-ASCII letters (`Zoë Lee`) | 0.1 % |
//! | | one word | 0.1 % |
//! | | none | 0.1 % |
//! | | a comma, so quoted (`"John Smith, MD"`) | 0.02 % |
//! | email | `First_Last@domain.tld`, the domain of one or two last names | 99.65 % |
//! | | two top-level domains (`@lee.com.sg`) | 0.1 % |
//! | | the last domain in upper case (`@lee.COM`) | 0.1 % |
//! | | without `@`, with two, or none, each | 0.05 % |
//! | email's last domain | `com` | 61 % |
//! | | `net`, `info`, `biz`, `org` | 10.7 %, 9.6 %, 9.5 %, 9.2 % |
//! | date_of_birth | `yyyy/mm/dd` | 27 % |
//! | | `mm/dd/yyyy` | 25 % |
//! | | `yyyy-mm-dd` | 24.5 % |
//! | | `dd-mm-yyyy` | 23.5 % |
//! | | an invalid date (30 February, 31/31), in any of the four formats, included above | 0.05 % |
//! | | none, instead of the above | 0.05 % |
//! | mobile_no | six, five, seven, eight digits | 25.96 %, 24.98 %, 23.98 %, 18.98 % |
//! | | `dddd dddd` | 5.98 % |
//! | | `dddd-dddd`, eight of which one is a letter, or none, each | 0.04 % |
//! | whole line | unnecessary quotes around the name | 0.1 % |
//! | | unnecessary quotes around every field | 0.1 % |
//!
//! Birthdays are from 1950 to 2015: 21 % belong to people under 18 on 1 January 2022 and are distributed uniformly over
//! the days since 2004-01-02; the others are distributed uniformly over the days before.
//!
//! Malformed lines, half of them of three fields and half of five, come in addition to these rows.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use application::Applications;
pub use folder::GenerateError;
use folder::failed;

mod application;
mod folder;
mod people;

/// Parameters of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// Well-formed rows, in all files together.
    pub rows: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Expected malformed lines per million rows, in addition to the rows; the actual number is random.
    pub malformed_per_million: u32,
    /// Maximum rows per file, clamped to 1 to [`MAX_ROWS_PER_FILE`]. Two or more rows always give at least two files,
    /// and the numbers of rows of all files differ by at most one.
    pub rows_per_file: u64,
}

/// Maximum rows of one file.
pub const MAX_ROWS_PER_FILE: u64 = 1_000_000;

impl Default for Generate {
    /// A million rows with seed 1 in two files, with about 200 malformed lines.
    fn default() -> Self {
        Self { rows: 1_000_000, seed: 1, malformed_per_million: 200, rows_per_file: MAX_ROWS_PER_FILE }
    }
}

impl Generate {
    fn files(&self) -> u64 {
        let most = self.rows_per_file.clamp(1, MAX_ROWS_PER_FILE);
        self.rows.div_ceil(most).max(self.rows.min(2)).max(1)
    }

    /// Rows of the file with this index, from 0.
    fn rows_of(&self, file: u64) -> u64 {
        let (each, rest) = (self.rows / self.files(), self.rows % self.files());
        each + u64::from(file < rest)
    }
}

/// Result of the generator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// The files, in the order of their numbers.
    pub files: Vec<PathBuf>,
    /// Well-formed rows, without headers.
    pub rows: u64,
    /// Malformed lines, not included in `rows`.
    pub malformed: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes generated applications into the folder `out`, which is created if needed.
///
/// Previously generated files are removed first. A file has a temporary name until it is complete, so readers of
/// `*.csv` never see a partial file. All processors write, each a file of its own.
///
/// # Errors
/// If the folder has other files, or a file cannot be written; the files completed by then remain.
pub fn generate(generate: &Generate, out: &Path) -> Result<Generated, GenerateError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    generate_with(generate, out, threads)
}

fn generate_with(generate: &Generate, out: &Path, threads: usize) -> Result<Generated, GenerateError> {
    folder::clear(out)?;
    let next = AtomicU64::new(0);
    let write_files = || {
        let mut written = vec![];
        loop {
            let file = next.fetch_add(1, Ordering::Relaxed);
            if file >= generate.files() {
                return Ok(written);
            }
            // After an error, the other threads start no further file.
            let file = write_file(generate, file, out).inspect_err(|_| next.store(generate.files(), Ordering::Relaxed));
            written.push(file?);
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(write_files)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread returns its errors")).collect()
    });
    let mut files = results.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    files.sort_by_key(|file| file.index);
    Ok(Generated {
        rows: generate.rows,
        malformed: files.iter().map(|file| file.malformed).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files: files.into_iter().map(|file| file.path).collect(),
    })
}

/// A completed file.
#[derive(Clone)]
struct Written {
    index: u64,
    path: PathBuf,
    malformed: u64,
    bytes: u64,
}

fn write_file(generate: &Generate, index: u64, out: &Path) -> Result<Written, GenerateError> {
    let partial = out.join(folder::partial_name(index));
    let path = out.join(folder::name(index));
    let mut written = Written { index, path, malformed: 0, bytes: 0 };
    fill(generate, &mut written, &partial).map_err(failed("write", &partial))?;
    fs::rename(&partial, &written.path).map_err(failed("rename to its final name", &partial))?;
    Ok(written)
}

/// Writes the rows of a file to `path` in chunks of a megabyte.
fn fill(generate: &Generate, written: &mut Written, path: &Path) -> io::Result<()> {
    const MEGABYTE: usize = 1 << 20;
    let mut applications = Applications::new(generate.seed, written.index, generate.malformed_per_million);
    let mut file = File::create(path)?;
    let mut lines = Vec::with_capacity(MEGABYTE + MEGABYTE / 16);
    lines.extend_from_slice(HEADER.as_bytes());
    let mut rows = generate.rows_of(written.index);
    while rows > 0 || !lines.is_empty() {
        while rows > 0 && lines.len() < MEGABYTE {
            written.malformed += u64::from(applications.write_row(&mut lines));
            rows -= 1;
        }
        file.write_all(&lines)?;
        written.bytes += lines.len() as u64;
        lines.clear();
    }
    Ok(())
}

const HEADER: &str = "name,email,date_of_birth,mobile_no\n";

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn small(rows: u64) -> Generate {
        Generate { rows, malformed_per_million: 20_000, rows_per_file: 300, ..Generate::default() }
    }

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Names and contents of all files of a folder except the marker.
    fn contents(folder: &Path) -> Vec<(String, String)> {
        let mut contents: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .filter(|(name, _)| name != ".generated_by_section1")
            .collect();
        contents.sort();
        contents
    }

    #[test]
    fn every_file_has_a_header_and_its_part_of_the_rows() {
        let out = folder();
        let generated = generate(&small(1000), out.path()).unwrap();
        let contents = contents(out.path());
        let names: Vec<_> = contents.iter().map(|(name, _)| name.as_str()).collect();
        let numbers = ["0001", "0002", "0003", "0004"];
        assert_eq!(names, numbers.map(|number| format!("applications_{number}.csv")));
        assert_eq!(generated.files, numbers.map(|number| out.path().join(format!("applications_{number}.csv"))));
        assert!(contents.iter().all(|(_, text)| text.starts_with(HEADER) && text.ends_with('\n')));
        let lines: usize = contents.iter().map(|(_, text)| text.lines().count() - 1).sum();
        assert_eq!(lines as u64, generated.rows + generated.malformed);
        assert_eq!(contents.iter().map(|(_, text)| text.len() as u64).sum::<u64>(), generated.bytes);
    }

    #[test]
    fn malformed_lines_are_in_addition_to_the_rows() {
        let out = folder();
        let generated = generate(&small(1000), out.path()).unwrap();
        let malformed = contents(out.path())
            .iter()
            .flat_map(|(_, text)| text.lines())
            .filter(|line| !line.contains('"') && line.split(',').count() != 4)
            .count();
        assert_eq!(generated.rows, 1000);
        assert_eq!(generated.malformed, malformed as u64);
        assert!(malformed > 0);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (one, many) = (folder(), folder());
        let of_one = generate_with(&small(2000), one.path(), 1).unwrap();
        let of_many = generate_with(&small(2000), many.path(), 5).unwrap();
        assert_eq!(contents(one.path()), contents(many.path()));
        assert_eq!((of_one.malformed, of_one.bytes), (of_many.malformed, of_many.bytes));
    }

    #[test]
    fn another_seed_gives_other_applications() {
        let (one, other) = (folder(), folder());
        generate(&small(100), one.path()).unwrap();
        generate(&Generate { seed: 2, ..small(100) }, other.path()).unwrap();
        assert_ne!(contents(one.path()), contents(other.path()));
    }

    #[test]
    fn no_two_files_have_the_same_rows() {
        let out = folder();
        generate(&small(600), out.path()).unwrap();
        let contents = contents(out.path());
        assert_ne!(contents[0].1, contents[1].1);
    }

    #[test]
    fn two_rows_make_two_files() {
        let files = |rows| Generate { rows, ..Generate::default() }.files();
        assert_eq!([0, 1, 2, 1_000_000, 2_000_000, 2_000_001].map(files), [1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn a_file_has_at_most_a_million_rows() {
        let generate = Generate { rows: 5_000_000, rows_per_file: u64::MAX, ..Generate::default() };
        assert_eq!(generate.files(), 5);
        assert_eq!(Generate { rows: 5, rows_per_file: 0, ..Generate::default() }.files(), 5);
    }

    #[test]
    fn files_generated_before_are_replaced() {
        let out = folder();
        generate(&small(2000), out.path()).unwrap();
        fs::write(out.path().join(".applications_0009.csv.partial"), "").unwrap();
        generate(&small(2), out.path()).unwrap();
        assert_eq!(contents(out.path()).len(), 2);
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_unchanged() {
        for other in ["notes.txt", "applications_1.csv", "applications_0001.csv.gz", "applications_000a.csv"] {
            let out = folder();
            generate(&small(1), out.path()).unwrap();
            fs::write(out.path().join(other), "mine").unwrap();
            let error = generate(&small(10), out.path()).unwrap_err();
            assert!(matches!(&error, GenerateError::OtherFiles { file, .. } if file == Path::new(other)));
            assert!(error.to_string().contains(other) && error.to_string().contains("choose an empty folder"));
            assert_eq!(contents(out.path()).len(), 2);
        }
    }

    #[test]
    fn a_foreign_file_is_kept_even_if_it_has_a_generated_name() {
        let out = folder();
        fs::write(out.path().join("applications_0001.csv"), "mine").unwrap();
        assert!(matches!(generate(&small(10), out.path()), Err(GenerateError::OtherFiles { .. })));
        assert_eq!(contents(out.path()), [("applications_0001.csv".to_owned(), "mine".to_owned())]);
    }

    #[test]
    fn an_error_names_the_path_and_what_to_do() {
        let out = folder();
        let file = out.path().join("file");
        fs::write(&file, "").unwrap();
        let error = generate(&small(10), &file.join("below")).unwrap_err().to_string();
        assert!(error.contains("below") && error.contains("check its permissions"), "{error}");
    }
}
