//! A histogram of numbers whose range is not known before: its bins are joined, ten at a time, when they become too many.

/// The most bins while values are counted.
const MOST_BINS: i64 = 4_096;

/// The most bins that are shown.
const MOST_SHOWN: usize = 40;

/// Widths of shown bins, as multiples of a power of ten.
const FACTORS: [usize; 4] = [1, 2, 5, 10];

/// Exact counts of values in bins of equal width, which is a power of ten.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// The least exponent of the width: 0 for whole numbers.
    least: i32,
    /// The width of a bin is 10 to the power of it.
    exponent: i32,
    /// The number of the first bin: it begins at that many widths.
    first: i64,
    counts: Vec<u64>,
}

/// A round width of bins that have this range, at most as many as are shown.
pub(super) fn round_width(range: f64) -> f64 {
    let exponent = (range / MOST_SHOWN as f64).log10().floor() as i32;
    let widths =
        (exponent..=exponent + 1).flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(exponent)));
    // The range may begin and end within a bin.
    widths.into_iter().find(|width| range / width <= (MOST_SHOWN - 2) as f64).unwrap_or(range)
}

/// The bins as they are shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bins {
    /// Where the first one begins.
    pub(crate) start: f64,
    pub(crate) width: f64,
    pub(crate) counts: Vec<u64>,
}

impl Histogram {
    /// Without values yet; the bins of whole numbers are one wide at least.
    pub(super) fn new(are_whole: bool) -> Self {
        let least = if are_whole { 0 } else { f64::MIN_10_EXP };
        Self { least, exponent: least, first: 0, counts: vec![] }
    }

    /// Counts finite values.
    pub(super) fn add(&mut self, values: &[f64]) {
        let (least, most) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(*value), most.max(*value)));
        if least > most {
            return;
        }
        self.make_room(least, most);
        for value in values {
            let bin = self.bin(*value) - self.first;
            self.counts[bin as usize] += 1;
        }
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            *self = other;
            return;
        }
        loop {
            self.widen_to(other.exponent);
            other.widen_to(self.exponent);
            let first = self.first.min(other.first);
            let end = (self.first + self.counts.len() as i64).max(other.first + other.counts.len() as i64);
            if end - first <= MOST_BINS {
                self.extend(first, end);
                break;
            }
            self.widen_to(self.exponent + 1);
        }
        for (bin, count) in (other.first - self.first..).zip(other.counts) {
            self.counts[bin as usize] += count;
        }
    }

    /// Few bins of a round width, which have all values.
    pub(super) fn bins(&self) -> Option<Bins> {
        let filled = |count: &u64| *count > 0;
        let start = self.counts.iter().position(filled)?;
        let end = self.counts.iter().rposition(filled)? + 1;
        let (start, end) = (self.first + start as i64, self.first + end as i64);
        let shown = |factor: i64| (end - 1).div_euclid(factor) - start.div_euclid(factor) + 1;
        let powers = std::iter::successors(Some(1_usize), |power| power.checked_mul(10));
        let mut factors = powers.flat_map(|power| FACTORS[..3].iter().map(move |factor| factor * power));
        let factor = factors.find(|factor| shown(*factor as i64) <= MOST_SHOWN as i64)? as i64;
        let mut counts = vec![0; shown(factor) as usize];
        let first = start.div_euclid(factor);
        for (bin, count) in (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0) {
            counts[(bin.div_euclid(factor) - first) as usize] += count;
        }
        Some(Bins { start: self.edge(first * factor), width: self.edge(factor), counts })
    }

    fn make_room(&mut self, least: f64, most: f64) {
        if self.counts.is_empty() {
            let fits = |exponent: i32| self.at(exponent, most) - self.at(exponent, least) < MOST_BINS / 10;
            // Values of that size have bins with numbers that are exact.
            let size = least.abs().max(most.abs()).log10().floor();
            let start = if size.is_finite() { size as i32 - 12 } else { -12 };
            self.exponent = (start.max(self.least)..f64::MAX_10_EXP).find(|exponent| fits(*exponent)).unwrap_or(308);
            self.first = self.bin(least);
        }
        loop {
            let has = (self.first, self.first + self.counts.len() as i64);
            let (first, end) = (self.bin(least).min(has.0), (self.bin(most).saturating_add(1)).max(has.1));
            if end.saturating_sub(first) <= MOST_BINS {
                return self.extend(first, end);
            }
            self.widen_to(self.exponent + 1);
        }
    }

    /// Has bins for a range that includes that of now.
    fn extend(&mut self, first: i64, end: i64) {
        if first < self.first {
            let before = vec![0; (self.first - first) as usize];
            self.counts.splice(0..0, before);
            self.first = first;
        }
        self.counts.resize((end - first) as usize, 0);
    }

    /// Joins ten bins each until they are as wide.
    fn widen_to(&mut self, exponent: i32) {
        while self.exponent < exponent {
            let first = self.first.div_euclid(10);
            let last = (self.first + self.counts.len() as i64 - 1).div_euclid(10);
            let mut counts = vec![0; (last - first + 1) as usize];
            for (bin, count) in (self.first..).zip(&self.counts) {
                counts[(bin.div_euclid(10) - first) as usize] += count;
            }
            (self.first, self.counts, self.exponent) = (first, counts, self.exponent + 1);
        }
    }

    /// The number of the bin that has a value.
    fn bin(&self, value: f64) -> i64 {
        self.at(self.exponent, value)
    }

    fn at(&self, exponent: i32, value: f64) -> i64 {
        // A product with a power of ten is exact more often than a quotient by its inverse.
        let bins = if exponent < 0 { value * 10_f64.powi(-exponent) } else { value / 10_f64.powi(exponent) };
        bins.floor() as i64
    }

    /// Where a bin begins.
    fn edge(&self, bin: i64) -> f64 {
        match self.exponent {
            exponent if exponent < 0 => bin as f64 / 10_f64.powi(-exponent),
            exponent => bin as f64 * 10_f64.powi(exponent),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64], are_whole: bool) -> Histogram {
        let mut histogram = Histogram::new(are_whole);
        values.chunks(7).for_each(|values| histogram.add(values));
        histogram
    }

    #[test]
    fn bins_have_round_edges() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let bins = of(&values, true).bins().unwrap();
        assert_eq!((bins.start, bins.width, bins.counts), (0.0, 5.0, vec![5; 20]));
        let values: Vec<f64> = values.iter().map(|value| value / 100.0).collect();
        let bins = of(&values, false).bins().unwrap();
        assert_eq!((bins.start, bins.width, bins.counts.len()), (0.0, 0.05, 20));
    }

    #[test]
    fn few_whole_numbers_have_a_bin_each() {
        let bins = of(&[3.0, 4.0, 4.0, 7.0], true).bins().unwrap();
        assert_eq!((bins.start, bins.width, bins.counts), (3.0, 1.0, vec![1, 2, 0, 0, 1]));
        assert_eq!(of(&[5.0; 9], true).bins().unwrap().counts, [9]);
        assert_eq!(of(&[0.0; 9], false).bins().unwrap().counts, [9]);
    }

    #[test]
    fn without_values_there_are_no_bins() {
        assert_eq!(Histogram::new(false).bins(), None);
    }

    #[test]
    fn the_widest_range_has_bins() {
        for values in [[-1e300, 1e300], [f64::MIN, f64::MAX], [1e-300, 1.0], [5e-324, f64::MAX], [1e15, 1e15 + 1.0]] {
            let bins = of(&values, false).bins().unwrap();
            assert_eq!(bins.counts.iter().sum::<u64>(), 2, "{values:?}");
            assert!(bins.counts.len() <= MOST_SHOWN && bins.width.is_finite(), "{values:?}: {bins:?}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_in_its_bin(
            values in prop::collection::vec(prop_oneof![-1e9..1e9, -10.0..10.0, 0.0..1e-6], 1..300),
            cut in 0_usize..300,
        ) {
            let cut = cut.min(values.len());
            let mut histogram = of(&values[..cut], false);
            histogram.merge(of(&values[cut..], false));
            let Bins { start, width, counts } = histogram.bins().unwrap();
            prop_assert!(counts.len() <= MOST_SHOWN);
            let mut exact = vec![0; counts.len()];
            for value in &values {
                let bin = ((value - start) / width).floor();
                // An edge is rounded: a value there may be in either bin.
                prop_assert!(bin >= -1.0 && bin <= counts.len() as f64);
                exact[(bin.max(0.0) as usize).min(counts.len() - 1)] += 1_u64;
            }
            let (mut found, mut wanted) = (0, 0);
            for (count, exact) in counts.iter().zip(exact) {
                (found, wanted) = (found + count, wanted + exact);
                prop_assert!(u64::abs_diff(found, wanted) <= 2, "{counts:?}");
            }
            prop_assert_eq!(found, values.len() as u64);
        }
    }
}
