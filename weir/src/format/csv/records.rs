//! Byte positions of records and fields.
//!
//! The rules are RFC 4180, strictly: a field that starts with a quote ends with one, followed by a comma or the end of
//! the line. A record that violates this is *broken*: its first line is rejected and parsing resumes at the next line.
//! The same functions determine where a block may be cut and how it is parsed, so that the rows do not depend on how a
//! file is cut into blocks.

use memchr::{memchr, memrchr};

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

/// Finds the end of a quoted field whose text begins at `from`, in a record that begins at `record`.
///
/// `complete` means that the data ends at a record's end, so that following data cannot matter.
pub(crate) fn quoted_end(data: &[u8], record: usize, from: usize, complete: bool, max_record: usize) -> QuotedEnd {
    let limit = record.saturating_add(max_record);
    let within = &data[..data.len().min(limit)];
    let cut_short = || if complete || data.len() >= limit { QuotedEnd::Broken } else { QuotedEnd::Unknown };
    let mut at = from;
    loop {
        let Some(quote) = within.get(at..).and_then(|rest| memchr(b'"', rest)).map(|i| at + i) else {
            return cut_short();
        };
        return match (data.get(quote + 1), data.get(quote + 2)) {
            (Some(b'"'), _) => {
                at = quote + 2;
                continue;
            }
            (Some(b',' | b'\n'), _) | (Some(b'\r'), Some(b'\n')) => QuotedEnd::Closed(quote),
            (None, _) | (Some(b'\r'), None) if complete => QuotedEnd::Closed(quote),
            (None, _) | (Some(b'\r'), None) => cut_short(),
            _ => QuotedEnd::Broken,
        };
    }
}

/// The end of the last complete record in `data`, which starts at a record's start; 0 if there is none.
pub(crate) fn last_record_end(data: &[u8], max_record: usize) -> usize {
    let mut end = 0; // of the last complete record, so the start of the current one
    let mut at = 0; // outside quotes
    loop {
        let Some(quote) = memchr(b'"', &data[at..]).map(|i| at + i) else {
            return memrchr(b'\n', &data[at..]).map_or(end, |i| at + i + 1);
        };
        if let Some(newline) = memrchr(b'\n', &data[at..quote]) {
            end = at + newline + 1;
        }
        if quote != end && data[quote - 1] != b',' {
            at = quote + 1; // a quote inside a plain field is text
            continue;
        }
        match quoted_end(data, end, quote + 1, false, max_record) {
            QuotedEnd::Closed(closing) => at = closing + 1,
            QuotedEnd::Unknown => return end,
            QuotedEnd::Broken => match line_end(data, end) {
                Some(next) => (end, at) = (next, next),
                None => return end,
            },
        }
    }
}

/// The index after the first line feed at or after `from`.
pub(crate) fn line_end(data: &[u8], from: usize) -> Option<usize> {
    memchr(b'\n', &data[from..]).map(|i| from + i + 1)
}

/// Finds commas, line feeds and quotes, 64 bytes at a time.
pub(crate) struct Marks<'a> {
    data: &'a [u8],
    /// The start of the chunk of `mask`.
    chunk: usize,
    /// A bit for each mark in the chunk that was not returned yet.
    mask: u64,
}

impl<'a> Marks<'a> {
    /// Starts at the beginning of the data.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, chunk: 0, mask: chunk_marks(data) }
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
        self.mask = self.data.get(self.chunk..).map_or(0, chunk_marks) & (u64::MAX << (at & 63));
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.chunk += 64;
            self.mask = chunk_marks(self.data.get(self.chunk..)?);
        }
        let at = self.chunk + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }
}

/// A bit for each comma, line feed and quote in the first 64 bytes.
#[inline(always)]
fn chunk_marks(data: &[u8]) -> u64 {
    match data.first_chunk::<64>() {
        Some(chunk) => marks_of_64(chunk),
        None => data.iter().enumerate().fold(0, |mask, (i, byte)| mask | (u64::from(is_mark(*byte)) << i)),
    }
}

#[inline(always)]
fn is_mark(byte: u8) -> bool {
    matches!(byte, b',' | b'\n' | b'"')
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn marks_of_64(chunk: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    let mut mask = 0;
    for part in 0..4 {
        // SAFETY: SSE2 is part of x86_64, and 16 bytes from `part * 16` are within the 64 of the chunk.
        let bits = unsafe {
            let bytes = _mm_loadu_si128(chunk.as_ptr().add(part * 16).cast());
            let comma = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b',' as i8));
            let newline = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8));
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(comma, newline), quote))
        };
        mask |= u64::from(bits as u32) << (part * 16);
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn marks_of_64(chunk: &[u8; 64]) -> u64 {
    chunk.iter().enumerate().fold(0, |mask, (i, byte)| mask | (u64::from(is_mark(*byte)) << i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(data: &[u8]) -> QuotedEnd {
        quoted_end(data, 0, 1, false, 100)
    }

    #[test]
    fn a_quoted_field_ends_at_its_closing_quote() {
        assert_eq!(end(b"\"ab\",c"), QuotedEnd::Closed(3));
        assert_eq!(end(b"\"a\"\"b\"\r\n"), QuotedEnd::Closed(5));
        assert_eq!(end(b"\"a\"b\""), QuotedEnd::Broken);
        assert_eq!(end(b"\"a"), QuotedEnd::Unknown);
        assert_eq!(end(b"\"a\""), QuotedEnd::Unknown);
        assert_eq!(quoted_end(b"\"a\"", 0, 1, true, 100), QuotedEnd::Closed(2));
        assert_eq!(quoted_end(b"\"a\n", 0, 1, true, 100), QuotedEnd::Broken);
        assert_eq!(quoted_end(b"\"aaaaaaaa\",", 0, 1, false, 5), QuotedEnd::Broken);
    }

    #[test]
    fn a_newline_inside_quotes_does_not_end_a_record() {
        assert_eq!(last_record_end(b"a,b\n\"c\nd\",e", 100), 4);
        assert_eq!(last_record_end(b"a,b\n\"c\nd\",e\nf", 100), 12);
        assert_eq!(last_record_end(b"a,b\n\"c\nd", 100), 4);
    }

    #[test]
    fn after_a_broken_record_parsing_resumes_at_the_next_line() {
        assert_eq!(last_record_end(b"\"a\"x\nb\nc", 100), 7);
    }

    #[test]
    fn a_quote_inside_a_plain_field_is_text() {
        assert_eq!(last_record_end(b"5\" pipe,1\n6\" pipe,2\n7", 100), 20);
    }

    proptest! {
        #[test]
        fn marks_are_what_a_plain_search_finds(data in proptest::collection::vec(prop::sample::select(b"a,\n\"".to_vec()), 0..300), from in 0usize..300) {
            let plain = |from: usize| (from..data.len()).filter(|i| is_mark(data[*i])).collect::<Vec<_>>();
            let mut marks = Marks::new(&data);
            prop_assert_eq!(marks.by_ref().collect::<Vec<_>>(), plain(0));
            let mut marks = Marks::new(&data);
            marks.skip_to(from.min(data.len()));
            prop_assert_eq!(marks.by_ref().collect::<Vec<_>>(), plain(from.min(data.len())));
            marks.restart(from.min(data.len()) / 2);
            prop_assert_eq!(marks.collect::<Vec<_>>(), plain(from.min(data.len()) / 2));
        }
    }
}
