//! The pattern of a text: `9` for a digit, `a` and `A` for letters, everything else as it is.

/// Characters of a pattern; of a longer text it ends with [`CUT`].
const LONGEST: usize = 32;

/// What the pattern of a long text ends with.
const CUT: char = '…';

/// Writes the pattern of a text.
pub(super) fn write(text: &str, pattern: &mut String) {
    pattern.clear();
    for (place, c) in text.chars().enumerate() {
        if place == LONGEST {
            pattern.push(CUT);
            return;
        }
        pattern.push(match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_ascii_lowercase() => 'a',
            c if c.is_ascii_uppercase() => 'A',
            c if c.is_ascii() => c,
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c => c,
        });
    }
}

/// What texts of a pattern look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    Number,
    /// A date, with or without a time; its form, in which days and months have two digits each.
    Date(String),
    Other,
}

/// What the texts of a pattern look like.
pub(super) fn look(pattern: &str) -> Look {
    if is_number(pattern) {
        return Look::Number;
    }
    date(pattern).map_or(Look::Other, Look::Date)
}

/// Digits, with a sign, a decimal point or comma, groups of three digits, and an exponent.
fn is_number(pattern: &str) -> bool {
    let number = pattern.strip_prefix(['-', '+']).unwrap_or(pattern);
    let (number, exponent) = number.split_once(['a', 'A']).map_or((number, None), |(a, b)| (a, Some(b)));
    let is_exponent = |text: &str| is_digits(text.strip_prefix(['-', '+']).unwrap_or(text));
    if exponent.is_some_and(|exponent| !is_exponent(exponent)) {
        return false;
    }
    let (whole, part) = number.rsplit_once(['.', ',']).map_or((number, None), |(a, b)| (a, Some(b)));
    let mut groups = whole.split([',', '.', '\'', ' ', '\u{a0}']);
    let first = groups.next().unwrap_or_default();
    let is_whole = is_digits(first) || (first.is_empty() && part.is_some());
    is_whole && groups.all(|group| group == "999") && part.is_none_or(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'9')
}

/// The form of a date: three parts, of which one is a year of four digits, or a month of three letters.
fn date(pattern: &str) -> Option<String> {
    let (date, time) = match pattern.split_once([' ', 'A']) {
        Some((date, time)) if time.starts_with("99:99") || time.starts_with("9:99") => (date, Some(time)),
        _ => (pattern, None),
    };
    let separator = date.chars().find(|c| "-/. ".contains(*c))?;
    let parts: Vec<&str> = date.split(separator).collect();
    let form = |part: &&str| match *part {
        "9" | "99" => Some("99"),
        "9999" => Some("9999"),
        "Aaa" | "AAA" | "aaa" => Some("Aaa"),
        _ => None,
    };
    let forms: Vec<&str> = parts.iter().map(form).collect::<Option<_>>()?;
    let years = forms.iter().filter(|form| **form == "9999").count();
    let months = forms.iter().filter(|form| **form == "Aaa").count();
    let is_date = forms.len() == 3 && years <= 1 && months <= 1 && forms[1] != "9999" && years + months > 0;
    let time = if time.is_some() { " 99:99" } else { "" };
    is_date.then(|| forms.join(&separator.to_string()) + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let mut pattern = String::new();
        write(text, &mut pattern);
        pattern
    }

    #[test]
    fn digits_and_letters_lose_their_values() {
        assert_eq!(of("123-AB"), "999-AA");
        assert_eq!(of("Zoë Müller, 7"), "Aaa Aaaaaa, 9");
        assert_eq!(of("李雷 ٣"), "aa 9");
        assert_eq!(of(""), "");
    }

    #[test]
    fn a_long_text_has_the_pattern_of_its_beginning() {
        assert_eq!(of(&"é1".repeat(40)), format!("{}…", "a9".repeat(16)));
        assert_eq!(of(&"x".repeat(32)), "a".repeat(32));
    }

    #[test]
    fn numbers_are_recognised_in_every_form() {
        for number in ["7", "-12", "1.5", "1,5", "1,234.50", "1.234,50", "+3", ".5", "1e-7", "2E5", "1 234"] {
            assert_eq!(look(&of(number)), Look::Number, "{number}");
        }
        for other in
            ["", "-", "12-34", "1.2.3.4", "12:30", "a1", "NA", "1e", "+65 9123", "192.168.001.7x", &"1".repeat(40)]
        {
            assert_eq!(look(&of(other)), Look::Other, "{other}");
        }
    }

    #[test]
    fn dates_are_recognised_with_their_form() {
        for (date, form) in [
            ("2022-01-31", "9999-99-99"),
            ("31/1/2022", "99/99/9999"),
            ("1.2.2022", "99.99.9999"),
            ("05-Jan-21", "99-Aaa-99"),
            ("2022-01-31T10:00:00Z", "9999-99-99 99:99"),
            ("1/31/2022 7:05", "99/99/9999 99:99"),
        ] {
            assert_eq!(look(&of(date)), Look::Date(form.to_owned()), "{date}");
        }
        for other in ["1.2.3", "2022-01", "555-123-4567", "12-2022-31", "a-b-c", "2022-01-31-07"] {
            assert!(!matches!(look(&of(other)), Look::Date(_)), "{other}");
        }
    }
}
