//! Column lineage: the columns that a column of a model depends on.
//!
//! `Tracer` reads one plan: for each of its columns it finds what the value is computed from, and for its rows what decides
//! whether they are there. `of_task` puts the models of a task together, so that each column is traced
//! to columns of sources, and [`Lineage`] is the result in a form that is shown and stored.
//!
//! The plan is the optimised one of a model, over tables without rows. It computes the same as the model, so that what it
//! does not read the model does not depend on: a condition that is always true with the parameters of the environment, a
//! column that a query inside selects and nobody uses. Optimising also turns most subqueries into joins. A model is planned
//! alone, not together with the models that it reads: a table of a task has one lineage, whoever reads it. All nodes can be
//! traced before they are optimised, too.
//!
//! What is no dependency: that a record of a source cannot be read, or a row cannot be computed, and is rejected therefore.
//! The lineage begins at the rows that were read. Of a rejected route it is one.

mod expression;
mod kind;
mod node;
mod relation;
mod result;
mod task;
mod unique;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

pub use kind::DependencyKind;
pub(crate) use relation::Relation;
pub use result::{
    ColumnLineage, Dependencies, Dependency, Lineage, SinkColumn, SinkLineage, SourceColumns, TableLineage,
};
pub(crate) use task::{Rejecting, SinkStep, Step, TaskSteps, of_task};

use std::collections::{BTreeSet, HashMap};

use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;

/// The tables that plans scan, by name.
pub(crate) type Tables = HashMap<String, Relation>;

/// A relation that expressions read, with the names of its columns.
type Named<'a> = (&'a DFSchema, &'a Relation);

/// Reads plans.
pub(crate) struct Tracer<'a> {
    tables: &'a Tables,
    /// The tables of recursive queries, as far as they are known.
    work: Tables,
    /// What subqueries refer to outside of them; the innermost last.
    outer: Vec<Vec<(DFSchema, Relation)>>,
    /// What could not be traced.
    untraced: BTreeSet<String>,
}

/// What a plan depends on.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) relation: Relation,
    /// The nodes and expressions that were not understood: their columns count as depending on all that is below.
    pub(crate) untraced: BTreeSet<String>,
}

impl<'a> Tracer<'a> {
    /// Traces a plan over tables. A table that is not among them is a function with constant arguments, which depends on
    /// nothing: a model reads no other tables than those of its task.
    pub(crate) fn trace(tables: &'a Tables, plan: &LogicalPlan) -> Traced {
        let mut tracer = Self { tables, work: Tables::new(), outer: vec![], untraced: BTreeSet::new() };
        let relation = tracer.relation(plan);
        Traced { relation, untraced: tracer.untraced }
    }
}

/// Deep plans and expressions are walked by recursion.
fn with_stack<T>(walk: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(256 << 10, 4 << 20, walk)
}
