//! Workbooks: what kind one is, and which of its sheets is read.

use std::any::Any;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use calamine::{Ods, OdsError, Reader, SheetType, SheetVisible, Xls, XlsError, Xlsb, XlsbError, Xlsx, XlsxError};
use memchr::memmem;
use rawzip::ZipArchive;

use super::Excel;
use super::cells;
use super::merged::{Merging, Region};
use super::sheet::{Cell, Refused, Sheet, SheetWriter};
use crate::error::{Error, Result};
use crate::format::text::Fill;

/// The most bytes of a workbook, and of what it unpacks to.
const MOST_BYTES: usize = 256 << 20;
const MOST_UNPACKED: u64 = 2 << 30;

/// The most sheets that a message names.
const NAMED_SHEETS: usize = 20;

const AS_CSV: &str = "export the sheet as CSV in UTF-8, or split the workbook";
const DAMAGED: &str = "open it in a spreadsheet program and save it again";

/// A file in memory.
type File = Cursor<Bytes>;

/// An open workbook.
pub(super) enum Workbook {
    Xlsx(Box<Xlsx<File>>),
    Xlsb(Box<Xlsb<File>>),
    Xls(Box<Xls<File>>),
    Ods(Box<Ods<File>>),
}

/// A sheet of a workbook.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) is_worksheet: bool,
    pub(super) is_hidden: bool,
}

/// The bytes of a workbook.
pub(super) fn bytes_of(file: &mut dyn Fill, name: &str) -> Result<Bytes> {
    let mut bytes = Vec::new();
    if !file.fill(&mut bytes, MOST_BYTES + 1)? || bytes.len() > MOST_BYTES {
        let message = format!("is a workbook of more than {} MiB, which would be in memory", MOST_BYTES >> 20);
        return Err(Error::input(name, message, AS_CSV));
    }
    Ok(bytes.into())
}

/// Reads the sheet of this name or number from 1, or the only one with content.
pub(super) fn read(bytes: Bytes, name: &str, excel: &Excel) -> Result<Sheet> {
    with_workbook(bytes, name, |workbook| {
        let sheet = workbook.choose(excel.sheet.as_deref())?;
        let (head, declared) = (&excel.csv.head, &excel.declared);
        let mut writer = SheetWriter::new(sheet.as_deref().unwrap_or_default(), head, declared, workbook.is_1904());
        let Some(sheet) = sheet else { return Ok(writer.finish(vec![])) };
        let merged = workbook.merged(&sheet)?;
        let mut merging = Merging::new(&merged, excel.merged_cells);
        let mut take = |row: u32, column: u32, cell: Cell<'_>| writer.cell(row, column, cell);
        cells::each(workbook, &sheet, &mut |row, column, cell| {
            merging.cell(row, column, cell, &mut take)?;
            Ok(true)
        })?;
        merging.end_row(&mut take)?;
        Ok(writer.finish(merged))
    })
}

/// Opens a workbook and does something with it. A damaged one may make the library panic.
pub(super) fn with_workbook<T>(
    bytes: Bytes,
    name: &str,
    then: impl FnOnce(&mut Workbook) -> Result<T, Refused>,
) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(|| then(&mut Workbook::open(bytes)?)));
    match done.unwrap_or_else(|panic| Err(damaged(panic_message(&*panic)))) {
        Ok(value) => Ok(value),
        Err((message, help)) => Err(Error::input(name, message, help)),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it cannot be read")
}

pub(super) fn damaged(error: impl std::fmt::Display) -> Refused {
    (format!("its workbook is damaged, or has a form that cannot be read: {error}"), DAMAGED)
}

fn has_password() -> Refused {
    ("is protected by a password".to_owned(), "save it without a password")
}

impl Workbook {
    fn open(bytes: Bytes) -> Result<Self, Refused> {
        const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
        const ENCRYPTED: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";
        let has = |text: &[u8]| memmem::find(&bytes, text).is_some();
        if bytes.starts_with(COMPOUND) {
            if has(ENCRYPTED) {
                return Err(has_password());
            }
            return Ok(Self::Xls(Box::new(Xls::new(Cursor::new(bytes)).map_err(|error| match error {
                XlsError::Password => has_password(),
                error => damaged(error),
            })?)));
        }
        if !bytes.starts_with(b"PK\x03\x04") {
            return Err(no_workbook(&bytes));
        }
        check_unpacked(&bytes)?;
        let (is_xlsb, is_ods) = (has(b"xl/workbook.bin"), has(b"opendocument.spreadsheet"));
        let is_xlsx = has(b"xl/") || has(b"[Content_Types].xml");
        let file = Cursor::new(bytes);
        Ok(match () {
            () if is_xlsb => Self::Xlsb(Box::new(Xlsb::new(file).map_err(|error| match error {
                XlsbError::Password => has_password(),
                error => damaged(error),
            })?)),
            () if is_ods => Self::Ods(Box::new(Ods::new(file).map_err(|error| match error {
                OdsError::Password => has_password(),
                error => damaged(error),
            })?)),
            () if is_xlsx => Self::Xlsx(Box::new(Xlsx::new(file).map_err(|error| match error {
                XlsxError::Password => has_password(),
                error => damaged(error),
            })?)),
            () => {
                let help = "unpack the archive, and read the workbooks in it";
                return Err(("is a zip archive, and no workbook".to_owned(), help));
            }
        })
    }

    pub(super) fn is_1904(&self) -> bool {
        match self {
            Self::Xlsx(book) => book.has_1904_epoch(),
            Self::Xlsb(book) => book.has_1904_epoch(),
            Self::Xls(book) => book.has_1904_epoch(),
            Self::Ods(_) => false,
        }
    }

    /// The merged cells of a sheet. Those of .xlsb and .ods are not known.
    pub(super) fn merged(&mut self, sheet: &str) -> Result<Vec<Region>, Refused> {
        let merged = match self {
            Self::Xlsx(book) => book.merge_cells_by_sheet_name(sheet).map_err(damaged)?,
            Self::Xls(book) => book.merge_cells_by_sheet_name(sheet).map_err(damaged)?,
            Self::Xlsb(_) | Self::Ods(_) => vec![],
        };
        Ok(merged.into_iter().map(Region::from).collect())
    }

    pub(super) fn sheets(&self) -> Vec<Listed> {
        let sheets = match self {
            Self::Xlsx(book) => book.sheets_metadata(),
            Self::Xlsb(book) => book.sheets_metadata(),
            Self::Xls(book) => book.sheets_metadata(),
            Self::Ods(book) => book.sheets_metadata(),
        };
        let listed = |sheet: &calamine::Sheet| Listed {
            name: sheet.name.clone(),
            is_worksheet: sheet.typ == SheetType::WorkSheet,
            is_hidden: sheet.visible != SheetVisible::Visible,
        };
        sheets.iter().map(listed).collect()
    }

    /// The name of the sheet to read; none if no sheet has content.
    fn choose(&mut self, chosen: Option<&str>) -> Result<Option<String>, Refused> {
        let sheets = self.sheets();
        if let Some(chosen) = chosen {
            let number = chosen.parse::<usize>().ok().and_then(|number| sheets.get(number.checked_sub(1)?));
            let found = sheets.iter().find(|sheet| sheet.name == chosen).or(number);
            return match found {
                Some(sheet) if sheet.is_worksheet => Ok(Some(sheet.name.clone())),
                Some(sheet) => Err((format!("its sheet `{}` has no cells", sheet.name), "correct `sheet`")),
                None => Err((format!("has no sheet `{chosen}`; it has: {}", listed(&sheets)), "correct `sheet`")),
            };
        }
        let mut with_content = Vec::new();
        for sheet in sheets.into_iter().filter(|sheet| sheet.is_worksheet) {
            if self.has_content(&sheet.name)? {
                with_content.push(sheet);
            }
        }
        match &with_content[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.name.clone())),
            several => {
                let message = format!("has several sheets: {}", listed(several));
                Err((message, "specify the one to read as `sheet` next to its path"))
            }
        }
    }

    /// Whether any cell of a sheet has a value.
    pub(super) fn has_content(&mut self, sheet: &str) -> Result<bool, Refused> {
        let mut found = false;
        cells::each(self, sheet, &mut |_, _, cell| {
            found |= !cell.is_empty();
            Ok(!found)
        })?;
        Ok(found)
    }
}

/// The names of sheets for a message.
fn listed(sheets: &[Listed]) -> String {
    let name = |sheet: &Listed| format!("`{}`{}", sheet.name, if sheet.is_hidden { " (hidden)" } else { "" });
    let mut names: Vec<String> = sheets.iter().take(NAMED_SHEETS).map(name).collect();
    if sheets.len() > NAMED_SHEETS {
        names.push(format!("and {} more", sheets.len() - NAMED_SHEETS));
    }
    names.join(", ")
}

/// Why a file is no workbook.
fn no_workbook(bytes: &[u8]) -> Refused {
    let head = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (what, help) = match text.trim_start_matches('\u{feff}').trim_start() {
        text if text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<table") => {
            ("is an HTML page, whatever its name is", "open it in a spreadsheet program and save it as .xlsx")
        }
        text if text.contains("schemas-microsoft-com:office:spreadsheet")
            || text.contains("progid=\"excel.sheet\"") =>
        {
            ("is an XML spreadsheet of Excel 2003", "open it in a spreadsheet program and save it as .xlsx")
        }
        _ if head.starts_with(b"PAR1") => ("is a Parquet file, and no workbook", "specify `format: parquet`"),
        _ if head.starts_with(b"\x1f\x8b") => ("is compressed with gzip, and no workbook", "unpack it"),
        _ if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) => {
            ("is text, and no workbook", "specify `format: csv` if it is CSV, whatever its name is")
        }
        _ => (
            "is not a workbook of Excel or OpenDocument (.xlsx, .xlsb, .xls, .ods)",
            "correct its `format`, or the file",
        ),
    };
    (what.to_owned(), help)
}

/// Fails if an archive unpacks to more than memory should have.
fn check_unpacked(bytes: &[u8]) -> Result<(), Refused> {
    let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut unpacked = 0_u64;
    for entry in archive.entries() {
        unpacked = unpacked.saturating_add(entry.map_err(damaged)?.uncompressed_size_hint());
    }
    if unpacked > MOST_UNPACKED {
        return Err((format!("is a workbook that unpacks to more than {} GiB", MOST_UNPACKED >> 30), AS_CSV));
    }
    Ok(())
}
