//! Constants with which columns are compared on the server.

use datafusion::scalar::ScalarValue;
use weir_postgres::sql::literal;

use crate::source::table::{Compared, date, digits, is_number, time};

/// A constant in SQL, if a column can be compared with it on the server. It is not null.
pub(super) fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
    match compared {
        Compared::Boolean => match value {
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            _ => None,
        },
        Compared::Number | Compared::Double if is_number(&value.data_type()) => match value {
            ScalarValue::Float64(Some(value)) => value.is_finite().then(|| format!("'{value}'::float8")),
            // As digits: the server gives them the type of the column that they are compared with.
            value => digits(value),
        },
        Compared::Number | Compared::Double | Compared::AsciiText => None,
        // The server has no text with a NUL in it, and accepts no such constant.
        Compared::Text => value.try_as_str()?.filter(|text| !text.contains('\0')).map(literal),
        Compared::Date => Some(format!("'{}'::date", date(value)?)),
        Compared::Time => Some(format!("'{}'::timestamp", time(value)?)),
        Compared::Moment => Some(format!("'{}+00'::timestamptz", time(value)?)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;
    use crate::source::postgres::snapshot::PostgresSnapshot;
    use crate::source::table::testing::{never_pushed, pushed};

    #[test]
    fn a_condition_with_the_same_result_on_the_server_is_pushed() {
        let day = ScalarValue::Date32(Some(18262));
        let at = ScalarValue::TimestampMicrosecond(Some(1_577_836_800_000_001), None);
        for (filter, sql) in [
            (col("number").gt(lit(5i64)), "\"c\" > 5"),
            (lit(5i64).gt(col("number")), "\"c\" < 5"),
            (col("number").not_eq(lit(-5i32)), "\"c\" <> -5"),
            (col("number").eq(lit(ScalarValue::Decimal128(Some(-12345), 12, 2))), "\"c\" = -123.45"),
            (col("number").lt_eq(lit(0.1f64)), "\"c\" <= '0.1'::float8"),
            (col("number").between(lit(1i64), lit(2i64)), "(\"c\" >= 1 and \"c\" <= 2)"),
            (col("text").eq(lit("it's \\ a")), "\"c\" = E'it''s \\\\ a'"),
            (col("text").in_list(vec![lit("a"), lit("b")], false), "\"c\" in (E'a', E'b')"),
            (col("text").is_null().or(col("number").eq(lit(1i64))), "(\"c\" is null or \"c\" = 1)"),
            (col("uuid").is_not_null(), "\"c\" is not null"),
            (col("flag"), "\"c\" = true"),
            (!col("flag"), "\"c\" = false"),
            (col("flag").eq(lit(true)), "\"c\" = true"),
            (col("day").gt_eq(lit(day)), "\"c\" >= '2020-01-01'::date"),
            (col("at").lt(lit(at.clone())), "\"c\" < '2020-01-01 00:00:00.000001'::timestamp"),
            (col("moment").lt(lit(at)), "\"c\" < '2020-01-01 00:00:00.000001+00'::timestamptz"),
        ] {
            assert_eq!(pushed::<PostgresSnapshot>(&filter).as_deref(), Some(sql), "{filter}");
        }
    }

    #[test]
    fn a_condition_that_might_miss_a_row_is_not_pushed() {
        for filter in never_pushed().into_iter().chain([col("text").eq(lit("a\0b"))]) {
            assert_eq!(pushed::<PostgresSnapshot>(&filter), None, "{filter}");
        }
    }
}
