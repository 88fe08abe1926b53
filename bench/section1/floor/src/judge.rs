//! The validation rules of an application.

use memchr::{memchr, memchr_iter};
use sha2::{Digest, Sha256};

/// The reasons for a rejection, in the order in which they are written.
pub(crate) const REASONS: [&str; 6] = [
    "missing_name",
    "incomplete_name",
    "invalid_birthday",
    "under_18",
    "invalid_mobile",
    "invalid_email",
];

const MISSING_NAME: u8 = 1;
const INCOMPLETE_NAME: u8 = 1 << 1;
const INVALID_BIRTHDAY: u8 = 1 << 2;
const UNDER_18: u8 = 1 << 3;
const INVALID_MOBILE: u8 = 1 << 4;
const INVALID_EMAIL: u8 = 1 << 5;

/// The latest birthday of applicants who are 18 on 2022-01-01.
const LAST_ADULT: Day = Day {
    year: 2004,
    month: 1,
    day: 1,
};

/// The output columns of a successful application.
pub(crate) struct Applicant<'a> {
    /// All words of the name but the last, with unchanged white space.
    pub(crate) first_name: &'a [u8],
    pub(crate) last_name: &'a [u8],
    pub(crate) birthday: Day,
    pub(crate) mobile: [u8; 8],
}

/// Evaluate one application; the error has one bit per reason in [`REASONS`].
#[inline]
pub(crate) fn judge<'a>(
    [name, email, birthday, mobile]: [&'a [u8]; 4],
) -> Result<Applicant<'a>, u8> {
    let mut against = 0;
    let (first_name, last_name) = first_and_last(name);
    if last_name.is_empty() {
        against |= MISSING_NAME;
    } else if first_name.is_empty() {
        against |= INCOMPLETE_NAME;
    }
    let birthday = Day::parse(birthday);
    match birthday {
        None => against |= INVALID_BIRTHDAY,
        Some(day) if day > LAST_ADULT => against |= UNDER_18,
        Some(_) => {}
    }
    let mobile = eight_digits(mobile);
    if mobile.is_none() {
        against |= INVALID_MOBILE;
    }
    if !is_email(email) {
        against |= INVALID_EMAIL;
    }
    match (birthday, mobile) {
        (Some(birthday), Some(mobile)) if against == 0 => Ok(Applicant {
            first_name,
            last_name,
            birthday,
            mobile,
        }),
        _ => Err(against),
    }
}

/// The first names and the last name, without honorifics and suffixes.
#[inline]
fn first_and_last(name: &[u8]) -> (&[u8], &[u8]) {
    let mut name = name.trim_ascii();
    while !name.is_empty() {
        let end = name
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(name.len());
        if !is_honorific(&name[..end]) {
            break;
        }
        name = name[end..].trim_ascii_start();
    }
    let mut suffixed = false;
    while !name.is_empty() {
        let start = name
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(0, |space| space + 1);
        let last = &name[start..];
        if !is_suffix(last) {
            let last = if suffixed {
                last.strip_suffix(b",").unwrap_or(last)
            } else {
                last
            };
            return (name[..start].trim_ascii_end(), last);
        }
        suffixed = true;
        name = name[..start].trim_ascii_end();
    }
    (b"", b"")
}

#[inline]
fn is_honorific(word: &[u8]) -> bool {
    let (letters, length) = letters(word);
    matches!(
        &letters[..length],
        b"mr" | b"mrs" | b"ms" | b"miss" | b"dr" | b"prof"
    )
}

#[inline]
fn is_suffix(word: &[u8]) -> bool {
    let (letters, length) = letters(word.strip_suffix(b",").unwrap_or(word));
    matches!(
        &letters[..length],
        b"md" | b"dds" | b"dvm" | b"phd" | b"jr" | b"sr" | b"ii" | b"iii" | b"iv" | b"v"
    )
}

/// The first five letters of a word in lower case, without full stops: no title is longer than four.
#[inline]
fn letters(word: &[u8]) -> ([u8; 5], usize) {
    let (mut letters, mut length) = ([0; 5], 0);
    for byte in word.iter().filter(|byte| **byte != b'.').take(5) {
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    (letters, length)
}

/// A calendar day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    #[inline]
    fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; 10] = text.trim_ascii().try_into().ok()?;
        let (year, month, day) = match (text[4], text[7], text[2], text[5]) {
            (b'-', b'-', _, _) | (b'/', b'/', _, _) => (0, 5, 8),
            (_, _, b'-', b'-') => (6, 3, 0),
            (_, _, b'/', b'/') => (6, 0, 3),
            _ => return None,
        };
        let two = |at: usize| Some(digit(text[at])? * 10 + digit(text[at + 1])?);
        let year = two(year)? * 100 + two(year + 2)?;
        let (month, day) = (two(month)?, two(day)?);
        let days = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (year > 0 && (1..=days).contains(&day)).then_some(Self {
            year,
            month: month as u8,
            day: day as u8,
        })
    }

    /// The day as `yyyymmdd`.
    #[inline]
    pub(crate) fn text(self) -> [u8; 8] {
        let digits = |number: u16| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        let ([a, b], [c, d]) = (digits(self.year / 100), digits(self.year % 100));
        let ([e, f], [g, h]) = (digits(self.month.into()), digits(self.day.into()));
        [a, b, c, d, e, f, g, h]
    }
}

#[inline]
fn digit(byte: u8) -> Option<u16> {
    byte.is_ascii_digit().then(|| u16::from(byte - b'0'))
}

#[inline]
fn eight_digits(mobile: &[u8]) -> Option<[u8; 8]> {
    let (mut digits, mut length) = ([0; 8], 0);
    for &byte in mobile {
        match byte {
            b' ' | b'-' => {}
            b'0'..=b'9' => {
                *digits.get_mut(length)? = byte;
                length += 1;
            }
            _ => return None,
        }
    }
    (length == 8).then_some(digits)
}

#[inline]
fn is_email(email: &[u8]) -> bool {
    let Some((domain, ending)) = email.split_last_chunk::<4>() else {
        return false;
    };
    if !ending.eq_ignore_ascii_case(b".com") && !ending.eq_ignore_ascii_case(b".net") {
        return false;
    }
    let Some(at) = memchr(b'@', domain) else {
        return false;
    };
    at > 0 && at + 1 < domain.len() && memchr_iter(b'@', &domain[at + 1..]).next().is_none()
}

/// The first five hex digits of the SHA-256 of each adult's birthday, computed on first use.
pub(crate) struct Digests {
    known: Vec<[u8; 5]>,
}

impl Digests {
    pub(crate) fn new() -> Self {
        Self {
            known: vec![[0; 5]; (usize::from(LAST_ADULT.year) + 1) * 12 * 31],
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, day: Day) -> [u8; 5] {
        let index = (usize::from(day.year) * 12 + usize::from(day.month - 1)) * 31
            + usize::from(day.day - 1);
        let known = &mut self.known[index];
        if known[0] == 0 {
            let digest = Sha256::digest(day.text());
            *known = std::array::from_fn(|place| {
                let byte = digest[place / 2];
                b"0123456789abcdef"[usize::from(if place % 2 == 0 { byte >> 4 } else { byte & 15 })]
            });
        }
        *known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> (&str, &str) {
        let (first, last) = first_and_last(name.as_bytes());
        (
            std::str::from_utf8(first).unwrap(),
            std::str::from_utf8(last).unwrap(),
        )
    }

    fn day(text: &str) -> Option<String> {
        Day::parse(text.as_bytes()).map(|day| String::from_utf8(day.text().to_vec()).unwrap())
    }

    #[test]
    fn honorifics_and_suffixes_are_not_names() {
        assert_eq!(name("Prof. Dr. Ann Lee Ph.D. MD"), ("Ann", "Lee"));
        assert_eq!(name(" Mr. Jr. "), ("", ""));
    }

    #[test]
    fn a_comma_is_removed_only_before_a_suffix() {
        assert_eq!(name("John Smith, MD, Jr."), ("John", "Smith"));
        assert_eq!(name("Ann Lee,"), ("Ann", "Lee,"));
    }

    #[test]
    fn slash_dates_are_month_first_and_dash_dates_day_first() {
        assert_eq!(day("02/01/1990").as_deref(), Some("19900201"));
        assert_eq!(day(" 02-01-1990").as_deref(), Some("19900102"));
        assert_eq!(day("1990/02-01"), None);
    }

    #[test]
    fn impossible_days_are_none() {
        assert_eq!(day("1900-02-29"), None);
        assert_eq!(day("2000-02-29").as_deref(), Some("20000229"));
        assert_eq!(day("31/12/1999"), None);
    }

    #[test]
    fn an_email_has_one_at_sign_and_ends_in_com_or_net() {
        assert!(is_email(b"a@b.COM") && is_email(b"a@b.c.net"));
        assert!(
            ![
                "@b.com",
                "a@.com",
                "a@b@c.com",
                "a@b.com.sg",
                "a@bcom",
                "a@.com"
            ]
            .iter()
            .any(|e| is_email(e.as_bytes()))
        );
    }

    #[test]
    fn the_digest_is_that_of_the_written_day() {
        let day = Day::parse(b"1975-08-27").unwrap();
        assert_eq!(&Digests::new().of(day), b"c7677");
    }
}
