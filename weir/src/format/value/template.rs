//! `strftime` formats of which every part has a fixed place, such as `%d/%m/%Y`: they are read without a search.

use chrono::format::{Item, Numeric, Pad};

use super::time::{DAY, SECOND, Stamp};
use crate::function::calendar;

/// The places of the parts of a date or time.
#[derive(Debug, Clone)]
pub(super) struct Template {
    length: usize,
    /// The characters between the numbers.
    between: Vec<(usize, u8)>,
    /// Where the year, month, day, hour, minute and second begin.
    places: [Option<usize>; 6],
}

/// The digits of each part.
const DIGITS: [usize; 6] = [4, 2, 2, 2, 2, 2];
/// The parts of a time whose format does not have them.
const MISSING: [u32; 6] = [1970, 1, 1, 0, 0, 0];

impl Template {
    /// The template of a format, if there is one.
    pub(super) fn new(items: &[Item<'_>]) -> Option<Self> {
        let mut template = Self { length: 0, between: Vec::new(), places: [None; 6] };
        for item in items {
            match item {
                Item::Literal(text) | Item::Space(text) if text.is_ascii() => {
                    let places = template.length..;
                    template.between.extend(places.zip(text.bytes()));
                    template.length += text.len();
                }
                Item::Numeric(part, Pad::Zero) => {
                    let part = match part {
                        Numeric::Year => 0,
                        Numeric::Month => 1,
                        Numeric::Day => 2,
                        Numeric::Hour => 3,
                        Numeric::Minute => 4,
                        Numeric::Second => 5,
                        _ => return None,
                    };
                    // A part that is given twice has to be the same one.
                    if template.places[part].replace(template.length).is_some() {
                        return None;
                    }
                    template.length += DIGITS[part];
                }
                _ => return None,
            }
        }
        Some(template)
    }

    /// Reads a text. The format determines the parts of its type: others have the values of 1970-01-01.
    #[inline]
    pub(super) fn stamp(&self, text: &[u8]) -> Option<Stamp> {
        let is_between = |(at, byte): &(usize, u8)| text[*at].eq_ignore_ascii_case(byte);
        if text.len() != self.length || !self.between.iter().all(is_between) {
            return None;
        }
        let mut parts = MISSING;
        for (part, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let mut number = 0;
            for byte in &text[*place..*place + DIGITS[part]] {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                number = number * 10 + u32::from(digit);
            }
            parts[part] = number;
        }
        let [year, month, day, hour, minute, second] = parts;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = i64::from((hour * 60 + minute) * 60 + second);
        let clock = i64::from(calendar::days(year, month, day)?) * DAY + seconds * SECOND;
        Some(Stamp { clock, offset: None })
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use chrono::format::StrftimeItems;
    use proptest::prelude::*;

    use super::*;

    fn template(format: &str) -> Option<Template> {
        Template::new(&StrftimeItems::new(format).collect::<Vec<_>>())
    }

    #[test]
    fn only_numbers_with_their_zeros_have_fixed_places() {
        for format in ["%-d/%m/%Y", "%d %b %Y", "%d/%m/%y", "%s", "%Y-%m-%d %H:%M:%S%.f", "%+", "%d%d/%m/%Y"] {
            assert!(template(format).is_none(), "{format}");
        }
        let template = template("%d.%m.%Y").unwrap();
        for text in ["31.01.2022 ", "31.1.2022", "31/01/2022", "30.02.2022", "3a.01.2022", "31.01.0000", "٣.01.2022"] {
            assert_eq!(template.stamp(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_template_reads_what_its_format_writes(seconds in -62_135_596_800_i64..253_402_300_800, format in 0usize..3) {
            let format = ["%d/%m/%Y %H:%M:%S", "%Y%m%dT%H%M%S", "%F %T"][format];
            let text = chrono::DateTime::from_timestamp(seconds, 0).unwrap().naive_utc().format(format).to_string();
            let read = NaiveDateTime::parse_from_str(&text, format).unwrap().and_utc().timestamp_micros();
            prop_assert_eq!(template(format).unwrap().stamp(text.as_bytes()), Some(Stamp { clock: read, offset: None }));
        }
    }
}
