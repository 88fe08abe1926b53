//! Byte positions of records and fields.
//!
//! The rules are RFC 4180, strictly, or those of a dialect: a field that starts with a quote ends with one, followed by a
//! delimiter or the end of the line. A record that violates this is *broken*: its first line is rejected and parsing
//! resumes at the next line. The same functions determine where a block may be cut and how it is parsed, so that the rows
//! do not depend on how a file is cut into blocks.

use std::collections::VecDeque;

use memchr::{memchr, memrchr};

use super::dialect::{Rules, after_blanks, escape_length, find, is_delimiter, trimmed};

/// A file of DOS may end with it.
pub(crate) const END_OF_FILE: u8 = 0x1a;

/// How a quoted field ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotedEnd {
    /// The closing quote is at this index.
    Closed(usize),
    /// It is not closed, or text follows the closing quote.
    Broken,
    /// It continues after the available data.
    Unknown,
}

/// Whether the quote at `quote` opens a field that starts at `start`.
#[inline(always)]
pub(crate) fn opens<R: Rules>(rules: &R, data: &[u8], start: usize, quote: usize) -> bool {
    quote == start || after_blanks(rules, data, start) == quote
}

/// Finds the end of a quoted field whose text begins at `from`, in a record that begins at `record`.
///
/// `complete` means that the data ends at a record's end, so that following data cannot matter.
pub(crate) fn quoted_end<R: Rules>(
    rules: &R,
    data: &[u8],
    record: usize,
    from: usize,
    complete: bool,
    max_record: usize,
) -> QuotedEnd {
    let limit = record.saturating_add(max_record);
    let within = &data[..data.len().min(limit)];
    let cut_short = || if complete || data.len() >= limit { QuotedEnd::Broken } else { QuotedEnd::Unknown };
    let mut at = from;
    loop {
        let found = within.get(at..).and_then(|rest| find(rules.quote(), rules.escape(), rest));
        let Some(quote) = found.map(|i| at + i) else { return cut_short() };
        if rules.escape() == Some(data[quote]) || data.get(quote + 1) == Some(&data[quote]) {
            at = quote + 2;
            continue;
        }
        let next = after_blanks(rules, data, quote + 1);
        let rest = &data[next..];
        let (line_end, delimiter) = (rules.line_end(), rules.delimiter());
        return match rest {
            [byte, ..] if *byte == line_end || rest.starts_with(delimiter) => QuotedEnd::Closed(quote),
            [b'\r', b'\n', ..] if line_end == b'\n' => QuotedEnd::Closed(quote),
            [] => {
                if complete {
                    QuotedEnd::Closed(quote)
                } else {
                    cut_short()
                }
            }
            [b'\r'] if line_end == b'\n' => {
                if complete {
                    QuotedEnd::Closed(quote)
                } else {
                    cut_short()
                }
            }
            _ if delimiter.starts_with(rest) || (rules.trims() && rest == b"\xc2") => cut_short(),
            _ => QuotedEnd::Broken,
        };
    }
}

/// The end of the last complete record in `data`, which starts at a record's start; 0 if there is none. The records that
/// could be the last ones of a file, which are no rows, do not count.
pub(crate) fn last_record_end<R: Rules>(rules: &R, data: &[u8], max_record: usize) -> usize {
    let is_plain = rules.delimiter().len() == 1 && rules.escape().is_none() && !rules.trims();
    if !is_plain || rules.comment().is_some() || rules.skip_last() > 0 {
        return end_of_rows(rules, data, false, max_record);
    }
    let mut end = 0; // of the last complete record, so the start of the current one
    let mut at = 0; // outside quotes
    loop {
        let Some(quote) = find(rules.quote(), None, &data[at..]).map(|i| at + i) else {
            return memrchr(rules.line_end(), &data[at..]).map_or(end, |i| at + i + 1);
        };
        if let Some(newline) = memrchr(rules.line_end(), &data[at..quote]) {
            end = at + newline + 1;
        }
        if quote != end && data[quote - 1] != rules.delimiter()[0] {
            at = quote + 1; // a quote inside a plain field is text
            continue;
        }
        match quoted_end(rules, data, end, quote + 1, false, max_record) {
            QuotedEnd::Closed(closing) => at = closing + 1,
            QuotedEnd::Unknown => return end,
            QuotedEnd::Broken => match broken_end(rules, data, end) {
                Some(next) => (end, at) = (next, next),
                None => return end,
            },
        }
    }
}

/// Where the rows end in `data`, the end of a file.
pub(crate) fn last_row_end<R: Rules>(rules: &R, data: &[u8], max_record: usize) -> usize {
    match rules.skip_last() {
        0 => data.len(),
        _ => end_of_rows(rules, data.strip_suffix(&[END_OF_FILE]).unwrap_or(data), true, max_record),
    }
}

/// The end of the last record that is certainly a row, record by record.
fn end_of_rows<R: Rules>(rules: &R, data: &[u8], complete: bool, max_record: usize) -> usize {
    let mut ends = VecDeque::from([0]); // of the last records, the first of them is a row's
    let mut record = 0;
    while record < data.len()
        && let Some(end) = record_end(rules, data, record, complete, max_record)
    {
        if rules.skip_last() == 0 || is_record(rules, data, record, end) {
            ends.push_back(end);
            if ends.len() > rules.skip_last() + 1 {
                ends.pop_front();
            }
        }
        record = end;
    }
    ends[0]
}

/// The end of the record, or of the line that is none, which starts at `record`; `None` if that is after the data.
pub(crate) fn record_end<R: Rules>(
    rules: &R,
    data: &[u8],
    record: usize,
    complete: bool,
    max_record: usize,
) -> Option<usize> {
    let last = || complete.then_some(data.len());
    let line = || line_end(rules, data, record).or_else(last);
    if let Some(comment) = rules.comment() {
        let rest = &data[record..];
        if rest.starts_with(comment) || (!complete && comment.starts_with(rest)) {
            return line();
        }
    }
    let mut marks = Marks::new(rules, data);
    marks.restart(record);
    let mut start = record; // of the field
    while let Some(mark) = marks.next() {
        let byte = data[mark];
        if byte == rules.line_end() {
            return Some(mark + 1);
        } else if Some(byte) == rules.escape() {
            if !complete && mark + 2 >= data.len() {
                return None; // a line feed may follow an escaped carriage return
            }
            marks.skip_to(mark + escape_length(data, mark));
        } else if Some(byte) == rules.quote() {
            if opens(rules, data, start, mark) {
                match quoted_end(rules, data, record, mark + 1, complete, max_record) {
                    QuotedEnd::Closed(closing) => marks.skip_to(after_blanks(rules, data, closing + 1)),
                    QuotedEnd::Unknown => return None,
                    QuotedEnd::Broken => return broken_end(rules, data, record).or_else(last),
                }
            }
        } else if is_delimiter(rules, data, mark) {
            start = mark + rules.delimiter().len();
            marks.skip_to(start);
        }
    }
    last()
}

/// Whether there is a record between two indexes, and not a blank line or a comment.
pub(crate) fn is_record<R: Rules>(rules: &R, data: &[u8], start: usize, end: usize) -> bool {
    let text_end = text_end(rules, data, start, end);
    let (from, to) = trimmed(rules, data, start, text_end);
    // A delimiter may be a blank.
    let has_delimiter = || data[start..text_end].windows(rules.delimiter().len()).any(|part| part == rules.delimiter());
    (from < to || has_delimiter()) && !rules.comment().is_some_and(|comment| data[start..end].starts_with(comment))
}

/// The end of the text of a record or line that ends with its line end, or with the file.
pub(crate) fn text_end<R: Rules>(rules: &R, data: &[u8], start: usize, end: usize) -> usize {
    let has_line_end = end > start && data[end - 1] == rules.line_end();
    before_return(rules, data, start, end - usize::from(has_line_end))
}

/// The end of a text that a line end follows: a carriage return belongs to it, if that is a line feed.
pub(crate) fn before_return<R: Rules>(rules: &R, data: &[u8], start: usize, end: usize) -> usize {
    let has_return = rules.line_end() == b'\n' && end > start && data[end - 1] == b'\r';
    end - usize::from(has_return)
}

/// The index after the first end of a line at or after `from`.
pub(crate) fn line_end<R: Rules>(rules: &R, data: &[u8], from: usize) -> Option<usize> {
    memchr(rules.line_end(), &data[from..]).map(|i| from + i + 1)
}

/// The end of what is rejected of a broken record: its first line. A line end that is escaped ends none, so that what is
/// rejected is broken by itself, too.
pub(crate) fn broken_end<R: Rules>(rules: &R, data: &[u8], record: usize) -> Option<usize> {
    let mut at = record;
    loop {
        let mark = at + find(Some(rules.line_end()), rules.escape(), data.get(at..)?)?;
        if data[mark] == rules.line_end() {
            return Some(mark + 1);
        }
        at = mark + escape_length(data, mark);
    }
}

/// Finds the bytes with which delimiters, line ends, quotes and escapes begin, 64 bytes at a time.
pub(crate) struct Marks<'a, R> {
    rules: &'a R,
    data: &'a [u8],
    /// The start of the chunk of `mask`.
    chunk: usize,
    /// A bit for each mark in the chunk that was not returned yet.
    mask: u64,
}

impl<'a, R: Rules> Marks<'a, R> {
    /// Starts at the beginning of the data.
    pub(crate) fn new(rules: &'a R, data: &'a [u8]) -> Self {
        Self { rules, data, chunk: 0, mask: chunk_marks(rules, data) }
    }

    /// Continues with the first mark at or after `at`, which is after every returned mark.
    pub(crate) fn skip_to(&mut self, at: usize) {
        if at & !63 == self.chunk {
            self.mask &= u64::MAX << (at & 63);
        } else {
            self.restart(at);
        }
    }

    /// Continues with the first mark at or after `at`, anywhere in the data.
    pub(crate) fn restart(&mut self, at: usize) {
        self.chunk = at & !63;
        self.mask =
            self.data.get(self.chunk..).map_or(0, |data| chunk_marks(self.rules, data)) & (u64::MAX << (at & 63));
    }
}

impl<R: Rules> Iterator for Marks<'_, R> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.chunk += 64;
            self.mask = chunk_marks(self.rules, self.data.get(self.chunk..)?);
        }
        let at = self.chunk + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }
}

/// The bytes that are marks. One that the dialect does not have repeats another.
#[inline(always)]
fn mark_bytes<R: Rules>(rules: &R) -> [u8; 4] {
    let line_end = rules.line_end();
    [rules.delimiter()[0], line_end, rules.quote().unwrap_or(line_end), rules.escape().unwrap_or(line_end)]
}

/// A bit for each mark in the first 64 bytes.
#[inline(always)]
fn chunk_marks<R: Rules>(rules: &R, data: &[u8]) -> u64 {
    let marks = mark_bytes(rules);
    match data.first_chunk::<64>() {
        Some(chunk) => marks_of_64(marks, chunk),
        None => data.iter().enumerate().fold(0, |mask, (i, byte)| mask | (u64::from(marks.contains(byte)) << i)),
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn marks_of_64(marks: [u8; 4], chunk: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    let mut mask = 0;
    for part in 0..4 {
        // SAFETY: SSE2 is part of x86_64, and 16 bytes from `part * 16` are within the 64 of the chunk.
        let bits = unsafe {
            let bytes = _mm_loadu_si128(chunk.as_ptr().add(part * 16).cast());
            let [one, two, three, four] = marks.map(|mark| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(mark as i8)));
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(one, two), _mm_or_si128(three, four)))
        };
        mask |= u64::from(bits as u32) << (part * 16);
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn marks_of_64(marks: [u8; 4], chunk: &[u8; 64]) -> u64 {
    chunk.iter().enumerate().fold(0, |mask, (i, byte)| mask | (u64::from(marks.contains(byte)) << i))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Strict;
    use super::*;
    use proptest::prelude::*;

    fn end(data: &[u8]) -> QuotedEnd {
        quoted_end(&Strict, data, 0, 1, false, 100)
    }

    #[test]
    fn a_quoted_field_ends_at_its_closing_quote() {
        assert_eq!(end(b"\"ab\",c"), QuotedEnd::Closed(3));
        assert_eq!(end(b"\"a\"\"b\"\r\n"), QuotedEnd::Closed(5));
        assert_eq!(end(b"\"a\"b\""), QuotedEnd::Broken);
        assert_eq!(end(b"\"a"), QuotedEnd::Unknown);
        assert_eq!(end(b"\"a\""), QuotedEnd::Unknown);
        assert_eq!(quoted_end(&Strict, b"\"a\"", 0, 1, true, 100), QuotedEnd::Closed(2));
        assert_eq!(quoted_end(&Strict, b"\"a\n", 0, 1, true, 100), QuotedEnd::Broken);
        assert_eq!(quoted_end(&Strict, b"\"aaaaaaaa\",", 0, 1, false, 5), QuotedEnd::Broken);
    }

    #[test]
    fn a_newline_inside_quotes_does_not_end_a_record() {
        assert_eq!(last_record_end(&Strict, b"a,b\n\"c\nd\",e", 100), 4);
        assert_eq!(last_record_end(&Strict, b"a,b\n\"c\nd\",e\nf", 100), 12);
        assert_eq!(last_record_end(&Strict, b"a,b\n\"c\nd", 100), 4);
    }

    #[test]
    fn after_a_broken_record_parsing_resumes_at_the_next_line() {
        assert_eq!(last_record_end(&Strict, b"\"a\"x\nb\nc", 100), 7);
    }

    #[test]
    fn a_quote_inside_a_plain_field_is_text() {
        assert_eq!(last_record_end(&Strict, b"5\" pipe,1\n6\" pipe,2\n7", 100), 20);
    }

    proptest! {
        #[test]
        fn marks_are_what_a_plain_search_finds(data in proptest::collection::vec(prop::sample::select(b"a,\n\"".to_vec()), 0..300), from in 0usize..300) {
            let plain = |from: usize| (from..data.len()).filter(|i| b",\n\"".contains(&data[*i])).collect::<Vec<_>>();
            let mut marks = Marks::new(&Strict, &data);
            prop_assert_eq!(marks.by_ref().collect::<Vec<_>>(), plain(0));
            let mut marks = Marks::new(&Strict, &data);
            marks.skip_to(from.min(data.len()));
            prop_assert_eq!(marks.by_ref().collect::<Vec<_>>(), plain(from.min(data.len())));
            marks.restart(from.min(data.len()) / 2);
            prop_assert_eq!(marks.collect::<Vec<_>>(), plain(from.min(data.len()) / 2));
        }
    }
}
