//! The types of columns.

use weir_mysql::mysql_async;
use weir_mysql::mysql_async::consts::{ColumnFlags, ColumnType};

use super::reading::declarable;
use crate::source::table::{FoundColumn, Order};

/// A column of a table, view or query.
#[derive(Debug, Clone)]
pub(in crate::source) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The type, as the server names it.
    pub(super) shown: String,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `tinyint(1)`
    Boolean,
    /// Whole numbers in so many bits.
    Integer {
        bits: u32,
        is_unsigned: bool,
    },
    /// Digits in all, and those behind the point.
    Decimal(u8, u8),
    Float,
    /// With a number of digits behind the point, to which the server rounds, or without.
    Double {
        is_rounded: bool,
    },
    /// So many bits.
    Bit(u32),
    Date,
    /// `datetime`
    DateTime,
    /// `timestamp`, which is an instant.
    Timestamp,
    Time,
    Year,
    /// Texts in a character set; none if it is not known.
    Text(Option<String>),
    Bytes,
    Uuid,
    /// Values with one text form each: enumerations, documents, addresses.
    Plain,
    /// Values without a text form.
    Other,
}

/// What the catalogue has about a type.
#[derive(Debug, Default)]
pub(super) struct TypeOf<'a> {
    /// `bigint`
    pub(super) name: &'a str,
    /// `bigint(20) unsigned`
    pub(super) full: &'a str,
    pub(super) charset: Option<&'a str>,
    pub(super) digits: Option<u8>,
    pub(super) scale: Option<u8>,
}

impl Kind {
    /// The type of a table's column.
    pub(super) fn of(of: &TypeOf<'_>) -> Self {
        let is_unsigned = of.full.contains("unsigned");
        let integer = |bits| Self::Integer { bits, is_unsigned };
        match of.name {
            "tinyint" if of.full.starts_with("tinyint(1)") && !is_unsigned => Self::Boolean,
            "tinyint" => integer(8),
            "smallint" => integer(16),
            "mediumint" => integer(24),
            "int" => integer(32),
            "bigint" => integer(64),
            "decimal" => Self::Decimal(of.digits.unwrap_or_default(), of.scale.unwrap_or_default()),
            "float" => Self::Float,
            "double" => Self::Double { is_rounded: of.full.contains('(') },
            "bit" => Self::Bit(of.digits.unwrap_or(1).into()),
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "year" => Self::Year,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                Self::Text(of.charset.map(str::to_owned))
            }
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Bytes,
            "uuid" => Self::Uuid,
            "enum" | "set" | "json" | "inet4" | "inet6" => Self::Plain,
            _ => Self::Other,
        }
    }
}

impl Column {
    /// A column of a table. The values of an enumeration are not part of its shown type.
    pub(super) fn of(name: String, of: &TypeOf<'_>) -> Self {
        let is_long = ["enum", "set"].contains(&of.name);
        let shown = if is_long { of.name } else { of.full };
        Self { name, kind: Kind::of(of), shown: shown.to_owned() }
    }

    /// A column of a query; `charset` knows the character sets by the numbers of collations.
    pub(super) fn of_query(column: &mysql_async::Column, charset: &dyn Fn(u16) -> Option<String>) -> Self {
        use ColumnType::*;
        const BINARY: u16 = 63;
        const ANY_SCALE: u8 = 31;
        let flags = column.flags();
        let is_unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
        let sign = if is_unsigned { " unsigned" } else { "" };
        let (length, scale) = (column.column_length(), column.decimals());
        let integer = |bits, name: &str| (Kind::Integer { bits, is_unsigned }, format!("{name}{sign}"));
        let named = |kind, name: &str| (kind, name.to_owned());
        let (kind, shown) = match column.column_type() {
            MYSQL_TYPE_TINY if length == 1 && !is_unsigned => named(Kind::Boolean, "tinyint(1)"),
            MYSQL_TYPE_TINY => integer(8, "tinyint"),
            MYSQL_TYPE_SHORT => integer(16, "smallint"),
            MYSQL_TYPE_INT24 => integer(24, "mediumint"),
            MYSQL_TYPE_LONG => integer(32, "int"),
            MYSQL_TYPE_LONGLONG => integer(64, "bigint"),
            MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => {
                // The length counts the sign and the point.
                let digits = length.saturating_sub(u32::from(!is_unsigned) + u32::from(scale > 0));
                let digits = u8::try_from(digits).unwrap_or(u8::MAX);
                (Kind::Decimal(digits, scale), format!("decimal({digits},{scale})"))
            }
            MYSQL_TYPE_FLOAT => named(Kind::Float, "float"),
            MYSQL_TYPE_DOUBLE => named(Kind::Double { is_rounded: scale < ANY_SCALE }, "double"),
            MYSQL_TYPE_BIT => (Kind::Bit(length), format!("bit({length})")),
            MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => named(Kind::Date, "date"),
            MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2 => named(Kind::DateTime, "datetime"),
            MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2 => named(Kind::Timestamp, "timestamp"),
            MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2 => named(Kind::Time, "time"),
            MYSQL_TYPE_YEAR => named(Kind::Year, "year"),
            MYSQL_TYPE_JSON => named(Kind::Plain, "json"),
            MYSQL_TYPE_NULL => named(Kind::Plain, "null"),
            _ if flags.contains(ColumnFlags::ENUM_FLAG) => named(Kind::Plain, "enum"),
            _ if flags.contains(ColumnFlags::SET_FLAG) => named(Kind::Plain, "set"),
            MYSQL_TYPE_ENUM => named(Kind::Plain, "enum"),
            MYSQL_TYPE_SET => named(Kind::Plain, "set"),
            MYSQL_TYPE_VARCHAR
            | MYSQL_TYPE_VAR_STRING
            | MYSQL_TYPE_STRING
            | MYSQL_TYPE_TINY_BLOB
            | MYSQL_TYPE_BLOB
            | MYSQL_TYPE_MEDIUM_BLOB
            | MYSQL_TYPE_LONG_BLOB => match column.character_set() {
                BINARY => named(Kind::Bytes, "varbinary"),
                number => named(Kind::Text(charset(number)), "varchar"),
            },
            MYSQL_TYPE_GEOMETRY => named(Kind::Other, "geometry"),
            other => (Kind::Other, format!("{other:?}").trim_start_matches("MYSQL_TYPE_").to_lowercase()),
        };
        Self { name: column.name_str().into_owned(), kind, shown }
    }
}

impl FoundColumn for Column {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> String {
        self.shown.clone()
    }

    fn order(&self) -> Option<Order> {
        match self.kind {
            Kind::Integer { .. } | Kind::Decimal(..) => Some(Order::Number),
            Kind::Date | Kind::DateTime | Kind::Timestamp => Some(Order::Time),
            _ => None,
        }
    }

    fn help(&self) -> String {
        match (declarable(self), &self.kind) {
            (_, Kind::Other) => "leave the column out, or convert it in a `query`: st_astext(…)".to_owned(),
            (Some(known), _) => format!("declare it as `{known}` or `string`, or cast it in a `query`"),
            (None, Kind::Decimal(..)) => {
                "declare it as `string`, as decimals have 38 digits at most, or cast it in a `query`".to_owned()
            }
            (None, _) => "declare it as `string`, or cast it in a `query`".to_owned(),
        }
    }
}
