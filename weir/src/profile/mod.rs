//! Statistics of the columns of a table, from its rows in batches: in memory that does not grow with their number.
//!
//! A [`Profiler`] sees rows; several of them, one for each thread, become one, and at the end a [`Profile`], which is what
//! users see. `text` and `fixed` are what is kept of a column, `kind` says of which type. `distinct`, `frequent` and
//! `quantiles` are sketches, `histogram` and `moments` exact counts and sums; `pattern` is the pattern of a text.
//! `warning` is what should be looked at, `target` compares columns with one of them, `sample` draws rows for that.

mod column;
mod correlation;
mod distinct;
mod fixed;
mod frequent;
mod histogram;
mod kind;
mod moments;
mod pattern;
mod quantiles;
mod result;
mod sample;
mod shown;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod warning;

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result as QueryResult;

pub(crate) use correlation::CorrelationProfile;
pub(crate) use kind::number;
pub(crate) use result::{ColumnProfile, HistogramProfile, LineProfile, Profile, TextProfile, TopValues};
pub(crate) use sample::Sampler;
pub(crate) use shown::ShownValues;
pub(crate) use target::{ComparedColumn, ComparedGroup, GroupMeasure, Groups, TargetProfile};

use crate::task::SqlType;
use column::ColumnProfiler;
use correlation::Correlations;
use target::TargetProfiler;

/// A column that is profiled.
#[derive(Debug, Clone)]
pub(crate) struct ProfiledColumn {
    pub(crate) name: String,
    pub(crate) sql_type: SqlType,
}

/// What is known of the rows so far.
#[derive(Debug)]
pub(crate) struct Profiler {
    rows: u64,
    columns: Vec<ColumnProfiler>,
    correlations: Correlations,
    target: Option<TargetProfiler>,
}

impl Profiler {
    /// Without rows yet. `groups` are those in which the columns are compared with the target.
    pub(crate) fn new(columns: &[ProfiledColumn], groups: Option<&Arc<Groups>>) -> Self {
        Self {
            rows: 0,
            columns: columns.iter().map(|column| ColumnProfiler::new(column.sql_type)).collect(),
            correlations: Correlations::of(columns),
            target: groups.map(|groups| TargetProfiler::new(groups.clone())),
        }
    }

    /// Takes rows into account: the columns in the order in which they were given, in the Arrow types of their types.
    ///
    /// # Errors
    /// If a column has another type.
    pub(crate) fn update(&mut self, rows: &RecordBatch) -> QueryResult<()> {
        self.rows += rows.num_rows() as u64;
        let mut places = Vec::with_capacity(self.columns.len());
        for (column, values) in self.columns.iter_mut().zip(rows.columns()) {
            let of_column = match column.kind().has_places() {
                true => Some(kind::places(values)?),
                false => None,
            };
            column.update(values, of_column.as_deref());
            places.push(of_column);
        }
        self.correlations.update(&places);
        if let Some(target) = &mut self.target {
            target.update(rows, &places);
        }
        Ok(())
    }

    /// Takes over what another profiler of the same columns has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.columns.iter_mut().zip(other.columns).for_each(|(column, other)| column.merge(other));
        self.correlations.merge(&other.correlations);
        if let (Some(target), Some(other)) = (&mut self.target, &other.target) {
            target.merge(other);
        }
    }

    /// The profile of all rows, with the values that may be shown.
    pub(crate) fn finish(&self, columns: &[ProfiledColumn], shown: &ShownValues) -> Profile {
        let profiles = self.columns.iter().zip(columns);
        Profile {
            rows: self.rows,
            columns: profiles.map(|(profiler, column)| profiler.finish(column, self.rows, shown)).collect(),
            correlations: self.correlations.finish(columns),
            target: self.target.as_ref().map(|target| target.finish(columns, shown)),
        }
    }
}

/// The hash of a value, the same in each thread.
fn hash_of(bytes: &[u8]) -> u64 {
    ahash::RandomState::with_seeds(0x9e37, 0x79b9, 0x7f4a, 0x7c15).hash_one(bytes)
}
