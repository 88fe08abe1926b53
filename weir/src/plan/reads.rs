//! What stages read of each other: which rows are streamed from one into the other, and which columns of others are kept.

use std::collections::{BTreeSet, HashMap};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::BoundStage;
use crate::engine;

/// What others read of a stage.
#[derive(Debug, Default)]
struct Reads {
    /// The positions of the columns.
    columns: BTreeSet<usize>,
    scans: usize,
    /// The stage, by its position, that can take the rows as they come.
    streams_to: Option<usize>,
}

/// Moves each stage whose rows can be streamed to its only reader, if rows are; has the others keep only the columns that are read.
pub(super) fn connect(context: &SessionContext, stages: Vec<BoundStage>, streams: bool) -> Vec<BoundStage> {
    let Some(reads) = reads(context, &stages) else { return stages };
    let mut stages: Vec<Option<BoundStage>> = stages.into_iter().map(Some).collect();
    for number in 0..stages.len() {
        let Some(bound) = &stages[number] else { continue };
        let (Some(scratch), Some(of)) = (&bound.stage.scratch, reads.get(&bound.stage.table)) else { continue };
        let Some(reader) = of.streams_to.filter(|reader| streams && of.scans == 1 && *reader > number) else {
            scratch.keep(of.columns.iter().copied().collect());
            continue;
        };
        let (mut bound, Some(reader)) = (stages[number].take(), stages[reader].as_mut()) else { continue };
        if let Some(bound) = &mut bound {
            bound.streams_to = Some(reader.stage.table.clone());
            reader.streamed.append(&mut bound.streamed);
        }
        reader.streamed.extend(bound);
    }
    stages.into_iter().flatten().collect()
}

/// What the stages read of each other, by table. What cannot be planned is told, with its place, when it is computed.
fn reads(context: &SessionContext, stages: &[BoundStage]) -> Option<HashMap<String, Reads>> {
    let mut reads: HashMap<String, Reads> = HashMap::new();
    for (number, BoundStage { stage, query, .. }) in stages.iter().enumerate() {
        let plan = engine::state(context).optimize(query).ok()?;
        let add = |node: &LogicalPlan| {
            // A source that is kept is read by its own stage, too.
            if let LogicalPlan::TableScan(scan) = node
                && scan.table_name.table() != stage.table
            {
                let of = reads.entry(scan.table_name.table().to_owned()).or_default();
                let all = || (0..scan.source.schema().fields().len()).collect();
                of.columns.extend(scan.projection.clone().unwrap_or_else(all));
                of.scans += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        };
        plan.apply_with_subqueries(add).ok()?;
        for table in streamable(&plan) {
            if let Some(of) = reads.get_mut(table) {
                of.streams_to = Some(number);
            }
        }
    }
    Some(reads)
}

/// The tables that a plan can take row by row. A table below a join is kept: then it is known how many rows it has, and the
/// join is built on its smaller side.
fn streamable(plan: &LogicalPlan) -> Vec<&str> {
    match plan {
        LogicalPlan::TableScan(scan) => vec![scan.table_name.table()],
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::SubqueryAlias(_) => plan.inputs().into_iter().flat_map(streamable).collect(),
        _ => vec![],
    }
}
