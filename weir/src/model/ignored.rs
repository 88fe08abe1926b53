//! Clauses that the planner reads and leaves out: what has no effect is an error, as a mistyped key is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, TableFactor, Visit, Visitor};

/// The first such clause of a statement, and what to do about it.
pub(super) fn clause(statement: &impl Visit) -> Option<(&'static str, &'static str)> {
    match statement.visit(&mut Ignored) {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(()) => None,
    }
}

struct Ignored;

impl Visitor for Ignored {
    type Break = (&'static str, &'static str);

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        match query.locks.is_empty() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(("for update", "remove it: a run reads a snapshot, and changes no row of it")),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Self::Break> {
        match table {
            TableFactor::Table { sample: Some(_), .. } => {
                ControlFlow::Break(("tablesample", "write a condition, such as `where id % 10 = 0`, or `limit`"))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
