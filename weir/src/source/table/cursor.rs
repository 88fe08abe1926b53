//! Incremental reading: only the rows whose cursor is greater than that of the rows that published runs have read.

use std::time::Duration;

use super::snapshot::{Found, FoundColumn, Snapshot};
use crate::error::{Error, Result};
use crate::ledger::Watermark;
use crate::task::{CursorSpec, Task, TaskError};

/// A cursor, as the task declares it.
#[derive(Debug)]
pub(super) struct Cursor {
    column: String,
    lag: Option<Lag>,
}

/// How far before the watermark rows are read again.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) enum Lag {
    Number(u64),
    Time(Duration),
}

/// How the values of a column can be a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Order {
    /// Exact numbers.
    Number,
    /// Dates or times.
    Time,
}

/// The values of a cursor that there are.
#[derive(Debug)]
pub(in crate::source) struct Newest {
    /// The greatest one, or the one up to which rows were read, if that is greater; none if there is no row.
    pub(in crate::source) value: Option<String>,
    /// Whether there is a greater one than that up to which rows were read.
    pub(in crate::source) has_new: bool,
    pub(in crate::source) has_nulls: bool,
    /// Whether the greatest one cannot be compared with others.
    pub(in crate::source) is_endless: bool,
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

    /// The column by which rows are read.
    pub(super) fn column(&self) -> &str {
        &self.column
    }

    /// Determines the rows of a table that a run reads, after those up to the watermark.
    pub(super) async fn step<S: Snapshot>(
        &self,
        shown: &str,
        found: &Found<S::Column>,
        snapshot: &S,
        before: Option<&Watermark>,
    ) -> Result<Step> {
        let wrong = |message: String, help: &str| Error::input(shown, message, help);
        let exact = found.columns.iter().find(|column| column.name() == self.column);
        let same = || found.columns.iter().find(|column| S::is_same_name(column.name(), &self.column));
        let column = exact.or_else(same).ok_or_else(|| {
            let names: Vec<_> = found.columns.iter().map(FoundColumn::name).collect();
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
        let Some(order) = column.order() else {
            let message = format!("the cursor `{}` is {}", self.column, column.kind());
            return Err(wrong(message, "choose a column of whole numbers, exact decimals, dates or timestamps"));
        };
        let lag = match (self.lag, order) {
            (None, _) => String::new(),
            (Some(lag @ Lag::Number(_)), Order::Number) | (Some(lag @ Lag::Time(_)), Order::Time) => S::minus(lag),
            (Some(_), Order::Time) => {
                return Err(wrong("the lag of a cursor of times has no unit".to_owned(), "write 1h or 2d"));
            }
            (Some(_), Order::Number) => {
                return Err(wrong("the lag of a cursor of numbers has a unit".to_owned(), "write a whole number"));
            }
        };
        let newest = snapshot.newest(&found.name, column, before.map(|before| before.value.as_str())).await?;
        if newest.has_nulls {
            let message = format!("the cursor `{}` is null in some rows: no run would read them", self.column);
            return Err(wrong(message, "leave them out by a `query`, or choose a column without nulls"));
        }
        if newest.is_endless {
            let message = format!("the greatest value of the cursor `{}` is no number or time that ends", self.column);
            return Err(wrong(message, "leave such rows out by a `query`"));
        }
        let Newest { value: watermark, has_new, .. } = newest;
        let Some(value) = &watermark else {
            return Ok(Step { watermark, has_new: false, rows: found.name.clone() });
        };
        let name = S::quoted(column.name());
        let last = before.map(|before| S::value(column, &before.value));
        let above = last.map(|last| format!("{name} > {last}{lag} and ")).unwrap_or_default();
        let rows = format!(
            "(select * from {} where {above}{name} <= {}) as rows_of_cursor",
            found.name,
            S::value(column, value)
        );
        Ok(Step { watermark, has_new: has_new || self.lag.is_some(), rows })
    }
}
