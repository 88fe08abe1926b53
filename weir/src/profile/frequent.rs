//! The most frequent values of a column, in bounded memory.

use std::borrow::Borrow;
use std::hash::Hash;

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

/// Counters of a column, of which three quarters are used. With fewer distinct values every count is exact.
const COUNTERS: usize = 2_048;

/// Counts values by the algorithm of Misra and Gries, with purges as in Anderson et al., "A high-performance algorithm for
/// identifying frequent items in data streams", 2017.
#[derive(Debug)]
pub(super) struct Frequent<T>(FrequentItemsSketch<T>);

/// The most frequent values: each occurs between `count` and `count + error` times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Top<T> {
    pub(super) values: Vec<(T, u64)>,
    pub(super) error: u64,
}

impl<T: Eq + Hash + Clone + Ord> Default for Frequent<T> {
    fn default() -> Self {
        Self(FrequentItemsSketch::new(COUNTERS).expect("the number of counters is a power of two"))
    }
}

impl<T: Eq + Hash + Clone + Ord> Frequent<T> {
    pub(super) fn add<Q>(&mut self, value: &Q)
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        self.0.update_ref(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// All values that are known to occur, the most frequent ones first.
    pub(super) fn all(&self) -> Top<T> {
        let rows = self.0.frequent_items_with_threshold(ErrorType::NoFalseNegatives, 0);
        let rows = rows.into_iter().filter(|row| row.lower_bound() > 0);
        let mut values: Vec<(T, u64)> = rows.map(|row| (row.item().clone(), row.lower_bound())).collect();
        values.sort_unstable_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
        Top { values, error: self.0.maximum_error() }
    }
}

impl<T> Top<T> {
    /// The first ones, as far as they occur more than once or nothing else does. Counts that are no greater than their
    /// error say nothing.
    pub(super) fn first(self, most: usize) -> Self {
        let is_all = self.error == 0 && self.values.len() <= most;
        let least = self.error.max(1);
        let values = self.values.into_iter().filter(|(_, count)| is_all || *count > least).take(most).collect();
        Self { values, error: self.error }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u32]) -> Frequent<i128> {
        let mut frequent = Frequent::default();
        values.iter().for_each(|value| frequent.add(&i128::from(*value)));
        frequent
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let values: Vec<u32> = (0..10_000).map(|row| row % 7 % 4).collect();
        let top = of(&values).all();
        assert_eq!((top.error, top.values[0].0, top.values.len()), (0, 0, 4));
        assert_eq!(top.values.iter().map(|(_, count)| count).sum::<u64>(), 10_000);
    }

    #[test]
    fn values_that_occur_once_are_shown_only_if_they_are_all() {
        assert_eq!(of(&[3, 1, 2]).all().first(10).values, [(1, 1), (2, 1), (3, 1)]);
        let many: Vec<u32> = (0..1_000).chain([5]).collect();
        assert_eq!(of(&many).all().first(10).values, [(5, 2)]);
    }

    proptest! {
        /// A skewed column with more values than counters, in two parts.
        #[test]
        fn a_count_is_within_its_error(seed in 1_u32..1_000, cut in 0_usize..60_000) {
            let random = |row: u32| row.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 8;
            let values: Vec<u32> = (0..60_000).map(|row| random(row) % (1 + random(row + 7) % 30_000)).collect();
            let mut frequent = of(&values[..cut]);
            frequent.merge(&of(&values[cut..]));
            let mut exact: HashMap<i128, u64> = HashMap::new();
            values.iter().for_each(|value| *exact.entry(i128::from(*value)).or_default() += 1);
            let top = frequent.all();
            prop_assert!(top.error > 0 && top.error < 60_000 / 100);
            for (value, count) in &top.values {
                prop_assert!(*count <= exact[value] && exact[value] <= count + top.error);
            }
            let (value, most) = exact.iter().max_by_key(|(_, count)| **count).unwrap();
            prop_assert!(*most <= top.error || top.values.iter().any(|(found, _)| found == value));
        }
    }
}
