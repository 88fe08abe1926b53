//! Keys and values as the SQL standard writes them: `json_object('id' value id null on null)` becomes `json_object('id', id)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArguments, JsonNullClause,
    VisitMut, visit_expressions_mut,
};

/// Replaces all of a statement or condition.
pub(super) fn separate(syntax: &mut impl VisitMut) {
    let _ = visit_expressions_mut(syntax, |expr| {
        if let Expr::Function(function) = expr
            && function.name.to_string().to_ascii_lowercase().starts_with("json")
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.args = std::mem::take(&mut list.args).into_iter().flat_map(pair).collect();
            let is_default = |clause: &FunctionArgumentClause| {
                matches!(clause, FunctionArgumentClause::JsonNullClause(JsonNullClause::NullOnNull))
            };
            list.clauses.retain(|clause| !is_default(clause));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The key and the value of an argument, or the argument.
fn pair(arg: FunctionArg) -> Vec<FunctionArg> {
    let unnamed = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    match arg {
        FunctionArg::ExprNamed { name, arg, operator: FunctionArgOperator::Value | FunctionArgOperator::Colon } => {
            vec![unnamed(name), FunctionArg::Unnamed(arg)]
        }
        FunctionArg::Named { name, arg, operator: FunctionArgOperator::Value | FunctionArgOperator::Colon } => {
            vec![unnamed(Expr::Identifier(name)), FunctionArg::Unnamed(arg)]
        }
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn a_key_and_its_value_are_two_arguments() {
        for (sql, expected) in [
            (
                "json_object('a' value b + 1, c value json_object('d' value e))",
                "json_object('a', b + 1, c, json_object('d', e))",
            ),
            ("json_objectagg(key value value null on null)", "json_objectagg(key, value)"),
            ("json_object_agg(key, value)", "json_object_agg(key, value)"),
            ("json_object('a', b null on null)", "json_object('a', b)"),
            ("json_object('a', b absent on null)", "json_object('a', b ABSENT ON NULL)"),
        ] {
            let mut expr = Parser::new(&GenericDialect).try_with_sql(sql).unwrap().parse_expr().unwrap();
            separate(&mut expr);
            assert_eq!(expr.to_string(), expected, "{sql}");
        }
    }
}
