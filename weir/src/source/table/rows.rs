//! The rows of a table, as the query engine requests them.

use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::logical_expr::Expr;

use super::filter::condition;
use super::reading::Reading;
use super::snapshot::{Found, Snapshot};
use crate::error::Result;
use crate::format::columns::{Declared, ReadColumns};
use crate::format::csv::{Csv, Layout};
use crate::format::scan::{Pushed, Rows, Scan};
use crate::format::text::TextScan;
use crate::route::RejectedRoute;
use crate::watch::ScanProgress;

/// A table in a snapshot.
#[derive(Debug)]
pub(super) struct TableRows<S: Snapshot> {
    /// Its name in messages.
    shown: String,
    found: Found<S::Column>,
    snapshot: Arc<S>,
    declared: Arc<Declared>,
    /// How each declared column is read.
    readings: Vec<Reading>,
}

impl<S: Snapshot> TableRows<S> {
    pub(super) fn new(
        shown: String,
        found: Found<S::Column>,
        snapshot: Arc<S>,
        declared: Arc<Declared>,
        readings: Vec<Reading>,
    ) -> Self {
        Self { shown, found, snapshot, declared, readings }
    }

    /// Fails if the user may not read the columns.
    pub(super) async fn check(&self) -> Result<()> {
        let all: Vec<usize> = (0..self.readings.len()).collect();
        let sql = self.sql(&all, &Pushed { filters: vec![], limit: Some(0) });
        self.snapshot.check(&sql).await
    }

    /// The query for some of the columns. It has at least two: an empty line would not be a row.
    fn sql(&self, columns: &[usize], pushed: &Pushed) -> String {
        let mut selected: Vec<&str> = columns.iter().map(|column| self.readings[*column].selected.as_str()).collect();
        selected.resize(selected.len().max(2), "1");
        let mut sql = format!("select {} from {}", selected.join(", "), self.found.name);
        let conditions: Vec<String> = pushed.filters.iter().filter_map(|filter| self.condition(filter)).collect();
        if !conditions.is_empty() {
            sql += &format!(" where {}", conditions.join(" and "));
        }
        pushed.limit.map_or_else(|| sql.clone(), |limit| format!("{sql} limit {limit}"))
    }

    fn condition(&self, filter: &Expr) -> Option<String> {
        let of = |name: &str| {
            let column = self.declared.columns.iter().position(|column| column.name == name)?;
            // A value that becomes null here is a different value on the server.
            (!self.declared.columns[column].sets_null()).then(|| &self.readings[column])
        };
        condition::<S>(filter, &of)
    }
}

impl<S: Snapshot> Rows for TableRows<S> {
    type Scan = TextScan<Csv>;

    const SCAN: &'static str = S::SCAN;

    /// Rows that no query reads stay in the database.
    const ALL: bool = false;

    fn shown(&self, columns: &ReadColumns, pushed: &Pushed) -> String {
        self.sql(columns.declared(), pushed)
    }

    fn rows(&self) -> Precision<usize> {
        self.found.rows.map_or(Precision::Absent, Precision::Inexact)
    }

    fn can_reject(&self, column: usize) -> bool {
        self.readings[column].may_be_invalid || self.declared.columns[column].has_checks()
    }

    fn can_push(&self, filter: &Expr) -> bool {
        self.condition(filter).is_some()
    }

    fn scan(
        &self,
        columns: ReadColumns,
        pushed: Pushed,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (Self::Scan, <Self::Scan as Scan>::Cursor) {
        let text = self.snapshot.text(self.sql(columns.declared(), &pushed));
        let layout = Layout::in_order(columns.declared().len(), 2);
        TextScan::of_stream(Csv::default(), self.shown.clone(), text, layout, columns, rejected, progress)
    }
}
