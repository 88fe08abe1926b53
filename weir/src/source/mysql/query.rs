//! Queries in the SQL of MySQL: where they have parameters, and these as literals of their types.

use std::fmt::Write;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use weir_mysql::sql::literal;

use crate::source::table::{Dollar, Quotes, date, digits, time};
use crate::task::{Param, SqlType};

pub(super) const QUOTES: Quotes = Quotes {
    marks: &['\'', '"', '`'],
    has_escapes: |mark, _| mark != '`',
    comments: &["-- ", "--\n", "--\t", "#"],
    dollar: Dollar::Letter,
    value: of_type,
};

fn of_type(param: &Param) -> String {
    let value = match param.sql_type {
        SqlType::Boolean | SqlType::Integer | SqlType::Bigint => digits(&param.value).map(signed),
        // With an exponent it is a double. What is no number is none for the server either.
        SqlType::Double => match &param.value {
            ScalarValue::Float64(Some(value)) => Some(signed(format!("{value:e}"))),
            _ => None,
        },
        SqlType::Decimal(..) => digits(&param.value).map(|digits| format!("cast('{digits}' as {})", param.sql_type)),
        SqlType::Date => date(&param.value).map(|date| format!("date '{date}'")),
        SqlType::Timestamp | SqlType::TimestampTz => {
            let in_utc = param.value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None));
            in_utc.ok().as_ref().and_then(time).map(|time| format!("timestamp '{time}'"))
        }
        SqlType::Binary => match &param.value {
            ScalarValue::Binary(Some(bytes)) => {
                let mut digits = String::new();
                bytes.iter().for_each(|byte| _ = write!(digits, "{byte:02x}"));
                Some(format!("x'{digits}'"))
            }
            _ => None,
        },
        SqlType::String | SqlType::Time | SqlType::Uuid | SqlType::Json => None,
    };
    value.unwrap_or_else(|| literal(&param.text))
}

/// A number behind whatever the query has before it.
fn signed(number: String) -> String {
    if number.starts_with('-') { format!("({number})") } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::table::testing::filled;

    #[test]
    fn parameters_are_filled_in_as_values_and_only_where_they_are_ones() {
        let of = |sql: &str| filled(sql, &QUOTES).unwrap();
        assert_eq!(
            of("select 1 where a < $day and b = $who;"),
            "select 1 where a < date '2024-01-31' and b = 'O''Hara'"
        );
        assert_eq!(
            of("$at, 1 -$n, $d, $is, $m"),
            "timestamp '2024-01-31 10:00:00.000000', 1 -(-5), 1e-1, true, cast('1.50' as decimal(9,2))"
        );
        for same in [
            "'$day', \"$day\", `$day`",
            "'\\'$day', \"\\\"$day\"",
            "'it''s $day'",
            "-- $day\n/* $day */ # $day",
            "a$day, `x`.b$c",
        ] {
            assert_eq!(of(same), same);
        }
        // A double minus is none but with a blank.
        assert_eq!(of("1 --$n"), "1 --(-5)");
        assert_eq!(filled("a = $dya", &QUOTES).unwrap_err(), "unknown parameter `$dya`");
    }
}
