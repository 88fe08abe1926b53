//! The number of distinct values: exact up to a bound, then an estimate.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use datasketches::common::NumStdDev;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::Serialize;

/// The most distinct values that are counted exactly.
pub(super) const MOST_EXACT: usize = 1 << 15;

/// 2^14 registers: a standard error of 0.8 %.
const LOG_REGISTERS: u8 = 14;

/// Counts distinct values by their hashes of 64 bits: within the bound two values share one once in ten thousand million
/// columns.
#[derive(Debug)]
pub(super) enum Distinct {
    Exact(HashSet<u64, BuildHasherDefault<AsHash>>),
    Estimate(Box<HllSketch>),
}

/// A number of distinct values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct DistinctCount {
    /// The number, or its estimate.
    pub(crate) count: u64,
    /// Whether it is exact.
    pub(crate) is_exact: bool,
    /// With a probability of 95 % the number is at least this.
    pub(crate) least: u64,
    /// With a probability of 95 % the number is at most this.
    pub(crate) most: u64,
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::default())
    }
}

impl Distinct {
    /// Takes a value into account, by its hash. Whether it is known to be the first of its kind.
    pub(super) fn add(&mut self, hash: u64) -> bool {
        match self {
            Self::Exact(hashes) => {
                let is_new = hashes.insert(hash);
                if is_new && hashes.len() > MOST_EXACT {
                    self.estimate();
                }
                is_new
            }
            Self::Estimate(sketch) => {
                sketch.update(hash);
                false
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match other {
            Self::Exact(hashes) => hashes.into_iter().for_each(|hash| _ = self.add(hash)),
            Self::Estimate(other) => {
                let sketch = self.estimate();
                *sketch = union(sketch, &other);
            }
        }
    }

    /// The sketch, which from now on counts.
    fn estimate(&mut self) -> &mut HllSketch {
        if let Self::Exact(hashes) = self {
            let mut sketch = sketch();
            hashes.iter().for_each(|hash| sketch.update(*hash));
            *self = Self::Estimate(Box::new(sketch));
        }
        match self {
            Self::Estimate(sketch) => sketch,
            Self::Exact(_) => unreachable!("it was replaced"),
        }
    }

    /// Whether the number is exact.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// The number, of at most as many values.
    pub(super) fn count(&self, values: u64) -> DistinctCount {
        match self {
            Self::Exact(hashes) => {
                let count = hashes.len() as u64;
                DistinctCount { count, is_exact: true, least: count, most: count }
            }
            Self::Estimate(sketch) => {
                let bound = |number: f64| (number.round() as u64).min(values);
                DistinctCount {
                    count: bound(sketch.estimate()),
                    is_exact: false,
                    least: bound(sketch.lower_bound(NumStdDev::Two)),
                    most: bound(sketch.upper_bound(NumStdDev::Two)),
                }
            }
        }
    }
}

fn sketch() -> HllSketch {
    HllSketch::new(LOG_REGISTERS, HllType::Hll8).expect("the number of registers is valid")
}

fn union(one: &HllSketch, other: &HllSketch) -> HllSketch {
    let mut union = HllUnion::new(LOG_REGISTERS).expect("the number of registers is valid");
    union.update(one);
    union.update(other);
    union.to_sketch(HllType::Hll8)
}

/// The hash of a value is its place.
#[derive(Debug, Default)]
pub(super) struct AsHash(u64);

impl Hasher for AsHash {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = (self.0 << 8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::hash_of;

    fn of(values: impl Iterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| _ = distinct.add(hash_of(&value.to_le_bytes())));
        distinct
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let count = of((0..200_000).map(|value| value % 1_000)).count(200_000);
        assert_eq!(count, DistinctCount { count: 1_000, is_exact: true, least: 1_000, most: 1_000 });
        assert_eq!(of(0..MOST_EXACT as u64).count(1 << 20).count, MOST_EXACT as u64);
    }

    #[test]
    fn many_values_are_estimated_within_the_stated_error() {
        let count = of(0..300_000).count(300_000);
        assert!(!count.is_exact);
        assert!((count.least..=count.most).contains(&300_000), "{count:?}");
        assert!(count.most - count.least < 300_000 / 25, "{count:?}");
    }

    #[test]
    fn parts_count_as_the_whole() {
        let mut exact = of(0..500);
        exact.merge(of(250..750));
        assert_eq!(exact.count(1_000).count, 750);
        for (one, other) in [(0..200_000, 100_000..300_000), (0..10, 0..300_000), (0..300_000, 5..10)] {
            let mut merged = of(one);
            merged.merge(of(other));
            let count = merged.count(u64::MAX);
            assert!((count.least..=count.most).contains(&300_000), "{count:?}");
        }
    }

    #[test]
    fn there_are_no_more_distinct_values_than_values() {
        let count = of(0..100_000).count(100_000);
        assert!(count.count <= 100_000 && count.most <= 100_000, "{count:?}");
    }
}
