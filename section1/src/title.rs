//! Titles: leading honorifics and trailing suffixes of names.

/// Whether a word is an honorific, in any case and with any full stops.
#[inline]
pub(crate) fn is_honorific(word: &[u8]) -> bool {
    static HONORIFICS: Titles<6> = Titles::new(["mr", "mrs", "ms", "miss", "dr", "prof"]);
    HONORIFICS.contain(word)
}

/// Whether a word is a suffix, in any case and with any full stops.
#[inline]
pub(crate) fn is_suffix(word: &[u8]) -> bool {
    static SUFFIXES: Titles<10> = Titles::new(["md", "dds", "dvm", "phd", "jr", "sr", "ii", "iii", "iv", "v"]);
    SUFFIXES.contain(word)
}

/// Titles of one kind.
struct Titles<const N: usize> {
    /// The [`letters`] of each.
    letters: [u32; N],
    /// For every last character of a word, the set of possible first characters of a title, one bit per letter. Almost
    /// all words that are not titles fail this check, so the branch is predictable.
    first_characters: [u32; 128],
}

impl<const N: usize> Titles<N> {
    const fn new(titles: [&str; N]) -> Self {
        let mut letters_of_titles = [0; N];
        let mut first_characters = [0; 128];
        let mut index = 0;
        while index < N {
            let title = titles[index].as_bytes();
            letters_of_titles[index] = letters(title);
            let last = title[title.len() - 1];
            let firsts = bit(title[0]) | bit(b'.');
            first_characters[last as usize] |= firsts;
            first_characters[last.to_ascii_uppercase() as usize] |= firsts;
            first_characters[b'.' as usize] |= firsts;
            index += 1;
        }
        Self { letters: letters_of_titles, first_characters }
    }

    #[inline]
    fn contain(&self, word: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (word.first(), word.last()) else {
            return false;
        };
        let can_be = self.first_characters[usize::from(last & 127)] & bit(first) != 0;
        can_be && self.contain_letters(word)
    }

    #[cold]
    fn contain_letters(&self, word: &[u8]) -> bool {
        self.letters.contains(&letters(word))
    }
}

/// The bit of a letter, regardless of case; a few other characters share it.
const fn bit(character: u8) -> u32 {
    1 << (character & 31)
}

/// The letters of a word in one number, in lower case and without full stops; 0 if there are more than four.
const fn letters(word: &[u8]) -> u32 {
    let mut letters = 0;
    let mut index = 0;
    while index < word.len() {
        if word[index] != b'.' {
            if letters >> 24 != 0 {
                return 0;
            }
            // Setting this bit converts ASCII letters to lower case, and converts nothing else to a letter.
            letters = letters << 8 | (word[index] | 0x20) as u32;
        }
        index += 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_full_stops_do_not_matter() {
        for word in ["mr", "MRS", "Ms.", "miSS", "D.r", ".dr", "P.R.O.F."] {
            assert!(is_honorific(word.as_bytes()), "{word}");
        }
        for word in ["md", "D.D.S.", "DVM", "Ph.D.", "jr.", "Sr", "ii", "III", "iV", "v.", "...V"] {
            assert!(is_suffix(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn an_honorific_is_not_a_suffix() {
        for (honorific, suffix) in [("Dr", "MD"), ("Mr.", "Jr."), ("Prof", "PhD")] {
            assert!(!is_suffix(honorific.as_bytes()) && !is_honorific(suffix.as_bytes()));
        }
    }

    #[test]
    fn words_that_contain_a_title_are_not_titles() {
        for word in ["", ".", "m", "mrsm", "missy", "profs", "drr", "d", "md,", "phds", "iiii", "vi", "jrs", "m d"] {
            assert!(!is_honorific(word.as_bytes()) && !is_suffix(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn letters_are_ascii() {
        for word in ["ｍｒ", "ſr", "v\u{301}", "\u{16}d"] {
            assert!(!is_honorific(word.as_bytes()) && !is_suffix(word.as_bytes()), "{word}");
        }
    }
}
