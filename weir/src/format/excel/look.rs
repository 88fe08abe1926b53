//! What a workbook has, for those who do not know it yet: its largest sheet, and where the header is there.

use std::sync::Arc;

use super::cells;
use super::merged::Merging;
use super::sheet::{Cell, Refused, Sheet, SheetWriter};
use super::workbook::{Workbook, bytes_of, with_workbook};
use crate::error::Result;
use crate::format::columns::Declared;
use crate::format::csv::Head;
use crate::format::text::{Codec, TextStream};
use crate::place::FoundFile;

/// The largest sheet of a workbook.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) sheet: String,
    /// The other sheets with content.
    pub(crate) others: Vec<String>,
    /// The names of its columns, from column A; none if there is no header.
    pub(crate) header: Option<Vec<String>>,
    /// Rows before the header, or before the first row.
    pub(crate) skip_lines: usize,
    /// For each column, whether rows have content in it.
    pub(crate) has_content: Vec<bool>,
    /// Whether rows have merged cells.
    pub(crate) has_merged: bool,
}

/// Looks into a workbook; none if it has no content. `is_value` tells what is no name of a column.
pub(crate) fn look(file: &FoundFile, is_value: &dyn Fn(&str) -> bool) -> Result<Option<Look>> {
    let mut stream = TextStream::open(file, Codec::Plain, None)?.into_text()?;
    let bytes = bytes_of(&mut *stream, &file.name)?;
    with_workbook(bytes, &file.name, |workbook| {
        let mut sheets = Vec::new();
        for sheet in workbook.sheets().into_iter().filter(|sheet| sheet.is_worksheet) {
            let rows = rows(workbook, &sheet.name)?;
            sheets.extend((rows > 0).then_some((rows, sheet.name)));
        }
        let most = sheets.iter().map(|(rows, _)| *rows).max();
        let Some(largest) = sheets.iter().position(|(rows, _)| Some(*rows) == most) else { return Ok(None) };
        let (_, sheet) = sheets.remove(largest);
        let others = sheets.into_iter().map(|(_, name)| name).collect();
        let first = read(workbook, &sheet, Head { header: false, skip_lines: 0 })?.first;
        let (row, has_header) = header(&first, is_value);
        let read = read(workbook, &sheet, Head { header: has_header, skip_lines: row as usize })?;
        let first_row = row + u32::from(has_header);
        Ok(Some(Look {
            sheet,
            others,
            header: has_header.then_some(read.names),
            skip_lines: row as usize,
            has_content: read.has_content,
            has_merged: read.merged.iter().any(|region| region.last.0 >= first_row),
        }))
    })
}

/// The number of rows with content.
fn rows(workbook: &mut Workbook, sheet: &str) -> Result<usize, Refused> {
    let (mut rows, mut last) = (0, None);
    cells::each(workbook, sheet, &mut |row, _, cell| {
        if !cell.is_empty() && last != Some(row) {
            (rows, last) = (rows + 1, Some(row));
        }
        Ok(true)
    })?;
    Ok(rows)
}

fn read(workbook: &mut Workbook, sheet: &str, head: Head) -> Result<Sheet, Refused> {
    let declared = Arc::new(Declared::of(vec![], true));
    let merged = workbook.merged(sheet)?;
    let mut writer = SheetWriter::new(sheet, &head, &declared, workbook.is_1904());
    let mut merging = Merging::new(&merged, None);
    let mut take = |row: u32, column: u32, cell: Cell<'_>| writer.cell(row, column, cell);
    cells::each(workbook, sheet, &mut |row, column, cell| {
        merging.cell(row, column, cell, &mut take)?;
        Ok(true)
    })?;
    Ok(writer.finish(merged))
}

/// The number of the header among the first rows, or of the first row, and whether it is a header: the first one that has as
/// many columns as any, and no values.
fn header(first: &[(u32, Vec<String>)], is_value: &dyn Fn(&str) -> bool) -> (u32, bool) {
    let count = |texts: &[String]| texts.iter().filter(|text| !text.is_empty()).count();
    let most = first.iter().map(|(_, texts)| count(texts)).max().unwrap_or(0);
    let widest = first.iter().find(|(_, texts)| count(texts) == most);
    widest.map_or((0, true), |(row, texts)| (*row, !texts.iter().any(|text| is_value(text))))
}
