//! How deep a statement is nested: `a or b or c` is nested as deep as it has terms, and plans are walked by recursion.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Visit, Visitor};

/// More would take minutes to plan, and more stack than there is.
pub(super) const MAX_DEPTH: usize = 10_000;

/// The depth of a statement.
pub(super) fn depth(syntax: &impl Visit) -> usize {
    let mut depth = Depth::default();
    let _ = syntax.visit(&mut depth);
    depth.deepest
}

#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut body = &query.body;
        // Each may read the one before.
        let mut terms = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        while let SetExpr::SetOperation { left, .. } = body.as_ref() {
            (body, terms) = (left, terms + 1);
        }
        self.deepest = self.deepest.max(self.now + terms);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.now += 1;
        self.deepest = self.deepest.max(self.now);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.now -= 1;
        ControlFlow::Continue(())
    }
}
