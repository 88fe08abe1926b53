//! Columns of numbers, times and booleans.

use datafusion::arrow::array::ArrayRef;

use super::distinct::Distinct;
use super::frequent::Frequent;
use super::hash_of;
use super::histogram::{Histogram, Scale};
use super::kind;
use super::moments::Moments;
use super::quantiles::Quantiles;
use crate::task::SqlType;

/// What is known of the values so far.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) distinct: Distinct,
    pub(super) frequent: Frequent<i128>,
    /// The keys of the least and of the greatest value, with their places.
    pub(super) range: Option<[(f64, i128); 2]>,
    pub(super) line: Option<Line>,
}

/// What is known of values with places on a line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) quantiles: Quantiles,
    pub(super) histogram: Histogram,
    pub(super) moments: Moments,
    pub(super) zeros: u64,
    pub(super) negatives: u64,
    /// Values that are infinite or no number.
    pub(super) not_finite: u64,
}

impl Fixed {
    pub(super) fn new(sql_type: SqlType) -> Self {
        let line = || Line {
            quantiles: Quantiles::default(),
            histogram: Histogram::new(Scale::of(sql_type)),
            moments: Moments::default(),
            zeros: 0,
            negatives: 0,
            not_finite: 0,
        };
        Self {
            distinct: Distinct::default(),
            frequent: Frequent::default(),
            range: None,
            line: (sql_type != SqlType::Boolean).then(line),
        }
    }

    /// Takes values and their places into account. Nulls have no place.
    pub(super) fn update(&mut self, values: &ArrayRef, places: &[f64]) {
        let keys = kind::keys(values);
        for key in &keys {
            self.distinct.add(hash_of(&key.to_le_bytes()));
            self.frequent.add(key);
        }
        let valid = (0..values.len()).filter(|row| values.is_valid(*row));
        let mut present = Vec::with_capacity(keys.len());
        for (row, key) in valid.zip(keys) {
            let place = places[row];
            if place.is_finite() {
                present.push(place);
                self.extend((place, key));
            } else if let Some(line) = &mut self.line {
                line.not_finite += 1;
            }
        }
        if let Some(line) = &mut self.line {
            line.update(&present);
        }
    }

    /// Large whole numbers may share a place: their keys tell which one is less.
    fn extend(&mut self, value: (f64, i128)) {
        let [least, most] = self.range.get_or_insert([value; 2]);
        if (value.0, value.1) < (least.0, least.1) {
            *least = value;
        }
        if (value.0, value.1) > (most.0, most.1) {
            *most = value;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.distinct.merge(other.distinct);
        self.frequent.merge(&other.frequent);
        other.range.into_iter().flatten().for_each(|value| self.extend(value));
        if let (Some(line), Some(other)) = (&mut self.line, other.line) {
            line.merge(other);
        }
    }
}

impl Line {
    fn update(&mut self, places: &[f64]) {
        places.iter().for_each(|place| self.quantiles.add(*place));
        self.histogram.add(places);
        self.moments.merge(&Moments::of(places));
        self.zeros += places.iter().filter(|place| **place == 0.0).count() as u64;
        self.negatives += places.iter().filter(|place| **place < 0.0).count() as u64;
    }

    fn merge(&mut self, other: Self) {
        self.quantiles.merge(&other.quantiles);
        self.histogram.merge(other.histogram);
        self.moments.merge(&other.moments);
        self.zeros += other.zeros;
        self.negatives += other.negatives;
        self.not_finite += other.not_finite;
    }
}
