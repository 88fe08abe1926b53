//! What the tests of the kinds of servers share.

use std::path::Path;

use datafusion::logical_expr::Expr;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;

use super::filter::condition;
use super::query::{self, Quotes};
use super::reading::{Compared, Reading};
use super::snapshot::Snapshot;
use crate::task::{ParamChoice, Task};

/// A query with the parameters of a task, a date and a text.
pub(in crate::source) fn filled(sql: &str, quotes: &Quotes) -> Result<String, String> {
    let task = "name: t\nparams: {day: {type: date, default: 2024-01-31}, who: {type: string, default: \"O'Hara\"}, \
                at: {type: timestamp, default: \"2024-01-31T10:00:00\"}, n: {type: bigint, default: -5}, \
                d: {type: double, default: 0.1}, is: {type: boolean, default: true}, \
                m: {type: \"decimal(9,2)\", default: 1.5}}\n\
                sources: {s: {files: {path: a, format: csv}, columns: {a: string}}}\n\
                sinks: {o: {from: s, mode: overwrite, files: {path: o, format: csv}}}\n";
    let task = Task::parse(Path::new("t.yaml"), task.to_owned(), &ParamChoice::default()).unwrap();
    query::filled(sql, &task.params, quotes)
}

/// A filter in SQL, over a column of each kind, which is named `c` there.
pub(in crate::source) fn pushed<S: Snapshot>(filter: &Expr) -> Option<String> {
    let reading = |compared, sets_null| Reading {
        name: S::quoted("c"),
        selected: "selected".to_owned(),
        may_be_invalid: false,
        compared,
        sets_null,
    };
    let columns = [
        ("number", reading(Some(Compared::Number), false)),
        ("double", reading(Some(Compared::Double), false)),
        ("text", reading(Some(Compared::Text), false)),
        ("ascii", reading(Some(Compared::AsciiText), false)),
        ("flag", reading(Some(Compared::Boolean), false)),
        ("day", reading(Some(Compared::Date), false)),
        ("nulled", reading(Some(Compared::Date), true)),
        ("at", reading(Some(Compared::Time), false)),
        ("moment", reading(Some(Compared::Moment), false)),
        ("uuid", reading(None, false)),
    ];
    condition::<S>(filter, &|name| columns.iter().find(|(column, _)| *column == name).map(|(_, reading)| reading))
}

/// Filters that no kind of server may get.
pub(in crate::source) fn never_pushed() -> Vec<Expr> {
    let nanoseconds = ScalarValue::TimestampNanosecond(Some(1), None);
    vec![
        col("text").lt(lit("a")),
        col("text").not_eq(lit("a")),
        col("text").between(lit("a"), lit("b")),
        col("text").in_list(vec![lit("a")], true),
        !col("text").eq(lit("a")),
        col("text").like(lit("a%")),
        col("uuid").eq(lit("a")),
        col("number").eq(lit("5")),
        col("number").eq(lit(ScalarValue::Int64(None))),
        col("number").eq(lit(f64::NAN)),
        (col("number") + lit(1i64)).eq(lit(5i64)),
        col("number").eq(col("number")),
        col("at").lt(lit(nanoseconds)),
        col("day").gt(lit(ScalarValue::Date32(Some(i32::MAX)))),
        col("unknown").eq(lit(5i64)),
        col("number").eq(lit(5i64)).or(col("text").lt(lit("a"))),
    ]
}
