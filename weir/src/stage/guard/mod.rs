//! Rejecting the rows that cannot be computed, in place of failing the run.
//!
//! A division by zero, an overflow or a failed cast is an error of one row, and the engine fails the whole query with
//! it. The row-wise nodes at the top of a stage's plan are therefore guarded: they evaluate batches as the engine's own
//! nodes do, and only a batch that fails is taken apart. Below a join, an aggregate, a window or a limit a missing row
//! would silently change other rows, so nothing is guarded there, and an error fails the run.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::{BatchCoalescer, concat, concat_batches, filter_record_batch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::failed::FailedRows;
use crate::engine::{RowError, in_pieces};

/// A guarded node has the properties of the one in its place.
const SAME: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);

/// Guards the row-wise nodes of a stage's plan. The rows that they reject are the [`FailedRows`] of the context.
pub(crate) fn guard(plan: Arc<dyn ExecutionPlan>) -> QueryResult<Arc<dyn ExecutionPlan>> {
    descend(plan, None)
}

/// Whether a node would be guarded below an exchange between threads: other machines compute it apart from the pass.
pub(crate) fn is_guarded_below_exchange(plan: &Arc<dyn ExecutionPlan>) -> bool {
    is_guarded(plan, false)
}

/// Where the rows of such a plan can be kept, so that nothing is guarded below an exchange any more: the node, and whether the
/// rows that come out of it are those of the plan, in another order. None if there is no such node.
pub(crate) fn unordered(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let (mut node, mut is_merged, mut is_sorted) = (plan, false, false);
    while is_guarded_below_exchange(node) {
        let passes = Work::of(node).is_none() && node.fetch().is_none() && passed_inputs(node.as_ref()) == 1;
        (is_merged, is_sorted) =
            (is_merged || node.is::<SortPreservingMergeExec>(), is_sorted || node.is::<SortExec>());
        node = node.children().first().copied().filter(|_| passes)?;
    }
    // The order is made anew.
    while node.is::<SortExec>() && node.fetch().is_none() {
        is_sorted = true;
        node = node.children()[0];
    }
    // What is merged must be in order, and kept rows are not.
    (is_sorted || !is_merged).then_some(node)
}

fn is_guarded(plan: &Arc<dyn ExecutionPlan>, is_below: bool) -> bool {
    if plan.fetch().is_some() {
        return false;
    }
    let work = Work::of(plan);
    if work.as_ref().is_some_and(|work| is_below && work.can_fail()) {
        return true;
    }
    let is_below = is_below || is_exchange(plan.as_ref());
    let inputs = if work.is_some() { 1 } else { passed_inputs(plan.as_ref()) };
    // An input of a union that is one partition is computed apart from the others.
    let is_apart =
        |child: &Arc<dyn ExecutionPlan>| plan.is::<UnionExec>() && child.output_partitioning().partition_count() == 1;
    plan.children().into_iter().take(inputs).any(|child| is_guarded(child, is_below || is_apart(child)))
}

fn is_exchange(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<SortPreservingMergeExec>() || plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>()
}

/// How many of the inputs of a node have the rows that come out of it, unchanged.
fn passed_inputs(plan: &dyn ExecutionPlan) -> usize {
    let rows_pass = is_exchange(plan) || plan.is::<SortExec>() || plan.is::<UnionExec>();
    if rows_pass { plan.children().len() } else { usize::from(plan.is::<ScalarSubqueryExec>()) }
}

/// `above` is what the rows that come out of the plan go through on their way out of the stage.
fn descend(plan: Arc<dyn ExecutionPlan>, above: Option<Arc<Columns>>) -> QueryResult<Arc<dyn ExecutionPlan>> {
    if plan.fetch().is_some() {
        return Ok(plan);
    }
    let Some(work) = Work::of(&plan) else {
        let inputs = passed_inputs(plan.as_ref());
        if inputs == 0 {
            return Ok(plan);
        }
        let mut children: Vec<_> = plan.children().into_iter().cloned().collect();
        for child in &mut children[..inputs] {
            *child = descend(child.clone(), above.clone())?;
        }
        return plan.replace_children(children, SAME);
    };
    let columns = match &work {
        Work::Project(exprs) => Some(Arc::new(Columns::new(exprs.clone(), &plan.schema(), above))),
        Work::Filter { projection: None, .. } => above,
        Work::Filter { projection: Some(projection), .. } => {
            let schema = plan.children()[0].schema();
            let column = |i: &usize| Arc::new(Column::new(schema.field(*i).name(), *i)) as Arc<dyn PhysicalExpr>;
            Some(Arc::new(Columns::new(projection.iter().map(column).collect(), &plan.schema(), above)))
        }
    };
    let input = descend(plan.children()[0].clone(), columns.clone())?;
    let plan = plan.replace_children(vec![input], SAME)?;
    if !work.can_fail() {
        return Ok(plan);
    }
    Ok(Arc::new(GuardedExec { plan, guard: Arc::new(Guard { work, columns }) }))
}

/// The columns that a projection makes, and what they go through after it.
#[derive(Debug)]
struct Columns {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// What it makes of failing rows, where any value can be missing.
    schema: SchemaRef,
    above: Option<Arc<Columns>>,
}

impl Columns {
    fn new(exprs: Vec<Arc<dyn PhysicalExpr>>, schema: &Schema, above: Option<Arc<Columns>>) -> Self {
        let nullable = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let schema = Arc::new(Schema::new(schema.fields().iter().map(nullable).collect::<Vec<_>>()));
        Self { exprs, schema, above }
    }

    /// The columns as they leave the stage, of rows that fail here; null where they cannot be computed.
    fn of(&self, batch: &RecordBatch) -> QueryResult<Vec<ArrayRef>> {
        let columns: Vec<ArrayRef> = self
            .exprs
            .iter()
            .zip(self.schema.fields())
            .map(|(expr, field)| value_or_null(expr, field, batch))
            .collect::<QueryResult<_>>()?;
        match &self.above {
            None => Ok(columns),
            Some(above) => above.of(&with_rows(self.schema.clone(), columns, batch.num_rows())?),
        }
    }
}

fn value_or_null(expr: &Arc<dyn PhysicalExpr>, field: &Field, batch: &RecordBatch) -> QueryResult<ArrayRef> {
    let rows = batch.num_rows();
    match expr.evaluate(batch).and_then(|value| value.into_array(rows)) {
        Ok(values) => Ok(values),
        Err(_) if rows <= 1 => Ok(new_null_array(field.data_type(), rows)),
        Err(_) => {
            let (first, second) = (batch.slice(0, rows / 2), batch.slice(rows / 2, rows - rows / 2));
            let (first, second) = (value_or_null(expr, field, &first)?, value_or_null(expr, field, &second)?);
            Ok(concat(&[&first, &second])?)
        }
    }
}

fn with_rows(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> QueryResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// What a guarded node does.
#[derive(Debug)]
enum Work {
    Project(Vec<Arc<dyn PhysicalExpr>>),
    Filter { predicate: Arc<dyn PhysicalExpr>, projection: Option<Vec<usize>>, batch_size: usize },
}

impl Work {
    /// That of a node, if it computes each row for itself.
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(node) = plan.downcast_ref::<ProjectionExec>() {
            return Some(Self::Project(node.expr().iter().map(|projected| projected.expr.clone()).collect()));
        }
        let node = plan.downcast_ref::<FilterExec>()?;
        Some(Self::Filter {
            predicate: node.predicate().clone(),
            projection: node.projection().as_ref().map(|columns| columns.to_vec()),
            batch_size: node.batch_size(),
        })
    }

    fn can_fail(&self) -> bool {
        let computes = |expr: &Arc<dyn PhysicalExpr>| !expr.is::<Column>() && !expr.is::<Literal>();
        match self {
            Self::Project(exprs) => exprs.iter().any(computes),
            Self::Filter { predicate, .. } => computes(predicate),
        }
    }
}

#[derive(Debug)]
struct Guard {
    work: Work,
    /// From the node's input to the stage's columns; none if they are the same.
    columns: Option<Arc<Columns>>,
}

impl Guard {
    /// Computes a batch; rows that cannot be are sent away, and what could be computed is joined. With the batch without them.
    fn compute<T>(
        &self,
        batch: &RecordBatch,
        failed: &FailedRows,
        compute: impl Fn(&RecordBatch) -> QueryResult<T>,
        join: impl Fn(&[T]) -> QueryResult<T>,
    ) -> QueryResult<(T, Option<RecordBatch>)> {
        match compute(batch) {
            Ok(computed) => Ok((computed, None)),
            Err(error) => {
                let (computed, good) = self.reject(batch, error, failed, &compute)?;
                let computed = if computed.is_empty() { compute(&good)? } else { join(&computed)? };
                Ok((computed, Some(good)))
            }
        }
    }

    /// Sends the failing rows away; returns what is computed of the others, and those.
    fn reject<T>(
        &self,
        batch: &RecordBatch,
        error: DataFusionError,
        failed: &FailedRows,
        compute: impl Fn(&RecordBatch) -> QueryResult<T>,
    ) -> QueryResult<(Vec<T>, RecordBatch)> {
        let is_lost = RowError::of(&error).is_some() && !failed.is_connected();
        let unrouted = is_lost.then(|| failed.unrouted(&error));
        let pieces = in_pieces(batch, error, compute)?;
        if pieces.failing.is_empty() {
            return Ok((pieces.computed, batch.clone()));
        }
        if let Some(unrouted) = unrouted {
            return Err(unrouted.into());
        }
        let mut fails = vec![false; batch.num_rows()];
        let mut errors = Vec::new();
        for (row, error) in pieces.failing {
            fails[row] = true;
            errors.push(error);
        }
        let passes = BooleanArray::from_iter(fails.iter().map(|fails| Some(!fails)));
        let bad = filter_record_batch(batch, &BooleanArray::from(fails))?;
        let columns = self.columns.as_ref().map_or_else(|| Ok(bad.columns().to_vec()), |columns| columns.of(&bad))?;
        failed.send(columns, &errors)?;
        Ok((pieces.computed, filter_record_batch(batch, &passes)?))
    }
}

/// A projection or a filter that rejects the rows which it cannot compute.
#[derive(Debug)]
struct GuardedExec {
    /// The node as it was planned: what it says of its rows holds.
    plan: Arc<dyn ExecutionPlan>,
    guard: Arc<Guard>,
}

impl DisplayAs for GuardedExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt_as(format, f)
    }
}

impl ExecutionPlan for GuardedExec {
    fn name(&self) -> &str {
        "GuardedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.plan.maintains_input_order()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.plan.children()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let plan = self.plan.clone().replace_children(children, options)?;
        Ok(Arc::new(Self { plan, guard: self.guard.clone() }))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        self.plan.apply_expressions(f)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.plan.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> QueryResult<Arc<Statistics>> {
        self.plan.statistics_from_inputs(inputs, args)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let failed = FailedRows::of(&context)?;
        let input = self.plan.children()[0].execute(partition, context)?;
        let schema = self.plan.schema();
        let guard = self.guard.clone();
        match &self.guard.work {
            Work::Project(_) => {
                let out = schema.clone();
                let batches = input.map(move |batch| guard.project(&batch?, &failed, &out));
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
            }
            Work::Filter { batch_size, .. } => {
                let batches =
                    guard.filtered(input, failed, BatchCoalescer::new(schema.clone(), *batch_size), *batch_size);
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
            }
        }
    }
}

impl Guard {
    fn project(&self, batch: &RecordBatch, failed: &FailedRows, schema: &SchemaRef) -> QueryResult<RecordBatch> {
        let Work::Project(exprs) = &self.work else { return Ok(batch.clone()) };
        let project = |batch: &RecordBatch| {
            let rows = batch.num_rows();
            let column = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(rows);
            with_rows(schema.clone(), exprs.iter().map(column).collect::<QueryResult<_>>()?, rows)
        };
        let join = |pieces: &[RecordBatch]| Ok(concat_batches(schema, pieces)?);
        Ok(self.compute(batch, failed, project, join)?.0)
    }

    /// The rows that pass, in batches of about the size that the engine's own filter gives.
    fn filtered(
        self: Arc<Self>,
        input: SendableRecordBatchStream,
        failed: Arc<FailedRows>,
        coalescer: BatchCoalescer,
        batch_size: usize,
    ) -> impl futures::Stream<Item = QueryResult<RecordBatch>> {
        let coalescer = coalescer.with_biggest_coalesce_batch_size(Some(batch_size / 2));
        let start = (self, failed, Some(input), coalescer);
        futures::stream::try_unfold(start, |(guard, failed, mut input, mut coalescer)| async move {
            loop {
                if let Some(batch) = coalescer.next_completed_batch() {
                    return Ok(Some((batch, (guard, failed, input, coalescer))));
                }
                let Some(batches) = &mut input else { return Ok(None) };
                match batches.try_next().await? {
                    Some(batch) => coalescer.push_batch(guard.filter(batch, &failed)?)?,
                    None => {
                        coalescer.finish_buffered_batch()?;
                        input = None; // what the input holds is not needed while the last rows are worked on
                    }
                }
            }
        })
    }

    fn filter(&self, batch: RecordBatch, failed: &FailedRows) -> QueryResult<RecordBatch> {
        let Work::Filter { predicate, projection, .. } = &self.work else { return Ok(batch) };
        let ask = |batch: &RecordBatch| predicate.evaluate(batch)?.into_array(batch.num_rows());
        let join = |pieces: &[ArrayRef]| Ok(concat(&pieces.iter().map(AsRef::as_ref).collect::<Vec<_>>())?);
        let (passes, good) = self.compute(&batch, failed, ask, join)?;
        let batch = good.unwrap_or(batch);
        let batch = projection.as_ref().map_or_else(|| Ok(batch.clone()), |columns| batch.project(columns))?;
        Ok(filter_record_batch(&batch, passes.as_boolean())?)
    }
}
