//! The lineage of every kind of plan node, column by column: of SQL in `sql`, here of what SQL has none of.

mod sql;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchemaRef, Result as QueryResult};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{
    Expr, Extension, InvariantLevel, LogicalPlan, LogicalPlanBuilder, Partitioning, UserDefinedLogicalNodeCore,
};
use datafusion::prelude::{SessionContext, col};

use super::kind::{Kinds, Origin, Origins};
use super::*;
use crate::engine::{self, Resources};

/// Tables, and the names of their columns by number.
pub(super) struct Names {
    pub(super) tables: Tables,
    pub(super) names: Vec<String>,
}

impl Names {
    pub(super) fn of(schemas: &[(&str, SchemaRef)]) -> Self {
        let (mut tables, mut names) = (Tables::new(), vec![]);
        for (name, schema) in schemas {
            let first = names.len();
            names.extend(schema.fields().iter().map(|field| format!("{name}.{}", field.name())));
            tables.insert((*name).to_owned(), Relation::of_origins((first..names.len()).map(|at| at as Origin)));
        }
        Self { tables, names }
    }

    /// Each column with its kinds: `t.a identity, u.x filter+join`.
    fn shown(&self, origins: &Origins) -> String {
        let one = |(origin, kinds): (Origin, Kinds)| {
            let kinds: Vec<&str> = kinds.iter().map(DependencyKind::shown).collect();
            format!("{} {}", self.names[origin as usize], kinds.join("+"))
        };
        origins.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The columns that one depends on, in any way.
    pub(super) fn all(&self, relation: &Relation, at: usize) -> BTreeSet<String> {
        let column = &relation.columns[at];
        self.named([&column.value, &column.presence, &relation.rows])
    }

    pub(super) fn named<const N: usize>(&self, origins: [&Origins; N]) -> BTreeSet<String> {
        let all = origins.into_iter().flat_map(Origins::iter);
        all.map(|(origin, _)| self.names[origin as usize].clone()).collect()
    }
}

pub(super) fn session(schemas: &[(&str, SchemaRef)]) -> SessionContext {
    let resources = Resources { threads: 1, ..Resources::default() };
    let session = engine::session(resources, &std::env::temp_dir(), &[], None).unwrap();
    for (name, schema) in schemas {
        session.register_table(*name, Arc::new(EmptyTable::new(schema.clone()))).unwrap();
    }
    session
}

pub(super) fn numbers(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect::<Vec<_>>()))
}

fn schemas() -> Vec<(&'static str, SchemaRef)> {
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let fields = numbers(&["f", "g"]).fields().clone();
    let nested = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("items", DataType::List(item), true),
        Field::new("pair", DataType::Struct(fields), true),
    ]);
    vec![("t", numbers(&["a", "b", "c"])), ("u", numbers(&["k", "x", "y"])), ("l", Arc::new(nested))]
}

/// The lineage of a query: what its rows depend on, then each column.
fn lineage(sql: &str) -> String {
    let schemas = schemas();
    let (names, session) = (Names::of(&schemas), session(&schemas));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let state = engine::state(&session);
    let plan = runtime.block_on(state.create_logical_plan(sql)).unwrap();
    let optimised = state.optimize(&plan).unwrap();
    let Traced { relation, untraced } = Tracer::trace(&names.tables, &optimised);
    assert_eq!(untraced, BTreeSet::new(), "{sql}\n{optimised}");
    // A plan as it is written depends on no less.
    let Traced { relation: written, untraced } = Tracer::trace(&names.tables, &plan);
    assert_eq!(untraced, BTreeSet::new(), "{sql}\n{plan}");
    for at in 0..relation.columns.len() {
        let (all, of_written) = (names.all(&relation, at), names.all(&written, at));
        assert!(all.is_subset(&of_written), "{sql}: {all:?} and {of_written:?}\n{plan}\n{optimised}");
    }
    shown(&names, &optimised, &relation)
}

fn shown(names: &Names, plan: &LogicalPlan, relation: &Relation) -> String {
    let mut lines = vec![format!("rows: {}", names.shown(&relation.rows))];
    for (field, column) in plan.schema().fields().iter().zip(&relation.columns) {
        let mut line = format!("{}: {}", field.name(), names.shown(&column.value));
        if column.presence != Origins::default() {
            line += &format!(" | {}", names.shown(&column.presence));
        }
        lines.push(line);
    }
    lines.iter().map(|line| line.trim_end().replace(":  |", ": |")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(cases: &[(&str, &[&str])]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, expected)| (sql, expected.join("\n"), lineage(sql)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(sql, expected, found)| format!("{sql}\nexpected:\n{expected}\nfound:\n{found}\n"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A node that is not one of the query engine.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd)]
struct Strange(LogicalPlan);

impl UserDefinedLogicalNodeCore for Strange {
    fn name(&self) -> &str {
        "Strange"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.0]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.0.schema()
    }

    fn check_invariants(&self, _: InvariantLevel) -> QueryResult<()> {
        Ok(())
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strange")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> QueryResult<Self> {
        Ok(Self(inputs.into_iter().next().unwrap()))
    }
}

/// A scan of `t` that keeps the columns `a` and `b` of the rows where `c > 0`.
fn scanned() -> LogicalPlanBuilder {
    let source = session(&schemas());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = runtime.block_on(async { source.table("t").await.unwrap().into_unoptimized_plan() });
    let positive = col("c").gt(datafusion::logical_expr::lit(0));
    LogicalPlanBuilder::from(plan).filter(positive).unwrap().project([col("a"), col("b")]).unwrap()
}

#[test]
fn what_is_not_understood_depends_on_all_below() {
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(Strange(scanned().build().unwrap())) });
    let names = Names::of(&schemas());
    let Traced { relation, untraced } = Tracer::trace(&names.tables, &plan);
    let all = "t.a unknown, t.b unknown | t.c filter";
    let expected = format!("rows: t.a unknown, t.b unknown, t.c filter\na: {all}\nb: {all}");
    assert_eq!(shown(&names, &plan, &relation), expected);
    assert_eq!(untraced, BTreeSet::from(["node Strange".to_owned()]));
    // What reads it is traced.
    let above = LogicalPlanBuilder::from(plan).project([col("a").alias("n")]).unwrap().build().unwrap();
    let Traced { relation, .. } = Tracer::trace(&names.tables, &above);
    assert_eq!(shown(&names, &above, &relation), format!("rows: t.a unknown, t.b unknown, t.c filter\nn: {all}"));
}

#[test]
fn other_nodes_are_traced_through() {
    let names = Names::of(&schemas());
    let plan = scanned().repartition(Partitioning::RoundRobinBatch(2)).unwrap().alias("s").unwrap().build().unwrap();
    let Traced { relation, untraced } = Tracer::trace(&names.tables, &plan);
    assert_eq!(shown(&names, &plan, &relation), "rows: t.c filter\na: t.a identity\nb: t.b identity");
    assert!(untraced.is_empty());
    // A filter and a limit that a table applies itself.
    let LogicalPlan::TableScan(mut scan) = scanned_table() else { panic!("a scan") };
    scan.filters = vec![col("t.b").gt(datafusion::logical_expr::lit(0))];
    scan.fetch = Some(1);
    let plan = LogicalPlan::TableScan(scan);
    let Traced { relation, .. } = Tracer::trace(&names.tables, &plan);
    assert_eq!(shown(&names, &plan, &relation), "rows: t.b filter\na: t.a identity\nb: t.b identity\nc: t.c identity");
}

/// Orders below that SQL has none of: the planner leaves them out.
#[test]
fn orders_decide_which_rows_are_taken() {
    use datafusion::functions_aggregate::expr_fn::{array_agg, sum};
    use datafusion::functions_window::expr_fn::row_number;
    let names = Names::of(&schemas());
    let sorted = || scanned().sort([col("b").sort(true, false)]).unwrap();
    let lineage = |plan: LogicalPlanBuilder| {
        let plan = plan.build().unwrap();
        let Traced { relation, untraced } = Tracer::trace(&names.tables, &plan);
        assert!(untraced.is_empty());
        shown(&names, &plan, &relation).replace('\n', "; ")
    };
    let only_a = || sorted().project([col("a")]).unwrap();
    assert_eq!(lineage(only_a()), "rows: t.c filter; a: t.a identity");
    assert_eq!(lineage(only_a().limit(0, Some(2)).unwrap()), "rows: t.b order, t.c filter; a: t.a identity");
    let listed = only_a().aggregate(Vec::<Expr>::new(), [array_agg(col("a")).alias("l"), sum(col("a")).alias("s")]);
    let expected = "rows: t.c filter; l: t.a aggregation, t.b condition; s: t.a aggregation";
    assert_eq!(lineage(listed.unwrap()), expected);
    let numbered = only_a().window([row_number().alias("n")]).unwrap();
    assert_eq!(lineage(numbered), "rows: t.c filter; a: t.a identity; n: t.b window");
    let first = sorted().distinct_on(vec![col("a")], vec![col("b")], None).unwrap();
    assert_eq!(lineage(first), "rows: t.a group, t.b order, t.c filter; b: t.b identity");
}

fn scanned_table() -> LogicalPlan {
    let mut plan = scanned().build().unwrap();
    while let Some(input) = plan.inputs().first().map(|input| (*input).clone()) {
        plan = input;
    }
    plan
}

#[test]
fn a_column_that_is_not_there_counts_as_all() {
    let names = Names::of(&schemas());
    let scan = Arc::new(scanned_table());
    let mut plan = LogicalPlanBuilder::from(scan.as_ref().clone()).project([col("a")]).unwrap().build().unwrap();
    let LogicalPlan::Projection(projection) = &mut plan else { panic!("a projection") };
    projection.expr = vec![col("nobody")];
    let Traced { relation, untraced } = Tracer::trace(&names.tables, &plan);
    assert_eq!(shown(&names, &plan, &relation), "rows:\na: t.a unknown, t.b unknown, t.c unknown");
    assert_eq!(untraced, BTreeSet::from(["column nobody".to_owned()]));
}

#[test]
fn long_chains_do_not_exhaust_the_stack() {
    let names = Names::of(&schemas());
    let sum = (0..20_000).fold(col("a"), |sum, _| sum.or(col("b")));
    let schema = scanned_table().schema().clone();
    let mut tracer = Tracer { tables: &names.tables, work: HashMap::new(), outer: vec![], untraced: BTreeSet::new() };
    let column = tracer.expression(&sum, &[(schema.as_ref(), &names.tables["t"])]);
    assert_eq!(names.shown(&column.value), "t.a transformation, t.b transformation");
    std::mem::forget(sum); // to drop it takes a stack of its own
}
