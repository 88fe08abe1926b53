//! A sheet as rows of text.

use super::merged::Region;
use super::rules::{MARK, NO_DATE, NO_VALUE};
use super::value;
use crate::format::columns::Declared;
use crate::format::csv::Head;

/// The most bytes of a sheet's text.
const MOST_TEXT: usize = 1 << 30;

/// Rows of which the texts are kept, to find the header.
const FIRST_ROWS: u32 = 100;

/// A cell, as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Empty,
    Text(&'a str),
    Number(f64),
    Boolean(bool),
    /// A number that is shown as a date or a time.
    Moment(f64),
    /// A number that is shown as a duration.
    Duration(f64),
    /// A date or a time in ISO 8601.
    IsoMoment(&'a str),
    IsoDuration(&'a str),
    /// An error, by its name.
    Error(&'a str),
    /// A formula whose value the file does not have.
    NoValue,
}

/// Why a sheet cannot be read: what is wrong, and what to do.
pub(super) type Refused = (String, &'static str);

/// The rows of a sheet with content, from the header on.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: String,
    text: Vec<u8>,
    rows: Vec<Row>,
    /// The row of the header, from 0, if there is one; it is the first one.
    pub(super) header: Option<u32>,
    /// The texts of the header, by column.
    pub(super) names: Vec<String>,
    /// For each column, whether rows below the header have content in it.
    pub(super) has_content: Vec<bool>,
    /// The texts of the first rows of the sheet, also of those above the header.
    pub(super) first: Vec<(u32, Vec<String>)>,
    /// Its merged cells, where the file tells.
    pub(super) merged: Vec<Region>,
    /// The number of columns.
    width: usize,
}

/// A row with content.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its number, from 0.
    number: u32,
    fields: u32,
    /// Where its text ends; it begins where that of the row before it ends.
    end: usize,
}

impl Sheet {
    /// Whether it has neither a row nor a header.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of rows below the header.
    pub(super) fn rows(&self) -> usize {
        self.rows.len() - usize::from(self.header.is_some())
    }

    /// The numbers of the rows below the header, but for the last ones.
    pub(super) fn row_numbers(&self, but_last: usize) -> impl Iterator<Item = u32> + Clone {
        let first = usize::from(self.header.is_some());
        self.rows[..self.rows.len().saturating_sub(but_last).max(first)].iter().skip(first).map(|row| row.number)
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The number, the fields and the text of a row with content.
    pub(super) fn row(&self, index: usize) -> Option<(u32, usize, &[u8])> {
        let row = self.rows.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.rows[before].end);
        Some((row.number, row.fields as usize, &self.text[start..row.end]))
    }

    /// The length of a row's line.
    fn line_length(&self, index: usize) -> usize {
        self.row(index).map_or(0, |(_, fields, text)| text.len() + self.width - fields + 1)
    }

    /// The header as the lines have it; empty if there is none.
    pub(super) fn header_line(&self) -> Vec<u8> {
        match (self.header, self.row(0)) {
            (Some(_), Some((_, fields, text))) => [text, &vec![b','; self.width - fields]].concat(),
            _ => vec![],
        }
    }

    /// The length of the lines up to the header.
    pub(super) fn data_start(&self) -> usize {
        self.header.map_or(0, |row| row as usize + self.line_length(0))
    }

    /// The length of all lines.
    pub(super) fn length(&self) -> u64 {
        let Some(last) = self.rows.last() else { return 0 };
        let empty = last.number as usize + 1 - self.rows.len();
        (empty + (0..self.rows.len()).map(|index| self.line_length(index)).sum::<usize>()) as u64
    }
}

/// Makes a sheet of its cells, which come row by row.
pub(super) struct SheetWriter<'a> {
    sheet: Sheet,
    head: &'a Head,
    declared: &'a Declared,
    is_1904: bool,
    /// The row that is being written, and its fields.
    row: Option<u32>,
    fields: usize,
    /// The decimal points of columns whose numbers have another one.
    points: Vec<Option<char>>,
    /// The text of a cell.
    buffer: String,
}

impl<'a> SheetWriter<'a> {
    pub(super) fn new(name: &str, head: &'a Head, declared: &'a Declared, is_1904: bool) -> Self {
        let sheet = Sheet {
            name: name.to_owned(),
            text: Vec::new(),
            rows: Vec::new(),
            header: None,
            names: Vec::new(),
            has_content: Vec::new(),
            first: Vec::new(),
            merged: Vec::new(),
            width: 0,
        };
        let (row, points, buffer) = (None, Vec::new(), String::new());
        let mut writer = Self { sheet, head, declared, is_1904, row, fields: 0, points, buffer };
        if !head.header {
            writer.find_points();
        }
        writer
    }

    /// Adds a cell; row and column from 0.
    pub(super) fn cell(&mut self, row: u32, column: u32, cell: Cell<'_>) -> Result<(), Refused> {
        if matches!(cell, Cell::Empty | Cell::Text("")) {
            return Ok(());
        }
        let column = column as usize;
        let is_before = self.row.is_some_and(|open| row < open || (row == open && column < self.fields));
        if is_before {
            let message = format!("its cells are not in order in row {}", row + 1);
            return Err((message, "open it in a spreadsheet program and save it again"));
        }
        if self.row.is_some_and(|open| open < row) {
            self.end_row();
        }
        let point = self.points.get(column).copied().flatten();
        let is_marked = self.write(cell, point);
        if row < FIRST_ROWS {
            self.keep(row, column);
        }
        if (row as usize) < self.head.skip_lines {
            return Ok(());
        }
        if self.row.is_none() {
            (self.row, self.fields) = (Some(row), 0);
        }
        let is_header = self.is_header();
        let text = &mut self.sheet.text;
        // The first field has no comma before it.
        let commas = column + 1 - self.fields - usize::from(self.fields == 0);
        text.extend(std::iter::repeat_n(b',', commas));
        match is_marked {
            true => text.extend_from_slice(self.buffer.as_bytes()),
            false => write_field(&self.buffer, text),
        }
        self.fields = column + 1;
        if is_header {
            self.sheet.header = Some(row);
            self.sheet.names.resize(column, String::new());
            self.sheet.names.push(self.buffer.clone());
        } else {
            if self.sheet.has_content.len() <= column {
                self.sheet.has_content.resize(column + 1, false);
            }
            self.sheet.has_content[column] = true;
        }
        if self.sheet.text.len() > MOST_TEXT {
            let message = format!("its sheet has more than {} MiB of text", MOST_TEXT >> 20);
            return Err((message, "export the sheet as CSV, or split it"));
        }
        Ok(())
    }

    /// Whether the row that is being written is the header.
    fn is_header(&self) -> bool {
        self.head.header && self.sheet.rows.is_empty()
    }

    fn end_row(&mut self) {
        let Some(number) = self.row.take() else { return };
        let is_header = self.is_header();
        self.sheet.rows.push(Row { number, fields: self.fields as u32, end: self.sheet.text.len() });
        self.sheet.width = self.sheet.width.max(self.fields);
        if is_header {
            self.find_points();
        }
    }

    /// Numbers are written as the columns read them: their cells have no decimal point of a language.
    fn find_points(&mut self) {
        let names = self.declared.names();
        let columns = match self.head.header {
            true => self.sheet.names.len().max(names.last_position()),
            false => self.declared.columns.len().max(names.last_position()),
        };
        let target = |column: usize| match self.head.header {
            true => names.target(column + 1, self.sheet.names.get(column).map_or("", String::as_str)),
            false => names.target_at(column + 1),
        };
        let point = |column: usize| self.declared.columns[target(column)?].form.point();
        self.points = (0..columns).map(point).collect();
    }

    /// Writes the text of a cell into the buffer; returns whether it stands for a cell without a value.
    fn write(&mut self, cell: Cell<'_>, point: Option<char>) -> bool {
        self.buffer.clear();
        let (text, is_marked) = match cell {
            Cell::Empty => (String::new(), false),
            Cell::Text(text) => (text.to_owned(), false),
            Cell::Number(number) => (number_text(number, point), false),
            Cell::Boolean(value) => (value.to_string(), false),
            Cell::Moment(serial) => match value::moment(serial, self.is_1904) {
                Some(text) => (text, false),
                None => (format!("{NO_DATE}{serial}"), true),
            },
            Cell::Duration(days) => match value::duration(days) {
                Some(text) => (text, false),
                None => (format!("{NO_DATE}{days}"), true),
            },
            Cell::IsoMoment(text) => (value::iso_moment(text).unwrap_or_else(|| text.to_owned()), false),
            Cell::IsoDuration(text) => (value::iso_duration(text).unwrap_or_else(|| text.to_owned()), false),
            Cell::Error(name) => (name.to_owned(), true),
            Cell::NoValue => (NO_VALUE.to_owned(), true),
        };
        self.buffer = text;
        is_marked
    }

    /// Keeps a text of one of the first rows.
    fn keep(&mut self, row: u32, column: usize) {
        if self.sheet.first.last().is_none_or(|(last, _)| *last != row) {
            self.sheet.first.push((row, Vec::new()));
        }
        if let Some((_, texts)) = self.sheet.first.last_mut() {
            texts.resize(column, String::new());
            texts.push(self.buffer.clone());
        }
    }

    pub(super) fn finish(mut self, merged: Vec<Region>) -> Sheet {
        self.sheet.merged = merged;
        self.end_row();
        self.sheet.text.shrink_to_fit();
        self.sheet
    }
}

/// The shortest decimal number that is this one, with the decimal point of its column.
fn number_text(number: f64, point: Option<char>) -> String {
    // Negative zero is zero.
    let text = (number + 0.0).to_string();
    match point {
        Some(point) => text.replace('.', &point.to_string()),
        None => text,
    }
}

/// Writes a text as a field, with quotes if it needs them.
fn write_field(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let is_special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let needs_quotes = matches!(bytes.first(), Some(&MARK)) || text.starts_with('\u{feff}');
    if !needs_quotes && !bytes.iter().any(is_special) {
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// The name of a sheet's column: `A`, `Z`, `AA`.
pub(super) fn column_name(mut column: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + (column % 26) as u8);
        match column / 26 {
            0 => break,
            next => column = next - 1,
        }
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")] {
            assert_eq!(column_name(column), name);
        }
    }

    #[test]
    fn numbers_are_written_exactly_and_without_an_exponent() {
        for (number, text) in [
            (5.0, "5"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1000000000000000000000"),
            (1.5e-7, "0.00000015"),
        ] {
            assert_eq!(number_text(number, None), text);
        }
        assert_eq!(number_text(-1.5, Some(',')), "-1,5");
    }

    #[test]
    fn a_text_has_quotes_where_it_needs_them() {
        let written = |text: &str| {
            let mut out = Vec::new();
            write_field(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            ["a b", "a,b", "#1", "5\" pipe", "two\nlines"].map(written),
            ["a b", "\"a,b\"", "\"#1\"", "\"5\"\" pipe\"", "\"two\nlines\"",]
        );
    }
}
