//! Incremental reading: only the rows whose cursor is greater than that of the rows that published runs have read.

use std::time::Duration;

use weir_postgres::load::Kind;
use weir_postgres::sql::{literal, quoted};

use super::catalogue::Found;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::ledger::Watermark;
use crate::task::{CursorSpec, Task, TaskError};

/// A cursor, as the task declares it.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) column: String,
    lag: Option<Lag>,
}

/// How far before the watermark rows are read again.
#[derive(Debug, Clone, Copy)]
enum Lag {
    Number(u64),
    Time(Duration),
}

/// What a run reads by its cursor.
#[derive(Debug)]
pub(super) struct Step {
    /// The new watermark; none if there is no row.
    pub(super) watermark: Option<String>,
    /// Whether a row can be newer than those that were read.
    pub(super) has_new: bool,
    /// The rows, as a subquery.
    pub(super) rows: String,
}

impl Cursor {
    pub(super) fn declare(task: &Task, spec: &CursorSpec) -> Result<Self, TaskError> {
        let lag = spec.lag.as_ref().map(|lag| {
            let text = &lag.value.0;
            let time = || humantime::parse_duration(text).map(Lag::Time);
            text.parse().map(Lag::Number).or_else(|_| time()).map_err(|_| {
                let error = task.error(lag, format!("`{text}` is not a lag"));
                error.with_help("write 1h or 2d for a cursor of times, a whole number for one of numbers")
            })
        });
        Ok(Self { column: spec.column.value.clone(), lag: lag.transpose()? })
    }

    /// Determines the rows of a table that a run reads, after those up to the watermark.
    pub(super) async fn step(
        &self,
        shown: &str,
        found: &Found,
        snapshot: &Snapshot,
        before: Option<&Watermark>,
    ) -> Result<Step> {
        let wrong = |message: String, help: &str| Error::input(shown, message, help);
        let column = found.columns.iter().find(|column| column.name == self.column).ok_or_else(|| {
            let names: Vec<_> = found.columns.iter().map(|column| column.name.as_str()).collect();
            wrong(
                format!("the cursor `{}` is not one of its columns", self.column),
                &format!("it has: {}", names.join(", ")),
            )
        })?;
        if let Some(other) = before.filter(|before| before.cursor != self.column) {
            let message = format!(
                "the cursor is `{}`, but run {} has read up to a value of `{}`",
                self.column, other.run, other.cursor
            );
            return Err(wrong(message, "restore the cursor, or rename the source to read everything again"));
        }
        let is_time = match &column.kind {
            Kind::SmallInt | Kind::Integer | Kind::BigInt | Kind::Numeric(_) => false,
            Kind::Date | Kind::Timestamp | Kind::TimestampTz => true,
            other => {
                let message = format!("the cursor `{}` is {other}", self.column);
                return Err(wrong(message, "choose a column of whole numbers, numeric, dates or timestamps"));
            }
        };
        let lag = match (self.lag, is_time) {
            (None, _) => String::new(),
            (Some(Lag::Number(lag)), false) => format!(" - {lag}"),
            (Some(Lag::Time(lag)), true) => format!(" - interval '{} seconds'", lag.as_secs()),
            (Some(_), true) => {
                return Err(wrong("the lag of a cursor of times has no unit".to_owned(), "write 1h or 2d"));
            }
            (Some(_), false) => {
                return Err(wrong("the lag of a cursor of numbers has a unit".to_owned(), "write a whole number"));
            }
        };
        let (name, kind) = (quoted(&self.column), &column.kind);
        let last = before.map_or("null".to_owned(), |before| literal(&before.value));
        let sql = format!(
            "select greatest(max({name}), {last}::{kind})::text, coalesce(max({name}) > {last}::{kind}, true), \
             exists (select from {from} where {name} is null) from {from}",
            from = found.name
        );
        let row = snapshot.client().query_one(&sql, &[]).await;
        let row = row.map_err(|error| snapshot.database().statement_error(&error))?;
        let (watermark, has_new, has_nulls): (Option<String>, bool, bool) = (row.get(0), row.get(1), row.get(2));
        if has_nulls {
            let message = format!("the cursor `{}` is null in some rows: no run would read them", self.column);
            return Err(wrong(message, "leave them out by a `query`, or choose a column without nulls"));
        }
        if watermark.as_ref().is_some_and(|value| ["infinity", "Infinity", "NaN"].contains(&value.as_str())) {
            let message = format!("the greatest value of the cursor `{}` is no number or time that ends", self.column);
            return Err(wrong(message, "leave such rows out by a `query`"));
        }
        let Some(value) = &watermark else {
            return Ok(Step { watermark, has_new: false, rows: found.name.clone() });
        };
        let above = before.map(|_| format!("{name} > {last}::{kind}{lag} and ")).unwrap_or_default();
        let rows = format!(
            "(select * from {} where {above}{name} <= {}::{kind}) as rows_of_cursor",
            found.name,
            literal(value)
        );
        Ok(Step { watermark, has_new: has_new || self.lag.is_some(), rows })
    }
}
