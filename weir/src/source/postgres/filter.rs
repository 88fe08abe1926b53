//! Conditions that the server can evaluate without missing a row.
//!
//! The engine evaluates them on the rows again, so the server may let through more rows than necessary, but not fewer.
//! A condition that is not known to be safe is not pushed down.

use chrono::{Datelike, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::temporal_conversions::date32_to_datetime;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use weir_postgres::sql::literal;

use super::reading::{Compared, Reading, is_number};

/// A condition for the server; `None` if it might miss rows there. `reading` knows the columns that can be compared.
pub(super) fn condition<'a>(filter: &Expr, reading: &dyn Fn(&str) -> Option<&'a Reading>) -> Option<String> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => reading(&column.name),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (condition(left, reading)?, condition(right, reading)?);
            Some(format!("({left} {} {right})", if *op == Operator::And { "and" } else { "or" }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (left, Expr::Literal(value, _)) => comparison(column(left)?, *op, value),
            (Expr::Literal(value, _), right) => comparison(column(right)?, op.swap()?, value),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) => match (&**low, &**high) {
            (Expr::Literal(low, _), Expr::Literal(high, _)) => {
                let low = comparison(column(expr)?, Operator::GtEq, low)?;
                let high = comparison(column(expr)?, Operator::LtEq, high)?;
                Some(format!("({low} and {high})"))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let column = column(expr)?;
            let value = |expr: &Expr| match expr {
                Expr::Literal(value, _) => constant(column.compared?, value),
                _ => None,
            };
            let values = list.iter().map(value).collect::<Option<Vec<_>>>()?;
            (!values.is_empty()).then(|| format!("{} in ({})", column.name, values.join(", ")))
        }
        Expr::IsNull(expr) => Some(format!("{} is null", column(expr)?.name)),
        Expr::IsNotNull(expr) => Some(format!("{} is not null", column(expr)?.name)),
        Expr::Column(_) => boolean(column(filter)?).map(str::to_owned),
        Expr::Not(expr) => Some(format!("not {}", boolean(column(expr)?)?)),
        _ => None,
    }
}

fn boolean(column: &Reading) -> Option<&str> {
    (column.compared? == Compared::Boolean).then_some(&column.name)
}

fn comparison(column: &Reading, op: Operator, value: &ScalarValue) -> Option<String> {
    let compared = column.compared?;
    let op = match op {
        Operator::Eq => "=",
        _ if compared == Compared::Text => return None,
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    };
    Some(format!("{} {op} {}", column.name, constant(compared, value)?))
}

/// A constant in SQL, if a column can be compared with it on the server.
fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return None;
    }
    match compared {
        Compared::Boolean => match value {
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            _ => None,
        },
        Compared::Number if is_number(&value.data_type()) => number(value),
        // The server has no text with a NUL in it, and accepts no such constant.
        Compared::Text => value.try_as_str()?.filter(|text| !text.contains('\0')).map(literal),
        Compared::Date => match value {
            ScalarValue::Date32(Some(days)) => {
                Some(format!("'{}'::date", date32_to_datetime(*days).filter(is_usual)?.format("%Y-%m-%d")))
            }
            _ => None,
        },
        Compared::Time => Some(format!("'{}'::timestamp", time(value)?)),
        Compared::Moment => Some(format!("'{}+00'::timestamptz", time(value)?)),
        Compared::Number => None,
    }
}

fn number(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Float64(Some(value)) => value.is_finite().then(|| format!("'{value}'::float8")),
        // As digits: the server gives them the type of the column that they are compared with.
        value => {
            let text = value.cast_to(&DataType::Utf8).ok()?;
            text.try_as_str()?.map(str::to_owned)
        }
    }
}

/// A time with microseconds, which is the server's precision.
fn time(value: &ScalarValue) -> Option<String> {
    if !matches!(value.data_type(), DataType::Timestamp(_, None)) {
        return None;
    }
    let microseconds = value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
    if microseconds.cast_to(&value.data_type()).ok()? != *value {
        return None;
    }
    let ScalarValue::TimestampMicrosecond(Some(microseconds), _) = microseconds else { return None };
    let time = chrono::DateTime::from_timestamp_micros(microseconds)?.naive_utc();
    is_usual(&time).then(|| time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

/// Whether the year has four digits.
fn is_usual(time: &NaiveDateTime) -> bool {
    (1..=9999).contains(&time.year())
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn pushed(filter: Expr) -> Option<String> {
        let reading =
            |compared| Reading { name: "\"c\"".to_owned(), selected: String::new(), may_be_invalid: false, compared };
        let columns = [
            ("number", reading(Some(Compared::Number))),
            ("text", reading(Some(Compared::Text))),
            ("flag", reading(Some(Compared::Boolean))),
            ("day", reading(Some(Compared::Date))),
            ("at", reading(Some(Compared::Time))),
            ("moment", reading(Some(Compared::Moment))),
            ("uuid", reading(None)),
        ];
        condition(&filter, &|name| columns.iter().find(|(column, _)| *column == name).map(|(_, reading)| reading))
    }

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
            (col("flag"), "\"c\""),
            (!col("flag"), "not \"c\""),
            (col("flag").eq(lit(true)), "\"c\" = true"),
            (col("day").gt_eq(lit(day)), "\"c\" >= '2020-01-01'::date"),
            (col("at").lt(lit(at.clone())), "\"c\" < '2020-01-01 00:00:00.000001'::timestamp"),
            (col("moment").lt(lit(at)), "\"c\" < '2020-01-01 00:00:00.000001+00'::timestamptz"),
        ] {
            assert_eq!(pushed(filter.clone()).as_deref(), Some(sql), "{filter}");
        }
    }

    #[test]
    fn a_condition_that_might_miss_a_row_is_not_pushed() {
        let nanoseconds = ScalarValue::TimestampNanosecond(Some(1), None);
        for filter in [
            col("text").lt(lit("a")),
            col("text").not_eq(lit("a")),
            col("text").between(lit("a"), lit("b")),
            col("text").in_list(vec![lit("a")], true),
            col("text").eq(lit("a\0b")),
            !col("text").eq(lit("a")),
            col("text").like(lit("a%")),
            col("uuid").eq(lit("a")),
            col("number").eq(lit("5")),
            col("number").eq(lit(ScalarValue::Int64(None))),
            col("number").eq(lit(f64::NAN)),
            (col("number") + lit(1i64)).eq(lit(5i64)),
            col("number").eq(col("number")),
            col("at").lt(lit(nanoseconds)),
            col("day").gt(lit(ScalarValue::Date32(Some(i32::MAX)))),
            col("unknown").eq(lit(5i64)),
            col("number").eq(lit(5i64)).or(col("text").lt(lit("a"))),
        ] {
            assert_eq!(pushed(filter.clone()), None, "{filter}");
        }
    }
}
