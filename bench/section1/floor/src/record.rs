//! CSV records and their fields according to RFC 4180.

use memchr::{memchr, memchr2_iter};

/// One record without its line end.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) has_quotes: bool,
}

/// The records of a block, without blank lines.
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    to_next_quote: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(block: &'a [u8]) -> Self {
        Self {
            rest: block,
            to_next_quote: memchr(b'"', block).unwrap_or(usize::MAX),
        }
    }

    /// The unread rest of the block.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let mut end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let has_quotes = self.to_next_quote < end;
            if has_quotes {
                end = quoted_end(self.rest);
            }
            let line = &self.rest[..end];
            self.rest = &self.rest[(end + 1).min(self.rest.len())..];
            if has_quotes {
                self.to_next_quote = memchr(b'"', self.rest).unwrap_or(usize::MAX);
            } else if self.to_next_quote != usize::MAX {
                self.to_next_quote -= end + 1;
            }
            let bytes = line.strip_suffix(b"\r").unwrap_or(line);
            if !bytes.is_empty() {
                return Some(Line { bytes, has_quotes });
            }
        }
    }
}

/// The end of the first record of `bytes` if it has quotes.
fn quoted_end(bytes: &[u8]) -> usize {
    let mut quoted = false;
    for at in memchr2_iter(b'"', b'\n', bytes) {
        if bytes[at] == b'"' {
            quoted = !quoted;
        } else if !quoted {
            return at;
        }
    }
    bytes.len()
}

impl<'a> Line<'a> {
    /// Split at the commas; quoted fields are unquoted into `unquoted`.
    /// `None` unless there are exactly `N` fields.
    #[inline]
    pub(crate) fn fields<'b, const N: usize>(
        &self,
        unquoted: &'b mut Vec<u8>,
    ) -> Option<[&'b [u8]; N]>
    where
        'a: 'b,
    {
        if self.has_quotes {
            unquote(self.bytes, unquoted)
        } else {
            split(self.bytes)
        }
    }
}

#[inline]
fn split<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut fields = [line; N];
    for number in 0..N - 1 {
        let (field, rest) = fields[number].split_at(memchr(b',', fields[number])?);
        fields[number] = field;
        fields[number + 1] = &rest[1..];
    }
    memchr(b',', fields[N - 1]).is_none().then_some(fields)
}

#[cold]
fn unquote<'b, const N: usize>(line: &[u8], unquoted: &'b mut Vec<u8>) -> Option<[&'b [u8]; N]> {
    unquoted.clear();
    let (mut ends, mut number) = ([0; N], 0);
    let mut bytes = line.iter().copied().peekable();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => unquoted.extend(bytes.next()),
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                *ends.get_mut(number)? = unquoted.len();
                number += 1;
            }
            _ => unquoted.push(byte),
        }
    }
    *ends.get_mut(number)? = unquoted.len();
    let unquoted: &'b Vec<u8> = unquoted;
    (number == N - 1).then(|| {
        std::array::from_fn(|field| {
            let start = if field == 0 { 0 } else { ends[field - 1] };
            &unquoted[start..ends[field]]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(block: &str) -> Vec<Option<[String; 2]>> {
        let mut unquoted = Vec::new();
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        Lines::of(block.as_bytes())
            .map(|line| {
                line.fields::<2>(&mut unquoted)
                    .map(|fields| fields.map(text))
            })
            .collect()
    }

    fn pair(first: &str, second: &str) -> Option<[String; 2]> {
        Some([first.into(), second.into()])
    }

    #[test]
    fn the_last_line_needs_no_line_feed() {
        assert_eq!(records("a,b\r\n\nc,d"), [pair("a", "b"), pair("c", "d")]);
    }

    #[test]
    fn quotes_hold_commas_line_feeds_and_doubled_quotes() {
        assert_eq!(
            records("a,b\n\"c,\n\"\"\",\"d\"\ne,f\n"),
            [pair("a", "b"), pair("c,\n\"", "d"), pair("e", "f")]
        );
    }

    #[test]
    fn a_wrong_number_of_fields_is_not_a_record() {
        assert_eq!(
            records("a\na,b,c\n\"a\"\n\"a\",b,c\n"),
            [None, None, None, None]
        );
    }
}
