//! What the nodes of a plan depend on.

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Join, JoinType, LogicalPlan, RecursiveQuery, TableScan, Unnest, Values,
};

use super::kind::DependencyKind;
use super::relation::{Column, Relation};
use super::unique::is_unique;
use super::{Tracer, with_stack};

impl Tracer<'_> {
    /// What a plan depends on.
    pub(super) fn relation(&mut self, plan: &LogicalPlan) -> Relation {
        let relation = with_stack(|| self.node(plan));
        // Every node has the columns of its schema; if this reading has not, it is wrong.
        match relation.columns.len() == plan.schema().fields().len() {
            true => relation,
            false => self.untraced(plan),
        }
    }

    fn node(&mut self, plan: &LogicalPlan) -> Relation {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => {
                let input = self.relation(&projection.input);
                let over = [(projection.input.schema().as_ref(), &input)];
                let columns = projection.expr.iter().map(|expr| self.expression(expr, &over)).collect();
                Relation { columns, ..input }
            }
            LogicalPlan::Filter(filter) => {
                let mut relation = self.relation(&filter.input);
                let schema = filter.input.schema().as_ref();
                self.depend_on(&mut relation, schema, [&filter.predicate], DependencyKind::Filter);
                relation
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate),
            LogicalPlan::Window(window) => {
                let mut relation = self.relation(&window.input);
                let over = [(window.input.schema().as_ref(), &relation)];
                let computed: Vec<Column> =
                    window.window_expr.iter().map(|expr| self.expression(expr, &over)).collect();
                relation.columns.extend(computed);
                relation
            }
            LogicalPlan::Sort(sort) => {
                let mut relation = self.relation(&sort.input);
                let over = [(sort.input.schema().as_ref(), &relation)];
                let keys: Vec<Column> = sort.expr.iter().map(|key| self.expression(&key.expr, &over)).collect();
                for key in &keys {
                    relation.order.add_as(&key.value, DependencyKind::Sort);
                    relation.order.add(&key.presence);
                }
                if sort.fetch.is_some() {
                    relation.cut();
                }
                relation
            }
            LogicalPlan::Limit(limit) => {
                let mut relation = self.relation(&limit.input);
                let schema = limit.input.schema().as_ref();
                let numbers = limit.skip.iter().chain(&limit.fetch).map(AsRef::as_ref);
                self.depend_on(&mut relation, schema, numbers, DependencyKind::Filter);
                relation.cut();
                relation
            }
            LogicalPlan::Distinct(Distinct::All(input)) => self.relation(input).distinct(),
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct),
            LogicalPlan::Union(union) => {
                let inputs: Vec<Relation> = union.inputs.iter().map(|input| self.relation(input)).collect();
                let none = Relation::constant(union.schema.fields().len());
                inputs.iter().fold(none, Relation::union)
            }
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input),
            LogicalPlan::Subquery(subquery) => self.relation(&subquery.subquery),
            LogicalPlan::Repartition(repartition) => self.relation(&repartition.input),
            LogicalPlan::EmptyRelation(empty) => Relation::constant(empty.schema.fields().len()),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::RecursiveQuery(query) => self.recursive(query),
            LogicalPlan::Extension(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => self.untraced(plan),
        }
    }

    /// The rows of a relation depend on expressions over its columns.
    fn depend_on<'e>(
        &mut self,
        relation: &mut Relation,
        schema: &DFSchema,
        exprs: impl IntoIterator<Item = &'e Expr>,
        kind: DependencyKind,
    ) {
        for expr in exprs {
            let read = self.expression(expr, &[(schema, &*relation)]);
            relation.depend_on(&read, kind);
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Relation {
        let schema = scan.source.schema();
        let name = scan.table_name.table();
        let is_work = source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<CteWorkTable>());
        let table = if is_work { self.work.get(name) } else { self.tables.get(name) };
        let mut relation = match (table, scan.source.get_logical_plan()) {
            (_, Some(view)) => self.relation(&view),
            (Some(table), None) => table.clone(),
            (None, None) => Relation::constant(schema.fields().len()),
        };
        if !scan.filters.is_empty() {
            match DFSchema::try_from_qualified_schema(scan.table_name.clone(), &schema) {
                Ok(schema) => self.depend_on(&mut relation, &schema, &scan.filters, DependencyKind::Filter),
                Err(_) => return Relation::default(), // it has not the columns of the node, which is noticed
            }
        }
        if scan.fetch.is_some() {
            relation.cut();
        }
        if let Some(projection) = &scan.projection {
            let columns = projection.iter().filter_map(|at| relation.columns.get(*at).cloned()).collect();
            relation.columns = columns;
        }
        relation
    }

    fn join(&mut self, join: &Join) -> Relation {
        let Join { left: left_plan, right: right_plan, on, filter, join_type, .. } = join;
        let left_schema = left_plan.schema().as_ref();
        let mut left = self.relation(left_plan);
        // A lateral join: the right side may refer to columns of the left one.
        let mut right = self.around(&[(left_schema, &left)], |tracer| tracer.relation(right_plan));
        let over = [(left_schema, &left), (right_plan.schema().as_ref(), &right)];
        let mut conditions = Column::default();
        let equal = on.iter().flat_map(|(left, right)| [left, right]);
        for expr in equal.chain(filter) {
            conditions.add_computed(&self.expression(expr, &over), DependencyKind::Transformation);
        }
        match join_type {
            // Whether a row has partners is the value of one more column.
            JoinType::LeftMark => marked(left, &right, conditions),
            JoinType::RightMark => marked(right, &left, conditions),
            JoinType::LeftSemi | JoinType::LeftAnti => joined(left, &right, &conditions),
            JoinType::RightSemi | JoinType::RightAnti => joined(right, &left, &conditions),
            // Every row of one side is there once, with one partner or none.
            JoinType::Left if is_unique(right_plan, on.iter().map(|(_, right)| right)) => {
                right.become_optional(&conditions);
                left.columns.append(&mut right.columns);
                left
            }
            JoinType::Right if is_unique(left_plan, on.iter().map(|(left, _)| left)) => {
                left.become_optional(&conditions);
                right.columns.splice(0..0, left.columns);
                right
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                left.columns.append(&mut right.columns);
                joined(left, &right, &conditions)
            }
        }
    }

    fn aggregated(&mut self, aggregate: &Aggregate) -> Relation {
        let input = self.relation(&aggregate.input);
        let over = [(aggregate.input.schema().as_ref(), &input)];
        // Of grouping sets: all of their columns, then the number of the set.
        let Ok(groups) = grouping_set_to_exprlist(&aggregate.group_expr) else { return Relation::default() };
        let groups: Vec<Column> = groups.iter().map(|expr| self.expression(expr, &over)).collect();
        let number = matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]).then(Column::default);
        let values: Vec<Column> = aggregate.aggr_expr.iter().map(|expr| self.expression(expr, &over)).collect();
        let mut relation = Relation { rows: input.rows, ..Relation::default() };
        groups.iter().for_each(|group| relation.depend_on(group, DependencyKind::GroupBy));
        relation.columns = groups.into_iter().chain(number).chain(values).collect();
        relation
    }

    fn distinct_on(&mut self, distinct: &DistinctOn) -> Relation {
        let DistinctOn { on_expr, select_expr, sort_expr, input, .. } = distinct;
        let schema = input.schema().as_ref();
        let mut relation = self.relation(input);
        relation.cut();
        self.depend_on(&mut relation, schema, on_expr, DependencyKind::GroupBy);
        let sorted = sort_expr.iter().flatten().map(|sort| &sort.expr);
        self.depend_on(&mut relation, schema, sorted, DependencyKind::Sort);
        let columns = select_expr.iter().map(|expr| self.expression(expr, &[(schema, &relation)])).collect();
        Relation { columns, ..relation }
    }

    fn values(&mut self, values: &Values) -> Relation {
        let mut relation = Relation::constant(values.schema.fields().len());
        for row in &values.values {
            for (column, expr) in relation.columns.iter_mut().zip(row) {
                column.add_computed(&self.expression(expr, &[]), DependencyKind::Identity);
            }
        }
        relation
    }

    fn unnest(&mut self, unnest: &Unnest) -> Relation {
        let mut input = self.relation(&unnest.input);
        let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
        for list in lists.iter().filter_map(|at| input.columns.get(*at)).cloned().collect::<Vec<_>>() {
            input.depend_on(&list, DependencyKind::Unnest);
        }
        let column = |at: &usize| {
            let is_taken_apart = lists.contains(at) || unnest.struct_type_columns.contains(at);
            let kind = if is_taken_apart { DependencyKind::Transformation } else { DependencyKind::Identity };
            let mut column = Column::default();
            column.add_computed(input.columns.get(*at)?, kind);
            Some(column)
        };
        let columns = unnest.dependency_indices.iter().filter_map(column).collect();
        Relation { columns, ..input }
    }

    /// What the rows of one step depend on, the next step reads: until nothing is added.
    fn recursive(&mut self, query: &RecursiveQuery) -> Relation {
        let mut all = self.relation(&query.static_term);
        loop {
            let around = self.work.insert(query.name.clone(), all.clone());
            let step = self.relation(&query.recursive_term);
            match around {
                Some(around) => self.work.insert(query.name.clone(), around),
                None => self.work.remove(&query.name),
            };
            let more = all.clone().union(&step);
            if more == all {
                return if query.is_distinct { all.distinct() } else { all };
            }
            all = more;
        }
    }

    /// A node that is not understood: each of its columns depends on all that is below it.
    fn untraced(&mut self, plan: &LogicalPlan) -> Relation {
        let mut below: Vec<Relation> = plan.inputs().into_iter().map(|input| self.relation(input)).collect();
        let over: Vec<Relation> = below.clone();
        let inputs = plan.inputs();
        let named: Vec<_> = inputs.iter().map(|input| input.schema().as_ref()).zip(&over).collect();
        let walked = plan.apply_subqueries(|subquery| {
            below.push(self.around(&named, |tracer| tracer.relation(subquery)));
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the walk itself fails never");
        let mut all = Column::default();
        below.iter().for_each(|relation| all.add_computed(&relation.all(), DependencyKind::Unknown));
        let mut relation = Relation::default();
        relation.depend_on(&all, DependencyKind::Unknown);
        relation.columns = vec![all; plan.schema().fields().len()];
        self.untraced.insert(name(plan));
        relation
    }
}

/// Rows that are there, or are repeated, because of the rows of another relation.
fn joined(mut relation: Relation, other: &Relation, conditions: &Column) -> Relation {
    relation.add_rows(other);
    relation.depend_on(conditions, DependencyKind::Join);
    relation
}

/// Rows with a column that says whether there are rows of another relation for them.
fn marked(mut relation: Relation, other: &Relation, conditions: Column) -> Relation {
    let mut mark = conditions;
    mark.presence.add(&other.rows);
    relation.columns.push(mark);
    relation
}

/// The name of a node.
fn name(plan: &LogicalPlan) -> String {
    match plan {
        LogicalPlan::Extension(extension) => format!("node {}", extension.node.name()),
        other => {
            let shown = other.display().to_string();
            format!("node {}", shown.split([' ', ':']).next().unwrap_or_default())
        }
    }
}
