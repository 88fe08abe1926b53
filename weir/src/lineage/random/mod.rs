//! Changing a source column that is not in the lineage of an output never changes that output: random queries over small
//! tables, computed by the query engine before and after the change.

mod query;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::query::{Maker, Query};
use super::tests::{Names, numbers, session};
use super::{Relation, Traced, Tracer};
use crate::engine;

type Rows = Vec<[Option<i64>; 3]>;

/// The tables `t` and `u`.
#[derive(Debug, Clone)]
struct Data([Rows; 2]);

fn schemas() -> Vec<(&'static str, SchemaRef)> {
    vec![("t", numbers(&["a", "b", "c"])), ("u", numbers(&["k", "x", "y"]))]
}

fn rows() -> impl Strategy<Value = Rows> {
    let value = || prop_oneof![1 => Just(None), 6 => (0..4_i64).prop_map(Some)];
    prop::collection::vec([value(), value(), value()], 0..7)
}

/// Registers a table, in the place of one with its name.
fn register(session: &SessionContext, name: &str, table: Arc<dyn TableProvider>) {
    session.deregister_table(name).unwrap();
    session.register_table(name, table).unwrap();
}

impl Data {
    /// Makes them the tables of a session.
    fn register(&self, session: &SessionContext) {
        for ((name, schema), rows) in schemas().into_iter().zip(&self.0) {
            let column = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[at]).collect::<Int64Array>()) };
            let batch = RecordBatch::try_new(schema.clone(), (0..3).map(column).collect()).unwrap();
            register(session, name, Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap()));
        }
    }

    /// The same with other values in one column: those of other rows, or one value in all of them.
    fn changed(&self, table: usize, column: usize, values: &[Option<i64>]) -> Self {
        let mut changed = self.clone();
        let values = values.iter().cycle();
        changed.0[table].iter_mut().zip(values).for_each(|(row, value)| row[column] = *value);
        changed
    }
}

/// The values of each column, sorted.
async fn computed(session: &SessionContext, sql: &str) -> Result<Vec<Vec<Option<i64>>>, DataFusionError> {
    let state = engine::state(session);
    let plan = state.create_logical_plan(sql).await?;
    let physical = state.create_physical_plan(&plan).await?;
    let width = physical.schema().fields().len();
    let batches = datafusion::physical_plan::collect(physical, session.task_ctx()).await?;
    let values = |at: usize| {
        let mut values = vec![];
        for batch in &batches {
            let column = cast(batch.column(at), &DataType::Int64)?;
            values.extend(column.as_primitive::<Int64Type>().iter());
        }
        values.sort();
        Ok(values)
    };
    (0..width).map(values).collect()
}

/// The query as it is written, and optimised.
async fn planned(session: &SessionContext, sql: &str) -> Result<[LogicalPlan; 2], DataFusionError> {
    let state = engine::state(session);
    let plan = state.create_logical_plan(sql).await?;
    let optimised = state.optimize(&plan)?;
    Ok([plan, optimised])
}

/// What was compared.
#[derive(Default, Debug)]
struct Compared {
    queries: usize,
    /// Queries that the engine does not compute.
    not_computed: usize,
    /// Columns of sources that an output does not depend on.
    independent: usize,
    /// Those that it depends on, and which changed it, in some of the queries.
    changing: usize,
}

/// One in so many queries is also computed after changes of columns that all outputs depend on.
const ALL_CHANGES: usize = 8;

/// What a model and a query are made of, the rows of the tables, and values for their columns.
type Case = (Vec<u8>, Vec<u8>, [Rows; 2], Vec<Vec<Option<i64>>>);

/// What counts as the lineage of a column.
type LineageOf = fn(&Names, &Relation, usize) -> BTreeSet<String>;

struct Comparison {
    lineage_of: LineageOf,
    /// Has the tables with their rows.
    filled: SessionContext,
    /// Has the tables without rows, over which lineage is traced.
    empty: SessionContext,
    compared: Compared,
}

impl Comparison {
    /// Compares outputs before and after a change of each column of a source.
    async fn compare(
        &mut self,
        model: &str,
        query: &str,
        data: &Data,
        changes: &[Vec<Option<i64>>],
    ) -> Result<(), String> {
        let Self { lineage_of, filled, empty, compared } = self;
        compared.queries += 1;
        let sql = query.replace("{m}", &format!("({model}) m"));
        data.register(filled);
        let Ok(before) = computed(filled, &sql).await else {
            compared.not_computed += 1;
            return Ok(());
        };
        // Model after model, as for a task.
        let mut names = Names::of(&schemas());
        let wrong = |error: DataFusionError| format!("{error}\n{sql}");
        let [_, plan] = planned(empty, model).await.map_err(wrong)?;
        let of_model = Tracer::trace(&names.tables, &plan).relation;
        names.tables.insert("m".to_owned(), of_model);
        register(empty, "m", Arc::new(EmptyTable::new(Arc::new(plan.schema().as_arrow().clone()))));
        let plans = planned(empty, &query.replace("{m}", "m")).await.map_err(wrong)?;
        let lineages = plans.each_ref().map(|plan| {
            let Traced { relation, untraced } = Tracer::trace(&names.tables, plan);
            assert_eq!(untraced, BTreeSet::new(), "{sql}\n{plan}");
            (0..relation.columns.len()).map(|at| lineage_of(&names, &relation, at)).collect::<Vec<_>>()
        });
        for (table, (name, schema)) in schemas().iter().enumerate() {
            for (column, field) in schema.fields().iter().enumerate() {
                let origin = format!("{name}.{}", field.name());
                let is_origin = |at: usize| lineages.each_ref().map(|lineage| lineage[at].contains(&origin));
                let is_of_all = (0..before.len()).all(|at| is_origin(at) == [true, true]);
                if is_of_all && !compared.queries.is_multiple_of(ALL_CHANGES) {
                    continue;
                }
                for change in changes {
                    data.changed(table, column, change).register(filled);
                    let after = computed(filled, &sql).await.map_err(wrong)?;
                    for at in 0..before.len() {
                        match (after[at] != before[at], is_origin(at)) {
                            (true, [true, true]) => compared.changing += 1,
                            (false, [true, true]) => {}
                            (false, _) => compared.independent += 1,
                            (true, [as_written, optimised]) => {
                                return Err(format!(
                                    "{origin} changes column {at}, and is not in its lineage (as written: {as_written}, \
                                     optimised: {optimised}): {:?}\n{sql}\n{data:?}\n{}\n{}",
                                    lineages.each_ref().map(|lineage| lineage[at].clone()),
                                    plans[0].display_indent(),
                                    plans[1].display_indent()
                                ));
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Compares as many random queries; returns the first output that changes and should not.
fn compare(cases: u32, max_shrink_iters: u32, lineage_of: LineageOf) -> Result<Compared, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = Config { cases, max_shrink_iters, failure_persistence: None, ..Config::default() };
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let value = prop_oneof![1 => Just(None), 4 => (0..6_i64).prop_map(Some)];
    let changes = prop::collection::vec(prop::collection::vec(value, 1..7), 1..3);
    let strategy = (bytes(20), bytes(60), [rows(), rows()], changes);
    let (filled, empty) = (session(&[]), session(&schemas()));
    let comparison = Comparison { lineage_of, filled, empty, compared: Compared::default() };
    let comparison = std::cell::RefCell::new(comparison);
    let compare = |(model, query, data, changes): Case| {
        let Query { sql, width } = Maker::of(model, false).query(2);
        let column = |at: usize, name| format!("cast(m.p{} as bigint) as {name}", at % width);
        let model = format!("select {}, {}, {} from ({sql}) m", column(0, "d"), column(1, "e"), column(2, "f"));
        let query = Maker::of(query, true).query(3);
        let mut comparison = comparison.borrow_mut();
        let compared = runtime.block_on(comparison.compare(&model, &query.sql, &Data(data), &changes));
        compared.map_err(TestCaseError::fail)
    };
    TestRunner::new(config).run(&strategy, compare).map_err(|error| error.to_string())?;
    Ok(comparison.into_inner().compared)
}

#[test]
fn what_is_not_in_the_lineage_of_a_column_does_not_change_it() {
    let cases = Config::default().cases / 4;
    let compared = compare(cases, Config::default().max_shrink_iters, Names::all);
    let Compared { queries, not_computed, independent, changing } = compared.unwrap_or_else(|error| panic!("{error}"));
    println!("{queries} queries, {not_computed} not computed; {independent} independent, {changing} changing");
    // The test says something only if there is much that outputs do not depend on, and if changes change what depends on them.
    assert!(not_computed * 10 < queries, "{not_computed} of {queries} queries are not computed");
    assert!(
        independent > 3 * queries && changing * 2 > queries / ALL_CHANGES,
        "{independent}, {changing} of {queries}"
    );
}

/// The comparison finds what is missing.
#[test]
fn a_lineage_of_values_alone_or_of_rows_alone_is_refuted() {
    let values: LineageOf = |names, relation, at| names.named([&relation.columns[at].value]);
    let rows: LineageOf = |names, relation, at| names.named([&relation.columns[at].presence, &relation.rows]);
    for missing in [values, rows] {
        let error = compare(64, 0, missing).expect_err("something is missing");
        assert!(error.contains("and is not in its lineage"), "{error}");
    }
}
