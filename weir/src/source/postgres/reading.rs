//! Maps a table's column to the declared one: without loss, or not at all.

use weir_postgres::load::{Fit, Kind};
use weir_postgres::sql::quoted;

use super::catalogue::Column as FoundColumn;
use crate::database::postgres::kind_of;
use crate::format::columns::Column;
use crate::source::table::{Compared, Reading};
use crate::task::SqlType;

/// Types with one text form per value, which are read as text.
const TEXTS: [&str; 14] = [
    "bpchar", "char", "cidr", "citext", "inet", "json", "jsonb", "macaddr", "macaddr8", "name", "time", "tsvector",
    "uuid", "xml",
];

/// The type of a task file that represents any value of the column; none if only the text of the value does.
pub(super) fn declarable(there: &FoundColumn) -> Option<SqlType> {
    Some(match &there.kind {
        Kind::Boolean => SqlType::Boolean,
        Kind::SmallInt | Kind::Integer => SqlType::Integer,
        Kind::BigInt => SqlType::Bigint,
        Kind::Real | Kind::Double => SqlType::Double,
        // More digits behind the point than there are at all: the first of them are zero.
        Kind::Numeric(Some((digits, scale))) if *digits.max(scale) <= 38 => {
            SqlType::Decimal(*digits.max(scale) as u8, *scale as i8)
        }
        Kind::Date => SqlType::Date,
        Kind::Timestamp => SqlType::Timestamp,
        Kind::TimestampTz => SqlType::TimestampTz,
        Kind::Bytes => SqlType::Binary,
        Kind::Other(_) if there.type_name == "uuid" => SqlType::Uuid,
        Kind::Numeric(_) | Kind::Text | Kind::Varchar(_) | Kind::Other(_) => return None,
    })
}

/// Whether the column has texts, or values with one text form each.
pub(super) fn is_text(there: &FoundColumn) -> bool {
    let is_text = matches!(there.kind, Kind::Text | Kind::Varchar(_));
    is_text || there.is_enum || TEXTS.contains(&there.type_name.as_str())
}

/// How a column is read as a declared one; none if it cannot be read without loss.
pub(super) fn reading(column: &Column, there: &FoundColumn) -> Option<Reading> {
    let name = quoted(&there.name);
    let read = |selected: String, may_be_invalid: bool, compared: Option<Compared>| {
        Some(Reading { name: name.clone(), selected, may_be_invalid, compared, sets_null: false })
    };
    let declared = kind_of(&column.kind)?;
    match (&declared, &there.kind) {
        (Kind::Boolean, Kind::Boolean) => read(format!("{name}::text"), false, Some(Compared::Boolean)),
        // The text form of a real is the shortest one, which is another number in double precision.
        (Kind::Double, Kind::Real) => read(format!("{name}::float8"), true, Some(Compared::Number)),
        (Kind::Double, Kind::Double) => read(name.clone(), true, Some(Compared::Number)),
        (Kind::Date, Kind::Date) => read(name.clone(), true, Some(Compared::Date)),
        (Kind::Timestamp, Kind::Timestamp) => read(name.clone(), true, Some(Compared::Time)),
        (Kind::Timestamp, Kind::TimestampTz) => {
            read(format!("({name} at time zone 'UTC')"), true, Some(Compared::Moment))
        }
        // With its offset, without which a time is no moment.
        (Kind::TimestampTz, Kind::TimestampTz) => read(format!("({name} at time zone 'UTC')::text || 'Z'"), true, None),
        (Kind::Bytes, Kind::Bytes) => read(name.clone(), true, None),
        (Kind::Text, Kind::Text | Kind::Varchar(_)) if !column.form.can_reject() => {
            read(name.clone(), false, Some(Compared::Text))
        }
        // The text form of any other value, in the forms that the session fixes. UUIDs and documents are checked here.
        (Kind::Text, _) => read(name.clone(), column.form.can_reject(), None),
        (Kind::Numeric(_), Kind::Numeric(None)) => read(name.clone(), true, Some(Compared::Number)),
        (Kind::Integer | Kind::BigInt | Kind::Numeric(_), _) => match declared.takes(&there.kind) {
            Fit::All => {
                // A number of any size may not fit.
                let may_be_invalid = matches!(there.kind, Kind::Numeric(_));
                read(name.clone(), may_be_invalid, Some(Compared::Number))
            }
            Fit::Some => read(name.clone(), true, Some(Compared::Number)),
            Fit::None => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: &str, type_name: &str) -> FoundColumn {
        let is_enum = type_name == "mood";
        FoundColumn { name: "c".to_owned(), kind: Kind::of_name(kind), type_name: type_name.to_owned(), is_enum }
    }

    fn read(declared: &str, kind: &str, type_name: &str) -> Option<(String, bool)> {
        let declared: SqlType = declared.parse().unwrap();
        let column = Column::typed("c", declared);
        reading(&column, &found(kind, type_name)).map(|reading| (reading.selected, reading.may_be_invalid))
    }

    #[test]
    fn the_type_of_a_new_task_reads_any_value() {
        for (kind, type_name, expected) in [
            ("smallint", "int2", Some("integer")),
            ("numeric(12,2)", "numeric", Some("decimal(12,2)")),
            ("numeric(2,4)", "numeric", Some("decimal(4,4)")),
            ("numeric(39,2)", "numeric", None),
            ("numeric", "numeric", None),
            ("numeric(5,-2)", "numeric", None),
            ("timestamp with time zone", "timestamptz", Some("timestamptz")),
            ("bytea", "bytea", Some("binary")),
            ("uuid", "uuid", Some("uuid")),
            ("jsonb", "jsonb", None),
            ("integer[]", "_int4", None),
        ] {
            let declared = declarable(&found(kind, type_name)).map(|declared| declared.to_string());
            assert_eq!(declared.as_deref(), expected, "{kind}");
            let declared = declared.unwrap_or("string".to_owned());
            assert!(read(&declared, kind, type_name).is_some(), "{kind} as {declared}");
        }
    }

    #[test]
    fn a_type_is_read_without_loss_or_refused() {
        let plain = |may_be_invalid| Some(("\"c\"".to_owned(), may_be_invalid));
        for (declared, kind, expected) in [
            ("integer", "smallint", plain(false)),
            ("integer", "integer", plain(false)),
            ("integer", "bigint", plain(true)),
            ("bigint", "integer", plain(false)),
            ("bigint", "numeric(9,0)", plain(true)),
            ("bigint", "numeric(9,2)", None),
            ("decimal(12,2)", "integer", plain(false)),
            ("decimal(11,2)", "integer", plain(true)),
            ("decimal(12,2)", "numeric(12,2)", plain(true)),
            ("decimal(12,2)", "numeric(12,4)", None),
            ("decimal(12,2)", "numeric", plain(true)),
            ("double", "double precision", plain(true)),
            ("double", "real", Some(("\"c\"::float8".to_owned(), true))),
            ("double", "numeric", None),
            ("double", "integer", None),
            ("string", "text", plain(false)),
            ("string", "character varying(9)", plain(false)),
            ("string", "integer", plain(false)),
            ("boolean", "boolean", Some(("\"c\"::text".to_owned(), false))),
            ("boolean", "integer", None),
            ("date", "date", plain(true)),
            ("date", "timestamp without time zone", None),
            ("timestamp", "timestamp without time zone", plain(true)),
            ("timestamp", "timestamp with time zone", Some(("(\"c\" at time zone 'UTC')".to_owned(), true))),
            ("timestamp", "date", None),
            (
                "timestamptz",
                "timestamp with time zone",
                Some(("(\"c\" at time zone 'UTC')::text || 'Z'".to_owned(), true)),
            ),
            ("timestamptz", "timestamp without time zone", None),
            ("binary", "bytea", plain(true)),
            ("uuid", "text", plain(true)),
            ("string", "bytea", plain(false)),
        ] {
            assert_eq!(read(declared, kind, "builtin"), expected, "{kind} as {declared}");
        }
        for (kind, type_name) in [("uuid", "uuid"), ("mood", "mood"), ("character(3)", "bpchar"), ("jsonb", "jsonb")] {
            assert_eq!(read("string", kind, type_name), plain(false), "{kind}");
        }
        for (kind, type_name) in
            [("interval", "interval"), ("integer[]", "_int4"), ("point", "point"), ("money", "money")]
        {
            assert_eq!(read("string", kind, type_name), plain(false), "{kind}");
            assert_eq!(read("bigint", kind, type_name), None, "{kind}");
        }
    }
}
