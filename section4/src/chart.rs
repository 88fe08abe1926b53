//! Daily cases drawn as bars, and their 7-day average as a line: in a terminal, or as a picture.

mod columns;
mod picture;
mod terminal;
mod ticks;

pub(crate) use picture::png;
pub(crate) use terminal::{Terminal, wrap};

/// Formats an integer with thousands separators: -1,234,567.
pub(crate) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{}{}", if number < 0 { "-" } else { "" }, groups.join(","))
}

/// Formats a number with one decimal, or none from a thousand on, where it is insignificant.
pub(crate) fn decimal(number: f64) -> String {
    let tenths = (number * 10.0).round();
    match tenths.abs() < 10_000.0 {
        // Adding zero turns a negative zero into a positive one.
        true => format!("{:.1}", tenths / 10.0 + 0.0),
        false => count(number.round() as i64),
    }
}

/// Formats a number of an axis, without decimals if it is an integer.
fn number(number: f64) -> String {
    if number.fract() == 0.0 { count(number as i64) } else { decimal(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let numbers = [0, 999, -999, 1_000, -1_234_567];
        assert_eq!(numbers.map(count), ["0", "999", "-999", "1,000", "-1,234,567"]);
        assert_eq!(count(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn averages_have_a_decimal_below_a_thousand() {
        let numbers = [0.0, -0.04, 2.0, 0.25, 999.94, 999.96, -1234.5];
        assert_eq!(numbers.map(decimal), ["0.0", "0.0", "2.0", "0.3", "999.9", "1,000", "-1,235"]);
        assert_eq!([12.0, 0.5, 1500.0].map(number), ["12", "0.5", "1,500"]);
    }
}
