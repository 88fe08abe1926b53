//! Which texts are JSON, as the columns of a plan say it before it is optimised.
//!
//! The engine hands marks on: through projections, joins and models, and also where texts and JSON meet, as in a union: that is
//! refused. Marks are taken from the logical plan, before it is optimised.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Alias, ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{AggregateUDF, Cast, Expr, ExprSchemable, LogicalPlan, ScalarUDF};

use super::aggregate::JsonAggregate;
use super::build::Build;
use crate::task::is_json;

/// Tells the functions that build JSON which of their arguments are JSON.
#[derive(Debug)]
pub(crate) struct KnownDocuments;

impl FunctionRewrite for KnownDocuments {
    fn name(&self) -> &str {
        "known_documents"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let are_documents = |args: &[Expr]| args.iter().map(|arg| is_document(arg, schema)).collect::<Result<Vec<_>>>();
        match expr {
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                let function: &dyn Any = func.inner().as_ref();
                let known = match function.downcast_ref::<Build>() {
                    Some(build) => build.of_documents(are_documents(&args)?),
                    None => None,
                };
                let changed = known.is_some();
                let func = known.map_or(func, |build| Arc::new(ScalarUDF::from(build)));
                Ok(Transformed::new_transformed(Expr::ScalarFunction(ScalarFunction { func, args }), changed))
            }
            Expr::AggregateFunction(AggregateFunction { func, params }) => {
                let known = match (JsonAggregate::of(&func), params.args.last()) {
                    (Some(aggregate), Some(value)) => aggregate.of_documents(is_document(value, schema)?),
                    _ => None,
                };
                let changed = known.is_some();
                let func = known.map_or(func, |aggregate| Arc::new(AggregateUDF::from(aggregate)));
                Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), changed))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_document(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(is_json(&expr.to_field(schema)?.1))
}

/// Where a plan would take a text for JSON: what has the mark of one of two values, and the other is not JSON.
pub(crate) fn mistaken(plan: &LogicalPlan) -> Result<Option<&'static str>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Union(union) if mixes(&union.inputs) => {
                found = Some("a union has JSON and text in one column")
            }
            LogicalPlan::RecursiveQuery(query) => {
                let fields = query.static_term.schema().fields().iter().zip(query.recursive_term.schema().fields());
                if fields.into_iter().any(|(first, next)| is_json(first) && !is_json(next)) {
                    found = Some("a recursive query begins with JSON and goes on with text");
                }
            }
            LogicalPlan::Window(window) => {
                for expr in &window.window_expr {
                    if takes_default_for_json(expr, window.input.schema())? {
                        found = Some("the value is JSON, and what replaces it is text");
                    }
                }
            }
            _ => {}
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a column is JSON in one of some tables, and in another neither that nor null.
fn mixes(inputs: &[Arc<LogicalPlan>]) -> bool {
    let columns = inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or_default();
    let is_marked = |input: &LogicalPlan, column: usize| is_json(input.schema().field(column));
    (0..columns).any(|column| {
        let is_text = |input: &LogicalPlan| !is_marked(input, column) && !is_null(input, column);
        inputs.iter().any(|input| is_marked(input, column)) && inputs.iter().any(|input| is_text(input))
    })
}

/// Whether a column of a table is null in all rows, as the plan says it.
fn is_null(plan: &LogicalPlan, column: usize) -> bool {
    let LogicalPlan::Projection(projection) = plan else { return false };
    let mut expr = projection.expr.get(column);
    while let Some(Expr::Alias(Alias { expr: inner, .. }) | Expr::Cast(Cast { expr: inner, .. })) = expr {
        expr = Some(inner);
    }
    matches!(expr, Some(Expr::Literal(value, _)) if value.is_null())
}

/// Whether a window function, such as `lag(body, 1, 'none')`, has a default that is not JSON in place of JSON.
fn takes_default_for_json(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        if let Expr::WindowFunction(call) = expr
            && let WindowFunction { params, .. } = call.as_ref()
            && let [value, _, default] = &params.args[..]
            && !matches!(default, Expr::Literal(value, _) if ScalarValue::is_null(value))
        {
            found |= is_document(value, schema)? && !is_document(default, schema)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
