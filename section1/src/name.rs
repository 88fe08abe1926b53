//! Names: split into first and last name, without leading honorifics and trailing suffixes.
//!
//! | name | first name | last name | words |
//! |---|---|---|---|
//! | `Dr. Ann Lee` | `Ann` | `Lee` | 2 |
//! | `John Smith, MD` | `John` | `Smith` | 2 |
//! | `Ann  Mary Lee` | `Ann Mary` | `Lee` | 3 |
//! | `Lee` | none | `Lee` | 1 |
//! | `Mr.` | none | none | 0 |

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, Int32Array, StringViewArray, StructArray, make_view};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err};

use crate::title::{is_honorific, is_suffix};
use crate::words::{AnyWords, PlainWords, Words};
use weir::function::view;

/// The parts of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name<'a> {
    /// All words but the last, one space between them. None if there are fewer than two words.
    pub first: Option<Cow<'a, str>>,
    /// The last word. None if there is no word.
    pub last: Option<&'a str>,
    /// Number of words without honorifics and suffixes.
    pub words: usize,
}

/// Splits a name into its first and last name.
///
/// Words are separated by white space. Leading honorifics (`Mr`, `Mrs`, `Ms`, `Miss`, `Dr`, `Prof`) and trailing
/// suffixes (`MD`, `DDS`, `DVM`, `PhD`, `Jr`, `Sr`, `II`, `III`, `IV`, `V`) are all removed, in upper or lower case and
/// with or without full stops (`Ph.D.`). A suffix may end with one comma, and one comma before a removed suffix is
/// removed too. Words are otherwise unchanged.
///
/// ```
/// # use section1::name::split;
/// let name = split("Mr. John Smith, Ph.D.");
/// assert_eq!(name.first.as_deref(), Some("John"));
/// assert_eq!(name.last, Some("Smith"));
/// ```
pub fn split(name: &str) -> Name<'_> {
    let parts = Parts::of(name);
    let first = (parts.words > 1).then(|| {
        let first = &name[parts.first.clone()];
        if parts.first_is_tidy { Cow::Borrowed(first) } else { Cow::Owned(tidy(first)) }
    });
    let last = (parts.words > 0).then(|| &name[parts.last.clone()]);
    Name { first, last, words: parts.words }
}

/// Applies [`split`] to every name of an array; returns an array of [`fields`], which is never null itself.
///
/// A null name has no words and neither a first nor a last name. The output points into the buffers of `names`: only
/// first names whose white space must be normalized are copied.
///
/// # Errors
/// If the copied first names exceed 2 GiB in total.
pub fn split_names(names: &StringViewArray) -> Result<StructArray> {
    let mut first_names = Vec::with_capacity(names.len());
    let mut last_names = Vec::with_capacity(names.len());
    let mut words = Vec::with_capacity(names.len());
    let mut tidied = Tidied::new(names.data_buffers().len());
    for row in 0..names.len() {
        let parts = if names.is_null(row) { Parts::NONE } else { Parts::of(names.value(row)) };
        first_names.push(match (parts.words, parts.first_is_tidy) {
            (0 | 1, _) => 0,
            (_, true) => view::cut(names, row, parts.first),
            (_, false) => tidied.view(&names.value(row)[parts.first])?,
        });
        last_names.push(match parts.words {
            0 => 0,
            _ => view::cut(names, row, parts.last),
        });
        words.push(parts.words as i32);
    }
    let at_least = |least: i32| NullBuffer::new(BooleanBuffer::collect_bool(words.len(), |row| words[row] >= least));
    let (has_first, has_last) = (at_least(2), at_least(1));
    let buffers = names.data_buffers().to_vec();
    let mut first_buffers = buffers.clone();
    first_buffers.extend(tidied.buffer());
    // SAFETY: a view is empty, or a slice of a valid view between two words, so between two characters, in the same
    // buffers; or `make_view` created it from a string that is in the buffer added last, or short enough to be inlined.
    let (first_names, last_names) = unsafe {
        (view::array(first_names, first_buffers, Some(has_first)), view::array(last_names, buffers, Some(has_last)))
    };
    let columns = vec![Arc::new(first_names) as _, Arc::new(last_names) as _, Arc::new(Int32Array::from(words)) as _];
    Ok(StructArray::try_new(fields(), columns, None)?)
}

/// The fields that [`split_names`] returns: `first_name` and `last_name` are texts and may be null,
/// `words` is a number and is never null.
pub fn fields() -> Fields {
    Fields::from(vec![
        Field::new("first_name", DataType::Utf8View, true),
        Field::new("last_name", DataType::Utf8View, true),
        Field::new("words", DataType::Int32, false),
    ])
}

/// Positions of the parts in a name.
struct Parts {
    /// From the first word to the end of the last but one; unspecified if there are fewer than two words.
    first: Range<usize>,
    /// Whether the words of `first` are separated by one space each, so that it needs no copy.
    first_is_tidy: bool,
    /// The last word; unspecified if there is no word.
    last: Range<usize>,
    words: usize,
}

impl Parts {
    const NONE: Self = Self { first: 0..0, first_is_tidy: true, last: 0..0, words: 0 };

    #[inline]
    fn of(name: &str) -> Self {
        match PlainWords::of(name.as_bytes()) {
            Some(words) => Self::of_words(name.as_bytes(), words),
            None => Self::of_any_words(name),
        }
    }

    #[cold]
    fn of_any_words(name: &str) -> Self {
        Self::of_words(name.as_bytes(), AnyWords::of(name))
    }

    #[inline]
    fn of_words(name: &[u8], mut words: impl Words) -> Self {
        drop_honorifics(name, &mut words);
        let suffixed = drop_suffixes(name, &mut words);
        let Some(mut last) = words.last() else {
            return Self::NONE;
        };
        if suffixed && name[last.end - 1] == b',' {
            last.end -= 1;
        }
        let count = words.count();
        words.drop_last();
        let first = match (words.first(), words.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        };
        Self { first, first_is_tidy: words.are_one_space_apart(), last, words: count }
    }
}

#[inline]
fn drop_honorifics(name: &[u8], words: &mut impl Words) {
    while words.first().is_some_and(|word| is_honorific(&name[word])) {
        words.drop_first();
    }
}

/// Returns whether there was a suffix.
#[inline]
fn drop_suffixes(name: &[u8], words: &mut impl Words) -> bool {
    let mut dropped = false;
    while let Some(word) = words.last().map(|word| &name[word]) {
        // A separate comma before a suffix belongs to it: `John Smith , MD`.
        if !(is_suffix(word.strip_suffix(b",").unwrap_or(word)) || dropped && word == b",") {
            break;
        }
        words.drop_last();
        dropped = true;
    }
    dropped
}

/// The words of `text`, separated by one space.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !tidied.is_empty() {
            tidied.push(' ');
        }
        tidied.push_str(word);
    }
    tidied
}

/// The normalized texts of one array; those too long for a view are in a buffer of their own.
struct Tidied {
    /// The index that the buffer will have.
    index: usize,
    bytes: Vec<u8>,
}

impl Tidied {
    fn new(index: usize) -> Self {
        Self { index, bytes: vec![] }
    }

    fn view(&mut self, text: &str) -> Result<u128> {
        let text = tidy(text);
        let offset = self.bytes.len();
        if text.len() > view::INLINED {
            if offset + text.len() > view::BUFFER {
                return exec_err!("split_name: the names of one batch exceed 2 GiB; split the batch");
            }
            self.bytes.extend_from_slice(text.as_bytes());
        }
        Ok(make_view(text.as_bytes(), self.index as u32, offset as u32))
    }

    fn buffer(self) -> Option<Buffer> {
        (!self.bytes.is_empty()).then(|| Buffer::from_vec(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int32Type;
    use proptest::prelude::*;

    use super::*;

    /// First name, last name, words.
    type Split = (Option<String>, Option<String>, i32);

    fn parts(name: &str) -> (Option<String>, Option<String>) {
        let name = split(name);
        (name.first.map(Cow::into_owned), name.last.map(str::to_owned))
    }

    fn both(first: &str, last: &str) -> (Option<String>, Option<String>) {
        (Some(first.into()), Some(last.into()))
    }

    /// Reference implementation, word by word.
    fn reference(name: Option<&str>) -> Split {
        let plain = |word: &str| word.replace('.', "").to_ascii_lowercase();
        let mut words: Vec<&str> = name.unwrap_or_default().split_whitespace().collect();
        while !words.is_empty() && ["mr", "mrs", "ms", "miss", "dr", "prof"].contains(&&*plain(words[0])) {
            words.remove(0);
        }
        let suffixes = ["md", "dds", "dvm", "phd", "jr", "sr", "ii", "iii", "iv", "v"];
        let mut stripped = false;
        while let Some(word) = words.last() {
            let bare = word.strip_suffix(',').unwrap_or(word);
            let lone_comma = stripped && *word == ",";
            if !lone_comma && !suffixes.contains(&&*plain(bare)) {
                break;
            }
            stripped = true;
            words.pop();
        }
        let count = words.len() as i32;
        let last = words.pop().map(|last| if stripped { last.strip_suffix(',').unwrap_or(last) } else { last });
        ((!words.is_empty()).then(|| words.join(" ")), last.map(str::to_owned), count)
    }

    /// The rows of the split array, which must be valid.
    fn rows(array: &StructArray) -> Vec<Split> {
        array.to_data().validate_full().unwrap();
        assert_eq!(array.null_count(), 0);
        let text = |column: usize, row| {
            let column = array.column(column).as_string_view();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let words = array.column(2).as_primitive::<Int32Type>();
        assert_eq!(words.null_count(), 0);
        (0..array.len()).map(|row| (text(0, row), text(1, row), words.value(row))).collect()
    }

    fn names() -> impl Strategy<Value = Vec<Option<String>>> {
        let word = prop_oneof![
            4 => "[A-Za-z]{1,9}",
            2 => "[A-Za-z]{10,20}",
            2 => prop::sample::select(vec![
                "Mr.", "mrs", "MS", "Miss", "Dr.", "Prof.", "p.r.o.f", "M.D.", "DDS", "DVM,",
                "Ph.D.,", "Jr.", "sr", "II", "iii,", "IV", "v", ",", ".", "Missy", "Drake", "Vi",
            ]).prop_map(String::from),
            1 => "\\PC{1,4}",
            1 => "[A-Za-z]{1,9},",
        ];
        let gap = prop_oneof![
            8 => Just(" ".to_owned()),
            1 => "[ \t]{1,3}",
            1 => prop::sample::select(vec!["\u{a0}", "\u{3000}", "\u{b}"]).prop_map(String::from),
        ];
        let name = (prop::collection::vec((word, gap), 0..7), 0..4usize).prop_map(|(words, edge)| {
            let mut name = if edge == 1 { "  ".to_owned() } else { String::new() };
            for (index, (word, gap)) in words.iter().enumerate() {
                name.push_str(word);
                if index + 1 < words.len() || edge == 2 {
                    name.push_str(gap);
                }
            }
            name
        });
        prop::collection::vec(prop::option::weighted(0.9, name), 0..40)
    }

    proptest! {
        #[test]
        fn an_array_is_split_as_by_the_reference(
            names in names(),
            skip in 0usize..5,
            take in 0usize..40,
        ) {
            let array = StringViewArray::from_iter(names.iter());
            let skip = skip.min(array.len());
            let take = take.min(array.len() - skip);
            let split = split_names(&array.slice(skip, take)).unwrap();
            let names = &names[skip..skip + take];
            let expected: Vec<_> = names.iter().map(|name| reference(name.as_deref())).collect();
            prop_assert_eq!(rows(&split), expected);
        }

        #[test]
        fn one_name_is_split_as_by_the_reference(names in names()) {
            for name in names.iter().flatten() {
                let found = split(name);
                let first = found.first.map(Cow::into_owned);
                let found = (first, found.last.map(str::to_owned), found.words as i32);
                prop_assert_eq!(found, reference(Some(name)));
            }
        }
    }

    #[test]
    fn the_last_word_is_the_last_name() {
        assert_eq!(parts("Ann Mary Lee"), both("Ann Mary", "Lee"));
    }

    #[test]
    fn honorifics_are_dropped_repeatedly_and_in_any_case() {
        assert_eq!(parts("prof. DR Mrs Ann Lee"), both("Ann", "Lee"));
    }

    #[test]
    fn suffixes_are_dropped_repeatedly_and_in_any_case() {
        assert_eq!(parts("Ann Lee jr. MD, Ph.D."), both("Ann", "Lee"));
    }

    #[test]
    fn the_comma_before_a_suffix_is_removed_too() {
        assert_eq!(parts("John Smith, MD"), both("John", "Smith"));
        assert_eq!(parts("John Smith , MD"), both("John", "Smith"));
    }

    #[test]
    fn a_comma_without_a_suffix_stays() {
        assert_eq!(parts("John Smith,"), both("John", "Smith,"));
    }

    #[test]
    fn titles_inside_a_name_stay() {
        assert_eq!(parts("Ann Dr Lee"), both("Ann Dr", "Lee"));
        assert_eq!(parts("Ann V Lee"), both("Ann V", "Lee"));
    }

    #[test]
    fn words_that_begin_like_a_title_stay() {
        assert_eq!(parts("Missy Drake"), both("Missy", "Drake"));
        assert_eq!(parts("Profs Mdm"), both("Profs", "Mdm"));
    }

    #[test]
    fn one_word_is_a_last_name() {
        assert_eq!(split("Dr. Lee MD"), Name { first: None, last: Some("Lee"), words: 1 });
    }

    #[test]
    fn no_word_is_no_name() {
        for name in ["", "   ", "Mr.", "Dr. , MD", "MD"] {
            assert_eq!(split(name), Name { first: None, last: None, words: 0 }, "{name:?}");
        }
    }

    #[test]
    fn white_space_inside_a_first_name_becomes_one_space() {
        assert_eq!(parts("  Ann \t Mary  Lee "), both("Ann Mary", "Lee"));
        assert_eq!(parts("Bartholomew  Christopher  Lee"), both("Bartholomew Christopher", "Lee"));
    }

    #[test]
    fn a_null_name_has_no_words() {
        let names = StringViewArray::from_iter([None, Some("Ann Lee")]);
        assert_eq!(rows(&split_names(&names).unwrap()), [(None, None, 0), (Some("Ann".into()), Some("Lee".into()), 2)]);
    }

    #[test]
    fn long_parts_stay_in_the_buffers_of_the_names() {
        let names = StringViewArray::from_iter_values(["Mr. Bartholomew Christopher Featherstonehaugh"]);
        let split = split_names(&names).unwrap();
        let first = split.column(0).as_string_view().value(0).as_ptr();
        let last = split.column(1).as_string_view().value(0).as_ptr();
        assert_eq!(first, names.value(0)[4..].as_ptr());
        assert_eq!(last, names.value(0)[28..].as_ptr());
    }
}
