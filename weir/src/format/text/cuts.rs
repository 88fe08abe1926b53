//! Divides a large text among readers of other processes.
//!
//! Whether a line end is the end of a record depends on all that is before it, because of quotes. Each range of the text is
//! therefore walked from the first line end in it, which most likely is the end of a record; then the ranges are put
//! together in their order. Where one does not end at the place from which the next one was walked, that one is walked again
//! from there. So the parts are exact, and most of the work is done on all threads.

use memchr::{memchr, memchr_iter};

use super::blocks::{RecordEnds, Text};
use super::stream::TextStream;
use crate::error::Result;
use crate::format::split::TextPart;
use crate::system::threads;

/// Bytes that are walked at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Where a walk has ended: at the end of a record, and after how many lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walked {
    end: u64,
    lines: u64,
}

/// A range of a text.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// From where it is walked.
    start: u64,
    /// The end of the first record that ends here, or behind it.
    target: u64,
}

/// The parts of a text of `size` bytes, of about `bytes` each.
pub(super) fn cuts(
    text: &Text,
    ends: &dyn RecordEnds,
    size: u64,
    bytes: u64,
    max_record: usize,
) -> Result<Vec<TextPart>> {
    let starts = starts(text, ends, size, bytes)?;
    let targets = starts.iter().skip(1).copied().chain([size]);
    let ranges: Vec<Range> =
        starts.iter().copied().zip(targets).map(|(start, target)| Range { start, target }).collect();
    let walk = |range: &Range| Walk { ends, max_record, stream: text.open(ends)? }.to(range);
    let walked = threads::map(&ranges, walk)?;
    let mut parts: Vec<TextPart> = Vec::with_capacity(ranges.len());
    let mut at = Walked { end: text.data_start, lines: text.header_lines };
    for (range, walked) in ranges.iter().zip(walked) {
        if at.end >= range.target {
            // A record has the whole range.
            continue;
        }
        let walked = if at.end == range.start { walked } else { walk(&Range { start: at.end, ..*range })? };
        parts.push(TextPart { start: at.end, end: Some(walked.end), lines: at.lines });
        at = Walked { end: walked.end, lines: at.lines + walked.lines };
    }
    if let Some(last) = parts.last_mut() {
        last.end = None;
    }
    Ok(parts)
}

/// Where the records of the ranges most likely begin.
fn starts(text: &Text, ends: &dyn RecordEnds, size: u64, bytes: u64) -> Result<Vec<u64>> {
    let mut stream = text.open(ends)?;
    let mut starts = vec![text.data_start];
    let mut at = text.data_start;
    while size.saturating_sub(at) > bytes {
        let Some(start) = line_after(&mut stream, ends, at + bytes)?.filter(|start| *start < size) else { break };
        starts.push(start);
        at = start;
    }
    Ok(starts)
}

/// The beginning of the first line after an offset.
fn line_after(stream: &mut TextStream, ends: &dyn RecordEnds, mut at: u64) -> Result<Option<u64>> {
    loop {
        let (bytes, _) = stream.read(at, BLOCK_BYTES)?;
        match memchr(ends.line_end(), &bytes) {
            Some(end) => return Ok(Some(at + end as u64 + 1)),
            None if bytes.is_empty() => return Ok(None),
            None => at += bytes.len() as u64,
        }
    }
}

/// Goes from the end of a record to that of another one.
struct Walk<'a> {
    ends: &'a dyn RecordEnds,
    max_record: usize,
    stream: TextStream,
}

impl Walk<'_> {
    fn to(mut self, range: &Range) -> Result<Walked> {
        let mut at = Walked { end: range.start, lines: 0 };
        let most = self.max_record.saturating_add(1);
        // Bytes in which there must be the end of a record that is longer than a block, or goes on behind the target.
        let mut more = None;
        while at.end < range.target {
            let left = usize::try_from(range.target - at.end).unwrap_or(usize::MAX);
            let length = more.take().unwrap_or(left.min(BLOCK_BYTES));
            let (bytes, is_last) = self.stream.read(at.end, length)?;
            if bytes.is_empty() {
                break;
            }
            let end = match is_last {
                true => bytes.len(),
                false => self.ends.last_record_end(&bytes, self.max_record),
            };
            if end > 0 {
                at.lines += memchr_iter(self.ends.line_end(), &bytes[..end]).count() as u64;
                at.end += end as u64;
            } else if length >= most {
                // The record is too long, and the line that it begins with is rejected.
                let next = line_after(&mut self.stream, self.ends, at.end)?;
                at = Walked { end: next.unwrap_or(range.target), lines: at.lines + 1 };
            } else {
                more = Some(length.saturating_mul(2).min(most));
            }
        }
        Ok(at)
    }
}
