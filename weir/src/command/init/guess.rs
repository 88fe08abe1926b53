//! Guesses a column's name from its header, and its type from its values.

use chrono::{NaiveDate, NaiveDateTime};

use crate::format::value::known::{DATES, GROUPS, SPELLINGS, TIMES};
use crate::task::SqlType;

/// The precision of a guessed decimal, as common in databases for money.
const DECIMAL_DIGITS: u8 = 18;

/// The nearest name that is valid in tables and tasks.
pub(in crate::command) fn plain(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// Whether the name is valid for a task, a table or a sink.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// What a column is, as far as its values tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command) struct Guessed {
    pub(in crate::command) sql_type: SqlType,
    /// The keys of its declaration in addition to its type, with their values in YAML.
    pub(super) options: Vec<(&'static str, String)>,
    /// A comment for the author of the task.
    pub(in crate::command) comment: Option<String>,
}

impl Guessed {
    /// A type without further keys.
    pub(in crate::command) fn plain(sql_type: SqlType) -> Self {
        Self { sql_type, options: vec![], comment: None }
    }

    /// A text, with a comment about what it may be.
    fn text(comment: &str) -> Self {
        Self { comment: Some(comment.to_owned()), ..Self::plain(SqlType::String) }
    }

    fn with(self, key: &'static str, value: impl Into<serde_json::Value>) -> Self {
        let mut options = self.options;
        options.push((key, value.into().to_string()));
        Self { options, ..self }
    }
}

/// A form that all values of a column may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    TrueFalse,
    /// One of two texts, by the index in [`SPELLINGS`].
    Spelled(usize),
    Whole,
    /// Digits, and more after a point.
    Point,
    /// With a decimal comma, and points, blanks or apostrophes between thousands.
    Comma,
    /// With commas between thousands.
    Thousands,
    IsoDate,
    IsoTime,
    /// With an offset from UTC.
    IsoInstant,
    /// By the index in [`DATES`].
    Date(usize),
    /// By the index in [`TIMES`].
    Time(usize),
    Uuid,
    /// Digits, with a point and an exponent in any form.
    AnyNumber,
}

/// The values of a column that were seen.
#[derive(Debug)]
pub(super) struct Guess {
    /// The forms that all of them have.
    forms: Vec<Form>,
    seen: bool,
    /// Whether a date alone may be a time at midnight.
    midnight_is_a_date: bool,
    point: Digits,
    comma: Digits,
    thousands: Digits,
    /// Which of two texts for true and false were seen.
    has_true: bool,
    has_false: bool,
}

/// What the numbers of one form show.
#[derive(Debug, Default)]
struct Digits {
    /// The least and the greatest number of digits after the decimal point.
    after_point: Option<(u8, u8)>,
    /// The character between thousands.
    group: Option<char>,
}

impl Default for Guess {
    fn default() -> Self {
        let first = [Form::TrueFalse, Form::Whole, Form::Point, Form::Comma, Form::Thousands];
        let second = [Form::IsoDate, Form::IsoTime, Form::IsoInstant, Form::Uuid];
        let forms = first.into_iter().chain((0..SPELLINGS.len()).map(Form::Spelled)).chain(second);
        let forms = forms.chain((0..DATES.len()).map(Form::Date)).chain((0..TIMES.len()).map(Form::Time));
        Self {
            forms: forms.collect(),
            seen: false,
            midnight_is_a_date: false,
            point: Digits::default(),
            comma: Digits::default(),
            thousands: Digits::default(),
            has_true: false,
            has_false: false,
        }
    }
}

impl Guess {
    /// The values of a workbook have a date alone for a time at midnight.
    pub(super) fn of(is_workbook: bool) -> Self {
        Self { midnight_is_a_date: is_workbook, ..Self::default() }
    }

    /// All numbers are numbers that the type `double` reads, but for those that begin with a zero as identifiers do.
    pub(super) fn with_any_number(mut self) -> Self {
        self.forms.push(Form::AnyNumber);
        self
    }

    /// Takes a value into account. An empty one says nothing.
    pub(super) fn add(&mut self, value: &str) {
        if value.is_empty() || (self.seen && self.forms.is_empty()) {
            return;
        }
        self.seen = true;
        let mut forms = std::mem::take(&mut self.forms);
        forms.retain(|form| self.has(*form, value));
        self.forms = forms;
    }

    /// Whether a value has a form. What it shows about that form is kept.
    fn has(&mut self, form: Form, value: &str) -> bool {
        match form {
            Form::TrueFalse => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Form::Spelled(i) => {
                let (yes, no) = SPELLINGS[i];
                self.has_true |= value == yes;
                self.has_false |= value == no;
                value == yes || value == no
            }
            Form::Whole => is_whole(value),
            Form::Point => self.point.take(value, '.', &[]),
            Form::Comma => self.comma.take(value, ',', &GROUPS),
            Form::Thousands => self.thousands.take(value, '.', &[',']),
            Form::IsoDate => is_like(value, "0000-00-00") && SqlType::Date.parse(value).is_ok(),
            Form::IsoTime => is_time(value) || (self.midnight_is_a_date && self.has(Form::IsoDate, value)),
            Form::IsoInstant => is_instant(value),
            Form::Date(i) => {
                let date = may_be_a_date(value).then(|| NaiveDate::parse_from_str(value, DATES[i]).ok()).flatten();
                date.is_some_and(|date| date.format(DATES[i]).to_string() == value)
            }
            Form::Time(i) => {
                let time = may_be_a_date(value).then(|| NaiveDateTime::parse_from_str(value, TIMES[i]).ok()).flatten();
                time.is_some_and(|time| time.format(TIMES[i]).to_string() == value)
            }
            Form::AnyNumber => is_any_number(value),
            Form::Uuid => is_like(&hex_as_zero(value), "00000000-0000-0000-0000-000000000000"),
        }
    }

    /// Takes the values into account that another guess of the column has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        if !other.seen {
            return;
        }
        self.has_true |= other.has_true;
        self.has_false |= other.has_false;
        let agree = [
            (Form::Point, self.point.merge(&other.point)),
            (Form::Comma, self.comma.merge(&other.comma)),
            (Form::Thousands, self.thousands.merge(&other.thousands)),
        ];
        let disagree = |form: &Form| agree.iter().any(|(of, agree)| of == form && !agree);
        self.forms.retain(|form| other.forms.contains(form) && !disagree(form));
        self.seen = true;
    }

    /// The type that all values have the form of; `string` if there is none.
    pub(super) fn guessed(&self) -> Guessed {
        let Some(form) = self.form() else { return Guessed::plain(SqlType::String) };
        match form {
            Form::TrueFalse => Guessed::plain(SqlType::Boolean),
            Form::Spelled(i) => {
                let (yes, no) = SPELLINGS[i];
                Guessed::plain(SqlType::Boolean).with("true_values", vec![yes]).with("false_values", vec![no])
            }
            Form::Whole => Guessed::plain(SqlType::Bigint),
            Form::Point => Guessed::plain(self.point.sql_type()),
            Form::Comma => {
                let comma = Guessed::plain(self.comma.sql_type()).with("decimal_point", ",");
                let comma = match self.comma.group {
                    Some(group) => comma.with("thousands", group.to_string()),
                    None => comma,
                };
                // Such as 1,234 in each row.
                let is_either = self.forms.contains(&Form::Thousands) && self.thousands.group.is_some();
                let either = "a number? then specify `decimal_point: \",\"` or `thousands: \",\"`";
                if is_either { Guessed::text(either) } else { comma }
            }
            Form::Thousands => Guessed::plain(self.thousands.sql_type()).with("thousands", ","),
            Form::IsoDate => Guessed::plain(SqlType::Date),
            Form::IsoTime => Guessed::plain(SqlType::Timestamp),
            Form::IsoInstant => Guessed::plain(SqlType::TimestampTz),
            Form::Date(i) => self.unless_ambiguous(Guessed::plain(SqlType::Date).with("format", DATES[i])),
            Form::Time(i) => self.unless_ambiguous(Guessed::plain(SqlType::Timestamp).with("format", TIMES[i])),
            Form::Uuid => Guessed::plain(SqlType::Uuid),
            Form::AnyNumber => Guessed::plain(SqlType::Double),
        }
    }

    /// The first form that all values have, and that says more than another one.
    fn form(&self) -> Option<Form> {
        let is_told = |form: &Form| match form {
            Form::Spelled(_) => self.has_true && self.has_false,
            Form::Comma => self.comma.after_point != Some((0, 0)) || self.comma.group.is_some(),
            Form::Thousands => self.thousands.group.is_some(),
            _ => true,
        };
        self.forms.iter().copied().find(is_told).filter(|_| self.seen)
    }

    /// A date of which no value tells whether the day or the month comes first stays a text.
    fn unless_ambiguous(&self, guessed: Guessed) -> Guessed {
        let formats: Vec<&str> = self
            .forms
            .iter()
            .filter_map(|form| match form {
                Form::Date(i) => Some(DATES[*i]),
                Form::Time(i) => Some(TIMES[*i]),
                _ => None,
            })
            .collect();
        if formats.len() < 2 {
            return guessed;
        }
        let comment = format!("a date? then {{type: {}, format: …}} with {}", guessed.sql_type, formats.join(" or "));
        Guessed::text(&comment)
    }
}

impl Digits {
    /// Takes a number into account; whether the text is one with this decimal point and one of these characters between
    /// thousands, always the same.
    fn take(&mut self, value: &str, point: char, groups: &[char]) -> bool {
        let (whole, part) = match value.split_once(point) {
            Some((_, "")) => return false,
            Some((whole, part)) => (whole, part),
            None => (value, ""),
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let group = digits.chars().find(|c| groups.contains(c));
        let is_whole = match group {
            Some(group) => self.group.is_none_or(|known| known == group) && is_grouped(digits, group),
            None if part.is_empty() => is_whole(whole),
            None => is_whole(whole) || whole == "-0",
        };
        if !is_whole || !is_digits(part) || digits.len() + part.len() > DECIMAL_DIGITS.into() {
            return false;
        }
        self.group = self.group.or(group);
        let length = part.len() as u8;
        let (least, most) = self.after_point.unwrap_or((length, length));
        self.after_point = Some((least.min(length), most.max(length)));
        true
    }

    /// Takes other numbers into account; whether they have the same character between thousands.
    fn merge(&mut self, other: &Self) -> bool {
        let agree = self.group.is_none() || other.group.is_none() || self.group == other.group;
        self.group = self.group.or(other.group);
        self.after_point = match (self.after_point, other.after_point) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        agree
    }

    fn sql_type(&self) -> SqlType {
        match self.after_point {
            None | Some((0, 0)) => SqlType::Bigint,
            Some((least, most)) if least == most => SqlType::Decimal(DECIMAL_DIGITS, most as i8),
            Some(_) => SqlType::Double,
        }
    }
}

/// Digits in groups of three.
fn is_grouped(digits: &str, group: char) -> bool {
    let mut parts = digits.split(group);
    let first = parts.next().unwrap_or_default();
    let is_first = (1..=3).contains(&first.len()) && is_digits(first) && !first.starts_with('0');
    is_first && parts.all(|part| part.len() == 3 && is_digits(part))
}

/// Whether a text may be a date: it has digits, and is no longer than one.
fn may_be_a_date(value: &str) -> bool {
    value.len() <= 20 && value.bytes().any(|byte| byte.is_ascii_digit())
}

/// An integer that is written back unchanged: a leading zero or plus means an identifier.
fn is_whole(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = !digits.is_empty() && digits.len() <= DECIMAL_DIGITS.into() && is_digits(digits);
    is_number && (!digits.starts_with('0') || value == "0")
}

/// A decimal number, without zeros before other digits.
fn is_any_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    let begins = matches!(digits, [b'1'..=b'9' | b'.', ..] | [b'0'] | [b'0', b'.' | b'e' | b'E', ..]);
    begins && SqlType::Double.parse(value).is_ok()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2022-01-31 23:59:59`, or with a `T`, or with up to six fractional digits.
fn is_time(value: &str) -> bool {
    let (time, part) = value.split_once('.').map_or((value, "0"), |(time, part)| (time, part));
    let is_part = (1..=6).contains(&part.len()) && is_digits(part);
    let is_time = is_like(time, "0000-00-00 00:00:00") || is_like(time, "0000-00-00T00:00:00");
    is_time && is_part && SqlType::Timestamp.parse(value).is_ok()
}

/// A time with `Z`, or with an offset such as `+08:00`.
fn is_instant(value: &str) -> bool {
    let time = value.strip_suffix('Z').or_else(|| {
        let (time, offset) = value.split_at_checked(value.len().checked_sub(6)?)?;
        (is_like(offset, "+00:00") || is_like(offset, "-00:00")).then_some(time)
    });
    time.is_some_and(is_time) && chrono::DateTime::parse_from_rfc3339(&value.replacen(' ', "T", 1)).is_ok()
}

fn hex_as_zero(value: &str) -> String {
    value.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect()
}

/// Whether the text has digits where the form has zeros, and otherwise the characters of the form.
fn is_like(value: &str, form: &str) -> bool {
    let same = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    value.len() == form.len() && value.bytes().zip(form.bytes()).all(same)
}

/// Whether a text is a value rather than a name: a number, a date or an address. Years can be the names of columns.
pub(super) fn is_value(text: &str) -> bool {
    let text = text.trim();
    let mut guess = Guess::default();
    guess.add(text);
    let is_year = text.parse().is_ok_and(|year: u32| (1900..=2100).contains(&year));
    let is_text = matches!(guess.guessed().sql_type, SqlType::String | SqlType::Boolean);
    (text.contains('@') && text.contains('.')) || (!is_text && !is_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(values: &[&str]) -> String {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.add(value));
        let Guessed { sql_type, options, .. } = guess.guessed();
        let options: String = options.iter().map(|(key, value)| format!(", {key}: {value}")).collect();
        format!("{sql_type}{options}")
    }

    #[test]
    fn a_column_has_a_type_if_every_value_has_its_form() {
        assert_eq!(guessed(&["true", "False", ""]), "boolean");
        assert_eq!(guessed(&["0", "-12", "3000000000"]), "bigint");
        assert_eq!(guessed(&["1.50", "-0.25"]), "decimal(18,2)");
        assert_eq!(guessed(&["1.5", "0.25", "3"]), "double");
        assert_eq!(guessed(&["2022-01-31", "2024-02-29"]), "date");
        assert_eq!(guessed(&["2022-01-31 23:59:59", "2022-01-31T00:00:00.123456"]), "timestamp");
        assert_eq!(guessed(&["2022-01-31T23:59:59Z", "2022-01-31 00:00:00.5+08:00"]), "timestamptz");
        assert_eq!(guessed(&["7d4cA0e1-0000-4000-8000-0123456789ab"]), "uuid");
    }

    #[test]
    fn another_form_of_a_type_is_an_option() {
        assert_eq!(guessed(&["Y", "N", "N"]), "boolean, true_values: [\"Y\"], false_values: [\"N\"]");
        assert_eq!(guessed(&["12,75", "0,00"]), "decimal(18,2), decimal_point: \",\"");
        assert_eq!(guessed(&["1.234,50", "0,00"]), "decimal(18,2), decimal_point: \",\", thousands: \".\"");
        assert_eq!(guessed(&["1,234.50", "0.00"]), "decimal(18,2), thousands: \",\"");
        assert_eq!(guessed(&["1,234,567", "5"]), "bigint, thousands: \",\"");
        assert_eq!(guessed(&["31/01/2022", "05/01/2022"]), "date, format: \"%d/%m/%Y\"");
        assert_eq!(guessed(&["31.01.2022 07:30"]), "timestamp, format: \"%d.%m.%Y %H:%M\"");
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
            &["05/01/2022", "06/02/2022"],
            &["1,234", "5"],
            &["2022-01-31 25:00:00"],
            &["1", "true"],
            &["Y", "Y"],
            &["2022-01-31", "2022-01-31 00:00:00"],
            &["2022-01-31T00:00:00", "2022-01-31T00:00:00Z"],
            &[],
        ] {
            assert_eq!(guessed(values), "string", "{values:?}");
        }
        let mut guess = Guess::default();
        guess.add("05/01/2022");
        let comment = guess.guessed().comment.unwrap();
        assert_eq!(comment, "a date? then {type: date, format: …} with %d/%m/%Y or %m/%d/%Y");
    }

    #[test]
    fn any_number_is_one_where_that_is_asked_for() {
        let guessed = |values: &[&str]| {
            let mut guess = Guess::default().with_any_number();
            values.iter().for_each(|value| guess.add(value));
            guess.guessed().sql_type
        };
        assert_eq!(guessed(&["7.96E-05", "0", "-1.5", ".5", "12345678901234567890"]), SqlType::Double);
        assert_eq!(guessed(&["1", "2"]), SqlType::Bigint);
        for identifiers in [["007", "12"], ["1", "x"], ["+65", "12"]] {
            assert_eq!(guessed(&identifiers), SqlType::String, "{identifiers:?}");
        }
    }

    #[test]
    fn parts_of_a_column_have_the_type_of_the_whole() {
        for values in [
            &["true", "False", "", "true"][..],
            &["1.50", "-0.25", "7", "1"],
            &["1,234", "5", "1,234,567"],
            &["1.234,50", "1 234,50", "7"],
            &["31/01/2022", "05/01/2022", "05/02/2022"],
            &["Y", "Y", "N", "Y"],
            &["2022-01-31", "x", "2022-02-28"],
            &["", "", "7"],
            &[],
        ] {
            let of = |values: &[&str]| {
                let mut guess = Guess::default();
                values.iter().for_each(|value| guess.add(value));
                guess
            };
            for cut in 0..=values.len() {
                let mut merged = of(&values[..cut]);
                merged.merge(&of(&values[cut..]));
                assert_eq!(merged.guessed(), of(values).guessed(), "{values:?}, {cut}");
            }
        }
    }

    #[test]
    fn a_value_is_no_name_of_a_column() {
        assert!(["17", "2022-01-31", "ann@example.com", "1.5"].into_iter().all(is_value));
        assert!(!["id", "2022", "Ann", "yes", "E-Mail", "@"].into_iter().any(is_value));
    }

    #[test]
    fn a_name_is_normalised() {
        assert_eq!(plain(" E-Mail (work) "), "e_mail_work");
        assert_eq!(plain("Größe"), "größe");
        assert_eq!(plain("!?"), "");
        assert!(is_plain("members_2") && !is_plain("2_members") && !is_plain("größe"));
    }
}
