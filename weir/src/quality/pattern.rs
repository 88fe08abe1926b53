//! Regular expressions, asked once a row.

use regex_automata::dfa::{Automaton, dense};
use regex_automata::{Input, MatchKind, meta};

/// A pattern whose automaton is larger than this is matched by other means.
const MAX_AUTOMATON_BYTES: usize = 1 << 20;

/// A regular expression that is asked whether it matches, and nothing else.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// The whole automaton, worked out beforehand: a step a byte, and nothing to set up for a text.
    Automaton(Box<dense::DFA<Vec<u32>>>),
    /// For patterns whose automaton would be too large.
    Search(meta::Regex),
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it, and where.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let search = meta::Regex::new(pattern).map_err(|error| match error.syntax_error() {
            Some(syntax) => syntax.to_string(),
            None => error.to_string(),
        })?;
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
        // Word boundaries of Unicode, for one, have no automaton either.
        let automaton = dense::Builder::new().configure(config).build(pattern);
        Ok(automaton.map_or(Self::Search(search), |automaton| Self::Automaton(Box::new(automaton))))
    }

    /// Whether the pattern matches anywhere in the text.
    #[inline]
    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Automaton(automaton) => {
                // The automaton gives up only at bytes that it was told to give up at, and it was told of none.
                automaton.try_search_fwd(&Input::new(text).earliest(true)).is_ok_and(|found| found.is_some())
            }
            Self::Search(search) => search.is_match(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATTERNS: [&str; 6] =
        [r"^[0-9]{8}$", r"(?i)^[^@]+@[^@]+\.(com|net)$", "b+", "^$", r"^\p{Lu}\w*( \w+)*$", "(?i)straße|K"];

    #[test]
    fn patterns_of_everyday_rules_have_an_automaton() {
        for pattern in &PATTERNS[..4] {
            assert!(matches!(Pattern::new(pattern).unwrap(), Pattern::Automaton(_)), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_without_automaton_is_matched_all_the_same() {
        let pattern = Pattern::new(r"\bAnn\b").unwrap();
        assert!(matches!(pattern, Pattern::Search(_)));
        assert!(pattern.is_match("Dr. Ann Lee") && !pattern.is_match("Annabel"));
    }

    #[test]
    fn a_wrong_pattern_says_where() {
        assert!(Pattern::new("a[").unwrap_err().contains("unclosed character class"));
    }

    proptest! {
        #[test]
        fn both_ways_agree(text in "[a-cA-C@.0-9comnetKkßé ]{0,24}", which in 0..PATTERNS.len()) {
            let search = meta::Regex::new(PATTERNS[which]).unwrap();
            prop_assert_eq!(Pattern::new(PATTERNS[which]).unwrap().is_match(&text), search.is_match(&text));
        }
    }
}
