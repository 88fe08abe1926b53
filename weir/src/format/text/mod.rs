//! The common parts of the text formats: files are opened, split into blocks of whole records, parsed and converted,
//! and the lines of unreadable records are numbered.
//!
//! `stream` reads the text of a file; `blocks` splits it, and `cuts` divides it among processes; `views` are the columns of a parsed block; `lines` numbers
//! lines. A format defines where a file's records begin, where one ends, and how a block of them is parsed.

mod blocks;
mod charset;
mod cuts;
mod kinds;
mod lines;
mod members;
mod stream;
mod unpack;
mod views;

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter;
use datafusion::arrow::error::ArrowError;
use datafusion::common::stats::Precision;
use datafusion::error::Result as QueryResult;
use memchr::memchr_iter;
use serde_json::Value;

use super::columns::{Declared, ReadColumns};
use super::compression_of_name;
use super::empty::{is_empty, no_content};
use super::file_columns::{FileColumns, fill_default};
use super::scan::{Pushed, Rows, Scan};
use super::split::{FilePart, Split, TextPart};
use crate::error::{Error, Result};
use crate::place::{self, FoundFile};
use crate::route::RejectedRoute;
use crate::task::{ColumnFrom, Compression, IfEmpty};
use crate::watch::ScanProgress;
pub(crate) use blocks::RecordEnds;
use blocks::{Block, Cursor, Text, TextPlace};
pub(crate) use charset::{Charset, UTF_32_HELP, guessed, guessed_encoding, is_utf_32};
use cuts::cuts;
pub(crate) use kinds::check_text;
use lines::{FileLines, last_rejected};
pub(crate) use stream::{Fill, OpenText, TextStream};
pub(crate) use unpack::{Codec, Decompressed};
pub(crate) use views::{Views, finish, view};

/// Bytes per block: large enough that handing it out costs nothing, small enough that a
/// block and its columns stay in the processor's cache.
const BLOCK_BYTES: usize = 256 << 10;

/// The maximum length of a record in bytes: an unclosed quote must not swallow a file.
pub(crate) const MAX_RECORD_BYTES: usize = 16 << 20;

/// Bytes that are read first, to find the header and to estimate the length of lines.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// A text format.
pub(crate) trait TextFormat: RecordEnds + 'static {
    /// What the parser must know of one file.
    type Layout: Debug + Clone + Send + Sync;

    /// The name of its scan in a plan.
    const SCAN: &'static str;

    /// What to do about a file without content, if the task does not say it.
    fn if_empty(&self) -> IfEmpty {
        IfEmpty::Fail
    }

    /// Whether a text that has been made of a file has nothing in it, not even a header.
    fn is_empty(&self, _stream: &mut TextStream) -> Result<bool> {
        Ok(false)
    }

    /// Reads the beginning of a file.
    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Self::Layout>>;

    /// Whether the records of a file have a declared column.
    fn has(layout: &Self::Layout, column: usize) -> bool;

    /// The layout for a scan that reads some of the columns: `target` maps a declared column to its index there.
    fn project(layout: &Self::Layout, target: &dyn Fn(usize) -> Option<usize>) -> Self::Layout;

    /// Parses a block of whole records.
    fn parse(&self, block: &Bytes, layout: &Self::Layout, shape: &Shape) -> Parsed;

    /// What [`check_read`](Self::check_read) has to know of the records that were read.
    fn found(&self) -> Value {
        Value::Null
    }

    /// Adds what another process has found.
    fn add_found(&self, _found: Value) -> Result<()> {
        Ok(())
    }

    /// Checks what is only known when all records were read, and tells the route what to count.
    fn check_read(&self, _files: &str, _declared: &Declared, _rejected: &RejectedRoute) -> Result<()> {
        Ok(())
    }
}

/// The beginning of a file.
pub(crate) struct Beginning<L> {
    /// The bytes that were read.
    pub(crate) head: Bytes,
    /// The offset of the first record in them.
    pub(crate) data_start: usize,
    pub(crate) layout: L,
}

/// The settings of all files of a scan.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) columns: ReadColumns,
    /// Longer records are rejected, in bytes.
    pub(crate) max_record: usize,
    /// The reason for the rejection of a record that is no text.
    pub(crate) invalid_text: &'static str,
}

impl Shape {
    pub(crate) fn new(columns: ReadColumns, options: &TextOptions) -> Self {
        let invalid_text = if options.charset.is_some() { "invalid_encoding" } else { "invalid_utf8" };
        Self { columns, max_record: options.max_record, invalid_text }
    }
}

/// A parsed block: texts of the columns that are read.
pub(crate) struct Parsed {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    /// The position of each row's record, unless no row can be invalid.
    pub(crate) spans: Vec<Span>,
    /// The unreadable records.
    pub(crate) rejected: Vec<Rejected>,
    /// Line feeds in the block.
    pub(crate) lines: u64,
    /// Rows whose record lacks a column that has a default: the index of the column, and the rows.
    pub(crate) lacking: Vec<(usize, Vec<u32>)>,
    /// Fields that have no value although they are not empty.
    pub(crate) unvalued: Vec<Unvalued>,
}

impl Parsed {
    /// Keeps the records at some lines; the number of a line is that of the line feeds before it in the block.
    fn keep(&mut self, is_kept: impl Fn(u64) -> bool) -> Result<(), ArrowError> {
        let kept: Vec<bool> = self.spans.iter().map(|span| is_kept(span.line)).collect();
        let mut places = Vec::with_capacity(kept.len());
        let mut rows = 0;
        for kept in &kept {
            places.push(kept.then_some(rows));
            rows += usize::from(*kept);
        }
        let mask = BooleanArray::from(kept);
        for column in &mut self.columns {
            *column = filter(column, &mask)?;
        }
        for (_, of_column) in &mut self.lacking {
            *of_column = of_column.iter().filter_map(|row| places[*row as usize].map(|row| row as u32)).collect();
        }
        let unvalued = std::mem::take(&mut self.unvalued).into_iter();
        self.unvalued = unvalued.filter_map(|of| Some(Unvalued { row: places[of.row]?, ..of })).collect();
        self.spans.retain(|span| is_kept(span.line));
        self.rejected.retain(|rejected| is_kept(rejected.line));
        self.rows = rows;
        Ok(())
    }
}

/// A field without a value that can be read, such as an error of a spreadsheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unvalued {
    /// The index of the column among those that are read.
    pub(crate) column: usize,
    pub(crate) row: usize,
    /// The reason, before the name of the column.
    pub(crate) kind: &'static str,
}

/// The position of a row's record in the block.
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) line: u64,
}

/// An unreadable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Line feeds in the block before it.
    pub(crate) line: u64,
    /// The original record, without its line end.
    pub(crate) raw: Bytes,
    /// The reason.
    pub(crate) reason: String,
}

/// The findings in a block.
#[derive(Debug, Default)]
struct Found {
    rejected: Vec<Rejected>,
    /// Reason, number of rows, a sample of them.
    nulled: Vec<(String, u64, Vec<Rejected>)>,
    /// Line feeds in the block before it, column, reason.
    failed: Option<(u64, String, String)>,
}

/// The files of a source in a text format, their beginnings checked.
#[derive(Debug)]
pub(crate) struct TextFiles<F: TextFormat> {
    format: Arc<F>,
    declared: Arc<Declared>,
    options: TextOptions,
    files: Arc<[Text]>,
    layouts: Vec<F::Layout>,
    file_columns: Arc<[FileColumns]>,
}

/// The settings of a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextOptions {
    pub(crate) compression: Option<Compression>,
    /// The encoding of the text, if it is not UTF-8.
    pub(crate) charset: Option<Charset>,
    /// What to do about a file without content.
    pub(crate) if_empty: Option<IfEmpty>,
    /// Bytes per block.
    pub(crate) block_bytes: usize,
    /// Longer records are rejected, in bytes.
    pub(crate) max_record: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        let (block_bytes, max_record) = (BLOCK_BYTES, MAX_RECORD_BYTES);
        Self { compression: None, charset: None, if_empty: None, block_bytes, max_record }
    }
}

impl<F: TextFormat> TextFiles<F> {
    /// Checks the beginning of every file. No record is read.
    pub(crate) fn open(
        format: F,
        found: Vec<FoundFile>,
        declared: Arc<Declared>,
        options: TextOptions,
    ) -> Result<Self> {
        let line_end = format.line_end();
        let texts = texts_of(found, options.compression)?;
        let opened = place::map(&texts, |TextOf { file, codec }| {
            let (codec, charset) = (*codec, options.charset);
            if file.size() == 0 {
                return no_content(&file.name, format.if_empty(), options.if_empty).map(|()| None);
            }
            let mut stream = TextStream::open(file, codec, charset)?;
            if is_empty(file, codec, &mut stream)? {
                return no_content(&file.name, format.if_empty(), options.if_empty).map(|()| None);
            }
            let mut stream = format.records_of(stream, &file.name)?;
            if format.is_empty(&mut stream)? {
                return no_content(&file.name, format.if_empty(), options.if_empty).map(|()| None);
            }
            let Beginning { head, data_start, layout } = format.begin(&mut stream, &file.name, &declared)?;
            let (header, sample) = head.split_at(data_start);
            let mean_line = (sample.len() / memchr_iter(line_end, sample).count().max(1)).max(1) as u64;
            // What was read before is skipped as the header is.
            let header = (data_start as u64, memchr_iter(line_end, header).count() as u64);
            let former = file.former_end().map_or((0, 0), |end| (end.bytes, end.lines));
            let (data_start, header_lines) = header.max(former);
            let text = Text {
                estimated_rows: (stream.estimated_length().saturating_sub(data_start) / mean_line) as usize,
                data_start,
                end: None,
                header_lines,
                name: file.name.clone(),
                place: TextPlace::File { file: Box::new(file.clone()), codec, charset },
            };
            let file_columns = FileColumns::of(file, &declared, |column| F::has(&layout, column))?;
            Ok(Some((text, (layout, file_columns))))
        });
        let (files, (layouts, file_columns)): (Vec<_>, (_, Vec<_>)) = opened?.into_iter().flatten().unzip();
        let (format, file_columns) = (Arc::new(format), file_columns.into());
        Ok(Self { format, declared, options, files: files.into(), layouts, file_columns })
    }
}

impl<F: TextFormat> TextFiles<F> {
    /// The parts of a plain text of `size` bytes, of about `bytes` each.
    fn parts(&self, text: &Text, size: u64, bytes: u64) -> Result<Vec<TextPart>> {
        cuts(text, &*self.format, size, bytes, self.options.max_record)
    }

    /// The parts of the only file, if it can be read in parts.
    #[cfg(test)]
    pub(crate) fn parts_of_only(&self, bytes: u64) -> Result<Option<Vec<FilePart>>> {
        let [text] = &self.files[..] else { return Ok(None) };
        let (TextPlace::File { file, codec: Codec::Plain, charset: None }, true) =
            (&text.place, self.format.can_be_cut())
        else {
            return Ok(None);
        };
        let parts = self.parts(text, file.size(), bytes)?;
        Ok(Some(parts.into_iter().map(FilePart::Text).collect()))
    }
}

/// A text in a file.
struct TextOf {
    /// Its name has that of the archive that it is in.
    file: FoundFile,
    codec: Codec,
}

impl Borrow<FoundFile> for TextOf {
    fn borrow(&self) -> &FoundFile {
        &self.file
    }
}

/// The texts in files: one in each, or the members of an archive.
fn texts_of(found: Vec<FoundFile>, declared: Option<Compression>) -> Result<Vec<TextOf>> {
    let mut texts = Vec::with_capacity(found.len());
    for file in found {
        if declared.or_else(|| compression_of_name(&file.name)) == Some(Compression::Zip) {
            for (name, member) in members::members(&file)? {
                let name = format!("{}/{name}", file.name);
                texts.push(TextOf { file: file.clone().named(name), codec: Codec::Member(member) });
            }
        } else {
            let codec = Codec::of(&file.name, declared);
            texts.push(TextOf { file, codec });
        }
    }
    Ok(texts)
}

/// The length of a byte order mark at the beginning of a file.
pub(crate) fn byte_order_mark(head: &[u8]) -> usize {
    if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// The end of a record's text: before its line feed and carriage return.
pub(crate) fn trim_line_end(data: &[u8], record: usize, end: usize) -> usize {
    let text = &data[record..end];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    record + text.strip_suffix(b"\r").unwrap_or(text).len()
}

impl<F: TextFormat> Rows for TextFiles<F> {
    type Scan = TextScan<F>;

    const SCAN: &'static str = F::SCAN;

    fn shown(&self, _: &ReadColumns, _: &Pushed) -> String {
        format!("files={}", self.files.len())
    }

    fn rows(&self) -> Precision<usize> {
        Precision::Inexact(self.files.iter().map(|file| file.estimated_rows).sum())
    }

    fn splits(&self, bytes: u64) -> Result<Option<Vec<Split>>> {
        let mut splits: Vec<Split> = Vec::new();
        for text in self.files.iter() {
            let TextPlace::File { file, codec, charset } = &text.place else { return Ok(None) };
            let Some(record) = file.record() else { return Ok(None) };
            if let Codec::Member(_) = codec {
                // The name of the file is that of its archive, and all of its members are read together.
                let archive = record.of_archive();
                if splits.last().is_none_or(|last| last.file != archive) {
                    splits.push(Split { file: archive, part: FilePart::Whole });
                }
            } else if *codec == Codec::Plain && charset.is_none() && self.format.can_be_cut() && file.size() > bytes {
                let parts = self.parts(text, file.size(), bytes)?;
                let parts = parts.into_iter().map(|part| Split { file: record.clone(), part: FilePart::Text(part) });
                splits.extend(parts);
            } else {
                splits.push(Split { file: record, part: FilePart::Whole });
            }
        }
        Ok(Some(splits))
    }

    fn restrict(&mut self, part: &FilePart) -> Result<()> {
        match (part, Arc::get_mut(&mut self.files)) {
            (FilePart::Whole, _) => Ok(()),
            (FilePart::Text(part), Some([text])) => {
                (text.data_start, text.end, text.header_lines) = (part.start, part.end, part.lines);
                Ok(())
            }
            _ => Err(Error::internal(format!("a text has no part {part:?}"))),
        }
    }

    fn found(&self) -> Value {
        self.format.found()
    }

    fn add_found(&self, found: Value) -> Result<()> {
        self.format.add_found(found)
    }

    fn check_read(&self, rejected: &RejectedRoute) -> Result<()> {
        let files = match &self.files[..] {
            [] => return Ok(()),
            [file] => file.name.clone(),
            [file, others @ ..] => format!("{} and {} other files", file.name, others.len()),
        };
        self.format.check_read(&files, &self.declared, rejected)
    }

    /// A text may be invalid for the type of its column.
    fn can_reject(&self, column: usize) -> bool {
        self.declared.columns[column].can_reject_text()
    }

    fn scan(
        &self,
        columns: ReadColumns,
        _: Pushed,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (Self::Scan, Cursor) {
        let mut columns = columns;
        // The positions of the records are needed.
        columns.are_plain &= !self.file_columns.iter().any(FileColumns::has_chosen);
        let target = |column: usize| columns.place(column);
        let layouts = self.layouts.iter().map(|layout| F::project(layout, &target)).collect();
        let shape = Shape::new(columns, &self.options);
        let of_files = (self.files.clone(), layouts, self.file_columns.clone());
        TextScan::begin(self.format.clone(), of_files, shape, self.options, rejected, progress)
    }
}

/// The files of a scan, for each of them what the parser must know, and the columns that its records do not have.
type Files<L> = (Arc<[Text]>, Vec<L>, Arc<[FileColumns]>);

/// A scan of text files.
#[derive(Debug)]
pub(crate) struct TextScan<F: TextFormat> {
    format: Arc<F>,
    layouts: Vec<F::Layout>,
    file_columns: Arc<[FileColumns]>,
    lines: Vec<Mutex<FileLines>>,
    shape: Shape,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

impl<F: TextFormat> TextScan<F> {
    fn begin(
        format: Arc<F>,
        (files, layouts, file_columns): Files<F::Layout>,
        shape: Shape,
        options: TextOptions,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (Self, Cursor) {
        let counts_lines = shape.columns.columns.iter().any(|column| column.from == ColumnFrom::Line)
            || file_columns.iter().any(FileColumns::has_chosen);
        let lines = files.iter().map(|file| Mutex::new(FileLines::new(file))).collect();
        let cursor = Cursor::new(files, format.clone(), options.block_bytes, options.max_record);
        let scan = Self { format, layouts, file_columns, lines, shape, rejected, progress };
        (scan, cursor.counting_lines(counts_lines))
    }

    /// A scan of one text that is not a file.
    pub(crate) fn of_stream(
        format: F,
        name: String,
        text: Arc<dyn OpenText>,
        layout: F::Layout,
        columns: ReadColumns,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (Self, Cursor) {
        let (texts, options) = ([Text::of_stream(name, text)].into(), TextOptions::default());
        let declared = columns.declared().iter().max().map_or(0, |last| last + 1);
        let of_text = (texts, vec![layout], [FileColumns::none(declared)].into());
        let shape = Shape::new(columns, &options);
        Self::begin(Arc::new(format), of_text, shape, options, rejected, progress)
    }
}

impl<F: TextFormat> Scan for TextScan<F> {
    type Cursor = Cursor;
    type Piece = Block;

    fn next(&self, cursor: &mut Cursor) -> Result<Option<Block>> {
        cursor.next()
    }

    /// Converts a block to a batch, and reports its unreadable records.
    fn read(&self, block: Block) -> QueryResult<RecordBatch> {
        self.progress.bytes.fetch_add(block.taken, Ordering::Relaxed);
        let (file, sequence) = (block.file, block.sequence);
        let (batch, lines, found) = self.parse(block)?;
        let ready = self.lines[file].lock().unwrap_or_else(PoisonError::into_inner).finish(sequence, lines, found);
        self.rejected.send(ready)?;
        self.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok(self.shape.columns.asked(batch)?)
    }
}

impl<F: TextFormat> TextScan<F> {
    fn parse(&self, block: Block) -> Result<(RecordBatch, u64, Found), ArrowError> {
        let columns = &self.shape.columns;
        let of_file = &self.file_columns[block.file];
        if block.too_long && !of_file.reads(block.lines_before + 1) {
            return Ok((RecordBatch::new_empty(columns.schema.clone()), 1, Found::default()));
        }
        if block.too_long {
            let rejected = Rejected { line: 0, raw: block.bytes, reason: "record_too_long".to_owned() };
            let found = Found { rejected: vec![rejected], ..Found::default() };
            return Ok((RecordBatch::new_empty(columns.schema.clone()), 1, found));
        }
        let mut parsed = self.format.parse(&block.bytes, &self.layouts[block.file], &self.shape);
        if of_file.has_chosen() {
            parsed.keep(|line| of_file.reads(block.lines_before + line + 1))?;
        }
        for Rejected { raw, reason, .. } in &parsed.rejected {
            self.rejected.unread.add(reason, [&raw[..]], parsed.rows > 0);
        }
        if block.is_last
            && let Some((reason, records)) = last_rejected(&block.bytes, &parsed.rejected)
        {
            self.rejected.unread.add_last(reason, records);
        }
        if columns.are_plain {
            let options = RecordBatchOptions::new().with_row_count(Some(parsed.rows));
            let batch = RecordBatch::try_new_with_options(columns.schema.clone(), parsed.columns, &options)?;
            return Ok((batch, parsed.lines, Found { rejected: parsed.rejected, ..Found::default() }));
        }
        let lines = || {
            parsed.spans.iter().map(|span| Some((block.lines_before + span.line + 1) as i64)).collect::<Int64Array>()
        };
        let texts = parsed.columns.iter().zip(&columns.columns).zip(columns.declared());
        let typed = texts.map(|((text, column), declared)| match of_file.values(*declared, parsed.rows, lines)? {
            Some(values) => Ok(values),
            None => {
                let typed = column.form.parse(text)?;
                column.keep_unread(text, &typed, &self.rejected);
                Ok(typed)
            }
        });
        let mut typed = typed.collect::<Result<Vec<_>, ArrowError>>()?;
        for (column, rows) in &parsed.lacking {
            fill_default(&mut typed[*column], &columns.columns[*column], rows)?;
        }
        let checked = columns.check(typed, parsed.rows, &parsed.unvalued)?;
        let record = |row: usize, reason: String| {
            let span = &parsed.spans[row];
            Rejected { line: span.line, raw: block.bytes.slice(span.start as usize..span.end as usize), reason }
        };
        let mut rejected = parsed.rejected;
        if !checked.rejected.is_empty() {
            rejected.extend(checked.rejected.into_iter().map(|(row, reason)| record(row, reason)));
            rejected.sort_by_key(|rejected| rejected.line);
        }
        let nulled = checked.nulled.into_iter().map(|nulled| {
            let samples = nulled.samples.iter().map(|row| record(*row, nulled.reason.clone())).collect();
            (nulled.reason, nulled.rows, samples)
        });
        let failed = checked.failed.map(|(row, column, reason)| (parsed.spans[row].line, column, reason));
        Ok((checked.batch, parsed.lines, Found { rejected, nulled: nulled.collect(), failed }))
    }
}
