//! Whole numbers, decimals and doubles from their text.

/// A number as it is written: its digits without the decimal point, and the power of ten that they are multiplied with.
struct Written {
    is_negative: bool,
    digits: u128,
    exponent: i64,
}

/// Powers of ten that fit 128 bits.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// A whole number. `1.0` and `1e3` are whole numbers, too.
#[inline]
pub(super) fn whole(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    // Numbers of at most 18 digits cannot overflow.
    match (1..=18).contains(&digits.len()).then(|| small(digits)).flatten() {
        Some(number) if is_negative => Some(-number),
        Some(number) => Some(number),
        None => i64::try_from(exact(text, 19, 0)?).ok(),
    }
}

/// A decimal as its digits without the point, with `scale` of them after it: `1.5` is 150 with a scale of 2.
#[inline]
pub(super) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (is_negative, digits) = sign(text);
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &digits[digits.len()..]),
    };
    let scale = usize::from(scale);
    let is_small = !whole.is_empty() && fraction.len() <= scale && whole.len() + scale <= 18.min(precision.into());
    if is_small && let (Some(whole), Some(part)) = (small(whole), small(fraction)) {
        let number = (whole * POWERS[fraction.len()] as i64 + part) * POWERS[scale - fraction.len()] as i64;
        return Some(i128::from(if is_negative { -number } else { number }));
    }
    exact(text, precision, scale as i64)
}

/// A finite double.
#[inline]
pub(super) fn double(text: &[u8]) -> Option<f64> {
    // `inf` and `nan` are no numbers.
    let has_digit = text.iter().take(3).any(u8::is_ascii_digit);
    let text = has_digit.then(|| std::str::from_utf8(text).ok()).flatten()?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether the text is a number in any of its forms.
pub(super) fn is_number(text: &[u8]) -> bool {
    written(text).is_some()
}

/// A number in units of `10^-scale`, exactly, if it has at most `precision` digits in them.
pub(super) fn exact(text: &[u8], precision: u8, scale: i64) -> Option<i128> {
    let Written { is_negative, digits, exponent } = written(text)?;
    let shift = exponent.saturating_add(scale);
    let power = |exponent: u64| POWERS.get(usize::try_from(exponent).ok()?).copied();
    let number = match digits {
        0 => 0,
        digits if shift >= 0 => digits.checked_mul(power(shift.unsigned_abs())?)?,
        digits => {
            let power = power(shift.unsigned_abs())?;
            digits.is_multiple_of(power).then(|| digits / power)?
        }
    };
    let fits = POWERS.get(usize::from(precision)).is_some_and(|limit| number < *limit);
    let number = i128::try_from(number).ok().filter(|_| fits)?;
    Some(if is_negative { -number } else { number })
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

/// At most 18 digits as a number.
#[inline]
fn small(digits: &[u8]) -> Option<i64> {
    let mut number: i64 = 0;
    let mut wrong = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        wrong |= u8::from(digit > 9);
        // Only what is no digit could overflow.
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    (wrong == 0).then_some(number)
}

/// A number of digits, a point and an exponent, each of which may be missing.
fn written(text: &[u8]) -> Option<Written> {
    let (is_negative, rest) = sign(text);
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (rest, 0),
        Some(at) => (&rest[..at], power_of_ten(&rest[at + 1..])?),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        None => (mantissa, &mantissa[mantissa.len()..]),
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
    };
    if (whole.is_empty() && fraction.is_empty()) || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    // Zeros at the end of a fraction are no digits of the number.
    let fraction = &fraction[..fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1)];
    let mut digits: u128 = 0;
    for byte in whole.iter().chain(fraction) {
        digits = digits.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
    }
    Some(Written { is_negative, digits, exponent: exponent.saturating_sub(fraction.len() as i64) })
}

fn power_of_ten(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        digits.iter().fold(0_i64, |number, byte| number.saturating_mul(10).saturating_add((byte - b'0').into()));
    Some(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_may_be_written_with_a_point_or_an_exponent() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("1.0", Some(1)),
            ("3.000", Some(3)),
            ("1e3", Some(1000)),
            ("1.5e1", Some(15)),
            ("120e-1", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("00000000000000000000000001", Some(1)),
            ("9223372036854775808", None),
            ("7.5", None),
            ("1e-1", None),
            ("1e400", None),
        ] {
            assert_eq!(whole(text.as_bytes()), expected, "{text}");
        }
        for text in ["", "-", "+", ".", "e3", "1e", "1e+", " 1", "1 ", "1_0", "0x1", "--1", "1.2.3", "1,5", "inf", "١"]
        {
            assert_eq!((whole(text.as_bytes()), decimal(text.as_bytes(), 38, 2)), (None, None), "{text}");
            assert_eq!(double(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_decimal_is_exact_or_nothing() {
        for (text, expected) in [
            ("1.5", Some(150)),
            (".5", Some(50)),
            ("5.", Some(500)),
            ("-0.050", Some(-5)),
            ("1.5e3", Some(150_000)),
            ("125e-2", Some(125)),
            ("0e99", Some(0)),
            ("99999999.99", Some(9_999_999_999)),
            ("100000000", None),
            ("0.125", None),
            ("1e-3", None),
        ] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), expected, "{text}");
        }
        let most = "9".repeat(38);
        assert_eq!(decimal(most.as_bytes(), 38, 0), most.parse().ok());
        assert_eq!(decimal(format!("0.{most}000000").as_bytes(), 38, 38), most.parse().ok());
        assert_eq!(decimal(format!("{most}0").as_bytes(), 38, 0), None);
    }

    proptest! {
        #[test]
        fn digits_in_any_form_are_the_number_that_they_say(number: i64, scale in 0u8..19, zeros in 0usize..3) {
            prop_assert_eq!(whole(number.to_string().as_bytes()), Some(number));
            let unit = 10_i128.pow(scale.into());
            let (whole, part) = (i128::from(number) / unit, (i128::from(number) % unit).unsigned_abs());
            let sign = if number < 0 && whole == 0 { "-" } else { "" };
            let part = if scale == 0 { String::new() } else { format!(".{part:0width$}", width = scale.into()) };
            let zeros = if scale == 0 { String::new() } else { "0".repeat(zeros) };
            let text = format!("{sign}{whole}{part}{zeros}");
            prop_assert_eq!(decimal(text.as_bytes(), 38, scale), Some(i128::from(number)));
            prop_assert_eq!(decimal(format!("{number}e-{scale}").as_bytes(), 38, scale), Some(i128::from(number)));
        }

        #[test]
        fn a_double_is_the_nearest_one(number: f64) {
            prop_assume!(number.is_finite());
            prop_assert_eq!(double(number.to_string().as_bytes()), Some(number));
            prop_assert_eq!(double(format!("{number:e}").as_bytes()), Some(number));
        }
    }
}
