//! Texts that SQL calls JSON: `cast(text as json)`, `text::json` and `json '{}'` become calls of the function that checks and
//! marks them. To the engine JSON is no type.
//!
//! So do the elements of arrays, `unnest(json_array_elements(body))`: the engine does not hand on what the items of a list are.

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, TypedString, Value, VisitMut,
    visit_expressions_mut,
};

use super::bind::call;
use crate::function::{PARSE_JSON, TRY_PARSE_JSON};

/// Replaces all of a statement or condition.
pub(super) fn call_function(syntax: &mut impl VisitMut) {
    // Inner expressions come first.
    let _ = visit_expressions_mut(syntax, |expr| {
        let function = match expr {
            Expr::Cast { data_type, kind, .. } if is_json(data_type) => match kind {
                CastKind::Cast | CastKind::DoubleColon => PARSE_JSON,
                CastKind::TryCast | CastKind::SafeCast => TRY_PARSE_JSON,
            },
            Expr::TypedString(TypedString { data_type, .. }) if is_json(data_type) => PARSE_JSON,
            Expr::Function(function) if unnests_elements(function) => PARSE_JSON,
            _ => return ControlFlow::<()>::Continue(()),
        };
        let text = match mem::replace(expr, Expr::value(Value::Null)) {
            Expr::Cast { expr, .. } => *expr,
            Expr::TypedString(TypedString { value, .. }) => Expr::Value(value),
            other => other,
        };
        *expr = call(function, vec![text]);
        ControlFlow::Continue(())
    });
}

fn is_json(kind: &DataType) -> bool {
    matches!(kind, DataType::JSON | DataType::JSONB)
}

/// Whether it is `unnest(json_array_elements(…))`.
fn unnests_elements(function: &Function) -> bool {
    let is = |function: &Function, names: &[&str]| {
        names.iter().any(|name| function.name.to_string().eq_ignore_ascii_case(name))
    };
    match only_arg(function) {
        Some(Expr::Function(list)) => is(function, &["unnest", "unnest_outer"]) && is(list, &["json_array_elements"]),
        _ => false,
    }
}

fn only_arg(function: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match &list.args[..] {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))] => Some(arg),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn json_is_a_function_of_text() {
        for (sql, expected) in [
            ("cast(a as json)", "parse_json(a)"),
            ("a::jsonb -> 'b'", "parse_json(a) -> 'b'"),
            ("json '{}'", "parse_json('{}')"),
            ("try_cast(lower(a::json) as json)", "try_parse_json(lower(parse_json(a)))"),
            ("cast(a as int)", "CAST(a AS INT)"),
            ("unnest(json_array_elements(a))", "parse_json(unnest(json_array_elements(a)))"),
            ("unnest(json_array_elements_text(a))", "unnest(json_array_elements_text(a))"),
        ] {
            let mut expr = Parser::new(&GenericDialect).try_with_sql(sql).unwrap().parse_expr().unwrap();
            call_function(&mut expr);
            assert_eq!(expr.to_string(), expected, "{sql}");
        }
    }
}
