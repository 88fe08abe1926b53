//! How tightly `->` and `->>` bind: as in PostgreSQL, tighter than comparisons.
//!
//! The parser reads `a ->> 'b' = 'c'` as `a ->> ('b' = 'c')`. Parentheses that somebody wrote are nodes of their own in the
//! syntax tree, so that what has none can be put right.

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, visit_expressions_mut};

/// Puts all such expressions of a statement or condition right.
pub(super) fn bind_tightly(syntax: &mut impl VisitMut) {
    // Inner expressions come first.
    let _ = visit_expressions_mut(syntax, |expr| {
        if is_json(expr) {
            let whole = mem::replace(expr, null());
            *expr = bound(whole);
        }
        ControlFlow::<()>::Continue(())
    });
}

fn is_json(expr: &Expr) -> bool {
    use BinaryOperator::{Arrow, HashArrow, HashLongArrow, LongArrow};
    matches!(expr, Expr::BinaryOp { op: Arrow | LongArrow | HashArrow | HashLongArrow, .. })
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

/// `b -> c = d` is `(b -> c) = d`, and `a = b -> c` is `a = (b -> c)`.
fn bound(expr: Expr) -> Expr {
    let Expr::BinaryOp { left, op, mut right } = expr else { return expr };
    let mut left = *left;
    at_first(&mut right, &mut |key| {
        at_last(&mut left, &mut |from| {
            let (left, right) = (Box::new(from), Box::new(key.clone()));
            Expr::BinaryOp { left, op: op.clone(), right }
        });
        mem::replace(&mut left, null())
    });
    *right
}

/// Replaces the last operand of operators that bind less tightly.
fn at_last(expr: &mut Expr, by: &mut dyn FnMut(Expr) -> Expr) {
    match expr {
        Expr::BinaryOp { right, op, .. } if is_looser(op) || is_arithmetic(op) => at_last(right, by),
        last => *last = by(mem::replace(last, null())),
    }
}

/// Replaces the first operand of operators that bind less tightly.
fn at_first(expr: &mut Expr, by: &mut dyn FnMut(Expr) -> Expr) {
    match expr {
        Expr::BinaryOp { left, op, .. } if is_looser(op) => at_first(left, by),
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsDistinctFrom(inner, _)
        | Expr::IsNotDistinctFrom(inner, _)
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::SimilarTo { expr: inner, .. } => at_first(inner, by),
        first => *first = by(mem::replace(first, null())),
    }
}

fn is_looser(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, PGRegexIMatch, PGRegexMatch, StringConcat};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | StringConcat | PGRegexMatch | PGRegexIMatch)
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(sql: &str) -> Expr {
        Parser::new(&GenericDialect).try_with_sql(sql).unwrap().parse_expr().unwrap()
    }

    /// Shows where a node of the syntax tree begins and ends.
    fn shown(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shown(left), shown(right)),
            Expr::IsNull(inner) => format!("({} is null)", shown(inner)),
            Expr::InList { expr, .. } => format!("({} in)", shown(expr)),
            Expr::Nested(inner) => shown(inner),
            Expr::UnaryOp { op, expr } => format!("({op} {})", shown(expr)),
            other => other.to_string(),
        }
    }

    #[test]
    fn the_operators_bind_as_in_postgresql() {
        for (sql, expected) in [
            ("s ->> 'a' = 'x'", "((s ->> 'a') = 'x')"),
            ("'x' = s ->> 'a'", "('x' = (s ->> 'a'))"),
            ("s -> 'a' -> 0 ->> 'b' is null", "((((s -> 'a') -> 0) ->> 'b') is null)"),
            (
                "not s ->> 'a' in ('x') and s #>> '{a}' <> t ->> 'b'",
                "((NOT ((s ->> 'a') in)) AND ((s #>> '{a}') <> (t ->> 'b')))",
            ),
            ("x || s ->> 'a' = 'y'", "((x || (s ->> 'a')) = 'y')"),
            ("s ->> 'a' || 'b'", "((s ->> 'a') || 'b')"),
            ("s -> n + 1", "(s -> (n + 1))"),
            ("s ->> ('a' = 'x')", "(s ->> ('a' = 'x'))"),
            ("1 + cast(s ->> 'a' as int)", "(1 + CAST(s ->> 'a' AS INT))"),
        ] {
            let mut expr = parsed(sql);
            bind_tightly(&mut expr);
            assert_eq!(shown(&expr), expected, "{sql}");
        }
    }
}
