//! Regular expressions, matched once per row.

use datafusion::arrow::array::{Array, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{MatchKind, meta};

/// A pattern with a larger automaton than this, in bytes, is matched by other means.
const MAX_AUTOMATON_BYTES: usize = 1 << 20;

/// A regular expression that is only asked whether it matches.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// The complete automaton, built in advance: one step per byte, and no set-up per text.
    Automaton(Box<Walk>),
    /// For patterns whose automaton would be too large.
    Search(meta::Regex),
}

impl Pattern {
    /// Parses a pattern; the error describes the problem and its position.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let search = meta::Regex::new(pattern).map_err(|error| match error.syntax_error() {
            Some(syntax) => syntax.to_string(),
            None => error.to_string(),
        })?;
        // Unicode word boundaries, for example, have no automaton either.
        Ok(Walk::of(pattern).map_or(Self::Search(search), |walk| Self::Automaton(Box::new(walk))))
    }

    /// Whether the pattern matches anywhere in each text; null does not match.
    pub(super) fn matches(&self, texts: &StringViewArray) -> BooleanBuffer {
        match self {
            Self::Automaton(walk) => walk.matches(texts),
            Self::Search(search) => {
                BooleanBuffer::collect_bool(texts.len(), |row| texts.is_valid(row) && search.is_match(texts.value(row)))
            }
        }
    }
}

/// An automaton, and its start state for every text.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Walk {
    fn of(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            // States that search for the next byte of interest would count as special ones.
            .accelerate(false)
            .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
        let automaton = dense::Builder::new().configure(config).build(pattern).ok()?;
        let start = automaton.start_state(&start::Config::new()).ok()?;
        Some(Self { automaton, start })
    }

    /// Two texts at a time: each step waits for the memory that the previous step requested, which leaves time for
    /// a step in another text.
    fn matches(&self, texts: &StringViewArray) -> BooleanBuffer {
        let bytes = |row: usize| if texts.is_valid(row) { texts.value(row).as_bytes() } else { &[] };
        let mut found = vec![false; texts.len()];
        let (pairs, rest) = found.as_chunks_mut::<2>();
        for (i, pair) in pairs.iter_mut().enumerate() {
            *pair = self.match_two(bytes(2 * i), bytes(2 * i + 1));
        }
        for last in rest {
            *last = self.match_from(self.start, bytes(texts.len() - 1));
        }
        let found = BooleanBuffer::from(found);
        match texts.nulls() {
            Some(valid) => &found & valid.inner(),
            None => found,
        }
    }

    fn match_two(&self, one: &[u8], other: &[u8]) -> [bool; 2] {
        let (mut at_one, mut at_other) = (self.start, self.start);
        let mut steps = 0;
        for (byte, other_byte) in one.iter().zip(other) {
            if self.automaton.is_special_state(at_one) | self.automaton.is_special_state(at_other) {
                break;
            }
            at_one = self.automaton.next_state(at_one, *byte);
            at_other = self.automaton.next_state(at_other, *other_byte);
            steps += 1;
        }
        [self.match_from(at_one, &one[steps..]), self.match_from(at_other, &other[steps..])]
    }

    /// Continues from a state to the first match or the text's end.
    fn match_from(&self, from: StateID, text: &[u8]) -> bool {
        let mut state = from;
        for byte in text {
            if self.automaton.is_special_state(state) {
                if self.automaton.is_match_state(state) {
                    return true;
                }
                if self.automaton.is_dead_state(state) {
                    return false;
                }
            }
            state = self.automaton.next_state(state, *byte);
        }
        // A match is reported one step late, at the end of the text as well.
        self.automaton.is_match_state(state) || self.automaton.is_match_state(self.automaton.next_eoi_state(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATTERNS: [&str; 6] =
        [r"^[0-9]{8}$", r"(?i)^[^@]+@[^@]+\.(com|net)$", "b+", "^$", r"^\p{Lu}\w*( \w+)*$", "(?i)straße|K"];

    #[test]
    fn common_patterns_have_an_automaton() {
        for pattern in &PATTERNS[..4] {
            assert!(matches!(Pattern::new(pattern).unwrap(), Pattern::Automaton(_)), "{pattern}");
        }
    }

    fn matches(pattern: &str, texts: &[Option<String>]) -> Vec<bool> {
        let texts = StringViewArray::from_iter(texts.iter().cloned());
        Pattern::new(pattern).unwrap().matches(&texts).iter().collect()
    }

    #[test]
    fn a_pattern_without_automaton_is_matched_too() {
        let pattern = r"\bAnn\b";
        assert!(matches!(Pattern::new(pattern).unwrap(), Pattern::Search(_)));
        let texts = [Some("Dr. Ann Lee".to_owned()), Some("Annabel".to_owned()), None];
        assert_eq!(matches(pattern, &texts), [true, false, false]);
    }

    #[test]
    fn null_does_not_match_even_a_pattern_that_matches_the_empty_text() {
        assert_eq!(matches("^$", &[None, Some(String::new()), None]), [false, true, false]);
    }

    #[test]
    fn an_invalid_pattern_is_reported_with_its_problem() {
        assert!(Pattern::new("a[").unwrap_err().contains("unclosed character class"));
    }

    proptest! {
        #[test]
        fn both_implementations_agree(
            texts in proptest::collection::vec(proptest::option::of("[a-cA-C@.0-9comnetKkßé ]{0,24}"), 0..6),
            which in 0..PATTERNS.len(),
        ) {
            let search = meta::Regex::new(PATTERNS[which]).unwrap();
            let expected: Vec<bool> = texts.iter().map(|t| t.as_ref().is_some_and(|t| search.is_match(t))).collect();
            prop_assert_eq!(matches(PATTERNS[which], &texts), expected);
        }

        #[test]
        fn digits_and_addresses_are_matched_wherever_the_texts_of_a_pair_end(
            texts in proptest::collection::vec("([0-9]{7,9}|[a-z]{1,9}@[a-z]{1,9}[.](com|net|org))", 0..6),
            which in 0usize..2,
        ) {
            let search = meta::Regex::new(PATTERNS[which]).unwrap();
            let expected: Vec<bool> = texts.iter().map(|t| search.is_match(t)).collect();
            let texts: Vec<_> = texts.into_iter().map(Some).collect();
            prop_assert_eq!(matches(PATTERNS[which], &texts), expected);
        }
    }
}
