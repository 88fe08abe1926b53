//! The words of a text: where each begins and ends, found eight bytes at a time in short printable ASCII.

use std::ops::Range;

/// The words of a text; they can be removed from either end.
pub(crate) trait Words {
    /// Byte range of the first word; none if no word is left.
    fn first(&self) -> Option<Range<usize>>;
    /// Byte range of the last word; none if no word is left.
    fn last(&self) -> Option<Range<usize>>;
    /// Removes the first word; there must be one.
    fn drop_first(&mut self);
    /// Removes the last word; there must be one.
    fn drop_last(&mut self);
    /// The number of remaining words.
    fn count(&self) -> usize;
    /// Whether exactly one space, U+0020, separates each remaining word from the next.
    fn are_one_space_apart(&self) -> bool;
}

/// The words of at most 64 bytes of printable ASCII: one bit per byte.
pub(crate) struct PlainWords {
    spaces: u64,
    starts: u64,
    ends: u64,
}

impl PlainWords {
    /// The words of `text`, or none if it is longer than 64 bytes or has anything but printable ASCII.
    #[inline]
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let spaces = spaces(text)?;
        let inside = u64::MAX.checked_shr(64 - text.len() as u32).unwrap_or(0);
        let letters = !spaces & inside;
        let starts = letters & !(letters << 1);
        let ends = letters & !(letters >> 1);
        Some(Self { spaces, starts, ends })
    }
}

impl Words for PlainWords {
    #[inline]
    fn first(&self) -> Option<Range<usize>> {
        let range = self.starts.trailing_zeros() as usize..self.ends.trailing_zeros() as usize + 1;
        (self.starts != 0).then_some(range)
    }

    #[inline]
    fn last(&self) -> Option<Range<usize>> {
        (self.starts != 0).then(|| highest(self.starts)..highest(self.ends) + 1)
    }

    #[inline]
    fn drop_first(&mut self) {
        self.starts &= self.starts - 1;
        self.ends &= self.ends - 1;
    }

    #[inline]
    fn drop_last(&mut self) {
        self.starts ^= 1 << highest(self.starts);
        self.ends ^= 1 << highest(self.ends);
    }

    #[inline]
    fn count(&self) -> usize {
        // Faster than counting all bits on processors without an instruction for it: most names have two words.
        let (mut starts, mut count) = (self.starts, 0);
        while starts != 0 {
            starts &= starts - 1;
            count += 1;
        }
        count
    }

    #[inline]
    fn are_one_space_apart(&self) -> bool {
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return true;
        };
        let between = (u64::MAX << first.start) & (u64::MAX >> (64 - last.end));
        let gaps = self.spaces & between;
        gaps & (gaps << 1) == 0
    }
}

/// The words of any text, separated by Unicode white space.
pub(crate) struct AnyWords<'a> {
    text: &'a str,
    words: Vec<Range<usize>>,
    dropped: usize,
}

impl<'a> AnyWords<'a> {
    /// The words of `text`.
    pub(crate) fn of(text: &'a str) -> Self {
        let range = |word: &str| {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            start..start + word.len()
        };
        Self { text, words: text.split_whitespace().map(range).collect(), dropped: 0 }
    }

    fn left(&self) -> &[Range<usize>] {
        &self.words[self.dropped..]
    }
}

impl Words for AnyWords<'_> {
    fn first(&self) -> Option<Range<usize>> {
        self.left().first().cloned()
    }

    fn last(&self) -> Option<Range<usize>> {
        self.left().last().cloned()
    }

    fn drop_first(&mut self) {
        self.dropped += 1;
    }

    fn drop_last(&mut self) {
        self.words.pop();
    }

    fn count(&self) -> usize {
        self.left().len()
    }

    fn are_one_space_apart(&self) -> bool {
        self.left().windows(2).all(|pair| &self.text[pair[0].end..pair[1].start] == " ")
    }
}

/// The index of the highest set bit; there must be one.
#[inline]
fn highest(bits: u64) -> usize {
    63 - bits.leading_zeros() as usize
}

/// One bit for every byte of `text` that is a space, or none if a byte is not printable ASCII. Bits after the end of
/// the text are unspecified.
#[inline]
fn spaces(text: &[u8]) -> Option<u64> {
    let Some(tail) = text.len().checked_sub(8) else {
        let mut padded = [b'.'; 8];
        padded[..text.len()].copy_from_slice(text);
        return spaces_of_eight(&padded);
    };
    // The last eight bytes overlap the previous ones, which finds the same bits twice.
    let mut bits = spaces_of_eight(&text[tail..])? << tail;
    for start in (0..tail).step_by(8) {
        bits |= spaces_of_eight(&text[start..start + 8])? << start;
    }
    Some(bits)
}

#[inline]
fn spaces_of_eight(bytes: &[u8]) -> Option<u64> {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH * 0x80;
    let bytes = u64::from_le_bytes(bytes.try_into().expect("the callers pass eight bytes"));
    // No ASCII byte carries into the next one: 0x7f + 0x60 is less than 0x100.
    let from_space = bytes.wrapping_add(EACH * 0x60) & HIGH;
    let past_space = bytes.wrapping_add(EACH * 0x5f) & HIGH;
    if bytes & HIGH != 0 || from_space != HIGH {
        return None;
    }
    // The factor moves the lowest bit of byte `i` to bit 56 + `i`.
    let is_space = (from_space & !past_space) >> 7;
    Some(is_space.wrapping_mul(0x0102_0408_1020_4080) >> 56)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All words of `words`, removed from the front.
    fn all(mut words: impl Words) -> Vec<Range<usize>> {
        let mut all = vec![];
        while let Some(word) = words.first() {
            all.push(word);
            words.drop_first();
        }
        all
    }

    proptest! {
        #[test]
        fn plain_words_equal_any_words(text in "[ a-e~!]{0,64}") {
            let plain = PlainWords::of(text.as_bytes()).unwrap();
            let any = AnyWords::of(&text);
            prop_assert_eq!(plain.count(), any.count());
            prop_assert_eq!(plain.last(), any.last());
            prop_assert_eq!(plain.are_one_space_apart(), any.are_one_space_apart());
            prop_assert_eq!(all(plain), all(any));
        }

        #[test]
        fn plain_words_are_removed_from_either_end_as_any_words_are(
            text in "[ ab]{0,64}",
            ends in prop::collection::vec(any::<bool>(), 0..30),
        ) {
            let mut plain = PlainWords::of(text.as_bytes()).unwrap();
            let mut any = AnyWords::of(&text);
            for front in ends {
                if any.count() == 0 {
                    break;
                }
                if front {
                    plain.drop_first();
                    any.drop_first();
                } else {
                    plain.drop_last();
                    any.drop_last();
                }
                prop_assert_eq!(plain.first(), any.first());
                prop_assert_eq!(plain.last(), any.last());
                prop_assert_eq!(plain.are_one_space_apart(), any.are_one_space_apart());
            }
        }

        #[test]
        fn anything_but_printable_ascii_is_not_plain(
            before in "[ a-z]{0,20}",
            odd in "[\\x00-\\x1f\u{80}-\u{ff}\u{3000}]",
            after in "[ a-z]{0,20}",
        ) {
            let text = format!("{before}{odd}{after}");
            prop_assert!(PlainWords::of(text.as_bytes()).is_none());
        }
    }

    #[test]
    fn a_text_of_more_than_64_bytes_is_not_plain() {
        assert!(PlainWords::of(&[b'a'; 64]).is_some());
        assert!(PlainWords::of(&[b'a'; 65]).is_none());
    }

    #[test]
    fn unicode_white_space_separates_words() {
        assert_eq!(all(AnyWords::of("Zoë\u{a0}Núñez")), [0..4, 6..13]);
    }
}
