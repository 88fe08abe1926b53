//! File formats: the readers and the writer of each format, and their common parts.
//!
//! `columns` are the declared columns of a source, `names` matches them with a file's, `file_columns` are those that its
//! records do not have, `value` converts texts to values of their types; `scan` presents rows to the query
//! engine, `propose` finds the options that read what a source rejects. `csv`, `jsonl` and `fixed_width` are text formats, which share `text`;
//! `parquet` and `avro` are `typed` ones. `excel` makes text of sheets. `write` writes a file.

#[cfg(feature = "avro")]
pub(crate) mod avro;
pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod empty;
#[cfg(feature = "excel")]
pub(crate) mod excel;
pub(crate) mod file_columns;
pub(crate) mod fixed_width;
pub(crate) mod jsonl;
pub(crate) mod names;
pub(crate) mod parquet;
pub(crate) mod propose;
pub(crate) mod scan;
pub(crate) mod split;
pub(crate) mod text;
pub(crate) mod typed;
pub(crate) mod value;
pub(crate) mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

#[cfg(test)]
mod round_trip;

use std::sync::Arc;

use serde_saphyr::Spanned;

use columns::Declared;
use csv::CsvForm;
#[cfg(feature = "excel")]
use excel::Excel;
use fixed_width::FixedWidth;
use jsonl::{Jsonl, RecordsPath};
use parquet::ParquetFiles;
use scan::{RowsTable, SourceTable};
use split::FilePart;
use text::{Charset, Codec, HEAD_BYTES, RecordEnds, TextFiles, TextFormat, TextOptions, TextStream};

use crate::error::Result;
use crate::place::FoundFile;
use crate::route::RejectedRoute;
use crate::task::{Compression, FilesSpec, Format, IfEmpty, MergedCells, Scalar, ShortLines, Task, TaskError};
use crate::watch::ScanProgress;

/// The form of the files of a source.
#[derive(Debug, Clone)]
pub(crate) struct FileForm {
    pub(crate) format: Format,
    /// The compression that the task specifies; otherwise by the suffix of each file's name.
    pub(crate) compression: Option<Compression>,
    /// What to do about a file without content, if the task specifies it.
    pub(crate) if_empty: Option<IfEmpty>,
    /// The encoding of text files, if it is not UTF-8.
    pub(crate) charset: Option<Charset>,
    /// Where the records of JSON documents are.
    pub(crate) records: RecordsPath,
    /// The sheet of workbooks that is read.
    #[cfg_attr(not(feature = "excel"), expect(dead_code, reason = "no sheet is read"))]
    pub(crate) sheet: Option<Arc<str>>,
    /// Which of several merged cells have the value, if the task tells.
    #[cfg_attr(not(feature = "excel"), expect(dead_code, reason = "no sheet is read"))]
    pub(crate) merged_cells: Option<MergedCells>,
    /// The form of CSV files, of fixed-width ones, and of sheets.
    pub(crate) csv: CsvForm,
    /// What only fixed-width files have.
    fixed_width: FixedWidth,
}

impl FileForm {
    /// The default form of a format.
    pub(crate) fn of(format: Format) -> Self {
        let (records, csv) = (RecordsPath::default(), CsvForm::default());
        let fixed_width = FixedWidth::new(&csv, true, ShortLines::default());
        Self {
            format,
            compression: None,
            if_empty: None,
            charset: None,
            records,
            sheet: None,
            merged_cells: None,
            csv,
            fixed_width,
        }
    }

    /// Reads the form of a source's files.
    pub(crate) fn take(task: &Task, files: &FilesSpec, if_empty: Option<IfEmpty>) -> Result<Self> {
        let text = || {
            csv::check_keys(task, files)?;
            let (charset, csv) = (csv::charset_of(task, &files.encoding)?, CsvForm::take(task, files)?);
            Ok((charset, csv, jsonl::records_of(task, files)?))
        };
        let (charset, csv, records) = text().map_err(|error: TaskError| Box::new(error))?;
        let trims = files.trim.as_ref().is_none_or(|trim| trim.value);
        let short_lines = files.short_lines.as_ref().map_or_else(ShortLines::default, |lines| lines.value);
        let fixed_width = FixedWidth::new(&csv, trims, short_lines);
        Ok(Self {
            format: files.format,
            compression: files.compression(),
            if_empty,
            charset,
            records,
            sheet: sheet_of(task, files)?,
            merged_cells: files.merged_cells.as_ref().map(|chosen| chosen.value),
            csv,
            fixed_width,
        })
    }
}

impl FileForm {
    /// How a text file is compressed, if it is.
    fn compression_of(&self, file: &FoundFile) -> Option<Compression> {
        self.compression.or_else(|| compression_of_name(&file.name))
    }

    /// Whether a file that has grown can be read from the end of one of its lines on.
    pub(crate) fn can_be_continued(&self, file: &FoundFile) -> bool {
        let is_plain = matches!(self.compression_of(file), None | Some(Compression::None)) && self.charset.is_none();
        is_plain
            && match self.format {
                Format::Csv | Format::FixedWidth => self.csv.can_be_continued(),
                Format::Jsonl => true,
                Format::Json | Format::Parquet | Format::Avro | Format::Excel => false,
            }
    }

    /// Whether a file has no rows, but for a header at most. Of text files only small ones are looked into.
    pub(crate) fn has_no_rows(&self, file: &FoundFile) -> Result<bool> {
        if file.size() == 0 {
            return Ok(true);
        }
        if self.format == Format::Parquet {
            return parquet::has_no_rows(file);
        }
        #[cfg(feature = "avro")]
        if self.format == Format::Avro {
            return avro::has_no_rows(file);
        }
        #[cfg(feature = "excel")]
        if self.format == Format::Excel {
            let declared = Declared::of(vec![], true);
            return Excel::new(self, Arc::new(declared)).has_no_rows(file);
        }
        let compression = self.compression_of(file);
        if file.size() > HEAD_BYTES as u64 || compression == Some(Compression::Zip) {
            return Ok(false);
        }
        let mut stream = TextStream::open(file, Codec::of(&file.name, compression), self.charset)?;
        if self.format == Format::Json {
            stream = Jsonl::documents(self.records.clone()).records_of(stream, &file.name)?;
        }
        let (text, is_whole) = stream.read(0, HEAD_BYTES)?;
        let text = text.trim_ascii_end();
        let lines = if text.is_empty() { 0 } else { 1 + text.iter().filter(|byte| **byte == b'\n').count() };
        let header = match self.format {
            Format::Csv => self.csv.lines_before_rows(),
            Format::FixedWidth => self.csv.skip_lines(),
            _ => 0,
        };
        Ok(is_whole && lines <= header)
    }
}

/// The sheet of workbooks that a source reads, if it names one.
fn sheet_of(task: &Task, files: &FilesSpec) -> Result<Option<Arc<str>>> {
    if files.format == Format::Excel && !cfg!(feature = "excel") {
        let error =
            task.error(&files.path, "this program was built without the feature `excel`, which reads workbooks");
        return Err(Box::new(error.with_help("build it with that feature, or export the sheet as CSV")).into());
    }
    let Some(sheet) = &files.sheet else { return Ok(None) };
    let Scalar(text) = sheet.value.clone();
    let text = Spanned { value: text, referenced: sheet.referenced, defined: sheet.defined };
    Ok(Some(task.params.fill(&task.source, &text)?.into()))
}

/// The compression that the suffix of a file's name tells.
pub(crate) fn compression_of_name(name: &str) -> Option<Compression> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "gz" => Some(Compression::Gzip),
        "zst" => Some(Compression::Zstd),
        "bz2" => Some(Compression::Bzip2),
        "xz" => Some(Compression::Xz),
        "zip" => Some(Compression::Zip),
        _ => None,
    }
}

/// Checks files, or a part of the only one, against the declared columns and presents them as a table.
pub(crate) fn open(
    found: Vec<FoundFile>,
    form: &FileForm,
    declared: &Arc<Declared>,
    rejected: &Arc<RejectedRoute>,
    progress: &Arc<ScanProgress>,
    part: &FilePart,
) -> Result<Arc<dyn SourceTable>> {
    let (declared, rejected, progress) = (declared.clone(), rejected.clone(), progress.clone());
    if form.format == Format::Parquet {
        let files = ParquetFiles::open(found, declared.clone(), form.if_empty)?;
        return Ok(Arc::new(RowsTable::new(files, declared, rejected, progress).restricted(part)?));
    }
    #[cfg(feature = "avro")]
    if form.format == Format::Avro {
        let files = avro::AvroFiles::open(found, declared.clone(), form.if_empty)?;
        return Ok(Arc::new(RowsTable::new(files, declared, rejected, progress).restricted(part)?));
    }
    let texts = Texts { found, form, declared, rejected, progress, part };
    match (form.format, form.csv.strict()) {
        (Format::Jsonl, _) => texts.open(Jsonl::default()),
        #[cfg(feature = "excel")]
        (Format::Excel, _) => {
            let excel = Excel::new(form, texts.declared.clone());
            texts.open(excel)
        }
        (Format::Json, _) => texts.open(Jsonl::documents(form.records.clone())),
        (Format::FixedWidth, _) => texts.open(form.fixed_width.clone()),
        (_, Some(strict)) => texts.open(strict),
        (_, None) => texts.open(form.csv.declared()),
    }
}

/// The parts of a table of text files.
struct Texts<'a> {
    found: Vec<FoundFile>,
    form: &'a FileForm,
    declared: Arc<Declared>,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
    part: &'a FilePart,
}

impl Texts<'_> {
    fn open<F: TextFormat>(self, format: F) -> Result<Arc<dyn SourceTable>> {
        let Self { found, form, declared, rejected, progress, part } = self;
        let FileForm { compression, if_empty, charset, .. } = *form;
        // The name of a workbook says nothing about its compression.
        let compression = if form.format == Format::Excel { Some(Compression::None) } else { compression };
        let options = TextOptions { compression, if_empty, charset, ..TextOptions::default() };
        let files = TextFiles::open(format, found, declared.clone(), options)?;
        Ok(Arc::new(RowsTable::new(files, declared, rejected, progress).restricted(part)?))
    }
}
