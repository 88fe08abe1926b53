//! Queries in the SQL of PostgreSQL: where they have parameters, and these as literals of their types.

use weir_postgres::sql::literal;

use crate::source::table::{Dollar, Quotes};
use crate::task::{Param, SqlType};

pub(super) const QUOTES: Quotes = Quotes {
    marks: &['\'', '"'],
    has_escapes: |mark, before| mark == '\'' && before.ends_with(['e', 'E']),
    comments: &["--"],
    dollar: Dollar::Quotes,
    value: of_type,
};

fn of_type(param: &Param) -> String {
    let text = literal(&param.text);
    match param.sql_type {
        SqlType::String => text,
        SqlType::Double => format!("{text}::float8"),
        kind => format!("{text}::{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::source::table::testing::filled;

    use super::*;

    #[test]
    fn parameters_are_filled_in_as_values_and_only_where_they_are_ones() {
        let of = |sql: &str| filled(sql, &QUOTES);
        assert_eq!(
            of("select 1 where a < $day and b = $who;").unwrap(),
            "select 1 where a < E'2024-01-31'::date and b = E'O''Hara'"
        );
        for same in
            ["'$day' || \"$day\"", "E'\\'$day'", "'it''s $day'", "-- $day\n/* $day */", "$$ $day $$", "$f$ $day $$ $f$"]
        {
            assert_eq!(of(same).unwrap(), same);
        }
        assert_eq!(of("a = $1").unwrap_err(), "unknown parameter `$1`");
        assert_eq!(of("a = $dya").unwrap_err(), "unknown parameter `$dya`");
    }
}
