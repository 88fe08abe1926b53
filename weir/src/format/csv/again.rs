//! Lines that only the beginning of a file has, in the middle of it: files were put together.

/// The reason for the rejection of a record that is the header again.
pub(crate) const REPEATED_HEADER: &str = "repeated_header";

/// The mark with which texts may begin.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Recognizes the header of a file, and a byte order mark, where another record begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Again {
    /// The header line without its end; empty if the file has none, or one that a row could equal. A copy: a slice would keep
    /// all that was read with it, for each file.
    header: Box<[u8]>,
    /// The first bytes of the header, and which bytes these are.
    first: u64,
    first_mask: u64,
    /// Which bytes a byte order mark has.
    mark_mask: u64,
}

impl Default for Again {
    /// Recognizes nothing.
    fn default() -> Self {
        Self { header: Box::default(), first: 1, first_mask: 0, mark_mask: 0 }
    }
}

impl Again {
    /// Recognizes a byte order mark and, unless it is empty, a header line of at least two names.
    pub(crate) fn of(header: &[u8]) -> Self {
        let mark_mask = 0xff_ffff;
        if header.is_empty() {
            return Self { mark_mask, ..Self::default() };
        }
        let mut first = [0; 8];
        let length = header.len().min(8);
        first[..length].copy_from_slice(&header[..length]);
        let first_mask = u64::MAX >> (64 - 8 * length);
        Self { first: u64::from_le_bytes(first), first_mask, mark_mask, header: header.into() }
    }

    /// Whether the record that starts at an index may be one of these: one load and two comparisons for each record.
    #[inline(always)]
    pub(crate) fn may_be(&self, data: &[u8], record: usize) -> bool {
        let Some(first) = data.get(record..record + 8) else { return self.mark_mask != 0 };
        let first = u64::from_le_bytes(first.try_into().unwrap_or_default());
        first & self.first_mask == self.first || (first ^ MARK) & self.mark_mask == 0 && self.mark_mask != 0
    }

    /// Why such a record is none; empty if it is one.
    #[cold]
    pub(crate) fn reason(&self, record: &[u8]) -> &'static str {
        let text = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        match text.len() < record.len() {
            _ if *text == *self.header && !text.is_empty() => REPEATED_HEADER,
            true => "byte_order_mark",
            false => "",
        }
    }
}

/// A byte order mark as the first bytes of a record.
const MARK: u64 = 0xbf_bbef;

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(header: &'static str, record: &str) -> &'static str {
        let again = Again::of(header.as_bytes());
        let data = format!("{record}\n12345678");
        if again.may_be(data.as_bytes(), 0) { again.reason(record.as_bytes()) } else { "" }
    }

    #[test]
    fn a_header_and_a_byte_order_mark_are_recognized() {
        for header in ["a,b", "name,amount,day"] {
            assert_eq!(reason(header, header), "repeated_header");
            assert_eq!(reason(header, &format!("\u{feff}{header}")), "repeated_header");
            assert_eq!(reason(header, &format!("{header}x")), "");
            assert_eq!(reason(header, "\u{feff}1,2"), "byte_order_mark");
        }
        assert_eq!(reason("", "\u{feff}1,2"), "byte_order_mark");
        assert_eq!(reason("", "1,2"), "");
    }

    #[test]
    fn nothing_is_recognized_by_default() {
        let data = "\u{feff}a,b\n12345678";
        assert!(!Again::default().may_be(data.as_bytes(), 0) && !Again::default().may_be(b"a", 0));
    }
}
