//! The text of a sheet, line after line: one for each row of the sheet, also for those that are empty.

use std::any::Any;
use std::sync::Arc;

use super::rules::ROW_END;
use super::sheet::Sheet;
use crate::error::Result;
use crate::format::text::{Decompressed, Fill};

/// The text of a sheet.
#[derive(Debug)]
pub(super) struct SheetText {
    /// The workbook, which was read to its end.
    file: Box<dyn Fill>,
    sheet: Arc<Sheet>,
    /// The next line.
    line: u32,
    /// The next row that has content.
    next: usize,
}

impl SheetText {
    pub(super) fn new(file: Box<dyn Fill>, sheet: Sheet) -> Self {
        Self { file, sheet: Arc::new(sheet), line: 0, next: 0 }
    }

    pub(super) fn sheet(&self) -> &Sheet {
        &self.sheet
    }
}

impl Fill for SheetText {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        while bytes.len() < length {
            let Some((line, fields, text)) = self.sheet.row(self.next) else { return Ok(true) };
            if line == self.line {
                bytes.extend_from_slice(text);
                bytes.extend(std::iter::repeat_n(b',', self.sheet.width() - fields));
                self.next += 1;
            }
            bytes.push(ROW_END);
            self.line += 1;
        }
        Ok(self.sheet.row(self.next).is_none())
    }

    fn file(&mut self) -> Option<&mut Decompressed> {
        self.file.file()
    }

    fn length(&self) -> Option<u64> {
        Some(self.sheet.length())
    }

    fn origin(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self.sheet.clone())
    }
}
