//! Maps a table's column to the declared one: without loss, or not at all.

use datafusion::arrow::datatypes::DataType;
use weir_mysql::sql::quoted;

use super::kind::{Column as FoundColumn, Kind};
use crate::format::columns::Column;
use crate::source::table::{Compared, Reading};
use crate::task::{SqlType, ZeroDates};

/// How the task says that times are read.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::source) struct Times {
    pub(in crate::source) zero_dates: ZeroDates,
    /// Whether the values of `datetime` columns are in UTC.
    pub(in crate::source) utc_datetimes: bool,
}

/// The digits of the longest decimal.
const MOST_DIGITS: u8 = 38;

/// The type of a task file that represents any value of the column; none if only the text of the value does.
pub(super) fn declarable(there: &FoundColumn) -> Option<SqlType> {
    Some(match &there.kind {
        Kind::Boolean | Kind::Bit(1) => SqlType::Boolean,
        Kind::Integer { bits: 64, is_unsigned: true } => SqlType::Decimal(20, 0),
        Kind::Integer { bits: 64, .. } | Kind::Integer { bits: 32, is_unsigned: true } => SqlType::Bigint,
        Kind::Integer { .. } | Kind::Year => SqlType::Integer,
        Kind::Decimal(digits @ ..=MOST_DIGITS, scale) => SqlType::Decimal(*digits, *scale as i8),
        Kind::Float | Kind::Double { .. } => SqlType::Double,
        Kind::Date => SqlType::Date,
        Kind::DateTime => SqlType::Timestamp,
        Kind::Timestamp => SqlType::TimestampTz,
        Kind::Bytes => SqlType::Binary,
        Kind::Uuid => SqlType::Uuid,
        Kind::Decimal(..) | Kind::Bit(_) | Kind::Time | Kind::Text(_) | Kind::Plain | Kind::Other => return None,
    })
}

/// Whether the column has texts, or values with one text form each.
pub(super) fn is_text(there: &FoundColumn) -> bool {
    matches!(there.kind, Kind::Text(_) | Kind::Plain | Kind::Uuid)
}

/// How a column is read as a declared one; none if it cannot be read without loss.
pub(super) fn reading(column: &Column, there: &FoundColumn, times: Times) -> Option<Reading> {
    let name = quoted(&there.name);
    let read = |selected: String, may_be_invalid: bool, compared: Option<Compared>| {
        Some(Reading { name: name.clone(), selected, may_be_invalid, compared, sets_null: false })
    };
    let time = |selected: &str, compared: Option<Compared>| {
        let selected = selected.replace("{}", &name);
        let sets_null = times.zero_dates == ZeroDates::Null;
        let selected = match sets_null {
            true => format!("if(month({name}) = 0 or dayofmonth({name}) = 0, null, {selected})"),
            false => selected,
        };
        Some(Reading { name: name.clone(), selected, may_be_invalid: true, compared, sets_null })
    };
    match (&column.kind, &there.kind) {
        (_, Kind::Other) => None,
        (DataType::Boolean, Kind::Boolean) => {
            let selected = format!("case {name} when 0 then 'false' when 1 then 'true' else {name} end");
            read(selected, true, Some(Compared::Boolean))
        }
        (DataType::Boolean, Kind::Bit(1)) => read(format!("elt({name} + 1, 'false', 'true')"), false, None),
        // The server shows a float with six digits, and rounds some doubles.
        (DataType::Float64, Kind::Float | Kind::Double { is_rounded: true }) => {
            read(format!("{name} * 1e0"), false, None)
        }
        (DataType::Float64, Kind::Double { .. }) => read(name.clone(), false, Some(Compared::Double)),
        (DataType::Date32, Kind::Date) => time("{}", Some(Compared::Date)),
        (DataType::Timestamp(_, None), Kind::DateTime) => time("{}", Some(Compared::Time)),
        (DataType::Timestamp(_, None), Kind::Timestamp) => time("{}", Some(Compared::Moment)),
        // With its offset, without which a time is no moment.
        (DataType::Timestamp(_, Some(_)), Kind::Timestamp) => time("concat({}, 'Z')", None),
        (DataType::Timestamp(_, Some(_)), Kind::DateTime) if times.utc_datetimes => time("concat({}, 'Z')", None),
        // Other times than those of a day are invalid.
        (DataType::Time64(_), Kind::Time) => read(name.clone(), true, None),
        (DataType::Binary, Kind::Bytes) => read(bytes(&name), false, None),
        (kind, _) if kind.is_string() => text(column, there, &name),
        (kind, _) if kind.is_integer() || kind.is_decimal() => {
            let is_all = holds(kind, &there.kind)?;
            match there.kind {
                Kind::Bit(_) => read(format!("{name} + 0"), !is_all, None),
                // The server takes 5 for 2005 in a comparison.
                Kind::Year => read(name.clone(), !is_all, None),
                _ => read(name.clone(), !is_all, Some(Compared::Number)),
            }
        }
        _ => None,
    }
}

/// The text form of any value.
fn text(column: &Column, there: &FoundColumn, name: &str) -> Option<Reading> {
    // UUIDs and documents are checked here.
    let may_be_invalid = column.form.can_reject();
    let (selected, compared) = match &there.kind {
        Kind::Text(charset) => of_charset(name, charset.as_deref()),
        // A UUID in 16 bytes may have them in another order.
        Kind::Bytes if may_be_invalid => return None,
        Kind::Bytes => (bytes(name), None),
        Kind::Bit(bits) => (format!("lpad(bin({name} + 0), {bits}, '0')"), None),
        Kind::Float | Kind::Double { is_rounded: true } => (format!("{name} * 1e0"), None),
        _ => (name.to_owned(), None),
    };
    let compared = compared.filter(|_| !may_be_invalid);
    Some(Reading { name: name.to_owned(), selected, may_be_invalid, compared, sets_null: false })
}

/// Texts of a character set: the server replaces what it cannot convert, so it must not be the one that converts.
fn of_charset(name: &str, charset: Option<&str>) -> (String, Option<Compared>) {
    match charset {
        Some("utf8mb4") => (name.to_owned(), Some(Compared::Text)),
        // Every byte of it is a character.
        Some("latin1") => (name.to_owned(), Some(Compared::AsciiText)),
        Some("utf8mb3" | "utf8" | "ascii") => (format!("cast({name} as binary)"), Some(Compared::AsciiText)),
        None => (name.to_owned(), None),
        // What is not the same when it is converted back becomes a byte that is no UTF-8. Several characters of these sets
        // are one in UTF-8, so none is compared there.
        Some(other) => {
            let there = format!("convert({name} using utf8mb4)");
            let back = format!("cast(convert({there} using {other}) as binary)");
            (format!("if({back} <=> cast({name} as binary), cast({there} as binary), x'ff')"), None)
        }
    }
}

/// Bytes in hexadecimal digits behind `\x`.
fn bytes(name: &str) -> String {
    format!("concat(x'5c78', hex({name}))")
}

/// Whether a declared number type holds all values of a column's type, or only some; none if it cannot hold them unchanged.
fn holds(declared: &DataType, there: &Kind) -> Option<bool> {
    let power = |digits: u32| 10i128.checked_pow(digits).map_or(i128::MAX, |power| power - 1);
    let (least, most, scale) = match there {
        Kind::Boolean => (-128, 127, 0),
        Kind::Integer { bits, is_unsigned: true } => (0, (1 << bits) - 1, 0),
        Kind::Integer { bits, is_unsigned: false } => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 0),
        Kind::Bit(bits) => (0, (1i128 << bits) - 1, 0),
        Kind::Year => (0, 2155, 0),
        Kind::Decimal(digits @ ..=MOST_DIGITS, scale) => {
            let most = power(u32::from(digits - scale));
            (-most, most, *scale)
        }
        _ => return None,
    };
    let (from, to) = match declared {
        DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        DataType::Int64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        DataType::Decimal128(digits, behind @ 0..) => {
            // The value would be rounded.
            (*behind as u8 >= scale).then_some(())?;
            let greatest = power(u32::from(*digits) - *behind as u32);
            return Some(-greatest <= least && most <= greatest);
        }
        _ => return None,
    };
    (scale == 0).then_some(from <= least && most <= to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mysql::kind::TypeOf;

    fn found(full: &str) -> FoundColumn {
        let name = full.split(['(', ' ']).next().unwrap();
        let mut sizes = full.split_once('(').map_or("", |(_, sizes)| sizes).split([',', ')']);
        let (digits, scale) = (sizes.next().and_then(|n| n.parse().ok()), sizes.next().and_then(|n| n.parse().ok()));
        let charset = full.split_once(" charset ").map(|(_, charset)| charset).or(Some("utf8mb4"));
        FoundColumn::of("c".to_owned(), &TypeOf { name, full, charset, digits, scale })
    }

    fn read(declared: &str, there: &str) -> Option<(String, bool)> {
        let column = Column::typed("c", declared.parse().unwrap());
        let reading = reading(&column, &found(there), Times::default())?;
        Some((reading.selected, reading.may_be_invalid))
    }

    #[test]
    fn the_type_of_a_new_task_reads_any_value() {
        for (there, expected) in [
            ("tinyint(1)", Some("boolean")),
            ("tinyint(4)", Some("integer")),
            ("tinyint(1) unsigned", Some("integer")),
            ("mediumint(8) unsigned", Some("integer")),
            ("int(10) unsigned", Some("bigint")),
            ("int", Some("integer")),
            ("bigint(20)", Some("bigint")),
            ("bigint(20) unsigned", Some("decimal(20,0)")),
            ("year(4)", Some("integer")),
            ("decimal(38,10)", Some("decimal(38,10)")),
            ("decimal(39,2)", None),
            ("float", Some("double")),
            ("double(9,2)", Some("double")),
            ("bit(1)", Some("boolean")),
            ("bit(2)", None),
            ("timestamp(3)", Some("timestamptz")),
            ("datetime", Some("timestamp")),
            ("time", None),
            ("blob", Some("binary")),
            ("uuid", Some("uuid")),
            ("set('a')", None),
            ("varchar(9) charset sjis", None),
        ] {
            let declared = declarable(&found(there)).map(|declared| declared.to_string());
            assert_eq!(declared.as_deref(), expected, "{there}");
            let declared = declared.unwrap_or("string".to_owned());
            assert!(read(&declared, there).is_some(), "{there} as {declared}");
        }
    }

    #[test]
    fn a_type_is_read_without_loss_or_refused() {
        let plain = |may_be_invalid| Some(("`c`".to_owned(), may_be_invalid));
        let of = |selected: &str, may_be_invalid| Some((selected.to_owned(), may_be_invalid));
        for (declared, there, expected) in [
            ("integer", "int(11)", plain(false)),
            ("integer", "tinyint(1)", plain(false)),
            ("integer", "int(10) unsigned", plain(true)),
            ("bigint", "bigint(20) unsigned", plain(true)),
            ("bigint", "decimal(18,0)", plain(false)),
            ("bigint", "decimal(19,0)", plain(true)),
            ("bigint", "decimal(9,2)", None),
            ("bigint", "bit(63)", of("`c` + 0", false)),
            ("bigint", "bit(64)", of("`c` + 0", true)),
            ("decimal(20,0)", "bigint(20) unsigned", plain(false)),
            ("decimal(12,2)", "int(11)", plain(false)),
            ("decimal(11,2)", "int(11)", plain(true)),
            ("decimal(12,2)", "decimal(12,4)", None),
            ("decimal(38,2)", "decimal(40,2)", None),
            ("double", "double", plain(false)),
            ("double", "float", of("`c` * 1e0", false)),
            ("double", "double(9,2)", of("`c` * 1e0", false)),
            ("double", "int(11)", None),
            ("string", "varchar(9)", plain(false)),
            ("string", "varchar(9) charset utf8mb3", of("cast(`c` as binary)", false)),
            ("string", "float", of("`c` * 1e0", false)),
            ("string", "bit(3)", of("lpad(bin(`c` + 0), 3, '0')", false)),
            ("string", "geometry", None),
            ("boolean", "bit(1)", of("elt(`c` + 1, 'false', 'true')", false)),
            ("boolean", "int(11)", None),
            ("date", "date", plain(true)),
            ("date", "datetime", None),
            ("timestamp", "datetime(6)", plain(true)),
            ("timestamp", "timestamp", plain(true)),
            ("timestamptz", "timestamp", of("concat(`c`, 'Z')", true)),
            ("timestamptz", "datetime", None),
            ("time", "time(3)", plain(true)),
            ("binary", "varbinary(9)", of("concat(x'5c78', hex(`c`))", false)),
            ("uuid", "varchar(36)", plain(true)),
            ("uuid", "binary(16)", None),
            ("json", "longtext", plain(true)),
        ] {
            assert_eq!(read(declared, there), expected, "{there} as {declared}");
        }
    }

    #[test]
    fn zero_dates_become_null_if_the_task_says_so() {
        let column = Column::typed("c", SqlType::Date);
        let reading =
            reading(&column, &found("date"), Times { zero_dates: ZeroDates::Null, ..Times::default() }).unwrap();
        assert_eq!(reading.selected, "if(month(`c`) = 0 or dayofmonth(`c`) = 0, null, `c`)");
        assert!(reading.sets_null);
    }

    #[test]
    fn a_character_set_is_compared_only_if_its_characters_are_those_of_utf_8() {
        let ascii = Some(Compared::AsciiText);
        for (charset, compared) in
            [("utf8mb4", Some(Compared::Text)), ("latin1", ascii), ("utf8mb3", ascii), ("sjis", None), ("ucs2", None)]
        {
            let there = found(&format!("varchar(9) charset {charset}"));
            let reading = reading(&Column::typed("c", SqlType::String), &there, Times::default()).unwrap();
            assert_eq!(reading.compared, compared, "{charset}");
        }
    }
}
