//! The lineage of every kind of plan node, column by column.

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
        let origins = column.value.iter().chain(column.presence.iter()).chain(relation.rows.iter());
        origins.map(|(origin, _)| self.names[origin as usize].clone()).collect()
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

#[test]
fn projections_and_expressions() {
    check(&[
        ("select a, b as other from t", &["rows:", "a: t.a identity", "other: t.b identity"]),
        ("select a + b as s, 1 as one from t", &["rows:", "s: t.a transformation, t.b transformation", "one:"]),
        ("select cast(a as varchar) as s from t", &["rows:", "s: t.a transformation"]),
        (
            "select case when a > 0 then b else c end as s from t",
            &["rows:", "s: t.a condition, t.b transformation, t.c transformation"],
        ),
        (
            "select case a when 1 then a when b then 2 end as s from t",
            &["rows:", "s: t.a transformation+condition, t.b condition"],
        ),
        ("select coalesce(a, b) as s from t", &["rows:", "s: t.a transformation+condition, t.b transformation"]),
        ("select a in (1, b) as s from t", &["rows:", "s: t.a transformation, t.b transformation"]),
        ("select pair['f'] as f from l", &["rows:", "f: l.pair transformation"]),
        ("select a, current_date as d, random() as r from t", &["rows:", "a: t.a identity", "d:", "r:"]),
        ("select n.s from (select a + 1 as s, b from t) n", &["rows:", "s: t.a transformation"]),
    ]);
}

#[test]
fn filters_sorts_and_limits() {
    check(&[
        ("select a from t where b > 1", &["rows: t.b filter", "a: t.a identity"]),
        ("select a from t where 1 = 1 or b > 1", &["rows:", "a: t.a identity"]),
        ("select a from t where false", &["rows:", "a:"]),
        ("select a from t order by b", &["rows:", "a: t.a identity"]),
        ("select a from t order by b limit 3", &["rows: t.b order", "a: t.a identity"]),
        // The planner leaves out an order that no rows are taken by.
        ("select a from (select * from t order by b) s limit 3", &["rows:", "a: t.a identity"]),
        ("select a from t where c > 0 limit 3 offset 1", &["rows: t.c filter", "a: t.a identity"]),
        (
            "select a from (select a, b from t order by b + c limit 5) s where a > 0",
            &["rows: t.a filter, t.b order, t.c order", "a: t.a identity"],
        ),
    ]);
}

#[test]
fn joins() {
    let both = "rows: t.a join, u.k join";
    check(&[
        ("select t.b, u.x from t join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t left join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t right join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t full join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b from t left semi join u on t.a = u.k", &[both, "b: t.b identity"]),
        ("select t.b from t left anti join u on t.a = u.k", &[both, "b: t.b identity"]),
        ("select u.x from t right semi join u on t.a = u.k", &[both, "x: u.x identity"]),
        ("select u.x from t right anti join u on t.a = u.k", &[both, "x: u.x identity"]),
        ("select t.b, u.x from t cross join u", &["rows:", "b: t.b identity", "x: u.x identity"]),
        (
            "select t.b from t join u on t.a = u.k and t.c < u.y",
            &["rows: t.a join, t.c join, u.k join, u.y join", "b: t.b identity"],
        ),
        // Groups of the column of the condition: a row has one partner at most, and stays.
        (
            "select t.b, u.m from t left join (select k, max(x) as m from u where y > 0 group by k) u on t.a = u.k",
            &["rows:", "b: t.b identity", "m: u.x aggregation | t.a join, u.k join+group, u.y filter"],
        ),
        (
            "select t.b, u.k from (select distinct k from u) u right join t on t.a = u.k and t.c > 0",
            &["rows:", "b: t.b identity", "k: u.k identity | t.a join, t.c join, u.k join+group"],
        ),
        (
            "select t.b, u.y from t left join (select distinct k, y from u) u on t.a = u.k",
            &["rows: t.a join, u.k join+group, u.y group", "b: t.b identity", "y: u.y identity"],
        ),
        (
            "select t.b, u.k from t left join (select k, y, count(*) as n from u group by rollup (k, y)) u on t.a = u.k and t.b = u.y",
            &["rows: t.a join, t.b join, u.k join+group, u.y join+group", "b: t.b identity", "k: u.k transformation"],
        ),
        (
            "select t.b from t left join (select k from u where y > 0) u on t.a = u.k",
            &["rows: t.a join, u.k join, u.y filter", "b: t.b identity"],
        ),
        (
            "select coalesce(u.x, t.b) as s from t full join u on a = k",
            &[both, "s: t.b transformation, u.x transformation+condition"],
        ),
        (
            "select one.b, other.c from t one join t other on one.a = other.a",
            &["rows: t.a join", "b: t.b identity", "c: t.c identity"],
        ),
        (
            "select b, s.x from t, lateral (select x from u where u.k = t.a) s",
            &["rows: t.a join, u.k join", "b: t.b identity", "x: u.x identity"],
        ),
    ]);
}

#[test]
fn aggregates() {
    check(&[
        ("select a, sum(b) as s from t group by a", &["rows: t.a group", "a: t.a identity", "s: t.b aggregation"]),
        ("select count(*) as n from t where b > 0", &["rows: t.b filter", "n:"]),
        ("select a from t group by a having sum(b) > 1", &["rows: t.a group, t.b filter", "a: t.a identity"]),
        ("select sum(b) filter (where c > 0) as s from t", &["rows:", "s: t.b aggregation, t.c condition"]),
        ("select count(distinct b) as n from t group by a", &["rows: t.a group, t.b group", "n: t.b aggregation"]),
        ("select first_value(b order by c) as f from t", &["rows:", "f: t.b aggregation, t.c condition"]),
        ("select sum(b) as s from (select b from t order by c) s", &["rows:", "s: t.b aggregation"]),
        (
            "select a + b as g, max(c) as m from t group by a + b",
            &["rows: t.a group, t.b group", "g: t.a transformation, t.b transformation", "m: t.c aggregation"],
        ),
        (
            "select a, b, grouping(a) as g, sum(c) as s from t group by rollup (a, b)",
            &[
                "rows: t.a group, t.b group",
                "a: t.a transformation",
                "b: t.b transformation",
                "g:",
                "s: t.c aggregation",
            ],
        ),
        ("select distinct a, b from t", &["rows: t.a group, t.b group", "a: t.a identity", "b: t.b identity"]),
        (
            "select distinct on (a) b from t order by a, c",
            &["rows: t.a group", "b: t.a condition, t.b aggregation, t.c condition"],
        ),
        (
            "select avg(s) as m from (select a, sum(b + c) as s from t group by a) g",
            &["rows: t.a group", "m: t.b aggregation, t.c aggregation"],
        ),
    ]);
}

#[test]
fn windows() {
    check(&[
        (
            "select a, row_number() over (partition by b order by c) as n from t",
            &["rows:", "a: t.a identity", "n: t.b window, t.c window"],
        ),
        ("select sum(a) over (partition by b) as s from t", &["rows:", "s: t.a aggregation, t.b window"]),
        ("select lag(a) over (order by c) as s from t", &["rows:", "s: t.a transformation, t.c window"]),
        (
            "select a from (select a, rank() over (order by b) as n from t) s where n = 1",
            &["rows: t.b filter", "a: t.a identity"],
        ),
        ("select row_number() over () as n from t", &["rows:", "n:"]),
    ]);
}

#[test]
fn unions_and_set_operations() {
    check(&[
        (
            "select a, b from t union all select k, 1 from u where y > 0",
            &["rows: u.y filter", "a: t.a identity, u.k identity", "b: t.b identity"],
        ),
        ("select a from t union select x from u", &["rows: t.a group, u.x group", "a: t.a identity, u.x identity"]),
        ("select a from t intersect select x from u", &["rows: t.a join+group, u.x join", "a: t.a identity"]),
        ("select a from t except all select x from u", &["rows: t.a join, u.x join", "a: t.a identity"]),
        (
            "select a, b from t union by name select y as b, x as a from u",
            &[
                "rows: t.a group, t.b group, u.x group, u.y group",
                "a: t.a identity, u.x identity",
                "b: t.b identity, u.y identity",
            ],
        ),
    ]);
}

#[test]
fn subqueries() {
    check(&[
        (
            "select b from t where a in (select k from u where y > 0)",
            &["rows: t.a join, u.k join, u.y filter", "b: t.b identity"],
        ),
        ("select b from t where a not in (select k from u)", &["rows: t.a join, u.k join", "b: t.b identity"]),
        (
            "select b from t where exists (select 1 from u where u.k = t.a and u.x > t.c)",
            &["rows: t.a join, t.c join, u.k join, u.x join", "b: t.b identity"],
        ),
        (
            "select b from t where c = 1 or exists (select 1 from u where u.k = t.a)",
            &["rows: t.a filter, t.c filter, u.k filter", "b: t.b identity"],
        ),
        (
            "select b from t where a > (select max(x) from u where y > 0)",
            &["rows: t.a filter, u.x filter, u.y filter", "b: t.b identity"],
        ),
        (
            "select b, (select max(x) from u where y > 0) as m from t",
            &["rows:", "b: t.b identity", "m: u.x aggregation | u.y filter"],
        ),
        (
            "select b, (select max(x) from u where u.k = t.a) as m from t",
            &["rows:", "b: t.b identity", "m: u.x aggregation | t.a join, u.k join+group"],
        ),
        (
            "select b, (select count(*) from u where u.k = t.a) as n from t",
            &["rows:", "b: t.b identity", "n: | t.a join, u.k join+group"],
        ),
        ("select b from t where a > any (select x from u)", &["rows: t.a filter, u.x filter", "b: t.b identity"]),
    ]);
}

#[test]
fn other_relations() {
    check(&[
        ("select column1 as a, column2 as b from (values (1, 2), (3, 4)) v", &["rows:", "a:", "b:"]),
        ("select 1 as one", &["rows:", "one:"]),
        ("select value, a from generate_series(1, 3) g cross join t", &["rows:", "value:", "a: t.a identity"]),
        (
            "select id, unnest(items) as item from l",
            &["rows: l.items unnest", "id: l.id identity", "item: l.items transformation"],
        ),
        (
            "select id, unnest(pair) from l",
            &[
                "rows:",
                "id: l.id identity",
                "__unnest_placeholder(l.pair).f: l.pair transformation",
                "__unnest_placeholder(l.pair).g: l.pair transformation",
            ],
        ),
        (
            "with s as (select a, sum(b) as n from t group by a) select s.n, r.n as m from s join s r on s.a = r.a",
            &["rows: t.a join+group", "n: t.b aggregation", "m: t.b aggregation"],
        ),
        (
            "with recursive r as (select a as n, b as m, c as o from t where c > 0 union all \
             select m, m as again, o from r join u on r.n = u.k where u.y > 0) select n, o from r",
            &[
                "rows: t.a join, t.b join, t.c filter, u.k join, u.y filter",
                "n: t.a identity, t.b identity",
                "o: t.c identity",
            ],
        ),
        (
            "with recursive r as (select a as n from t union select n + 1 from r where n < 3) select n from r",
            &["rows: t.a filter+group", "n: t.a identity+transformation"],
        ),
    ]);
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
