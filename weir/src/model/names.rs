//! Every column of a model must have an explicit name.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, AccessExpr, Expr, FunctionArguments, SelectItem, SetExpr, Spanned as _};
use datafusion::sql::sqlparser::tokenizer::Span;

/// The first column of a select without a name of its own: its text and position.
pub(super) fn unnamed(statement: &Statement) -> Option<(String, Span)> {
    let unnamed = columns_of(statement)?.iter().find_map(|item| match item {
        SelectItem::UnnamedExpr(expr) if !is_column(expr) => Some(expr),
        _ => None,
    })?;
    Some((unnamed.to_string(), unnamed.span()))
}

/// The select list that names the columns of a statement.
pub(super) fn columns_of(statement: &Statement) -> Option<&[SelectItem]> {
    let Statement::Statement(statement) = statement else { return None };
    let ast::Statement::Query(query) = statement.as_ref() else { return None };
    columns(&query.body)
}

/// The select list that names the columns; for a union the first one.
fn columns(body: &SetExpr) -> Option<&[SelectItem]> {
    match body {
        SetExpr::Select(select) => Some(&select.projection),
        SetExpr::Query(query) => columns(&query.body),
        SetExpr::SetOperation { left, .. } => columns(left),
        _ => None,
    }
}

/// Whether an expression is a column reference, which keeps the column's name.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        // The parser reads `user` as a function; the planner looks for a column first.
        Expr::Function(function) => matches!(function.args, FunctionArguments::None),
        Expr::CompoundFieldAccess { access_chain, .. } => {
            access_chain.iter().all(|access| matches!(access, AccessExpr::Dot(_)))
        }
        _ => false,
    }
}

/// Whether the engine made a name of an expression's syntax tree: `Int64(1)`, `Utf8("a")`.
pub(super) fn is_made_up(name: &str) -> bool {
    const LITERALS: [&str; 7] = ["Int64(", "Utf8(", "Float64(", "Boolean(", "Decimal128(", "UInt64(", "NULL"];
    LITERALS.iter().any(|literal| name == *literal || literal.ends_with('(') && name.contains(literal))
}
