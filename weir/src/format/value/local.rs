//! Numbers as people write them: with a decimal comma, digit groups, a currency, or a minus sign in another place.

use super::number::is_number;
use crate::task::{Negative, ValueSpec};

/// How the numbers of a column are written, if not as SQL writes them.
#[derive(Debug, Clone)]
pub(crate) struct LocalNumbers {
    point: char,
    thousands: Option<char>,
    /// Texts that may stand before or behind a number, longest first.
    strip: Vec<String>,
    in_parentheses: bool,
    trailing_minus: bool,
}

impl LocalNumbers {
    /// The form that the task declares, if it declares one.
    pub(super) fn take(spec: &ValueSpec) -> Result<Option<Self>, String> {
        if !spec.has_numbers() {
            return Ok(None);
        }
        let separator = |key: &str, text: &Option<String>| match text.as_deref().map(|text| (text, text.chars())) {
            None => Ok(None),
            Some((text, mut chars)) => match (chars.next(), chars.next()) {
                (Some(one), None) if !one.is_alphanumeric() && !matches!(one, '-' | '+') => Ok(Some(one)),
                _ => Err(format!("`{key}: {text:?}` is not one character that separates digits")),
            },
        };
        let point = separator("decimal_point", &spec.decimal_point)?.unwrap_or('.');
        let thousands = separator("thousands", &spec.thousands)?;
        if thousands == Some(point) {
            return Err(format!("`{point}` cannot be both `decimal_point` and `thousands`"));
        }
        let mut strip = spec.strip.clone().unwrap_or_default();
        if let Some(text) = strip.iter().find(|text| text.trim().is_empty() || is_number(text.as_bytes())) {
            return Err(format!("`strip` cannot have {text:?}, which may be a part of a number"));
        }
        strip.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let negative = spec.negative.as_deref().unwrap_or_default();
        Ok(Some(Self {
            point,
            thousands,
            strip,
            in_parentheses: negative.contains(&Negative::Parentheses),
            trailing_minus: negative.contains(&Negative::TrailingMinus),
        }))
    }

    /// The decimal point, if it is not `.`.
    pub(crate) fn point(&self) -> Option<char> {
        (self.point != '.').then_some(self.point)
    }

    /// Writes the number as SQL does; false if the text is not one in this form.
    pub(super) fn plain(&self, text: &str, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some((is_negative, digits)) = self.bare(text) else { return false };
        if is_negative {
            out.push(b'-');
        }
        let (mantissa, exponent) = digits.split_at(digits.find(['e', 'E']).unwrap_or(digits.len()));
        let (whole, fraction) = mantissa.split_once(self.point).unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !self.whole(whole, out) || !is_digits(fraction) {
            return false;
        }
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
        out.extend_from_slice(exponent.as_bytes());
        true
    }

    /// The digits without what stands around them, and whether the number is negative.
    fn bare<'a>(&self, text: &'a str) -> Option<(bool, &'a str)> {
        let mut rest = text;
        let mut sign = None;
        let (mut before, mut behind) = (false, false);
        loop {
            let start = rest;
            if sign.is_none() {
                let inside = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                if let Some(inside) = inside.filter(|_| self.in_parentheses) {
                    (sign, rest) = (Some(true), inside);
                } else if let Some(digits) = rest.strip_prefix('-') {
                    (sign, rest) = (Some(true), digits);
                } else if let Some(digits) = rest.strip_prefix('+') {
                    (sign, rest) = (Some(false), digits);
                } else if let Some(digits) = rest.strip_suffix('-').filter(|_| self.trailing_minus) {
                    (sign, rest) = (Some(true), digits);
                }
            }
            if !before && let Some(stripped) = self.strip.iter().find_map(|text| rest.strip_prefix(text.as_str())) {
                (before, rest) = (true, stripped.trim_start());
            }
            if !behind && let Some(stripped) = self.strip.iter().find_map(|text| rest.strip_suffix(text.as_str())) {
                (behind, rest) = (true, stripped.trim_end());
            }
            if rest.len() == start.len() {
                break;
            }
        }
        Some((sign.unwrap_or(false), rest)).filter(|(_, digits)| !digits.starts_with(['-', '+']))
    }

    /// Writes the digits before the point: groups of three, or, as in India, of two before the last three.
    fn whole(&self, text: &str, out: &mut Vec<u8>) -> bool {
        let mut lengths = Vec::new();
        for group in text.split(|c| self.thousands.is_some_and(|separator| is_same(separator, c))) {
            if !group.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            out.extend_from_slice(group.as_bytes());
            lengths.push(group.len());
        }
        match &lengths[..] {
            [_] => true,
            // `0.125` has a decimal point.
            [..] if text.starts_with('0') => false,
            [first, between @ .., 3] => {
                let all = |length: usize| (1..=length).contains(first) && between.iter().all(|group| *group == length);
                all(3) || all(2)
            }
            _ => false,
        }
    }
}

/// Whether a character is the separator: all blanks, and both apostrophes, are the same one.
fn is_same(separator: char, c: char) -> bool {
    match separator {
        ' ' => matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}'),
        '\'' => matches!(c, '\'' | '\u{2019}'),
        separator => c == separator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::value::number::decimal;

    fn spec(point: &str, thousands: &str, strip: &[&str], negative: &[Negative]) -> ValueSpec {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ValueSpec {
            decimal_point: some(point),
            thousands: some(thousands),
            strip: Some(strip.iter().map(|text| (*text).to_owned()).collect()),
            negative: Some(negative.to_vec()),
            ..ValueSpec::default()
        }
    }

    fn cents(spec: &ValueSpec, text: &str) -> Option<i128> {
        let mut plain = Vec::new();
        let numbers = LocalNumbers::take(spec).unwrap().unwrap();
        numbers.plain(text, &mut plain).then(|| decimal(&plain, 12, 2)).flatten()
    }

    #[test]
    fn a_decimal_comma_and_groups_of_digits_are_read_by_declaration() {
        let german = spec(",", ".", &["€", "EUR"], &[]);
        for (text, expected) in [
            ("1.234,50", Some(123_450)),
            ("1234,5", Some(123_450)),
            ("-1.234.567,89 €", Some(-123_456_789)),
            ("€ 5", Some(500)),
            ("1,5e3", Some(150_000)),
            ("1.23", None),
            ("1.5", None),
            ("12.34,5", None),
            ("0.125", None),
            ("012.345", None),
            ("0,125", None),
            ("0,12", Some(12)),
            ("1,234.50", None),
            ("1,2,3", None),
            ("5 USD", None),
            ("€ € 5", None),
            ("--5", None),
            ("€", None),
            ("", None),
        ] {
            assert_eq!(cents(&german, text), expected, "{text}");
        }
        let french = spec(",", " ", &[], &[]);
        assert_eq!(cents(&french, "1\u{202f}234\u{a0}567,8"), Some(123_456_780));
        assert_eq!(cents(&french, " 5"), None);
        assert_eq!(cents(&spec("", "'", &[], &[]), "1’234.5"), Some(123_450));
        assert_eq!(cents(&spec("", ",", &[], &[]), "12,34,567.89"), Some(123_456_789));
    }

    #[test]
    fn a_minus_may_be_parentheses_or_stand_behind_by_declaration() {
        let accounts = spec("", ",", &["$"], &[Negative::Parentheses, Negative::TrailingMinus]);
        for text in ["(1,234.50)", "($1,234.50)", "$(1,234.50)", "1,234.50-", "-$1,234.50", "$-1,234.50", "$1234.5-"] {
            assert_eq!(cents(&accounts, text), Some(-123_450), "{text}");
        }
        for text in ["(-5)", "(5", "-5-", "((5))", "5)"] {
            assert_eq!(cents(&accounts, text), None, "{text}");
        }
        let plain = spec("", ",", &[], &[]);
        assert_eq!((cents(&plain, "(5)"), cents(&plain, "5-")), (None, None));
    }

    #[test]
    fn separators_that_contradict_are_refused() {
        let wrong = |point: &str, thousands: &str, strip: &[&str]| {
            LocalNumbers::take(&spec(point, thousands, strip, &[])).unwrap_err()
        };
        assert!(wrong(",", ",", &[]).contains("cannot be both"));
        assert!(wrong(".", ".", &[]).contains("cannot be both"));
        assert!(wrong("x", "", &[]).contains("decimal_point"));
        assert!(wrong("", ",,", &[]).contains("thousands"));
        assert!(wrong("", "", &["5"]).contains("strip"));
    }
}
