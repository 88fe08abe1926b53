//! Columns of texts.

use std::cmp::Ordering;

use datafusion::arrow::array::StringViewArray;

use super::distinct::Distinct;
use super::frequent::Frequent;
use super::{hash_of, pattern};

/// The characters of a text that are kept.
const LONGEST: usize = 120;

/// Texts that often stand for a missing value.
pub(super) const NULL_WORDS: [&str; 16] =
    ["NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "Null", "\\N", "None", "none", "NaN", "nan", "-", "?", "."];

/// What is known of the values so far.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) distinct: Distinct,
    /// Distinct values without regard to case, as long as their number is exact.
    pub(super) caseless: Distinct,
    pub(super) frequent: Frequent<String>,
    pub(super) patterns: Frequent<String>,
    pub(super) range: Option<[String; 2]>,
    /// The shortest and the longest text, with their characters.
    pub(super) lengths: Option<[(u64, String); 2]>,
    /// Characters of all texts.
    pub(super) characters: u64,
    pub(super) empty: u64,
    /// Texts with a blank before or behind.
    pub(super) blanks: u64,
    /// Texts that begin with a zero and a digit.
    pub(super) leading_zeros: u64,
    /// Texts that are a word of [`NULL_WORDS`].
    pub(super) null_words: [u64; NULL_WORDS.len()],
    has_patterns: bool,
    buffer: String,
}

impl Texts {
    pub(super) fn new(has_patterns: bool) -> Self {
        Self { has_patterns, ..Self::default() }
    }

    pub(super) fn update(&mut self, values: &StringViewArray) {
        values.iter().flatten().for_each(|text| self.add(text));
    }

    fn add(&mut self, text: &str) {
        if self.distinct.add(hash_of(text.as_bytes())) {
            self.caseless.add(hash_of(text.to_lowercase().as_bytes()));
            if !self.distinct.is_exact() {
                self.caseless = Distinct::default();
            }
        }
        let short = beginning(text);
        self.frequent.add(short);
        if self.has_patterns {
            pattern::write(text, &mut self.buffer);
            self.patterns.add(self.buffer.as_str());
        }
        self.measure(text, short);
        match &mut self.range {
            None => self.range = Some([short.to_owned(), short.to_owned()]),
            Some([least, most]) => {
                replace_if(least, short, Ordering::Less);
                replace_if(most, short, Ordering::Greater);
            }
        }
    }

    fn measure(&mut self, text: &str, short: &str) {
        let length = text.chars().count() as u64;
        self.characters += length;
        self.empty += u64::from(text.is_empty());
        self.blanks += u64::from(text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace));
        self.leading_zeros += u64::from(matches!(text.as_bytes(), [b'0', b'0'..=b'9', ..]));
        if text.len() <= 4
            && let Some(word) = NULL_WORDS.iter().position(|word| *word == text)
        {
            self.null_words[word] += 1;
        }
        match &mut self.lengths {
            None => self.lengths = Some([(length, short.to_owned()), (length, short.to_owned())]),
            Some([shortest, longest]) => {
                if (length, short) < (shortest.0, &shortest.1) {
                    *shortest = (length, short.to_owned());
                }
                // Of texts of a length the least one is shown, whichever thread has seen it.
                if length > longest.0 || (length == longest.0 && *short < *longest.1) {
                    *longest = (length, short.to_owned());
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.distinct.merge(other.distinct);
        if self.distinct.is_exact() {
            self.caseless.merge(other.caseless);
        }
        self.frequent.merge(&other.frequent);
        self.patterns.merge(&other.patterns);
        self.characters += other.characters;
        self.empty += other.empty;
        self.blanks += other.blanks;
        self.leading_zeros += other.leading_zeros;
        self.null_words.iter_mut().zip(other.null_words).for_each(|(count, other)| *count += other);
        self.range = match (self.range.take(), other.range) {
            (Some([a, b]), Some([c, d])) => Some([a.min(c), b.max(d)]),
            (one, other) => one.or(other),
        };
        self.lengths = match (self.lengths.take(), other.lengths) {
            (Some([a, b]), Some([c, d])) => {
                let is_longer = d.0 > b.0 || (d.0 == b.0 && d.1 < b.1);
                Some([a.min(c), if is_longer { d } else { b }])
            }
            (one, other) => one.or(other),
        };
    }
}

/// The beginning of a text, which is kept of it.
fn beginning(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

fn replace_if(known: &mut String, text: &str, order: Ordering) {
    if text.cmp(known.as_str()) == order {
        known.clear();
        known.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Texts {
        let mut found = Texts::new(true);
        found.update(&StringViewArray::from_iter_values(texts));
        found
    }

    #[test]
    fn texts_are_measured_in_characters() {
        let texts = of(&["Zoë", "", " a ", "007"]);
        let [shortest, longest] = texts.lengths.unwrap();
        assert_eq!((shortest, longest), ((0, String::new()), (3, " a ".to_owned())));
        assert_eq!((texts.characters, texts.empty, texts.blanks, texts.leading_zeros), (9, 1, 1, 1));
        assert_eq!(texts.range.unwrap(), ["", "Zoë"]);
    }

    #[test]
    fn parts_are_measured_as_the_whole() {
        let mut merged = of(&["b", "Ab"]);
        merged.merge(of(&["ab", "cccc", ""]));
        merged.merge(of(&[]));
        assert_eq!(merged.range.unwrap(), ["", "cccc"]);
        assert_eq!(merged.lengths.unwrap(), [(0, String::new()), (4, "cccc".to_owned())]);
        assert_eq!((merged.distinct.count(5).count, merged.caseless.count(5).count), (5, 4));
        assert_eq!(merged.patterns.all().values[0].1, 1);
    }

    #[test]
    fn of_a_long_text_the_beginning_is_kept() {
        let texts = of(&["é".repeat(500).as_str()]);
        let [_, (length, longest)] = texts.lengths.unwrap();
        assert_eq!((length, longest.chars().count()), (500, LONGEST));
    }
}
