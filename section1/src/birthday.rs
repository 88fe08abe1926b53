//! Birthdays: parses dates in four formats, without allocation and almost without branches.
//!
//! | text | format |
//! |---|---|
//! | `1986-01-10` | `yyyy-mm-dd` |
//! | `1986/01/10` | `yyyy/mm/dd` |
//! | `10-01-1986` | `dd-mm-yyyy`: with dashes and the year last, day first |
//! | `01/10/1986` | `mm/dd/yyyy`: with slashes and the year last, month first |

use datafusion::arrow::array::{Array, Date32Array, StringViewArray};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};

use weir::function::calendar;
use weir::function::view;

/// Parses a birthday: days since 1970-01-01, or none if the text has none of the four formats of this [module](self) or
/// is not a valid date.
///
/// White space around the date is ignored. Years are 0001 to 9999.
///
/// ```
/// # use section1::birthday::parse;
/// assert_eq!(parse("1970-01-02"), Some(1));
/// assert_eq!(parse("02-01-1970"), parse("01/02/1970"));
/// assert_eq!(parse("30-02-1970"), None);
/// ```
pub fn parse(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.len() != LENGTH {
        return None;
    }
    parse_ten(view::characters(view::inline_bytes(text.as_bytes())))
}

/// Applies [`parse`] to every text of an array; null stays null.
pub fn parse_birthdays(texts: &StringViewArray) -> Date32Array {
    let mut days = Vec::with_capacity(texts.len());
    let mut valid = Vec::with_capacity(texts.len().div_ceil(64));
    for (block, views) in texts.views().chunks(64).enumerate() {
        let mut bits = 0u64;
        for (index, &view) in views.iter().enumerate() {
            let day = match view as u32 as usize {
                LENGTH => parse_ten(view::characters(view)),
                // Too short for any date, or long enough to have white space around one.
                0..LENGTH => None,
                _ => parse(texts.value(block * 64 + index)),
            };
            bits |= u64::from(day.is_some()) << index;
            days.push(day.unwrap_or_default());
        }
        valid.push(bits);
    }
    let valid = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, texts.len()));
    let nulls = NullBuffer::union(Some(&valid), texts.nulls()).filter(|nulls| nulls.null_count() > 0);
    Date32Array::new(days.into(), nulls)
}

/// Bytes of a date in each of the four formats.
const LENGTH: usize = 10;

/// Parses ten characters, the first one in the lowest byte.
#[inline]
fn parse_ten(text: u128) -> Option<i32> {
    let separators_of_year_first = text & at(&[4, 7], 0xff);
    let separators_of_year_last = text & at(&[2, 5], 0xff);
    let year_first = (separators_of_year_first == at(&[4, 7], b'-')) | (separators_of_year_first == at(&[4, 7], b'/'));
    let day_first = separators_of_year_last == at(&[2, 5], b'-');
    let month_first = separators_of_year_last == at(&[2, 5], b'/');
    let pair = |start: usize| (text >> (8 * start)) as u64 & 0xffff;
    let quad = |start: usize| (text >> (8 * start)) as u64 & 0xffff_ffff;
    // All three orders are computed and one is selected, or none, which leaves no digits: branches would be
    // unpredictable for the processor.
    let kept = |if_so: bool, digits: u64| digits & 0u64.wrapping_sub(u64::from(if_so));
    let digits = kept(year_first, quad(0) | pair(5) << 32 | pair(8) << 48)
        | kept(day_first, quad(6) | pair(3) << 32 | pair(0) << 48)
        | kept(month_first, quad(6) | pair(0) << 32 | pair(3) << 48);
    if !are_digits(digits) {
        return None;
    }
    // Each even byte becomes the two-digit number of itself and the next byte.
    let values = digits & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let number = |byte: u32| (pairs >> (8 * byte)) as u32 & 0xff;
    calendar::days(number(0) * 100 + number(2), number(4), number(6))
}

/// Whether all eight bytes are ASCII digits.
#[inline]
fn are_digits(bytes: u64) -> bool {
    const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // Adding six carries `:` to `?`, which share their high half with the digits, into another one.
    bytes & HIGH_HALVES == ZEROS && bytes.wrapping_add(0x0606_0606_0606_0606) & HIGH_HALVES == ZEROS
}

/// `byte` at each of the two `places`.
const fn at(places: &[u32; 2], byte: u8) -> u128 {
    (byte as u128) << (8 * places[0]) | (byte as u128) << (8 * places[1])
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    /// Reference implementation with chrono.
    fn reference(text: &str) -> Option<i32> {
        let text = text.trim();
        let digits = |part: &str| part.parse().ok().filter(|_: &u32| !part.contains('+'));
        let separator = ['-', '/'].into_iter().find(|&separator| text.matches(separator).count() == 2)?;
        let parts: Vec<&str> = text.split(separator).collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let [a, b, c] = parts.into_iter().map(digits).collect::<Option<Vec<_>>>()?.try_into().ok()?;
        let (year, month, day) = match (&lengths[..], separator) {
            ([4, 2, 2], _) => (a, b, c),
            ([2, 2, 4], '-') => (c, b, a),
            ([2, 2, 4], _) => (c, a, b),
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(year as i32, month, day).filter(|_| year > 0)?;
        Some(date.num_days_from_ce() - 719_163)
    }

    fn texts() -> impl Strategy<Value = String> {
        let date = (0u32..=9999, 0u32..=14, 0u32..=32, 0..4, 0..40).prop_map(|(year, month, day, format, edge)| {
            let date = match format {
                0 => format!("{year:04}-{month:02}-{day:02}"),
                1 => format!("{year:04}/{month:02}/{day:02}"),
                2 => format!("{day:02}-{month:02}-{year:04}"),
                _ => format!("{month:02}/{day:02}/{year:04}"),
            };
            match edge {
                0 => format!(" {date}"),
                1 => format!("  {date}\t \u{3000}"),
                2 => format!("{date}9"),
                3 => date[1..].to_owned(),
                4 => date.replacen('-', "/", 1),
                5 => date.replacen('0', ":", 1),
                6 => date.replacen('0', "O", 1),
                _ => date,
            }
        });
        prop_oneof![8 => date, 1 => "[0-9/-]{10}", 1 => "[0-9:;/. -]{8,14}", 1 => "\\PC{0,14}"]
    }

    proptest! {
        #[test]
        fn an_array_is_parsed_as_by_chrono(
            texts in prop::collection::vec(prop::option::weighted(0.9, texts()), 0..200),
            skip in 0usize..70,
            take in 0usize..200,
        ) {
            let array = StringViewArray::from_iter(texts.iter());
            let skip = skip.min(array.len());
            let take = take.min(array.len() - skip);
            let days = parse_birthdays(&array.slice(skip, take));
            days.to_data().validate_full().unwrap();
            let texts = &texts[skip..skip + take];
            let expected: Vec<_> =
                texts.iter().map(|text| text.as_deref().and_then(reference)).collect();
            prop_assert_eq!(days.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn one_text_is_parsed_as_by_chrono(text in texts()) {
            prop_assert_eq!(parse(&text), reference(&text));
        }
    }

    fn ymd(year: i32, month: u32, day: u32) -> Option<i32> {
        Some(NaiveDate::from_ymd_opt(year, month, day).unwrap().num_days_from_ce() - 719_163)
    }

    #[test]
    fn dates_with_the_year_first_are_year_month_day() {
        assert_eq!(parse("1986-01-10"), ymd(1986, 1, 10));
        assert_eq!(parse("1986/01/10"), ymd(1986, 1, 10));
    }

    #[test]
    fn dash_dates_are_day_first() {
        assert_eq!(parse("10-01-1986"), ymd(1986, 1, 10));
        assert_eq!(parse("01-31-1986"), None);
    }

    #[test]
    fn slash_dates_are_month_first() {
        assert_eq!(parse("01/10/1986"), ymd(1986, 1, 10));
        assert_eq!(parse("31/01/1986"), None);
    }

    #[test]
    fn mixed_separators_are_not_a_date() {
        for text in ["1986-01/10", "1986/01-10", "10-01/1986", "01/10-1986"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_dates_are_not_a_date() {
        for text in ["1986-02-30", "1986-13-01", "1986-00-01", "1986-01-00", "1986-04-31", "0000-01-01"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn february_has_a_29th_in_leap_years_only() {
        assert_eq!(parse("2000-02-29"), ymd(2000, 2, 29));
        assert_eq!(parse("2004-02-29"), ymd(2004, 2, 29));
        assert_eq!(parse("1900-02-29"), None);
        assert_eq!(parse("2001-02-29"), None);
    }

    #[test]
    fn white_space_around_a_date_is_ignored() {
        assert_eq!(parse("\t 1986-01-10 \u{a0}"), ymd(1986, 1, 10));
    }

    #[test]
    fn other_lengths_are_not_a_date() {
        for text in ["", "1986-1-10", "86-01-10", "01986-01-10", "1986-01-10T00:00:00", "1986 01 10", "19860110"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn digits_of_other_scripts_are_not_digits() {
        assert_eq!(parse("1986-01-1０"), None);
        assert_eq!(parse("é986-01-0"), None);
    }
}
