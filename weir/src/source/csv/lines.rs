//! Line numbers of rejected records, at no cost for a file that has none.
//!
//! A parsed block knows how many line feeds it has. Blocks are handed out in the file's order, so a block's
//! first line is known as soon as all blocks before it are parsed; until then its rejected records wait. At
//! most one block a reader is outstanding.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocks::CsvFile;
use super::parse::Rejected;
use crate::source::rejected::RejectedRecord;

/// What is known about the lines of one file.
#[derive(Debug)]
pub(super) struct FileLines {
    name: Arc<str>,
    /// The first block whose first line is not known yet is this one's successor in line.
    next: usize,
    /// Lines before block `next`.
    lines: u64,
    done: BTreeMap<usize, (u64, Vec<Rejected>)>,
}

impl FileLines {
    pub(super) fn new(file: &CsvFile) -> Self {
        Self { name: file.name.as_str().into(), next: 0, lines: file.header_lines, done: BTreeMap::new() }
    }

    /// Takes note of a parsed block, and gives the rejected records whose lines are known now.
    pub(super) fn finish(&mut self, sequence: usize, lines: u64, rejected: Vec<Rejected>) -> Vec<RejectedRecord> {
        self.done.insert(sequence, (lines, rejected));
        let mut ready = Vec::new();
        while let Some((lines, rejected)) = self.done.remove(&self.next) {
            ready.extend(rejected.into_iter().map(|record| self.record(record, self.lines)));
            self.lines += lines;
            self.next += 1;
        }
        ready
    }

    fn record(&self, rejected: Rejected, lines_before: u64) -> RejectedRecord {
        RejectedRecord {
            file: self.name.clone(),
            line: lines_before + rejected.line + 1,
            raw: String::from_utf8_lossy(&rejected.raw).into_owned(),
            reason: rejected.reason,
        }
    }
}
