//! The types of columns and parameters, shared by sources, parameters and created tables.

use std::fmt;
use std::str::FromStr;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::scalar::ScalarValue;
use serde::{Deserialize, Deserializer, de};

/// A column's or a parameter's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// Text in UTF-8.
    String,
    /// `true` or `false`.
    Boolean,
    /// A 32-bit integer.
    Integer,
    /// A 64-bit integer.
    Bigint,
    /// A 64-bit floating-point number.
    Double,
    /// An exact number: total digits (at most 38), digits after the decimal point.
    Decimal(u8, i8),
    /// A date, `yyyy-mm-dd`.
    Date,
    /// A time of day, in microseconds.
    Time,
    /// A date and time without time zone, in microseconds.
    Timestamp,
    /// A moment: a date and time in UTC, in microseconds.
    TimestampTz,
    /// A UUID, as text in its canonical form.
    Uuid,
    /// A JSON document, as the text that it is written as.
    Json,
    /// Bytes.
    Binary,
}

/// The type names of task files, for error messages.
const NAMES: &str =
    "string, boolean, integer, bigint, double, decimal(p,s), date, time, timestamp, timestamptz, uuid, json, binary";

/// The time zone of a moment in Arrow.
pub(crate) const UTC: &str = "UTC";

/// The extension type with which Arrow marks texts that are JSON documents.
/// <https://arrow.apache.org/docs/format/CanonicalExtensions.html#json>
const JSON: &str = "arrow.json";

/// The key of a column's extension type among its metadata.
const EXTENSION: &str = "ARROW:extension:name";

/// Every type but the decimals, with its name.
const NAMED: [(&str, SqlType); 12] = [
    ("string", SqlType::String),
    ("boolean", SqlType::Boolean),
    ("integer", SqlType::Integer),
    ("bigint", SqlType::Bigint),
    ("double", SqlType::Double),
    ("date", SqlType::Date),
    ("time", SqlType::Time),
    ("timestamp", SqlType::Timestamp),
    ("timestamptz", SqlType::TimestampTz),
    ("uuid", SqlType::Uuid),
    ("json", SqlType::Json),
    ("binary", SqlType::Binary),
];

impl SqlType {
    /// The Arrow type that represents it.
    pub fn arrow(self) -> DataType {
        match self {
            Self::String | Self::Uuid | Self::Json => DataType::Utf8View,
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Binary => DataType::Binary,
        }
    }

    /// A column of the type, which may have nulls.
    pub(crate) fn field(self, name: &str) -> Field {
        let field = Field::new(name, self.arrow(), true);
        if self == Self::Json { mark_json(field) } else { field }
    }

    /// The type in which values of an Arrow type are read without loss; `string` if there is none of their kind.
    pub(crate) fn of_arrow(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Self::Integer,
            DataType::Int64 | DataType::UInt32 => Self::Bigint,
            DataType::UInt64 => Self::Decimal(20, 0),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Double,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
                if *scale >= 0 =>
            {
                Self::Decimal(*precision, *scale)
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, Some(_)) => Self::TimestampTz,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::FixedSizeBinary(16) => Self::Uuid,
            kind if kind.is_binary() => Self::Binary,
            kind if kind.is_nested() => Self::Json,
            _ => Self::String,
        }
    }

    /// Whether its values are numbers.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Bigint | Self::Double | Self::Decimal(..))
    }

    /// Whether its values are dates with a time.
    pub(crate) fn is_timestamp(self) -> bool {
        matches!(self, Self::Timestamp | Self::TimestampTz)
    }

    /// Parses a value; the error names the expected type.
    pub fn parse(self, text: &str) -> Result<ScalarValue, String> {
        match self {
            Self::Json if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => {
                return Err(format!("`{text}` is not a {self}"));
            }
            Self::Uuid => {
                let uuid = uuid::Uuid::try_parse(text).map_err(|_| format!("`{text}` is not a {self}"))?;
                return Ok(ScalarValue::Utf8View(Some(uuid.to_string())));
            }
            Self::Binary => {
                return Err(format!("a parameter cannot be {self}: declare a string, and use decode() in SQL"));
            }
            _ => {}
        }
        let arrow = self.arrow();
        ScalarValue::try_from_string(text.to_owned(), &arrow)
            .ok()
            .filter(|value| !value.is_null() || matches!(self, Self::String | Self::Json))
            .ok_or_else(|| format!("`{text}` is not a {self}"))
    }
}

impl FromStr for SqlType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        if let Some((_, named)) = NAMED.iter().find(|(name, _)| *name == lower) {
            return Ok(*named);
        }
        decimal(&lower).ok_or_else(|| match lower.starts_with("decimal(") && !lower.contains(')') {
            // The rest of it was taken for another entry.
            true => format!("`{text}` ends at its comma: write a decimal in quotes, as in \"decimal(12,2)\""),
            false => format!("unknown type `{text}`; the types are {NAMES}"),
        })
    }
}

/// Whether the texts of a column are JSON documents.
pub(crate) fn is_json(field: &Field) -> bool {
    field.extension_type_name() == Some(JSON) && field.data_type().is_string()
}

/// The same column, whose texts are JSON documents.
pub(crate) fn mark_json(mut field: Field) -> Field {
    field.metadata_mut().insert(EXTENSION.to_owned(), JSON.to_owned());
    field
}

/// The name of a column's type in task files, or its Arrow name if it has none there.
pub(crate) fn type_of(field: &Field) -> std::string::String {
    if is_json(field) { SqlType::Json.to_string() } else { type_name(field.data_type()) }
}

/// A type's name in task files, or its Arrow name if it has none there.
pub(crate) fn type_name(kind: &DataType) -> std::string::String {
    let declared = match kind {
        DataType::Decimal128(precision, scale) => Some(SqlType::Decimal(*precision, *scale)),
        DataType::Dictionary(_, values) => return type_name(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            return format!("list of {}", type_of(item));
        }
        DataType::Struct(_) => return "struct".to_owned(),
        DataType::Map(..) => return "map".to_owned(),
        DataType::Interval(_) => return "interval".to_owned(),
        kind if kind.is_string() => Some(SqlType::String),
        kind => NAMED.into_iter().map(|(_, known)| known).find(|known| known.arrow() == *kind),
    };
    declared.map_or_else(|| kind.to_string(), |known| known.to_string())
}

/// `decimal(p,s)` with 1 <= p <= 38 and 0 <= s <= p.
fn decimal(text: &str) -> Option<SqlType> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?);
    (1..=38).contains(&precision).then_some(())?;
    (0..=precision as i8).contains(&scale).then_some(SqlType::Decimal(precision, scale))
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            named => f.write_str(NAMED.iter().find(|(_, other)| other == named).map_or("", |(name, _)| name)),
        }
    }
}

impl<'de> Deserialize<'de> for SqlType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_as_it_is_written() {
        for text in NAMED.iter().map(|(name, _)| *name).chain(["decimal(12,2)"]) {
            assert_eq!(text.parse::<SqlType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn impossible_decimals_are_refused() {
        for text in ["decimal", "decimal(0,0)", "decimal(39,2)", "decimal(4,5)", "decimal(4,-1)"] {
            assert!(text.parse::<SqlType>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_its_type_is_an_error() {
        assert_eq!(SqlType::Date.parse("2022-01-01").unwrap(), ScalarValue::Date32(Some(18_993)));
        assert!(SqlType::Date.parse("2022-02-30").is_err());
        assert!(SqlType::Integer.parse("3000000000").is_err());
        assert!(
            SqlType::Uuid.parse("x").is_err()
                && SqlType::Json.parse("{").is_err()
                && SqlType::Time.parse("25:00:00").is_err()
        );
        let upper = SqlType::Uuid.parse("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11").unwrap();
        assert_eq!(upper, ScalarValue::Utf8View(Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".to_owned())));
    }

    #[test]
    fn types_have_the_names_of_task_files() {
        assert_eq!(type_name(&DataType::Utf8), "string");
        assert_eq!(type_name(&DataType::Int64), "bigint");
        assert_eq!(type_name(&DataType::Decimal128(12, 2)), "decimal(12,2)");
        assert_eq!(type_name(&DataType::UInt64), "UInt64");
        assert_eq!(type_name(&SqlType::TimestampTz.arrow()), "timestamptz");
        assert_eq!(type_of(&SqlType::Json.field("a")), "json");
        assert_eq!(type_name(&DataType::List(SqlType::Json.field("item").into())), "list of json");
    }

    #[test]
    fn only_texts_are_documents() {
        assert!(is_json(&SqlType::Json.field("a")) && !is_json(&SqlType::String.field("a")));
        assert!(!is_json(&mark_json(Field::new("a", DataType::Int64, true))));
    }
}
