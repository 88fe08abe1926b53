//! Types of columns: what rows are staged as, and what an existing column holds of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a column's values in rows, and of a column that is created for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `tinyint(1)`
    Boolean,
    /// `smallint`
    SmallInt,
    /// `int`
    Int,
    /// `bigint`
    BigInt,
    /// `bigint unsigned`
    UnsignedBigInt,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `decimal(precision,scale)`
    Decimal(u8, u8),
    /// `longtext`
    Text,
    /// `json`
    Json,
    /// `date`
    Date,
    /// `datetime(6)`, without a time zone.
    DateTime,
    /// `datetime(6)`, in UTC.
    Instant,
    /// `longblob`
    Bytes,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "tinyint(1)",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::UnsignedBigInt => "bigint unsigned",
            Self::Float => "float",
            Self::Double => "double",
            Self::Decimal(digits, scale) => return write!(f, "decimal({digits},{scale})"),
            Self::Text => "longtext",
            Self::Json => "json",
            Self::Date => "date",
            Self::DateTime | Self::Instant => "datetime(6)",
            Self::Bytes => "longblob",
        })
    }
}

impl Kind {
    /// The digits of an exact number, and those behind its point.
    fn digits(&self) -> Option<(u8, u8)> {
        Some(match self {
            Self::Boolean => (1, 0),
            Self::SmallInt => (5, 0),
            Self::Int => (10, 0),
            Self::BigInt => (19, 0),
            Self::UnsignedBigInt => (20, 0),
            Self::Decimal(digits, scale) => (*digits, *scale),
            _ => return None,
        })
    }

    /// The least and the largest value of a whole number.
    fn range(&self) -> Option<(i128, i128)> {
        Some(match self {
            Self::Boolean => (0, 1),
            Self::SmallInt => (i16::MIN.into(), i16::MAX.into()),
            Self::Int => (i32::MIN.into(), i32::MAX.into()),
            Self::BigInt => (i64::MIN.into(), i64::MAX.into()),
            Self::UnsignedBigInt => (0, u64::MAX.into()),
            Self::Decimal(digits @ ..=38, 0) => {
                let most = 10_i128.pow(u32::from(*digits)) - 1;
                (-most, most)
            }
            _ => return None,
        })
    }
}

/// What an existing column holds of the values of rows. A value outside of it would end the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Numbers from the first to the second.
    Between(String, String),
    /// Text of at most that many characters.
    Characters(u64),
    /// Text or bytes of at most that many bytes.
    Octets(u64),
    /// Bytes of exactly that number.
    ExactOctets(u64),
    /// Text of the characters that a character set has.
    CharacterSet(String),
    /// Text that does not end with a blank.
    NoTrailingBlank,
    /// These texts.
    OneOf(Vec<String>),
    /// JSON documents.
    Json,
    /// Times with at most that many digits behind the second.
    FractionDigits(u8),
    /// Times of a `timestamp`: from 1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC.
    Timestamp,
}

/// The type of an existing column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnType {
    /// As in the catalogue: `varchar(20)`, `bigint(20) unsigned`.
    pub(super) full: String,
    /// Its name alone: `varchar`, `bigint`.
    pub(super) name: String,
    pub(super) character_set: Option<String>,
    pub(super) collation: Option<String>,
    /// Characters that it holds at most.
    pub(super) characters: Option<u64>,
    /// Bytes that it holds at most.
    pub(super) octets: Option<u64>,
    pub(super) digits: Option<u64>,
    pub(super) scale: Option<u64>,
    /// Digits behind the second.
    pub(super) fraction: Option<u64>,
    /// Whether it takes only JSON documents. MariaDB's type for these is text with a check.
    pub(super) is_json: bool,
}

impl ColumnType {
    /// The type in a definition.
    pub(super) fn definition(&self) -> String {
        match (&self.character_set, &self.collation) {
            // JSON is text with a check of its own.
            _ if self.name == "json" => self.full.clone(),
            (Some(set), Some(collation)) => format!("{} character set {set} collate {collation}", self.full),
            _ => self.full.clone(),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.character_set.is_some() && self.name != "json"
    }

    fn is_unsigned(&self) -> bool {
        self.full.contains("unsigned")
    }

    /// The least and the largest value of a type of whole numbers.
    fn range(&self) -> Option<(i128, i128)> {
        let bits = match self.name.as_str() {
            "tinyint" => 8,
            "smallint" => 16,
            "mediumint" => 24,
            "int" => 32,
            "bigint" => 64,
            "year" => return Some((1901, 2155)),
            _ => return None,
        };
        Some(match self.is_unsigned() {
            true => (0, (1_i128 << bits) - 1),
            false => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        })
    }

    /// What it holds of the values of a type; `None` if it holds none of them, or only changed ones.
    pub(super) fn takes(&self, kind: &Kind) -> Option<Vec<Bound>> {
        match (kind, self.name.as_str()) {
            (Kind::Float, "float") | (Kind::Float | Kind::Double, "double") | (Kind::Date, "date") => Some(vec![]),
            (Kind::DateTime | Kind::Instant, "datetime" | "timestamp") => {
                let is_timestamp = (self.name == "timestamp").then_some(Bound::Timestamp);
                let digits = self.fraction.filter(|digits| *digits < 6);
                let digits = digits.map(|digits| Bound::FractionDigits(digits as u8));
                Some(is_timestamp.into_iter().chain(digits).collect())
            }
            (Kind::Text | Kind::Json, _) => self.takes_text(),
            (Kind::Bytes, "longblob") => Some(vec![]),
            (Kind::Bytes, "blob" | "mediumblob" | "tinyblob" | "varbinary") => Some(vec![Bound::Octets(self.octets?)]),
            (Kind::Bytes, "binary") => Some(vec![Bound::ExactOctets(self.octets?)]),
            _ => self.takes_number(kind),
        }
    }

    fn takes_text(&self) -> Option<Vec<Bound>> {
        let mut bounds = Vec::new();
        match self.name.as_str() {
            "json" => return Some(vec![Bound::Json]),
            "longtext" if self.is_json => return Some(vec![Bound::Json]),
            "enum" => return Some(vec![Bound::OneOf(listed(&self.full)?)]),
            "char" => bounds.extend([Bound::Characters(self.characters?), Bound::NoTrailingBlank]),
            "varchar" => bounds.push(Bound::Characters(self.characters?)),
            // Their size is one of bytes, whatever the characters are.
            "tinytext" | "text" | "mediumtext" => bounds.push(Bound::Octets(self.octets?)),
            "longtext" => {}
            _ => return None,
        }
        let set = self.character_set.as_ref()?;
        if set != "utf8mb4" {
            bounds.push(Bound::CharacterSet(set.clone()));
        }
        Some(bounds)
    }

    fn takes_number(&self, kind: &Kind) -> Option<Vec<Bound>> {
        let (digits, scale) = kind.digits()?;
        if let Some((least, most)) = self.range() {
            if scale > 0 {
                return None; // the value would be rounded
            }
            let fits = kind.range().is_some_and(|(low, high)| least <= low && high <= most);
            return Some(if fits { vec![] } else { vec![Bound::Between(least.to_string(), most.to_string())] });
        }
        if self.name != "decimal" {
            return None;
        }
        let (own_digits, own_scale) = (self.digits?, self.scale?);
        if own_scale < u64::from(scale) {
            return None;
        }
        let whole = own_digits - own_scale;
        let fits = u64::from(digits - scale) <= whole && !self.is_unsigned();
        if fits {
            return Some(vec![]);
        }
        let nines = |count: u64| "9".repeat(count as usize);
        let most = match (whole, own_scale) {
            (0, scale) => format!("0.{}", nines(scale)),
            (whole, 0) => nines(whole),
            (whole, scale) => format!("{}.{}", nines(whole), nines(scale)),
        };
        let least = if self.is_unsigned() { "0".to_owned() } else { format!("-{most}") };
        Some(vec![Bound::Between(least, most)])
    }
}

/// The texts of `enum('a','b''c')`.
fn listed(full: &str) -> Option<Vec<String>> {
    let mut rest = full.strip_prefix("enum(")?.strip_suffix(')')?;
    let mut values = Vec::new();
    while let Some(behind) = rest.strip_prefix('\'') {
        let mut value = String::new();
        let mut chars = behind.char_indices().peekable();
        let end = loop {
            match (chars.next()?, chars.peek().map(|(_, next)| *next)) {
                ((_, '\''), Some('\'')) => {
                    value.push('\'');
                    chars.next();
                }
                ((at, '\''), _) => break at,
                ((_, c), _) => value.push(c),
            }
        };
        values.push(value);
        rest = behind[end + 1..].trim_start_matches(',');
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(full: &str) -> ColumnType {
        let name: String = full.chars().take_while(char::is_ascii_alphabetic).collect();
        let sizes = full.split_once('(').map_or("", |(_, rest)| rest.split_once(')').unwrap().0);
        let mut sizes = sizes.split(',').map(|size| size.parse::<u64>().ok());
        let (first, second) = (sizes.next().flatten(), sizes.next().flatten());
        let is_text = name.ends_with("char") || name.ends_with("text") || name == "enum";
        ColumnType {
            full: full.to_owned(),
            character_set: is_text.then(|| "utf8mb4".to_owned()),
            collation: is_text.then(|| "utf8mb4_general_ci".to_owned()),
            characters: first,
            octets: first.or(Some(65_535)),
            digits: first,
            scale: second.or(Some(0)),
            fraction: first.or(Some(0)),
            is_json: false,
            name,
        }
    }

    #[test]
    fn a_column_holds_all_some_or_none_of_the_values_of_a_type() {
        let between = |least: &str, most: &str| Some(vec![Bound::Between(least.to_owned(), most.to_owned())]);
        for (full, kind, expected) in [
            ("bigint(20)", Kind::BigInt, Some(vec![])),
            ("bigint(20) unsigned", Kind::BigInt, between("0", "18446744073709551615")),
            ("bigint(20)", Kind::UnsignedBigInt, between("-9223372036854775808", "9223372036854775807")),
            ("int(11)", Kind::SmallInt, Some(vec![])),
            ("tinyint(1)", Kind::Boolean, Some(vec![])),
            ("tinyint(4)", Kind::Int, between("-128", "127")),
            ("mediumint(9) unsigned", Kind::Int, between("0", "16777215")),
            ("year(4)", Kind::Int, between("1901", "2155")),
            ("int(11)", Kind::Decimal(12, 2), None),
            ("int(11)", Kind::Decimal(9, 0), Some(vec![])),
            ("decimal(12,2)", Kind::Decimal(12, 2), Some(vec![])),
            ("decimal(10,2)", Kind::Decimal(12, 2), between("-99999999.99", "99999999.99")),
            ("decimal(2,2)", Kind::Decimal(3, 2), between("-0.99", "0.99")),
            ("decimal(12,2) unsigned", Kind::Decimal(12, 2), between("0", "9999999999.99")),
            ("decimal(12,1)", Kind::Decimal(12, 2), None),
            ("double", Kind::Float, Some(vec![])),
            ("float", Kind::Double, None),
            ("double", Kind::Int, None),
            ("date", Kind::Date, Some(vec![])),
            ("datetime(6)", Kind::DateTime, Some(vec![])),
            ("datetime", Kind::Instant, Some(vec![Bound::FractionDigits(0)])),
            ("timestamp(3)", Kind::Instant, Some(vec![Bound::Timestamp, Bound::FractionDigits(3)])),
            ("date", Kind::DateTime, None),
            ("longtext", Kind::Text, Some(vec![])),
            ("varchar(20)", Kind::Text, Some(vec![Bound::Characters(20)])),
            ("char(3)", Kind::Text, Some(vec![Bound::Characters(3), Bound::NoTrailingBlank])),
            ("text", Kind::Text, Some(vec![Bound::Octets(65_535)])),
            ("enum('a','b''c')", Kind::Text, Some(vec![Bound::OneOf(vec!["a".to_owned(), "b'c".to_owned()])])),
            ("set('a','b')", Kind::Text, None),
            ("int(11)", Kind::Text, None),
            ("varbinary(9)", Kind::Bytes, Some(vec![Bound::Octets(9)])),
            ("binary(16)", Kind::Bytes, Some(vec![Bound::ExactOctets(16)])),
            ("bit(1)", Kind::Boolean, None),
        ] {
            assert_eq!(column(full).takes(&kind), expected, "{full} for {kind:?}");
        }
        let latin = ColumnType { character_set: Some("latin1".to_owned()), ..column("varchar(5)") };
        assert_eq!(
            latin.takes(&Kind::Text),
            Some(vec![Bound::Characters(5), Bound::CharacterSet("latin1".to_owned())])
        );
    }
}
