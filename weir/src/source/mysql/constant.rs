//! Constants with which columns are compared on the server.

use datafusion::scalar::ScalarValue;
use weir_mysql::sql::literal;

use crate::source::table::{Compared, date, digits, time};

/// A constant in SQL, if a column can be compared with it on the server. It is not null.
pub(super) fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
    let kind = value.data_type();
    match (compared, value) {
        (Compared::Boolean, ScalarValue::Boolean(Some(value))) => Some(u8::from(*value).to_string()),
        // A number with a decimal fraction is exact, one with an exponent a double.
        (Compared::Double, ScalarValue::Float64(Some(value))) => value.is_finite().then(|| format!("{value:e}")),
        (Compared::Number, _) if kind.is_integer() || kind.is_decimal() => digits(value),
        (Compared::Text, _) => value.try_as_str()?.filter(|text| !text.contains('\0')).map(literal),
        // The server does not compare a text with one that its character set cannot represent.
        (Compared::AsciiText, _) => constant(Compared::Text, value).filter(|text| text.is_ascii()),
        (Compared::Date, _) => Some(format!("date '{}'", date(value)?)),
        (Compared::Time, _) => Some(format!("timestamp '{}'", time(value)?)),
        // Others than those that the column can have become zero in a comparison by an index.
        (Compared::Moment, _) => {
            let text = time(value)?;
            ("1971".."2038").contains(&&text[..4]).then(|| format!("timestamp '{text}'"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;
    use crate::source::mysql::snapshot::MysqlSnapshot;
    use crate::source::table::testing::{never_pushed, pushed};

    #[test]
    fn a_condition_that_lets_through_no_less_on_the_server_is_pushed() {
        let day = ScalarValue::Date32(Some(18262));
        let at = ScalarValue::TimestampMicrosecond(Some(1_577_836_800_000_001), None);
        for (filter, sql) in [
            (col("number").gt(lit(5i64)), "`c` > 5"),
            (col("number").not_eq(lit(-5i32)), "`c` <> -5"),
            (col("number").eq(lit(ScalarValue::Decimal128(Some(-12345), 12, 2))), "`c` = -123.45"),
            (col("double").lt_eq(lit(0.1f64)), "`c` <= 1e-1"),
            (col("number").between(lit(1i64), lit(2i64)), "(`c` >= 1 and `c` <= 2)"),
            (col("text").eq(lit("it's")), "`c` = 'it''s'"),
            (col("text").in_list(vec![lit("ä"), lit("\\")], false), "`c` in ('ä', _utf8mb4 x'5c')"),
            (col("ascii").eq(lit("a")), "`c` = 'a'"),
            (col("text").is_null().or(col("number").eq(lit(1i64))), "(`c` is null or `c` = 1)"),
            (col("uuid").is_not_null(), "`c` is not null"),
            (col("nulled").is_null(), "selected is null"),
            (col("nulled").is_not_null(), "`c` is not null"),
            (col("flag"), "`c` = 1"),
            (!col("flag"), "`c` = 0"),
            (col("day").gt_eq(lit(day)), "`c` >= date '2020-01-01'"),
            (col("at").lt(lit(at.clone())), "`c` < timestamp '2020-01-01 00:00:00.000001'"),
            (col("moment").lt(lit(at)), "`c` < timestamp '2020-01-01 00:00:00.000001'"),
        ] {
            assert_eq!(pushed::<MysqlSnapshot>(&filter).as_deref(), Some(sql), "{filter}");
        }
    }

    #[test]
    fn a_condition_that_might_miss_a_row_is_not_pushed() {
        let late = ScalarValue::TimestampMicrosecond(Some(4_000_000_000_000_000), None);
        let own = [
            col("number").lt(lit(0.1f64)),
            col("double").eq(lit(5i64)),
            col("moment").lt(lit(late)),
            col("double").gt(lit("5")),
        ];
        for filter in never_pushed().into_iter().chain(own) {
            assert_eq!(pushed::<MysqlSnapshot>(&filter), None, "{filter}");
        }
    }
}
