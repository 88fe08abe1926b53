//! Correlations of columns of numbers.

use std::cmp::Ordering;

use serde::Serialize;

use super::ProfiledColumn;
use super::kind::Kind;
use super::moments::{Centred, Pair};

/// The most columns that are correlated: there are half as many pairs as its square.
const MOST: usize = 40;

/// The sums of all pairs of the first columns of numbers.
#[derive(Debug)]
pub(super) struct Correlations {
    columns: Vec<usize>,
    pairs: Vec<Pair>,
}

/// Pearson's correlations.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CorrelationProfile {
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
    /// Columns of numbers that were left out, because there are too many.
    pub(crate) left_out: usize,
    /// A row for each column; null where one of the two has no variance.
    pub(crate) values: Vec<Vec<Option<f64>>>,
}

impl Correlations {
    pub(super) fn of(columns: &[ProfiledColumn]) -> Self {
        let columns: Vec<usize> = numbers(columns).take(MOST).collect();
        let pairs = vec![Pair::default(); columns.len() * columns.len().saturating_sub(1) / 2];
        Self { columns, pairs }
    }

    /// Takes the places of all columns into account.
    pub(super) fn update(&mut self, places: &[Option<Vec<f64>>]) {
        let numbers: Vec<Centred> =
            self.columns.iter().filter_map(|column| places[*column].as_deref()).map(Centred::of).collect();
        let mut pairs = self.pairs.iter_mut();
        for (at, one) in numbers.iter().enumerate() {
            for (other, pair) in numbers[..at].iter().zip(&mut pairs) {
                pair.merge(&Pair::of(one, other));
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.pairs.iter_mut().zip(&other.pairs).for_each(|(pair, other)| pair.merge(other));
    }

    pub(super) fn finish(&self, columns: &[ProfiledColumn]) -> Option<CorrelationProfile> {
        let count = self.columns.len();
        // The pairs of a column with those before it are in one piece.
        let value = |one: usize, other: usize| match one.cmp(&other) {
            Ordering::Equal => Some(1.0),
            Ordering::Less => self.pairs[other * (other - 1) / 2 + one].correlation(),
            Ordering::Greater => self.pairs[one * (one - 1) / 2 + other].correlation(),
        };
        let values = (0..count).map(|one| (0..count).map(|other| value(one, other)).collect()).collect();
        (count > 1).then(|| CorrelationProfile {
            columns: self.columns.iter().map(|column| columns[*column].name.clone()).collect(),
            left_out: numbers(columns).count() - count,
            values,
        })
    }
}

fn numbers(columns: &[ProfiledColumn]) -> impl Iterator<Item = usize> {
    let is_number = |(_, column): &(usize, &ProfiledColumn)| matches!(Kind::of(column.sql_type), Kind::Number { .. });
    columns.iter().enumerate().filter(is_number).map(|(at, _)| at)
}
