//! Guarded queries over random batches, against a plain reading of what they say.

use std::sync::Mutex;

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::*;
use crate::route::rejected_rows;

/// The rows that come out of a guarded query over `t (id, b, c)`, and those that were rejected.
fn run(sql: &str, batches: Vec<RecordBatch>) -> QueryResult<(Vec<RecordBatch>, Vec<RecordBatch>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let takes = rejected.clone();
        let consumer = Box::new(move |batch: &RecordBatch| {
            takes.lock().unwrap().push(batch.clone());
            Ok(())
        });
        let failed = FailedRows::of_table("t", rejected_rows(&plan.schema()), vec![0], Some(consumer));
        let failed = Arc::new(failed);
        let schema = plan.schema();
        let plan = guard(plan).unwrap();
        assert_eq!(plan.schema(), schema);
        let passed = collect(plan, failed.context(&context.task_ctx())).await?;
        let counted: u64 = failed.finish().unwrap().0.rows();
        let rejected = rejected.lock().unwrap().clone();
        assert_eq!(counted, rejected.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
        Ok((passed, rejected))
    })
}

fn batch(rows: &[(i64, i64, i64)]) -> RecordBatch {
    let fields = ["id", "b", "c"].map(|name| Field::new(name, DataType::Int64, true));
    let column =
        |of: fn(&(i64, i64, i64)) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let columns = vec![column(|row| row.0), column(|row| row.1), column(|row| row.2)];
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).unwrap()
}

/// A column of all batches, in order.
fn column(batches: &[RecordBatch], i: usize) -> Vec<Option<i64>> {
    batches.iter().flat_map(|batch| batch.column(i).as_primitive::<Int64Type>().iter().collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_row_passes_is_filtered_or_is_rejected_and_order_is_kept(
        rows in prop::collection::vec((0..4_i64, 0..4_i64), 1..300),
        size in 1..50_usize,
    ) {
        let rows: Vec<_> = rows.into_iter().enumerate().map(|(id, (b, c))| (id as i64, b, c)).collect();
        let batches = rows.chunks(size).map(batch).collect();
        let (passed, rejected) =
            run("select id, 12 / b as share, 6 / b + id as more from t where 6 / c < 5", batches).unwrap();

        let stands = |(_, b, c): &&(i64, i64, i64)| *c != 0 && 6 / c < 5 && *b != 0;
        let expected: Vec<_> = rows.iter().filter(stands).map(|(id, b, _)| (Some(*id), Some(12 / b))).collect();
        let found: Vec<_> = column(&passed, 0).into_iter().zip(column(&passed, 1)).collect();
        prop_assert_eq!(found, expected);

        let fails = |(_, b, c): &&(i64, i64, i64)| *c == 0 || (6 / c < 5 && *b == 0);
        let expected: Vec<_> = rows.iter().filter(fails).map(|(id, b, _)| (Some(*id), 12_i64.checked_div(*b))).collect();
        let mut found: Vec<_> = column(&rejected, 0).into_iter().zip(column(&rejected, 1)).collect();
        // What fails in the condition is found a batch earlier than what fails in the select list.
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn rows_pass_through_sorts_and_unions_on_their_way_out() {
    let rows = [(1, 1, 1), (2, 0, 1), (3, 1, 0)];
    let sql = "select id, 4 / b as v from t union all select id, 4 / c from t order by v, id";
    let (passed, rejected) = run(sql, vec![batch(&rows)]).unwrap();
    assert_eq!(column(&passed, 0), [1, 1, 2, 3].map(Some));
    let mut found = column(&rejected, 0);
    found.sort();
    assert_eq!(found, [2, 3].map(Some));
}

#[test]
fn nothing_is_guarded_below_what_would_change_other_rows() {
    let broken = |sql| {
        let error = run(sql, vec![batch(&[(1, 1, 1), (2, 0, 1)])]).unwrap_err();
        assert!(error.to_string().contains("Divide by zero"), "{error}");
    };
    broken("select sum(4 / b) from t");
    broken("select id from t where 4 / b > 0 limit 1");
    broken("select row_number() over (order by 4 / b) from t");
    broken("select l.id from t l join (select id, 4 / b as v from t) r on l.id = r.v");
}
