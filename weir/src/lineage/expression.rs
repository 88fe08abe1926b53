//! What an expression depends on.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column as ColumnName, DFSchema};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Alias, Exists, InSubquery, SetComparison, Sort, WindowFunction,
    WindowFunctionParams,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Case, Expr, Subquery, WindowFunctionDefinition};

use super::kind::DependencyKind::{self, Aggregation, Conditional, Identity, Transformation, Window};
use super::kind::Origins;
use super::relation::{Column, Relation};
use super::{Named, Tracer, with_stack};

impl Tracer<'_> {
    /// What an expression over relations depends on.
    pub(super) fn expression(&mut self, expr: &Expr, over: &[Named<'_>]) -> Column {
        let mut column = Column::default();
        self.add(expr, Identity, over, &mut column);
        column
    }

    /// Adds what an expression depends on, of which a value is computed in this way.
    fn add(&mut self, expr: &Expr, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        with_stack(|| self.add_here(expr, kind, over, into));
    }

    fn add_here(&mut self, expr: &Expr, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        match expr {
            Expr::Column(column) => self.column(column, kind, over, into),
            Expr::OuterReferenceColumn(_, column) => self.outer_column(column, kind, into),
            Expr::Alias(Alias { expr, .. }) => self.add(expr, kind, over, into),
            Expr::Case(Case { expr, when_then_expr, else_expr }) => {
                let conditions = when_then_expr.iter().map(|(when, _)| when);
                let values = when_then_expr.iter().map(|(_, then)| then);
                self.add_all(expr.iter().chain(conditions).map(AsRef::as_ref), kind.max(Conditional), over, into);
                self.add_all(values.chain(else_expr).map(AsRef::as_ref), kind.max(Transformation), over, into);
            }
            Expr::AggregateFunction(function) => self.aggregate(function, kind, over, into),
            Expr::WindowFunction(function) => self.window(function, kind, over, into),
            Expr::ScalarSubquery(subquery) => self.subquery(subquery, kind.max(Transformation), over, into),
            Expr::InSubquery(InSubquery { expr, subquery, .. })
            | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
                self.add(expr, kind.max(Transformation), over, into);
                self.subquery(subquery, kind.max(Transformation), over, into);
            }
            Expr::Exists(Exists { subquery, .. }) => {
                let found = self.inside(subquery, over);
                into.presence.add(&found.rows);
            }
            // A variable of a lambda stands for an element of another argument of the same function.
            _ => {
                let walked = expr.apply_children(|inner| {
                    self.add(inner, kind.max(Transformation), over, into);
                    Ok(TreeNodeRecursion::Continue)
                });
                if walked.is_err() || is_wildcard(expr) {
                    self.unknown(&format!("expression {expr}"), over, into);
                }
            }
        }
    }

    fn add_all<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        kind: DependencyKind,
        over: &[Named<'_>],
        into: &mut Column,
    ) {
        exprs.into_iter().for_each(|expr| self.add(expr, kind, over, into));
    }

    /// A column, of whichever relation has one of the name.
    fn column(&mut self, column: &ColumnName, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        let mut is_found = false;
        for (schema, relation) in over {
            if let Some(found) = schema.maybe_index_of_column(column).and_then(|at| relation.columns.get(at)) {
                into.add_computed(found, kind);
                is_found = true;
            }
        }
        if !is_found {
            self.unknown(&format!("column {column}"), over, into);
        }
    }

    /// A column of a query around this one.
    fn outer_column(&mut self, column: &ColumnName, kind: DependencyKind, into: &mut Column) {
        for around in self.outer.iter().rev() {
            for (schema, relation) in around {
                if let Some(found) = schema.maybe_index_of_column(column).and_then(|at| relation.columns.get(at)) {
                    into.add_computed(found, kind);
                    return;
                }
            }
        }
        let all: Vec<Column> = self.outer.iter().flatten().map(|(_, relation)| relation.all()).collect();
        all.iter().for_each(|all| into.add_computed(all, DependencyKind::Unknown));
        self.untraced.insert(format!("outer column {column}"));
    }

    fn aggregate(&mut self, function: &AggregateFunction, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        let AggregateFunction { func, params } = function;
        let AggregateFunctionParams { args, filter, order_by, .. } = params;
        self.add_all(args, kind.max(Aggregation), over, into);
        self.add_all(filter.as_deref(), kind.max(Conditional), over, into);
        self.add_all(order_by.iter().map(|sort| &sort.expr), kind.max(Conditional), over, into);
        if func.order_sensitivity() != AggregateOrderSensitivity::Insensitive {
            add_orders(over, Conditional, &mut into.value);
        }
    }

    fn window(&mut self, function: &WindowFunction, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        let WindowFunctionParams { args, partition_by, order_by, filter, .. } = &function.params;
        let of_args = match function.fun {
            WindowFunctionDefinition::AggregateUDF(_) => Aggregation,
            WindowFunctionDefinition::WindowUDF(_) => Transformation,
        };
        self.add_all(args, kind.max(of_args), over, into);
        self.add_all(filter.as_deref(), kind.max(Conditional), over, into);
        let order = order_by.iter().map(|Sort { expr, .. }| expr);
        self.add_all(partition_by.iter().chain(order), kind.max(Window), over, into);
        // Where the window does not order rows they come as they are.
        add_orders(over, Window, &mut into.value);
    }

    /// The value of a subquery, and whether it has one.
    fn subquery(&mut self, subquery: &Subquery, kind: DependencyKind, over: &[Named<'_>], into: &mut Column) {
        let found = self.inside(subquery, over);
        found.columns.iter().for_each(|column| into.add_computed(column, kind));
        into.presence.add(&found.rows);
    }

    fn inside(&mut self, subquery: &Subquery, over: &[Named<'_>]) -> Relation {
        self.around(over, |tracer| tracer.relation(&subquery.subquery))
    }

    /// Traces what may refer to columns of relations around it.
    pub(super) fn around<T>(&mut self, over: &[Named<'_>], trace: impl FnOnce(&mut Self) -> T) -> T {
        let named = |(schema, relation): &Named<'_>| (DFSchema::clone(schema), Relation::clone(relation));
        self.outer.push(over.iter().map(named).collect());
        let traced = trace(self);
        self.outer.pop();
        traced
    }

    /// What is not understood depends on all that it can read.
    fn unknown(&mut self, what: &str, over: &[Named<'_>], into: &mut Column) {
        over.iter().for_each(|(_, relation)| into.add_computed(&relation.all(), DependencyKind::Unknown));
        self.untraced.insert(what.to_owned());
    }
}

/// Adds what orders the rows of relations.
fn add_orders(over: &[Named<'_>], kind: DependencyKind, into: &mut Origins) {
    over.iter().for_each(|(_, relation)| into.add_as(&relation.order, kind));
}

/// Analysed plans have none.
#[expect(deprecated)]
fn is_wildcard(expr: &Expr) -> bool {
    matches!(expr, Expr::Wildcard { .. })
}
