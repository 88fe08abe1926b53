//! Generates applications as lines of CSV; the [parent](super) has the table of their contents.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::people::{ACCENTED_FIRST_NAMES, FIRST_NAMES, LAST_NAMES};
use weir::function::calendar;

/// The applications of one file.
pub(crate) struct Applications {
    dice: Dice,
    malformed_per_million: u32,
}

impl Applications {
    /// The applications of the file `file` of a `seed`; each file has different ones.
    pub(crate) fn new(seed: u64, file: u64, malformed_per_million: u32) -> Self {
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        numbers.set_stream(file);
        Self { dice: Dice(numbers), malformed_per_million }
    }

    /// Writes a row and sometimes a malformed line after it; returns whether it wrote the latter.
    pub(crate) fn write_row(&mut self, lines: &mut Vec<u8>) -> bool {
        let dice = &mut self.dice;
        let quotes = dice.pick(&QUOTES);
        write_application(dice, lines, quotes);
        lines.push(b'\n');
        let malformed = dice.below(1_000_000) < self.malformed_per_million;
        if malformed {
            write_malformed(dice, lines);
        }
        malformed
    }
}

/// Fields with unnecessary quotes.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    None,
    Name,
    All,
}

#[derive(Clone, Copy)]
enum Name {
    TwoWords,
    Honorific,
    Suffix,
    ThreeWords,
    WhiteSpace,
    Accented,
    OneWord,
    Missing,
    Comma,
}

#[derive(Clone, Copy)]
enum Email {
    Whole,
    TwoDomains,
    UpperCase,
    WithoutAt,
    TwoAts,
    Missing,
}

#[derive(Clone, Copy)]
enum Birthday {
    Date,
    NoDate,
    Missing,
}

#[derive(Clone, Copy)]
enum Mobile {
    Digits(u32),
    Parted(u8),
    Letter,
    Missing,
}

/// Frequencies of values, in units of 1/10,000; those of a table add up to 10,000.
type Shares<T, const N: usize> = [(u32, T); N];

const QUOTES: Shares<Quotes, 3> = [(9980, Quotes::None), (10, Quotes::Name), (10, Quotes::All)];

const NAMES: Shares<Name, 9> = [
    (9448, Name::TwoWords),
    (200, Name::Honorific),
    (200, Name::Suffix),
    (100, Name::ThreeWords),
    (20, Name::WhiteSpace),
    (10, Name::Accented),
    (10, Name::OneWord),
    (10, Name::Missing),
    (2, Name::Comma),
];

const HONORIFICS: [&str; 7] = ["Mr.", "Mrs.", "Ms.", "Miss", "Dr.", "Mr", "Prof."];
const SUFFIXES: [&str; 12] = ["MD", "DDS", "DVM", "PhD", "Jr.", "II", "III", "IV", "V", "Sr.", "Ph.D.", "Jr"];

const EMAILS: Shares<Email, 6> = [
    (9965, Email::Whole),
    (10, Email::TwoDomains),
    (10, Email::UpperCase),
    (5, Email::WithoutAt),
    (5, Email::TwoAts),
    (5, Email::Missing),
];

const LAST_DOMAINS: Shares<&str, 5> = [(6100, "com"), (1070, "net"), (960, "info"), (950, "biz"), (920, "org")];

/// Share of e-mail domains with two last names rather than one.
const TWO_NAMES_PER_MILLION: u32 = 700_000;

const BIRTHDAYS: Shares<Birthday, 3> = [(9990, Birthday::Date), (5, Birthday::NoDate), (5, Birthday::Missing)];

/// Date formats: `y`, `m` and `d` stand for the parts.
const FORMATS: Shares<&[u8; 5], 4> = [(2700, b"y/m/d"), (2500, b"m/d/y"), (2450, b"y-m-d"), (2350, b"d-m-y")];

/// Invalid pairs of month and day.
const NO_DATES: [(u32, u32); 7] = [(2, 30), (2, 31), (4, 31), (31, 31), (13, 1), (6, 0), (0, 10)];

/// The earliest birthday, 1950-01-01, in days since 1970-01-01.
const OLDEST: i32 = -7305;
/// The earliest birthday of people under 18 on 2022-01-01: 2004-01-02.
const FIRST_MINOR: i32 = 12_419;
/// The day after the latest birthday: 2016-01-01.
const END: i32 = 16_801;
const MINORS_PER_MILLION: u32 = 210_000;

const MOBILES: Shares<Mobile, 8> = [
    (2596, Mobile::Digits(6)),
    (2498, Mobile::Digits(5)),
    (2398, Mobile::Digits(7)),
    (1898, Mobile::Digits(8)),
    (598, Mobile::Parted(b' ')),
    (4, Mobile::Parted(b'-')),
    (4, Mobile::Letter),
    (4, Mobile::Missing),
];

/// Writes a line with three or five fields.
fn write_malformed(dice: &mut Dice, lines: &mut Vec<u8>) {
    let start = lines.len();
    write_application(dice, lines, Quotes::None);
    if dice.below(2) == 0 {
        let last = memchr::memrchr(b',', &lines[start..]).expect("an application has commas");
        lines.truncate(start + last);
    } else {
        lines.push(b',');
        write_mobile(dice, lines);
    }
    lines.push(b'\n');
}

/// Writes the four fields, without the line end.
fn write_application(dice: &mut Dice, line: &mut Vec<u8>, quotes: Quotes) {
    let mut first = dice.one_of(&FIRST_NAMES);
    let last = dice.one_of(&LAST_NAMES);
    let name = dice.pick(&NAMES);
    let mut first_of_email = first;
    if let Name::Accented = name {
        (first, first_of_email) = dice.one_of(&ACCENTED_FIRST_NAMES);
    }
    let quoted_name = quotes != Quotes::None || matches!(name, Name::Comma);
    field(line, quoted_name, |line| write_name(dice, line, name, first, last));
    line.push(b',');
    let all = quotes == Quotes::All;
    field(line, all, |line| write_email(dice, line, first_of_email, last));
    line.push(b',');
    field(line, all, |line| write_birthday(dice, line));
    line.push(b',');
    field(line, all, |line| write_mobile(dice, line));
}

fn field(line: &mut Vec<u8>, quoted: bool, write: impl FnOnce(&mut Vec<u8>)) {
    if quoted {
        line.push(b'"');
    }
    write(line);
    if quoted {
        line.push(b'"');
    }
}

fn write_name(dice: &mut Dice, line: &mut Vec<u8>, name: Name, first: &str, last: &str) {
    match name {
        Name::TwoWords | Name::Accented => put(line, &[first, " ", last]),
        Name::Honorific => put(line, &[dice.one_of(&HONORIFICS), " ", first, " ", last]),
        Name::Suffix => put(line, &[first, " ", last, " ", dice.one_of(&SUFFIXES)]),
        Name::ThreeWords => put(line, &[first, " ", dice.one_of(&FIRST_NAMES), " ", last]),
        Name::WhiteSpace => match dice.below(4) {
            0 => put(line, &[" ", first, " ", last]),
            1 => put(line, &[first, " ", last, "  "]),
            2 => put(line, &[first, "  ", last]),
            _ => put(line, &[first, "  ", dice.one_of(&FIRST_NAMES), " \t", last]),
        },
        Name::OneWord => put(line, &[last]),
        Name::Missing => {}
        Name::Comma => put(line, &[first, " ", last, ", ", dice.one_of(&SUFFIXES)]),
    }
}

fn write_email(dice: &mut Dice, line: &mut Vec<u8>, first: &str, last: &str) {
    let email = dice.pick(&EMAILS);
    let at = match email {
        Email::Missing => return,
        Email::WithoutAt => "",
        Email::TwoAts => "@@",
        Email::Whole | Email::TwoDomains | Email::UpperCase => "@",
    };
    put(line, &[first, "_", last, at]);
    let domain = line.len();
    put(line, &[dice.one_of(&LAST_NAMES)]);
    if dice.below(1_000_000) < TWO_NAMES_PER_MILLION {
        put(line, &["-", dice.one_of(&LAST_NAMES)]);
    }
    line[domain..].make_ascii_lowercase();
    line.push(b'.');
    let last_domain = line.len();
    put(line, &[dice.pick(&LAST_DOMAINS)]);
    match email {
        Email::TwoDomains => put(line, &[".sg"]),
        Email::UpperCase => line[last_domain..].make_ascii_uppercase(),
        _ => {}
    }
}

fn write_birthday(dice: &mut Dice, line: &mut Vec<u8>) {
    let birthday = dice.pick(&BIRTHDAYS);
    if let Birthday::Missing = birthday {
        return;
    }
    let days = if dice.below(1_000_000) < MINORS_PER_MILLION { FIRST_MINOR..END } else { OLDEST..FIRST_MINOR };
    let (year, mut month, mut day) = calendar::date(days.start + dice.below(days.len() as u32) as i32);
    if let Birthday::NoDate = birthday {
        (month, day) = dice.one_of(&NO_DATES);
    }
    for part in dice.pick(&FORMATS) {
        match part {
            b'y' => line.extend_from_slice(&digits::<4>(year as u32)),
            b'm' => line.extend_from_slice(&digits::<2>(month)),
            b'd' => line.extend_from_slice(&digits::<2>(day)),
            separator => line.push(*separator),
        }
    }
}

fn write_mobile(dice: &mut Dice, line: &mut Vec<u8>) {
    let number = digits::<8>(dice.below(100_000_000));
    match dice.pick(&MOBILES) {
        Mobile::Digits(count) => line.extend_from_slice(&number[..count as usize]),
        Mobile::Parted(separator) => {
            line.extend_from_slice(&number[..4]);
            line.push(separator);
            line.extend_from_slice(&number[4..]);
        }
        Mobile::Letter => {
            let letter = line.len() + dice.below(8) as usize;
            line.extend_from_slice(&number);
            line[letter] = b'a' + dice.below(26) as u8;
        }
        Mobile::Missing => {}
    }
}

fn put(line: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        line.extend_from_slice(part.as_bytes());
    }
}

/// The lowest `N` decimal digits of a number.
fn digits<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Random numbers.
struct Dice(ChaCha8Rng);

impl Dice {
    /// A number below `bound`.
    fn below(&mut self, bound: u32) -> u32 {
        // A remainder would be slower and equally biased.
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len() as u32) as usize]
    }

    fn pick<T: Copy, const N: usize>(&mut self, shares: &Shares<T, N>) -> T {
        let mut number = self.below(10_000);
        for (share, thing) in shares {
            match number.checked_sub(*share) {
                Some(rest) => number = rest,
                None => return *thing,
            }
        }
        unreachable!("the shares of a table add up to 10,000")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{birthday, name};

    const ROWS: usize = 100_000;

    /// The fields of a line; quotes enclose whole fields and never occur inside them.
    fn fields(line: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let mut quoted = false;
        for character in line.chars() {
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                _ => fields.last_mut().unwrap().push(character),
            }
        }
        fields
    }

    fn lines(malformed_per_million: u32) -> Vec<String> {
        let mut applications = Applications::new(1, 0, malformed_per_million);
        let mut lines = vec![];
        (0..ROWS).for_each(|_| {
            applications.write_row(&mut lines);
        });
        String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
    }

    /// The well-formed rows of a file, generated once for all tests.
    static SAMPLE: LazyLock<Vec<String>> = LazyLock::new(|| lines(0));

    /// The fields of all rows at an index.
    fn column(index: usize) -> Vec<String> {
        SAMPLE.iter().map(|line| fields(line).swap_remove(index)).collect()
    }

    /// Fails unless the share of `values` for which `holds` is true is as expected, within four standard deviations.
    #[track_caller]
    fn assert_share<T>(values: &[T], percent: f64, holds: impl Fn(&T) -> bool) {
        let expected = percent / 100.0 * values.len() as f64;
        let deviation = (expected * (1.0 - percent / 100.0)).sqrt();
        let found = values.iter().filter(|value| holds(value)).count() as f64;
        assert!((found - expected).abs() <= 4.0 * deviation + 1.0, "{found} instead of {expected}");
    }

    fn sum<T, const N: usize>(shares: &Shares<T, N>) -> u32 {
        shares.iter().map(|(share, _)| share).sum()
    }

    #[test]
    fn the_shares_of_every_table_add_up_to_ten_thousand() {
        let sums = [
            sum(&QUOTES),
            sum(&NAMES),
            sum(&EMAILS),
            sum(&LAST_DOMAINS),
            sum(&BIRTHDAYS),
            sum(&FORMATS),
            sum(&MOBILES),
        ];
        assert_eq!(sums, [10_000; 7]);
    }

    #[test]
    fn every_row_has_four_fields_and_about_sixty_bytes() {
        let lines = &*SAMPLE;
        assert_eq!(lines.len(), ROWS);
        assert!(lines.iter().all(|line| fields(line).len() == 4));
        let mean = lines.iter().map(|line| line.len() + 1).sum::<usize>() / ROWS;
        assert!((55..=65).contains(&mean), "{mean}");
    }

    #[test]
    fn malformed_lines_have_three_or_five_fields() {
        let counts: Vec<_> = lines(100_000).iter().map(|line| fields(line).len()).collect();
        assert_share(&counts[..ROWS], 100.0 / 1.1 * 0.05, |&count| count == 3);
        assert_share(&counts[..ROWS], 100.0 / 1.1 * 0.05, |&count| count == 5);
        assert!(counts.iter().all(|count| (3..=5).contains(count)));
    }

    #[test]
    fn quotes_have_their_shares() {
        let lines = &*SAMPLE;
        assert_share(lines, 0.22, |line| line.starts_with('"'));
        assert_share(lines, 0.1, |line| line.ends_with('"'));
    }

    #[test]
    fn names_have_their_shares() {
        let names = column(0);
        let starts = |name: &String| HONORIFICS.iter().any(|honorific| name.starts_with(&format!("{honorific} ")));
        let ends = |name: &String| SUFFIXES.iter().any(|suffix| name.ends_with(&format!(" {suffix}")));
        assert_share(&names, 2.0, starts);
        assert_share(&names, 2.02, ends);
        assert_share(&names, 0.02, |name| name.contains(','));
        assert_share(&names, 0.1, |name| name.is_empty());
        assert_share(&names, 0.1, |name| !name.is_ascii());
        assert_share(&names, 0.1, |name| name::split(name).words == 1);
        assert_share(&names, 1.05, |name| name::split(name).words == 3);
        assert_share(&names, 0.2, |name| name.trim() != name || name.contains("  "));
    }

    #[test]
    fn emails_have_their_shares() {
        let emails = column(1);
        let last_domain = |domain: &'static str| move |email: &String| email.to_lowercase().ends_with(domain);
        assert_share(&emails, 61.0 * 0.9985, last_domain(".com"));
        assert_share(&emails, 10.7 * 0.9985, last_domain(".net"));
        assert_share(&emails, 9.6 * 0.9985, last_domain(".info"));
        assert_share(&emails, 9.5 * 0.9985, last_domain(".biz"));
        assert_share(&emails, 9.2 * 0.9985, last_domain(".org"));
        assert_share(&emails, 0.1, last_domain(".sg"));
        assert_share(&emails, 0.1, |email| email.ends_with(|last: char| last.is_ascii_uppercase()));
        assert_share(&emails, 0.05, |email| email.is_empty());
        assert_share(&emails, 0.1, |email| !email.contains('@'));
        assert_share(&emails, 0.05, |email| email.contains("@@"));
        assert!(emails.iter().all(|email| email.is_ascii()));
    }

    #[test]
    fn birthdays_have_their_shares() {
        let birthdays = column(2);
        let shape = |shape: &'static str| {
            move |birthday: &String| birthday.replace(|character: char| character.is_ascii_digit(), "0") == shape
        };
        assert_share(&birthdays, 27.0, shape("0000/00/00"));
        assert_share(&birthdays, 25.0, shape("00/00/0000"));
        assert_share(&birthdays, 24.5, shape("0000-00-00"));
        assert_share(&birthdays, 23.5, shape("00-00-0000"));
        assert_share(&birthdays, 0.05, |birthday| birthday.is_empty());
        assert_share(&birthdays, 0.1, |birthday| birthday::parse(birthday).is_none());
        let coming_of_age = birthday::parse("2004-01-01");
        assert_share(&birthdays, 21.0, |birthday| birthday::parse(birthday) > coming_of_age);
    }

    #[test]
    fn birthdays_are_of_1950_to_2015() {
        assert_eq!(calendar::date(OLDEST), (1950, 1, 1));
        assert_eq!(calendar::date(FIRST_MINOR), (2004, 1, 2));
        assert_eq!(calendar::date(END), (2016, 1, 1));
        let days: Vec<_> = column(2).iter().filter_map(|birthday| birthday::parse(birthday)).collect();
        assert!(days.iter().all(|day| (OLDEST..END).contains(day)));
    }

    #[test]
    fn invalid_dates_do_not_parse() {
        for (month, day) in NO_DATES {
            assert_eq!(calendar::days(2000, month, day), None);
        }
    }

    #[test]
    fn mobile_numbers_have_their_shares() {
        let numbers = column(3);
        let shape = |shape: &'static str| {
            move |number: &String| number.replace(|character: char| character.is_ascii_digit(), "0") == shape
        };
        assert_share(&numbers, 25.96, shape("000000"));
        assert_share(&numbers, 24.98, shape("00000"));
        assert_share(&numbers, 23.98, shape("0000000"));
        assert_share(&numbers, 18.98, shape("00000000"));
        assert_share(&numbers, 5.98, shape("0000 0000"));
        assert_share(&numbers, 0.04, shape("0000-0000"));
        assert_share(&numbers, 0.04, shape(""));
        assert_share(&numbers, 0.04, |number| number.contains(|character: char| character.is_ascii_lowercase()));
    }
}
