//! Line numbers of invalid records, without a cost for files that have none.
//!
//! A parsed block knows its number of line feeds. Blocks are handed out in file order, so a block's
//! first line is known as soon as all blocks before it are parsed; until then its findings wait. At
//! most one block per reader is outstanding.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocks::Text;
use super::{Found, Rejected};
use crate::route::{FailedRecord, Findings, NulledValues, RejectedRecord};

/// The known lines of one file.
#[derive(Debug)]
pub(crate) struct FileLines {
    name: Arc<str>,
    /// The first block whose first line is not known yet.
    next: usize,
    /// Lines before block `next`.
    lines: u64,
    done: BTreeMap<usize, (u64, Found)>,
}

impl FileLines {
    pub(crate) fn new(file: &Text) -> Self {
        Self { name: file.name.as_str().into(), next: 0, lines: file.header_lines, done: BTreeMap::new() }
    }

    /// Registers a parsed block, and returns the findings whose lines are known now.
    pub(crate) fn finish(&mut self, sequence: usize, lines: u64, found: Found) -> Findings {
        self.done.insert(sequence, (lines, found));
        let mut ready = Findings::default();
        while let Some((lines, found)) = self.done.remove(&self.next) {
            self.number(found, &mut ready);
            self.lines += lines;
            self.next += 1;
        }
        ready
    }

    fn number(&self, found: Found, ready: &mut Findings) {
        ready.rejected.extend(found.rejected.into_iter().map(|record| self.record(record)));
        ready.nulled.extend(found.nulled.into_iter().map(|(reason, rows, samples)| NulledValues {
            reason,
            rows,
            samples: samples.into_iter().map(|record| self.record(record)).collect(),
        }));
        if let (None, Some((line, column, reason))) = (&ready.failed, found.failed) {
            ready.failed = Some(FailedRecord { file: self.name.clone(), line: self.lines + line + 1, column, reason });
        }
    }

    fn record(&self, rejected: Rejected) -> RejectedRecord {
        RejectedRecord {
            file: self.name.clone(),
            line: self.lines + rejected.line + 1,
            raw: String::from_utf8_lossy(&rejected.raw).into_owned(),
            reason: rejected.reason,
        }
    }
}

/// The records at the end of a text that are rejected for one reason: the reason, and their number.
pub(super) fn last_rejected<'a>(text: &[u8], rejected: &'a [Rejected]) -> Option<(&'a str, usize)> {
    let reason = rejected.last()?.reason.as_str();
    let (mut end, mut records) = (text.len(), 0);
    for record in rejected.iter().rev().take_while(|record| record.reason == reason) {
        // A record points into the text.
        let start = (record.raw.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        let Some(start) = start.filter(|start| start + record.raw.len() <= end) else { break };
        if !text[start + record.raw.len()..end].trim_ascii().is_empty() {
            break;
        }
        (end, records) = (start, records + 1);
    }
    (records > 0).then_some((reason, records))
}
