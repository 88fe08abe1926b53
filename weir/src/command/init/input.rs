//! The files that a task is created from, before any of their rows is read: where they are, their form, their columns.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[cfg(feature = "avro")]
use super::avro;
use super::guess;
use super::json;
use super::sniff::{self, Dialect, Form, Table};
use crate::error::{Error, Result, number_of};
use crate::format::csv::LONGEST_FOOTER;
use crate::format::empty::is_blank;
#[cfg(feature = "excel")]
use crate::format::excel;
use crate::format::text::{Codec, TextStream, check_text};
use crate::place::{FoundFile, found};
use crate::task::SqlType;

/// Bytes of a file by which its form is recognised.
const HEAD_BYTES: usize = 1 << 20;

/// A file, or the files of a folder.
#[derive(Debug)]
pub(in crate::command) struct Input {
    /// As the user named it.
    pub(super) given: PathBuf,
    /// The pattern of the files within a folder: `/*.csv`; empty for a single file.
    pub(super) within: String,
    /// The file that was looked into: the first one.
    pub(in crate::command) first: PathBuf,
    pub(in crate::command) form: Form,
    pub(super) columns: Vec<Found>,
    /// What its author should know about how it is read.
    pub(in crate::command) notes: Vec<String>,
}

/// A column as the files have it.
#[derive(Debug, Clone)]
pub(in crate::command) struct Found {
    /// Its name in the files; where they have none, its place.
    pub(in crate::command) label: String,
    /// The keys that lead to it, in addition to its type.
    pub(super) keys: Vec<(&'static str, String)>,
    /// Its type, if the files tell.
    pub(super) sql_type: Option<SqlType>,
}

impl Input {
    /// Looks into a file, or into the first file of a folder.
    pub(in crate::command) fn open(given: &Path) -> Result<Self> {
        let metadata = fs::metadata(given).map_err(|error| unreadable(given, error))?;
        let (first, within) = match metadata.is_dir() {
            true => of_folder(given)?,
            false if metadata.is_file() => (given.to_path_buf(), String::new()),
            false => return Err(unreadable(given, "is not a file")),
        };
        Self::look(given, first, within)
    }

    /// Looks into the first file that matches a pattern.
    pub(in crate::command) fn of_pattern(pattern: &str) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| Error::input(pattern, error, "correct the pattern");
        let files = glob::glob(pattern).map_err(|error| wrong(&error))?;
        let first = files.filter_map(std::result::Result::ok).find(|path| path.is_file());
        let Some(first) = first else {
            return Err(Error::input(pattern, "no file matches", "name files that exist, with the pattern in quotes"));
        };
        let plain = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
        let (folder, within) = match pattern[..plain].rfind('/') {
            Some(0) => ("/", &pattern[1..]),
            Some(end) => pattern.split_at(end),
            None => (".", pattern),
        };
        let within = format!("/{}", within.trim_start_matches('/'));
        Self::look(Path::new(folder), first, within)
    }

    fn look(given: &Path, first: PathBuf, within: String) -> Result<Self> {
        let (head, is_whole) = head(&first)?;
        if is_whole && is_blank(&head) {
            return Err(Error::input(first.display(), "is empty", "name a file with at least a header line or a row"));
        }
        let mut form = sniff::form(&head, is_whole);
        if let Form::Csv(dialect) = &form
            && !dialect.encoding.is_some_and(|encoding| encoding.starts_with("UTF-16"))
        {
            check_text(&head, &first.display().to_string())?;
        }
        if let (Form::Csv(dialect), false) = (&mut form, within.is_empty()) {
            // Files without a footer would lose their last rows.
            dialect.skip_last = 0;
        }
        let mut notes = Vec::new();
        let columns = match &form {
            Form::Csv(dialect) => of_csv(dialect, &mut notes),
            Form::Jsonl => json::columns(&first, None)?,
            Form::Json(path) => json::columns(&first, Some(path))?,
            Form::Parquet => of_parquet(&first)?,
            #[cfg(feature = "avro")]
            Form::Avro => avro::columns(&first)?,
            Form::Excel(_) => {
                let (table, columns) = of_workbook(&first, &mut notes)?;
                form = Form::Excel(table);
                columns
            }
            Form::Other(what, help) => return Err(Error::input(first.display(), format!("is {what}"), help)),
        };
        match columns.is_empty() {
            true => Err(Error::input(first.display(), "has no columns", "name a file with at least one row")),
            false => Ok(Self { given: given.to_path_buf(), within, first, form, columns, notes }),
        }
    }

    /// Whether so many records at its end may be no rows.
    pub(super) fn may_have_footer(&self, records: usize) -> bool {
        let is_free = matches!(&self.form, Form::Csv(dialect) if dialect.skip_last == 0);
        is_free && self.within.is_empty() && records <= LONGEST_FOOTER
    }

    /// Leaves records at its end out.
    pub(super) fn skip_last(&mut self, records: usize) {
        if let Form::Csv(dialect) = &mut self.form {
            dialect.skip_last = records;
        }
    }

    /// The keys under `files`, with their values in YAML, where a parameter has the file or the folder.
    pub(super) fn keys(&self, parameter: &str) -> Vec<(&'static str, String)> {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let format = match &self.form {
            Form::Csv(_) => "csv",
            Form::Jsonl => "jsonl",
            Form::Json(_) => "json",
            Form::Parquet => "parquet",
            #[cfg(feature = "avro")]
            Form::Avro => "avro",
            Form::Excel(_) => "excel",
            Form::Other(..) => "",
        };
        let path = text(&format!("${{{parameter}}}{}", self.within));
        let mut keys = vec![("path", path), ("format", format.to_owned())];
        if let Form::Json(path) = &self.form {
            keys.extend((!path.is_empty()).then(|| ("records", text(&path.join(".")))));
        }
        if let Form::Excel(table) = &self.form {
            let (dialect, above) = (&table.dialect, table.dialect.skip_lines);
            keys.extend(table.sheet.as_ref().map(|sheet| ("sheet", text(sheet))));
            match dialect.header {
                Some(_) => keys.extend((above > 0).then(|| ("header", (above + 1).to_string()))),
                None => {
                    keys.push(("header", "false".to_owned()));
                    keys.extend((above > 0).then(|| ("skip_lines", above.to_string())));
                }
            }
            keys.extend(table.has_merged.then(|| ("merged_cells", "fill".to_owned())));
        }
        if let Form::Csv(dialect) = &self.form {
            keys.extend(dialect.delimiter.as_ref().map(|delimiter| ("delimiter", text(delimiter))));
            keys.extend(dialect.encoding.map(|encoding| ("encoding", text(encoding))));
            keys.extend((dialect.skip_lines > 0).then(|| ("skip_lines", dialect.skip_lines.to_string())));
            keys.extend(dialect.comment.map(|comment| ("comment", text(&comment.to_string()))));
            keys.extend(dialect.header.is_none().then(|| ("header", "false".to_owned())));
            keys.extend(dialect.trailing_delimiter.then(|| ("trailing_delimiter", "true".to_owned())));
            keys.extend((dialect.skip_last > 0).then(|| ("skip_last", dialect.skip_last.to_string())));
        }
        keys
    }

    /// The suffix of the names of such files, without the dot.
    pub(super) fn extension(&self) -> &'static str {
        match self.form {
            Form::Csv(_) => "csv",
            Form::Jsonl => "jsonl",
            Form::Json(_) => "json",
            Form::Parquet => "parquet",
            #[cfg(feature = "avro")]
            Form::Avro => "avro",
            Form::Excel(_) => workbook_extension(&self.first),
            Form::Other(..) => "",
        }
    }
}

/// The first file of a folder, and the pattern of it and of those with the same suffix, within the folder.
fn of_folder(folder: &Path) -> Result<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        // As Hive and Spark have it: such a file is about the data.
        let is_hidden = matches!(entry.file_name().as_encoded_bytes(), [b'.' | b'_', ..]);
        if !is_hidden && fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            files.push(entry.path());
        }
    }
    files.sort();
    let mut counts: HashMap<String, usize> = HashMap::new();
    files.iter().for_each(|file| *counts.entry(suffix(file)).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(suffix, count)| (*count, std::cmp::Reverse(suffix.clone())));
    let Some((most, _)) = most else {
        return Err(Error::input(folder.display(), "has no files", "name a file, or a folder with the files to read"));
    };
    let first = files.into_iter().find(|file| suffix(file) == most).unwrap_or_default();
    Ok((first, format!("/*{}", glob::Pattern::escape(&most))))
}

/// The suffix of a file's name: `.csv`, or `.csv.gz` of a compressed file.
fn suffix(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let parts: Vec<&str> = name.split('.').skip(1).collect();
    let is_compressed =
        parts.last().is_some_and(|last| ["gz", "zst", "bz2", "xz"].contains(&last.to_ascii_lowercase().as_str()));
    let parts = parts.len().saturating_sub(if is_compressed { 2 } else { 1 })..;
    let parts = &name.split('.').skip(1).collect::<Vec<_>>()[parts];
    parts.iter().map(|part| format!(".{part}")).collect()
}

/// The first bytes of a file, decompressed, and whether they are all of it.
fn head(file: &Path) -> Result<(Vec<u8>, bool)> {
    let (bytes, is_whole) = open(file)?.read(0, HEAD_BYTES)?;
    Ok((bytes.to_vec(), is_whole))
}

/// A file's text, from its beginning.
pub(super) fn open(file: &Path) -> Result<TextStream> {
    let found = found_file(file)?;
    let codec = Codec::of(&found.name, None);
    TextStream::open(&found, codec, None)
}

/// A file as a source finds it.
pub(super) fn found_file(file: &Path) -> Result<FoundFile> {
    let path = std::path::absolute(file).map_err(|error| unreadable(file, error))?;
    found(file.display().to_string(), &path)
}

fn of_csv(dialect: &Dialect, notes: &mut Vec<String>) -> Vec<Found> {
    if dialect.skip_lines > 0 && dialect.header.is_some() {
        notes
            .push(format!("{} before its header: `skip_lines` leaves them out", number_of(dialect.skip_lines, "line")));
    }
    columns_of(dialect, notes)
}

/// The columns by their names, or by their positions.
fn columns_of(dialect: &Dialect, notes: &mut Vec<String>) -> Vec<Found> {
    let Some(names) = &dialect.header else {
        let columns =
            (1..=dialect.columns).map(|place| Found { label: format!("column {place}"), keys: vec![], sql_type: None });
        return columns.collect();
    };
    let mut columns = Vec::with_capacity(names.len());
    let mut told = IndexSet::new();
    for (place, name) in (1..).zip(names) {
        let places: Vec<String> =
            (1..).zip(names).filter(|(_, other)| *other == name).map(|(place, _)| i32::to_string(&place)).collect();
        if name.trim().is_empty() {
            notes.push(format!("column {place} has no name in the header: it is told by its position"));
            columns.push(Found::at(place, format!("column {place}")));
        } else if places.len() > 1 {
            if told.insert(name) {
                notes.push(format!(
                    "columns {} have the same name `{name}`: they are told apart by position",
                    places.join(", ")
                ));
            }
            let before = names[..place as usize - 1].iter().filter(|other| *other == name).count();
            columns.push(Found::at(place, if before == 0 { name.clone() } else { format!("{name} {}", before + 1) }));
        } else {
            columns.push(Found::named(name, None));
        }
    }
    columns
}

/// The table of a workbook: its largest sheet.
#[cfg(feature = "excel")]
fn of_workbook(path: &Path, notes: &mut Vec<String>) -> Result<(Table, Vec<Found>)> {
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, error))?;
    let look = excel::look(&found(path.display().to_string(), &absolute)?, &guess::is_value)?;
    let Some(look) = look else {
        return Err(Error::input(path.display(), "is empty", "name a file with at least a header line or a row"));
    };
    if !look.others.is_empty() {
        let others: Vec<String> = look.others.iter().map(|sheet| format!("`{sheet}`")).collect();
        notes.push(format!("its sheet `{}` has the most rows; not read: {}", look.sheet, others.join(", ")));
    }
    if look.has_merged {
        notes.push("it has merged cells: with `merged_cells: fill` each of them has the value".to_owned());
    }
    let columns = look.has_content.len().max(look.header.as_ref().map_or(0, Vec::len));
    let header = look.header.map(|mut names| {
        names.resize(columns, String::new());
        names
    });
    let is_column = |place: usize| {
        let has_name = header.as_ref().is_none_or(|names| !names[place].trim().is_empty());
        has_name || look.has_content.get(place) == Some(&true)
    };
    let kept: Vec<bool> = (0..columns).map(is_column).collect();
    let dialect = Dialect::of_sheet(header, columns, look.skip_lines);
    let mut told = Vec::new();
    let columns = columns_of(&dialect, &mut told);
    let columns = columns.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(column, _)| column).collect();
    if kept.iter().all(|kept| *kept) {
        notes.append(&mut told);
    }
    let sheet = (!look.others.is_empty()).then_some(look.sheet);
    Ok((Table { sheet, dialect, has_merged: look.has_merged }, columns))
}

#[cfg(not(feature = "excel"))]
fn of_workbook(path: &Path, _: &mut Vec<String>) -> Result<(Table, Vec<Found>)> {
    Err(Error::input(path.display(), "is a workbook", "export the sheet as CSV"))
}

/// The suffix of the name of a workbook: its kind is told by its content.
fn workbook_extension(path: &Path) -> &'static str {
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ["xls", "xlsb", "xlsm", "ods"].into_iter().find(|known| *known == suffix).unwrap_or("xlsx")
}

fn of_parquet(path: &Path) -> Result<Vec<Found>> {
    let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file);
    let reader = reader.map_err(|error| Error::input(path.display(), error, "write the complete file again"))?;
    let columns = reader.schema().fields().iter();
    Ok(columns.map(|field| Found::named(field.name(), Some(SqlType::of_arrow(field.data_type())))).collect())
}

impl Found {
    /// A column of a name.
    pub(super) fn named(name: &str, sql_type: Option<SqlType>) -> Self {
        Self { label: name.to_owned(), keys: vec![("header", serde_json::Value::from(name).to_string())], sql_type }
    }

    /// A column that is found by its position, from 1.
    fn at(place: i32, label: String) -> Self {
        Self { label, keys: vec![("position", place.to_string())], sql_type: None }
    }

    /// A name for SQL, before it is made unique.
    pub(super) fn plain(&self) -> String {
        guess::plain(&self.label)
    }
}

pub(super) fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::input(path.display(), error, "name a file or a folder that this user can read")
}
