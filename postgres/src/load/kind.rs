//! Column types, and the conversions between them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_database::load::Fit;

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`
    Boolean,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `numeric(precision,scale)`, or `numeric` without limits.
    Numeric(Option<(u16, u16)>),
    /// `text`
    Text,
    /// `character varying(characters)`
    Varchar(u32),
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `bytea`
    Bytes,
    /// Any other type, by the server's name for it.
    Other(String),
}

impl Kind {
    /// Parses the name that `format_type` returns.
    pub fn of_name(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "smallint" => Self::SmallInt,
            "integer" => Self::Integer,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "double precision" => Self::Double,
            "numeric" => Self::Numeric(None),
            "text" | "character varying" => Self::Text,
            "date" => Self::Date,
            "timestamp without time zone" => Self::Timestamp,
            "timestamp with time zone" => Self::TimestampTz,
            "bytea" => Self::Bytes,
            _ => Self::of_sized_name(name).unwrap_or_else(|| Self::Other(name.to_owned())),
        }
    }

    fn of_sized_name(name: &str) -> Option<Self> {
        let (name, sizes) = name.strip_suffix(')')?.split_once('(')?;
        match name {
            "character varying" => Some(Self::Varchar(sizes.parse().ok()?)),
            "numeric" => {
                let (digits, scale) = sizes.split_once(',')?;
                Some(Self::Numeric(Some((digits.parse().ok()?, scale.parse().ok()?))))
            }
            _ => None,
        }
    }

    /// Whether a column of this type can store the values of another one.
    pub fn takes(&self, other: &Self) -> Fit {
        if self == other && !matches!(self, Self::Other(_)) {
            return Fit::All;
        }
        match (self, other) {
            (Self::Double, Self::Real) => Fit::All,
            (Self::Text, Self::Varchar(_)) => Fit::All,
            (Self::Varchar(most), Self::Varchar(length)) if most >= length => Fit::All,
            (Self::Varchar(_), Self::Text | Self::Varchar(_)) => Fit::Some,
            _ => self.takes_number(other),
        }
    }

    fn takes_number(&self, other: &Self) -> Fit {
        let (Some((digits, scale)), Some((of_other, scale_of_other))) = (self.exact_digits(), other.exact_digits())
        else {
            return Fit::None;
        };
        if scale < scale_of_other {
            return Fit::None; // the value would be rounded
        }
        // Nine digits do not cover all integers; larger values are checked one by one.
        let is_whole = |kind: &Self| !matches!(kind, Self::Numeric(_));
        let holds_all = match (is_whole(self), is_whole(other)) {
            (true, false) => of_other < digits,
            _ => of_other <= digits,
        };
        if holds_all { Fit::All } else { Fit::Some }
    }

    /// Digits before and after the decimal point of an exact number; the maximum if unlimited.
    fn exact_digits(&self) -> Option<(u16, u16)> {
        match self {
            Self::SmallInt => Some((5, 0)),
            Self::Integer => Some((10, 0)),
            Self::BigInt => Some((19, 0)),
            Self::Numeric(None) => Some((u16::MAX, u16::MAX)),
            Self::Numeric(Some((digits, scale))) => Some((digits.saturating_sub(*scale), *scale)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Numeric(Some((digits, scale))) => return write!(f, "numeric({digits},{scale})"),
            Self::Text => "text",
            Self::Varchar(most) => return write!(f, "character varying({most})"),
            Self::Date => "date",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampTz => "timestamp with time zone",
            Self::Bytes => "bytea",
            Self::Other(name) => name,
        })
    }
}

/// Serialized as the server's name of the type.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of_name(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_the_servers_name() {
        for name in [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "numeric(12,2)",
            "text",
            "character varying(50)",
            "date",
            "timestamp without time zone",
            "timestamp with time zone",
            "bytea",
            "uuid",
            "numeric(3,-2)",
            "character(3)",
            "mood[]",
        ] {
            assert_eq!(Kind::of_name(name).to_string(), name);
        }
        assert_eq!(Kind::of_name("numeric(3,-2)"), Kind::Other("numeric(3,-2)".to_owned()));
    }

    #[test]
    fn a_column_takes_the_values_that_it_stores_unchanged() {
        let numeric = |digits, scale| Kind::Numeric(Some((digits, scale)));
        let other = || Kind::Other("uuid".to_owned());
        for (column, values, fit) in [
            (Kind::BigInt, Kind::Integer, Fit::All),
            (Kind::Integer, Kind::BigInt, Fit::Some),
            (Kind::SmallInt, Kind::Integer, Fit::Some),
            (Kind::Numeric(None), Kind::BigInt, Fit::All),
            (Kind::Numeric(None), numeric(38, 10), Fit::All),
            (numeric(19, 0), Kind::BigInt, Fit::All),
            (numeric(18, 0), Kind::BigInt, Fit::Some),
            (numeric(12, 2), numeric(10, 2), Fit::All),
            (numeric(12, 4), numeric(12, 2), Fit::Some),
            (numeric(12, 1), numeric(10, 2), Fit::None),
            (numeric(12, 2), Kind::Numeric(None), Fit::None),
            (Kind::Integer, numeric(9, 0), Fit::All),
            (Kind::Integer, numeric(10, 0), Fit::Some),
            (Kind::Integer, numeric(9, 2), Fit::None),
            (Kind::Double, Kind::Real, Fit::All),
            (Kind::Real, Kind::Double, Fit::None),
            (Kind::Double, Kind::BigInt, Fit::None),
            (Kind::Text, Kind::Varchar(9), Fit::All),
            (Kind::Varchar(9), Kind::Text, Fit::Some),
            (Kind::Varchar(9), Kind::Varchar(9), Fit::All),
            (Kind::Varchar(8), Kind::Varchar(9), Fit::Some),
            (Kind::Text, Kind::Integer, Fit::None),
            (Kind::TimestampTz, Kind::Timestamp, Fit::None),
            (Kind::Timestamp, Kind::Date, Fit::None),
            (other(), other(), Fit::None),
            (other(), Kind::Text, Fit::None),
        ] {
            assert_eq!(column.takes(&values), fit, "{column} of {values}");
        }
    }
}
