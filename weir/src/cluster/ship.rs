//! Makes of a plan one that other machines execute, or says why they cannot.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::DataSourceExec;
use datafusion::error::Result as QueryResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::window::PlainAggregateWindowExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::folder::JobRef;
use super::pass::{AwayPassExec, PassSpec};
use super::scan::{Piece, ScanExec, ScanSpec, table};
use crate::engine::{LeafSpec, as_leaf, hidden_functions};
use crate::error::{Error, Result};
use crate::format::split::Split;
use crate::function::told_of_aggregate;
use crate::plan::Stage;
use crate::stage::{is_guarded_below_exchange, unordered};

/// The parts of sources, by source.
pub(super) type Splits = HashMap<String, Arc<[Split]>>;

/// Why a plan is computed in this process, whatever its sources and sinks are.
pub(super) fn why_here(plan: &Arc<dyn ExecutionPlan>, session: &SessionState) -> QueryResult<Option<String>> {
    if is_guarded_below_exchange(plan) && unordered(plan).is_none() {
        let why = "its rows are brought together after a step that may reject some of them";
        return Ok(Some(why.to_owned()));
    }
    let hidden = hidden_functions();
    let mut why = None;
    plan.apply(|node| {
        why = why.take().or_else(|| why_node(node));
        node.apply_expressions(&mut |expr: &Arc<dyn PhysicalExpr>| {
            expr.apply(|expr| {
                let call = expr.downcast_ref::<ScalarFunctionExpr>();
                if let Some(call) = call.filter(|call| !is_known(call.fun(), session, &hidden)) {
                    why.get_or_insert_with(|| of_function(call.fun().name()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        let windows = node.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr);
        let windows = windows.or_else(|| node.downcast_ref::<BoundedWindowAggExec>().map(|node| node.window_expr()));
        let of_windows = windows.into_iter().flatten().filter_map(|expr| {
            Some(expr.as_any().downcast_ref::<PlainAggregateWindowExpr>()?.get_aggregate_expr().fun())
        });
        let aggregates = node.downcast_ref::<AggregateExec>().into_iter().flat_map(AggregateExec::aggr_expr);
        for function in aggregates.map(|expr| expr.fun()).chain(of_windows) {
            let known = session.aggregate_functions().get(function.name());
            if told_of_aggregate(function).is_none() && known.is_none_or(|known| known.as_ref() != function) {
                why.get_or_insert_with(|| of_function(function.name()));
            }
        }
        Ok(if why.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(why)
}

/// Whether an executor has the same function.
fn is_known(function: &ScalarUDF, session: &SessionState, hidden: &[ScalarUDF]) -> bool {
    let registered = session.scalar_functions().get(function.name());
    registered.is_some_and(|known| known.as_ref() == function)
        || hidden.contains(function)
        || crate::function::told(function).is_some()
}

fn of_function(name: &str) -> String {
    format!("it calls `{name}` in a form that no other machine knows")
}

fn why_node(node: &Arc<dyn ExecutionPlan>) -> Option<String> {
    if node.is::<ScalarSubqueryExec>() {
        return Some("it has a scalar subquery".to_owned());
    }
    if !node.children().is_empty() {
        return None;
    }
    let is_known = node.is::<EmptyExec>() || node.is::<PlaceholderRowExec>() || node.is::<DataSourceExec>();
    match as_leaf(node.as_ref()) {
        Some(leaf) if leaf.apart().is_none() => Some(format!("`{}` cannot be read elsewhere", leaf.name())),
        None if !is_known => Some(format!("`{}` cannot be read elsewhere", node.name())),
        _ => None,
    }
}

/// The sources that a plan scans.
pub(super) fn sources(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut sources = Vec::new();
    let all = plan.apply(|node| {
        if let Some(LeafSpec::Source { source, .. }) =
            as_leaf(node.as_ref()).and_then(|leaf| leaf.apart()).map(|of| of.spec)
            && !sources.contains(&source)
        {
            sources.push(source);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(all.is_ok());
    sources
}

/// The plan of the pass over a stage, or over its rows without an order, for other machines: one partition, whose rows are
/// receipts.
pub(super) fn shipped(
    plan: Arc<dyn ExecutionPlan>,
    (stage, is_unordered): (&Stage, bool),
    job: &JobRef,
    splits: &Splits,
    partitions: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let failed = |error| Error::query(&stage.table, error);
    let plan = plan.transform_up(|node| {
        let Some(leaf) = as_leaf(node.as_ref()) else { return Ok(Transformed::no(node)) };
        let unknown = || Error::internal(format!("`{}` cannot be read elsewhere", leaf.name()));
        let of = leaf.apart().ok_or_else(unknown)?;
        let pieces: Vec<Piece> = match &of.spec {
            LeafSpec::Source { source, .. } => {
                let splits = splits.get(source).ok_or_else(unknown)?;
                splits.iter().cloned().enumerate().map(|(number, split)| Piece::Split(number, split)).collect()
            }
            LeafSpec::Kept { .. } => of.files.into_iter().map(|(file, rows)| Piece::Kept(file, rows)).collect(),
        };
        let rows = match leaf.rows(None) {
            Precision::Exact(rows) => Some((rows, true)),
            Precision::Inexact(rows) => Some((rows, false)),
            Precision::Absent => None,
        };
        let spec = ScanSpec { job: job.clone(), leaf: of.spec, rows };
        let scan = ScanExec::new(spec, node.schema(), None, table(&pieces, partitions)?);
        Ok(Transformed::yes(Arc::new(scan) as Arc<dyn ExecutionPlan>))
    });
    let plan = plan.map_err(failed)?.data;
    let keep = stage.scratch.as_ref().and_then(|scratch| scratch.kept());
    let spec = PassSpec { job: job.clone(), table: stage.table.clone(), keep, is_unordered };
    let pass = Arc::new(AwayPassExec::new(spec, None, plan));
    // The receipts are not the last stage's own: of that the scheduler may return what a lost machine has written, too.
    Ok(Arc::new(CoalescePartitionsExec::new(pass)))
}
