//! JSON Lines: one object per line, its keys the columns' names; and JSON documents, whose records become lines.
//!
//! A value is converted to its text, which is parsed as the column's type by the rules of CSV. `layout` has the keys
//! that are read, `parse` reads lines by it, `documents` makes lines of documents.

mod documents;
mod found;
mod layout;
mod parse;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use memchr::memrchr;
use serde_json::Value;

use super::columns::Declared;
use super::text::{
    Beginning, HEAD_BYTES, Parsed, RecordEnds, Shape, TextFormat, TextStream, byte_order_mark, check_text,
};
use crate::error::{Error, Result};
use crate::route::RejectedRoute;
use crate::task::{FilesSpec, IfEmpty, Task, TaskError};
use documents::Documents;
pub(crate) use documents::RecordsPath;
use found::FoundKeys;
pub(crate) use found::path_of_records;
pub(crate) use layout::Layout;

/// One JSON object per line, in the files or made of the documents in them.
#[derive(Debug, Default)]
pub(crate) struct Jsonl {
    /// Where the records of documents are, if the files are no lines.
    documents: Option<RecordsPath>,
    found: FoundKeys,
}

impl Jsonl {
    /// The records of JSON documents: those of an array at a path, or else the elements of an array, or objects.
    pub(crate) fn documents(path: RecordsPath) -> Self {
        Self { documents: Some(path), ..Self::default() }
    }
}

/// Where the records of a source's documents are.
pub(crate) fn records_of(task: &Task, files: &FilesSpec) -> Result<RecordsPath, TaskError> {
    let Some(records) = &files.records else { return Ok(RecordsPath::default()) };
    if records.value.split('.').any(str::is_empty) {
        let error = task.error(records, "`records` is a list of keys with dots between them");
        return Err(error.with_help("write it as in `records: data.items`; without it a file is an array"));
    }
    Ok(records.value.split('.').map(str::to_owned).collect())
}

/// A line feed inside a text is written as `\n`: every literal one ends a line.
impl RecordEnds for Jsonl {
    fn records_of(&self, text: TextStream, name: &str) -> Result<TextStream> {
        match &self.documents {
            None => Ok(text),
            Some(path) => Ok(TextStream::forward(Box::new(Documents::new(text.into_text()?, name, path.clone())))),
        }
    }

    fn can_be_cut(&self) -> bool {
        self.documents.is_none()
    }

    fn last_record_end(&self, data: &[u8], _: usize) -> usize {
        memrchr(b'\n', data).map_or(0, |end| end + 1)
    }
}

impl TextFormat for Jsonl {
    type Layout = Layout;

    const SCAN: &'static str = "JsonlScanExec";

    /// No object is no line; but even an empty list is a document.
    fn if_empty(&self) -> IfEmpty {
        if self.documents.is_some() { IfEmpty::Fail } else { IfEmpty::Skip }
    }

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        let (head, _) = stream.read(0, HEAD_BYTES)?;
        check_text(&head, name)?;
        let text = &head[byte_order_mark(&head)..];
        if self.documents.is_none() && text.trim_ascii_start().starts_with(b"[") {
            let message = "is a JSON array, and JSON Lines has an object on each line";
            return Err(Error::input(name, message, "specify `format: json`"));
        }
        let layout = Layout::new(declared);
        Ok(Beginning { data_start: byte_order_mark(&head), head, layout })
    }

    fn has(layout: &Layout, column: usize) -> bool {
        layout.has(column)
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        layout.project(target)
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(block, layout, shape, &self.found)
    }

    fn found(&self) -> Value {
        self.found.to_json()
    }

    fn add_found(&self, found: Value) -> Result<()> {
        self.found.merge(found)
    }

    fn check_read(&self, files: &str, declared: &Declared, rejected: &RejectedRoute) -> Result<()> {
        self.found.check(files, declared, self.documents.as_ref())?;
        self.found.count_absent(declared, rejected);
        Ok(())
    }
}
