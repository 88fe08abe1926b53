//! Conditions of a task: SQL over the columns of one table.

use std::fmt;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{self, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{TOO_MANY_TERMS, bind, depth, help, json_casts, json_operators, json_pairs, message_and_span, time_zones};
use crate::error::TaskError;
use crate::task::Task;

/// What is wrong with a condition, and what to do about it.
#[derive(Debug)]
pub(crate) struct WrongCondition {
    message: String,
    help: Option<String>,
}

impl From<String> for WrongCondition {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

impl fmt::Display for WrongCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl WrongCondition {
    /// Adds what to do to an error that has the message.
    pub(crate) fn help(&self, error: TaskError) -> TaskError {
        match &self.help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }
}

/// A condition of a rule, over the columns of `schema`. The error describes the condition, not its position.
pub(crate) fn condition(
    task: &Task,
    session: &SessionState,
    schema: &SchemaRef,
    sql: &str,
) -> Result<Expr, WrongCondition> {
    let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let with_help = |message: String| WrongCondition { help: help::of(&message, &columns), message };
    let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(|error| error.to_string())?;
    let mut parser = Parser::new(&GenericDialect).try_with_sql(sql).map_err(|error| error.to_string())?;
    let mut syntax = parser.parse_expr_with_alias().map_err(|error| with_help(error.to_string()))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(format!("unexpected `{}` in `{sql}`", rest.token).into());
    }
    let depth = depth::depth(&syntax.expr);
    if depth > depth::MAX_DEPTH {
        return Err(format!("the condition has a chain of {depth} terms: {TOO_MANY_TERMS}").into());
    }
    if let Some(subquery) = subquery(&syntax.expr) {
        return Err(WrongCondition { message: ABOUT_ONE_ROW.to_owned(), help: rule_instead(&subquery) });
    }
    json_operators::bind_tightly(&mut syntax.expr);
    json_pairs::separate(&mut syntax.expr);
    json_casts::call_function(&mut syntax.expr);
    time_zones::call_function(&mut syntax.expr);
    bind::bind(&mut syntax.expr, &task.params).map_err(|unknown| format!("unknown parameter `${}`", unknown.name))?;
    let expr = session.create_logical_expr_from_sql_expr(syntax, &schema);
    let expr = expr.map_err(|error| with_help(message_and_span(&error).0))?;
    let mut aggregate = false;
    let walked = expr.apply(|expr| {
        aggregate |= matches!(expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_));
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| error.to_string())?;
    if aggregate {
        return Err(ABOUT_ONE_ROW.to_owned().into());
    }
    Ok(expr)
}

const ABOUT_ONE_ROW: &str =
    "a rule is about one row: move subqueries, aggregates and windows into the model, as a column";

/// The first subquery of a condition.
fn subquery(condition: &ast::Expr) -> Option<ast::Expr> {
    let found = visit_expressions(condition, |expr| match expr {
        ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => {
            ControlFlow::Break(expr.clone())
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(subquery) => Some(subquery),
        ControlFlow::Continue(()) => None,
    }
}

/// The rule that looks a value up in another table, in place of a subquery that does.
fn rule_instead(subquery: &ast::Expr) -> Option<String> {
    let names = match subquery {
        ast::Expr::InSubquery { expr, subquery, negated: false } => column(expr).zip(key(subquery)),
        ast::Expr::Exists { negated: false, .. } => None,
        _ => return None,
    };
    Some(match names {
        Some((column, key)) => format!("write the rule {{in: {{{column}: {key}}}}}"),
        None => "the rule {in: {column: table.key}} looks a value up in another table".to_owned(),
    })
}

/// The name of a column, if the expression is one, in any table.
fn column(expr: &ast::Expr) -> Option<String> {
    match expr {
        ast::Expr::Identifier(name) => Some(name.value.clone()),
        ast::Expr::CompoundIdentifier(names) => Some(names.last()?.value.clone()),
        _ => None,
    }
}

/// `table.column` of a query that is no more than `select column from table`.
fn key(query: &ast::Query) -> Option<String> {
    let ast::SetExpr::Select(select) = query.body.as_ref() else { return None };
    let ([ast::SelectItem::UnnamedExpr(expr)], [from], None) =
        (&select.projection[..], &select.from[..], &select.selection)
    else {
        return None;
    };
    let (ast::TableFactor::Table { name, .. }, []) = (&from.relation, &from.joins[..]) else { return None };
    Some(format!("{name}.{}", column(expr)?))
}
