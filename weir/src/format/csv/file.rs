//! A CSV file that is being written.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::formulas;
use super::style::{BYTE_ORDER_MARK, CsvStyle, Style, Unwritable};
use super::write::{self, Rfc4180};
use crate::format::text::Charset;
use crate::format::write::{FileLayout, TextFile, WriteError};

/// A CSV file that is being written.
pub(crate) struct CsvFile {
    out: TextFile,
    columns: Vec<usize>,
    /// The names of the columns in the file.
    names: Vec<String>,
    style: CsvStyle,
    /// The header line, if there is one.
    header: Vec<u8>,
    /// A row that a source would take for the header; none if there is a single column.
    avoided: Vec<u8>,
    /// Rows in UTF-8, for a file in another encoding.
    text: Vec<u8>,
}

impl CsvFile {
    pub(crate) fn new(out: TextFile, layout: &FileLayout) -> Result<Self, WriteError> {
        let names: Vec<String> = layout.names().map(str::to_owned).collect();
        let style = layout.csv.clone();
        let mut header = Vec::new();
        let written = match style.declared.as_deref() {
            None => write::header(&Rfc4180, &names, &mut header),
            Some(style) if style.header => write::header(style, &names, &mut header),
            Some(_) => Ok(()),
        };
        written.map_err(|what| unwritable(None, what))?;
        let columns = layout.columns.iter().map(|column| column.index).collect();
        let avoided = if names.len() > 1 { header.clone() } else { vec![] };
        Ok(Self { out, columns, names, style, header, avoided, text: Vec::new() })
    }

    /// What the file begins with: a byte order mark, and the header.
    pub(crate) fn beginning(&self) -> Result<Vec<u8>, WriteError> {
        let Some(style) = self.style.declared.as_deref() else { return Ok(self.header.clone()) };
        let mut text = if style.bom { BYTE_ORDER_MARK.to_vec() } else { vec![] };
        text.extend_from_slice(&self.header);
        let mut bytes = Vec::new();
        match style.charset {
            None => bytes = text,
            Some(charset) => encode(charset, &text, &mut bytes).map_err(|what| unwritable(None, what))?,
        }
        Ok(bytes)
    }

    /// Begins the file.
    pub(crate) fn begin(&mut self) -> Result<(), WriteError> {
        let beginning = self.beginning()?;
        self.out.buffer().extend_from_slice(&beginning);
        Ok(())
    }

    /// Writes the chosen rows, or all; returns their number.
    pub(crate) fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<u64, WriteError> {
        let escaped = self.style.escape_formulas.then(|| formulas::escaped(batch, &self.columns)).transpose()?;
        let batch = escaped.as_ref().unwrap_or(batch);
        let rows = match self.style.declared.clone().as_deref() {
            None => write::rows(&Rfc4180, batch, &self.columns, chosen, &self.avoided, self.out.buffer())?,
            Some(style) => self.write_as(style, batch, chosen)?,
        };
        let rows = rows.map_err(|(column, what)| unwritable(column.and_then(|i| self.names.get(i)), what))?;
        self.out.write_full()?;
        Ok(rows)
    }

    fn write_as(
        &mut self,
        style: &Style,
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
    ) -> Result<write::Written, WriteError> {
        let Some(charset) = style.charset else {
            return Ok(write::rows(style, batch, &self.columns, chosen, &self.avoided, self.out.buffer())?);
        };
        self.text.clear();
        let rows = write::rows(style, batch, &self.columns, chosen, &self.avoided, &mut self.text)?;
        if rows.is_ok()
            && let Err(what) = encode(charset, &self.text, self.out.buffer())
        {
            let column = match what {
                Unwritable::Character(missing, _) => write::column_with(batch, &self.columns, missing)?,
                _ => None,
            };
            return Ok(Err((column, what)));
        }
        Ok(rows)
    }

    /// The file, to add rows to that are encoded already.
    pub(crate) fn text(&mut self) -> &mut TextFile {
        &mut self.out
    }

    /// Completes the file and waits until it is durable; returns its bytes.
    pub(crate) fn finish(self) -> Result<u64, WriteError> {
        Ok(self.out.finish()?)
    }
}

/// Appends a text in an encoding.
fn encode(charset: Charset, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let text = String::from_utf8_lossy(text);
    charset.encode(&text, out).map_err(|missing| Unwritable::Character(missing, charset))
}

fn unwritable(column: Option<&String>, what: Unwritable) -> WriteError {
    WriteError::Value { column: column.cloned(), what }
}
