//! `x at time zone zone` becomes a call of the function that computes it as PostgreSQL does: to the engine it is a cast,
//! which gives a moment another label and never the time of its clocks.

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, TimezoneInfo,
    TypedString, Value, VisitMut, visit_expressions_mut,
};

use super::bind::call;
use crate::function::AT_TIME_ZONE;
use crate::task::SqlType;

/// Replaces all of a statement or condition.
pub(super) fn call_function(syntax: &mut impl VisitMut) {
    // Inner expressions come first.
    let _ = visit_expressions_mut(syntax, |expr| {
        if let Expr::AtTimeZone { timestamp, time_zone } = expr {
            let null = || Expr::value(Value::Null);
            let mut time = mem::replace(timestamp.as_mut(), null());
            let zone = mem::replace(time_zone.as_mut(), null());
            if is_moment(&time) {
                let kind = Value::SingleQuotedString(SqlType::TimestampTz.arrow().to_string());
                time = call("arrow_cast", vec![time, Expr::value(kind)]);
            }
            *expr = call(AT_TIME_ZONE, vec![time, zone]);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Whether an expression is a `timestamptz` in PostgreSQL for which the engine has a time without a zone, in UTC.
fn is_moment(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_moment(inner),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, .. } => is_moment(left),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
            matches!(data_type, DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz))
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            match name.as_str() {
                "now" | "current_timestamp" => true,
                "date_trunc" => args(function).get(1).is_some_and(|time| is_moment(time)),
                name => name.starts_with("to_timestamp"),
            }
        }
        _ => false,
    }
}

fn args(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    args.collect()
}
