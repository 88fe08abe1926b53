//! Quantiles of numbers, in bounded memory.

use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};

/// Up to so many values the quantiles are exact; with more, the rank of a quantile is off by 0.24 % of the values at most,
/// with a probability of 99 %.
const VALUES: u16 = 2_048;

/// The sketch of Karnin, Lang and Liberty, "Optimal quantile approximation in streams", 2016.
#[derive(Debug)]
pub(super) struct Quantiles(KllSketch<KllFloat<f64>>);

impl Default for Quantiles {
    fn default() -> Self {
        Self(KllSketch::new(VALUES).expect("the number of values is valid"))
    }
}

impl Quantiles {
    /// Takes a number into account; one that is none is left out.
    pub(super) fn add(&mut self, number: f64) {
        if let Ok(number) = KllFloat::<f64>::new(number) {
            self.0.update(number);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0).expect("all sketches have the same parameters");
    }

    /// The smallest values that so large shares of all values do not exceed; none without values.
    pub(super) fn at(&self, shares: &[f64]) -> Option<Vec<f64>> {
        let view = self.0.sorted_view();
        let at =
            |share: &f64| view.quantile(*share, SearchCriteria::Inclusive).ok().flatten().map(KllFloat::into_inner);
        shares.iter().map(at).collect()
    }

    /// The share of values below, and the share above two limits.
    pub(super) fn outside(&self, least: f64, most: f64) -> Option<(f64, f64)> {
        let rank = |limit: f64, criteria| self.0.rank(&KllFloat::<f64>::new(limit).ok()?, criteria);
        let below = rank(least, SearchCriteria::Exclusive)?;
        Some((below, 1.0 - rank(most, SearchCriteria::Inclusive)?))
    }

    /// The shares of all values between limits, each from one on, and below the next. The limits ascend.
    pub(super) fn between(&self, limits: &[f64]) -> Option<Vec<f64>> {
        let limits: Vec<_> = limits.iter().map(|limit| KllFloat::<f64>::new(*limit).ok()).collect::<Option<_>>()?;
        let below = self.0.cdf(&limits, SearchCriteria::Exclusive).ok()??;
        Some(below[..limits.len()].windows(2).map(|below| below[1] - below[0]).collect())
    }

    /// How far the rank of a quantile may be off, as a share of all values.
    pub(super) fn rank_error(&self) -> f64 {
        if self.0.is_estimation_mode() { self.0.normalized_rank_error() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Quantiles {
        let mut quantiles = Quantiles::default();
        values.iter().for_each(|value| quantiles.add(*value));
        quantiles
    }

    #[test]
    fn few_values_have_exact_quantiles() {
        let values: Vec<f64> = (0..1_000).map(|row| f64::from((row * 7_919) % 1_000)).collect();
        let quantiles = of(&values);
        assert_eq!(quantiles.rank_error(), 0.0);
        assert_eq!(quantiles.at(&[0.0, 0.25, 0.5, 1.0]).unwrap(), [0.0, 249.0, 499.0, 999.0]);
        assert_eq!(
            quantiles
                .between(&[100.0, 200.0, 250.0])
                .unwrap()
                .iter()
                .map(|share| (share * 1e3).round())
                .collect::<Vec<_>>(),
            [100.0, 50.0]
        );
        let (below, above) = quantiles.outside(10.0, 989.0).unwrap();
        assert!((below - 0.01).abs() < 1e-12 && (above - 0.01).abs() < 1e-12);
    }

    #[test]
    fn without_values_there_are_no_quantiles() {
        assert_eq!(of(&[]).at(&[0.5]), None);
        assert_eq!(of(&[f64::NAN]).at(&[0.5]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Four times the stated error, which may be exceeded once in a hundred quantiles.
        #[test]
        fn ranks_are_near_those_of_all_values(seed in any::<u32>(), cut in 0_usize..50_000) {
            let random = |row: u32| f64::from(row.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 4).powi(2);
            let mut values: Vec<f64> = (0..50_000).map(random).collect();
            let mut quantiles = of(&values[..cut]);
            quantiles.merge(&of(&values[cut..]));
            values.sort_unstable_by(f64::total_cmp);
            let error = quantiles.rank_error();
            prop_assert!(error > 0.0 && error < 0.0025, "{error}");
            for share in [0.01, 0.25, 0.5, 0.75, 0.99] {
                let found = quantiles.at(&[share]).unwrap()[0];
                let rank = values.partition_point(|value| *value <= found) as f64 / 50_000.0;
                prop_assert!((rank - share).abs() < 4.0 * error + 1e-4, "{share}: {rank}");
            }
        }
    }
}
