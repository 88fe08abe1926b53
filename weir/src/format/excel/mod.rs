//! Sheets of workbooks: a sheet is presented as text, a line for each of its rows, so that conversion, checks, rejected
//! rows and their numbers are those of CSV.
//!
//! `workbook` opens a file and chooses the sheet, `cells` reads its cells, `sheet` makes rows of text of them, with
//! `value` for dates and times, and `merged` cells; `fill` is the text as the scan reads it, `columns` matches its columns with the declared
//! ones, and `rules` says how the text is written. `look` finds the table of a workbook that is not known
//! yet.

mod cells;
mod columns;
mod fill;
mod look;
mod merged;
mod rules;
mod sheet;
mod value;
mod workbook;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::FileForm;
use super::columns::Declared;
use super::csv::{Csv, Layout};
use super::text::{Beginning, Codec, HEAD_BYTES, Parsed, RecordEnds, Shape, TextFormat, TextStream};
use crate::error::{Error, Result};
use crate::place::FoundFile;
use crate::task::MergedCells;
use fill::SheetText;
pub(crate) use look::look;
use rules::SheetRules;
use sheet::Sheet;

/// The rows of one sheet of each workbook.
#[derive(Debug)]
pub(crate) struct Excel {
    /// The name of the sheet, or its number from 1; otherwise the only one with content.
    sheet: Option<Arc<str>>,
    merged_cells: Option<MergedCells>,
    csv: Csv<SheetRules>,
    declared: Arc<Declared>,
}

/// Whoever holds it reads a workbook, which is in memory as a whole: one at a time.
static READING: Mutex<()> = Mutex::new(());

impl Excel {
    pub(crate) fn new(form: &FileForm, declared: Arc<Declared>) -> Self {
        let (sheet, merged_cells) = (form.sheet.clone(), form.merged_cells);
        Self { sheet, merged_cells, csv: form.csv.of_sheet(SheetRules::of), declared }
    }

    /// The sheet of a workbook as text.
    fn read(&self, file: TextStream, name: &str) -> Result<SheetText> {
        let mut file = file.into_text()?;
        let _one = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = workbook::bytes_of(&mut *file, name)?;
        let sheet = workbook::read(bytes, name, self)?;
        Ok(SheetText::new(file, sheet))
    }

    /// Whether a workbook has no rows, but for a header at most.
    pub(crate) fn has_no_rows(&self, file: &FoundFile) -> Result<bool> {
        let text = self.read(TextStream::open(file, Codec::Plain, None)?, &file.name)?;
        Ok(text.sheet().rows() == 0)
    }
}

impl RecordEnds for Excel {
    fn records_of(&self, text: TextStream, name: &str) -> Result<TextStream> {
        Ok(TextStream::forward(Box::new(self.read(text, name)?)))
    }

    fn can_be_cut(&self) -> bool {
        false
    }

    fn last_record_end(&self, data: &[u8], max_record: usize) -> usize {
        self.csv.last_record_end(data, max_record)
    }

    fn last_row_end(&self, data: &[u8], max_record: usize) -> usize {
        self.csv.last_row_end(data, max_record)
    }

    fn kept_records(&self) -> usize {
        self.csv.kept_records()
    }

    fn line_end(&self) -> u8 {
        self.csv.line_end()
    }
}

impl TextFormat for Excel {
    type Layout = Layout;

    const SCAN: &'static str = "ExcelScanExec";

    fn is_empty(&self, stream: &mut TextStream) -> Result<bool> {
        Ok(sheet_of(stream)?.is_empty())
    }

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        let sheet = sheet_of(stream)?;
        let layout = columns::layout(&sheet, name, declared, self)?;
        let data_start = sheet.data_start();
        let (head, _) = stream.read(0, HEAD_BYTES.max(data_start))?;
        Ok(Beginning { head, data_start, layout })
    }

    fn has(layout: &Layout, column: usize) -> bool {
        <Csv<SheetRules> as TextFormat>::has(layout, column)
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        <Csv<SheetRules> as TextFormat>::project(layout, target)
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        self.csv.parse(block, layout, shape)
    }
}

/// The sheet whose text a stream is.
fn sheet_of(stream: &TextStream) -> Result<Arc<Sheet>> {
    let sheet = stream.origin().and_then(|sheet| sheet.downcast::<Sheet>().ok());
    sheet.ok_or_else(|| Error::internal("the text is not that of a sheet"))
}
