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

use super::reading::{Compared, Reading};
use super::snapshot::Snapshot;

/// A condition for the server; `None` if it might miss rows there. `reading` knows the columns that can be compared.
pub(super) fn condition<'a, S: Snapshot>(
    filter: &Expr,
    reading: &dyn Fn(&str) -> Option<&'a Reading>,
) -> Option<String> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => reading(&column.name),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (condition::<S>(left, reading)?, condition::<S>(right, reading)?);
            Some(format!("({left} {} {right})", if *op == Operator::And { "and" } else { "or" }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (left, Expr::Literal(value, _)) => comparison::<S>(column(left)?, *op, value),
            (Expr::Literal(value, _), right) => comparison::<S>(column(right)?, op.swap()?, value),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) => match (&**low, &**high) {
            (Expr::Literal(low, _), Expr::Literal(high, _)) => {
                let low = comparison::<S>(column(expr)?, Operator::GtEq, low)?;
                let high = comparison::<S>(column(expr)?, Operator::LtEq, high)?;
                Some(format!("({low} and {high})"))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let column = column(expr)?;
            let value = |expr: &Expr| match expr {
                Expr::Literal(value, _) => constant::<S>(column.compared?, value),
                _ => None,
            };
            let values = list.iter().map(value).collect::<Option<Vec<_>>>()?;
            (!values.is_empty()).then(|| format!("{} in ({})", column.name, values.join(", ")))
        }
        Expr::IsNull(expr) => column(expr).map(|column| match column.sets_null {
            true => format!("{} is null", column.selected),
            false => format!("{} is null", column.name),
        }),
        Expr::IsNotNull(expr) => Some(format!("{} is not null", column(expr)?.name)),
        Expr::Column(_) => boolean::<S>(column(filter)?, true),
        Expr::Not(expr) => boolean::<S>(column(expr)?, false),
        _ => None,
    }
}

fn boolean<S: Snapshot>(column: &Reading, is: bool) -> Option<String> {
    let is_boolean = column.compared? == Compared::Boolean;
    is_boolean.then(|| comparison::<S>(column, Operator::Eq, &ScalarValue::Boolean(Some(is))))?
}

fn comparison<S: Snapshot>(column: &Reading, op: Operator, value: &ScalarValue) -> Option<String> {
    let compared = column.compared?;
    let op = match op {
        Operator::Eq => "=",
        _ if matches!(compared, Compared::Text | Compared::AsciiText) => return None,
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    };
    Some(format!("{} {op} {}", column.name, constant::<S>(compared, value)?))
}

fn constant<S: Snapshot>(compared: Compared, value: &ScalarValue) -> Option<String> {
    if value.is_null() { None } else { S::constant(compared, value) }
}

/// The digits of a number that is not null.
pub(in crate::source) fn digits(value: &ScalarValue) -> Option<String> {
    value.cast_to(&DataType::Utf8).ok()?.try_as_str()?.map(str::to_owned)
}

/// A date with a year of four digits.
pub(in crate::source) fn date(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Date32(Some(days)) => {
            Some(date32_to_datetime(*days).filter(is_usual)?.format("%Y-%m-%d").to_string())
        }
        _ => None,
    }
}

/// A time with microseconds, which is the precision of servers, and a year of four digits.
pub(in crate::source) fn time(value: &ScalarValue) -> Option<String> {
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
