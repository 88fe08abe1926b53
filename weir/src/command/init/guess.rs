//! Guesses a column's name and type from its header and its first values.

use crate::task::SqlType;

/// The precision of a guessed decimal, as common in databases for money.
const DECIMAL_DIGITS: u8 = 18;

/// The nearest name that is valid in tables and tasks.
pub(super) fn plain(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// Whether the name is valid for a task, a table or a sink.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The type that every value is the text form of; `string` if there is none.
pub(super) fn sql_type<'a>(values: impl Iterator<Item = &'a str> + Clone) -> SqlType {
    if values.clone().next().is_none() {
        return SqlType::String;
    }
    let all = |is: fn(&str) -> bool| values.clone().all(is);
    let scale = values.clone().filter_map(scale).next().unwrap_or(0);
    if all(|value| matches!(value, "true" | "false")) {
        SqlType::Boolean
    } else if all(is_whole) {
        SqlType::Bigint
    } else if values.clone().all(|value| self::scale(value) == Some(scale)) {
        SqlType::Decimal(DECIMAL_DIGITS, scale)
    } else if all(|value| is_whole(value) || self::scale(value).is_some()) {
        SqlType::Double
    } else if all(is_date) {
        SqlType::Date
    } else if all(is_timestamp) {
        SqlType::Timestamp
    } else {
        SqlType::String
    }
}

/// An integer that is written back unchanged: a leading zero or plus means an identifier.
fn is_whole(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = !digits.is_empty() && digits.len() <= DECIMAL_DIGITS.into() && is_digits(digits);
    is_number && (!digits.starts_with('0') || value == "0")
}

/// The number of digits after a decimal number's point.
fn scale(value: &str) -> Option<i8> {
    let (whole, part) = value.split_once('.')?;
    let is_number = (is_whole(whole) || whole == "-0") && !part.is_empty() && is_digits(part);
    let digits = whole.trim_start_matches('-').len() + part.len();
    (is_number && digits <= DECIMAL_DIGITS.into()).then_some(part.len() as i8)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2022-01-31`
fn is_date(value: &str) -> bool {
    is_like(value, "0000-00-00") && SqlType::Date.parse(value).is_ok()
}

/// `2022-01-31 23:59:59`, or with a `T`, or with up to six fractional digits.
fn is_timestamp(value: &str) -> bool {
    let (time, part) = value.split_once('.').map_or((value, "0"), |(time, part)| (time, part));
    let is_part = (1..=6).contains(&part.len()) && is_digits(part);
    let is_time = is_like(time, "0000-00-00 00:00:00") || is_like(time, "0000-00-00T00:00:00");
    is_time && is_part && SqlType::Timestamp.parse(value).is_ok()
}

/// Whether the text has digits where the form has zeros, and otherwise the characters of the form.
fn is_like(value: &str, form: &str) -> bool {
    let same = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    value.len() == form.len() && value.bytes().zip(form.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(values: &[&str]) -> String {
        sql_type(values.iter().copied()).to_string()
    }

    #[test]
    fn a_column_has_a_type_if_every_value_has_its_form() {
        assert_eq!(guessed(&["true", "false"]), "boolean");
        assert_eq!(guessed(&["0", "-12", "3000000000"]), "bigint");
        assert_eq!(guessed(&["1.50", "-0.25"]), "decimal(18,2)");
        assert_eq!(guessed(&["1.5", "0.25", "3"]), "double");
        assert_eq!(guessed(&["2022-01-31", "2024-02-29"]), "date");
        assert_eq!(guessed(&["2022-01-31 23:59:59", "2022-01-31T00:00:00.123456"]), "timestamp");
    }

    #[test]
    fn an_ambiguous_value_stays_text() {
        for values in [
            &["007", "12"][..],
            &["+65", "12"],
            &["1", "x"],
            &["01.50"],
            &["-0"],
            &["1e5"],
            &[".5"],
            &["1234567890123456789"],
            &["2022-02-30"],
            &["31/01/2022"],
            &["2022-01-31 25:00:00"],
            &["2022-01-31T00:00:00Z"],
            &["True"],
            &["1", "true"],
            &["2022-01-31", "2022-01-31 00:00:00"],
            &[],
        ] {
            assert_eq!(guessed(values), "string", "{values:?}");
        }
    }

    #[test]
    fn a_name_is_normalised() {
        assert_eq!(plain(" E-Mail (work) "), "e_mail_work");
        assert_eq!(plain("Größe"), "größe");
        assert_eq!(plain("!?"), "");
        assert!(is_plain("members_2") && !is_plain("2_members") && !is_plain("größe"));
    }
}
