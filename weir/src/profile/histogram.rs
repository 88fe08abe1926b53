//! A histogram of values whose range is not known before: its bins are joined when they become too many.

use super::kind::Kind;
use crate::task::SqlType;

/// The most bins while values are counted.
const MOST_BINS: i64 = 4_096;

/// The most bins that are shown.
const MOST_SHOWN: i64 = 40;

/// The widths of bins, in levels: each one is a multiple of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Powers of ten, from this one on.
    Numbers { least: i32 },
    /// Round numbers of seconds, minutes, hours and days, in microseconds, from this level on.
    Times { least: i32 },
}

/// The widths up to a day, in microseconds.
const TIMES: [f64; 12] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 6e7, 6e8, 3.6e9, 8.64e10];

/// The level of a day.
const DAY: i32 = TIMES.len() as i32 - 1;

impl Scale {
    pub(super) fn of(sql_type: SqlType) -> Self {
        match (Kind::of(sql_type), sql_type) {
            (_, SqlType::Date) => Self::Times { least: DAY },
            (Kind::Time, _) => Self::Times { least: 0 },
            (Kind::Number { whole: false }, _) => Self::Numbers { least: f64::MIN_10_EXP },
            _ => Self::Numbers { least: 0 },
        }
    }

    fn least(self) -> i32 {
        match self {
            Self::Numbers { least } | Self::Times { least } => least,
        }
    }

    /// The number of a bin of that level that has a value.
    fn bin(self, level: i32, value: f64) -> i64 {
        let bins = match self {
            // A product with a power of ten is exact more often than a quotient by its inverse.
            Self::Numbers { .. } if level < 0 => value * 10_f64.powi(-level),
            _ => value / self.width(level),
        };
        bins.floor() as i64
    }

    /// Where a bin begins.
    fn edge(self, level: i32, bin: i64) -> f64 {
        match self {
            Self::Numbers { .. } if level < 0 => bin as f64 / 10_f64.powi(-level),
            _ => bin as f64 * self.width(level),
        }
    }

    fn width(self, level: i32) -> f64 {
        match self {
            Self::Numbers { .. } => 10_f64.powi(level),
            Self::Times { .. } if level <= DAY => TIMES[level.max(0) as usize],
            Self::Times { .. } => TIMES[DAY as usize] * 10_f64.powi(level - DAY),
        }
    }

    /// How many bins of a level are one of the next.
    fn joined(self, level: i32) -> i64 {
        match self {
            Self::Times { .. } if level < DAY => (self.width(level + 1) / self.width(level)).round() as i64,
            _ => 10,
        }
    }

    /// How many bins of a level are joined to one that is shown, until the next level has one of that width.
    fn factors(self, level: i32) -> &'static [i64] {
        match self.joined(level) {
            6 => &[1, 2, 3],
            24 => &[1, 2, 3, 4, 6, 12],
            _ => &[1, 2, 5],
        }
    }

    /// Round widths, from a level on, as multiples of that of the level, with their own levels and factors.
    fn round(self, level: i32) -> impl Iterator<Item = (i64, i32, i64)> {
        let next = move |(level, multiple): &(i32, i64)| Some((level + 1, multiple.checked_mul(self.joined(*level))?));
        let levels = std::iter::successors(Some((level, 1)), next);
        levels.flat_map(move |(level, multiple)| {
            self.factors(level).iter().filter_map(move |factor| Some((multiple.checked_mul(*factor)?, level, *factor)))
        })
    }

    /// Limits of bins of a round width that have this range, at most as many as are shown.
    pub(super) fn limits(self, least: f64, most: f64) -> Option<Vec<f64>> {
        let from = match self {
            Self::Numbers { .. } => (((most - least) / MOST_SHOWN as f64).log10().floor() as i32).max(self.least()),
            Self::Times { least } => least,
        };
        let bins = |level: i32, factor: i64, value: f64| self.bin(level, value).div_euclid(factor);
        let fits = |(_, level, factor): &(i64, i32, i64)| {
            bins(*level, *factor, most).saturating_sub(bins(*level, *factor, least)) < MOST_SHOWN
        };
        let (_, level, factor) = self.round(from).find(fits)?;
        let (first, last) = (bins(level, factor, least), bins(level, factor, most));
        Some((first..=last + 1).map(|bin| self.edge(level, bin * factor)).collect())
    }
}

/// Exact counts of values in bins of equal width.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    scale: Scale,
    /// The level of the width.
    level: i32,
    /// The number of the first bin: it begins at that many widths.
    first: i64,
    counts: Vec<u64>,
}

/// The bins as they are shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bins {
    /// Where they begin, and where the last one ends.
    pub(crate) limits: Vec<f64>,
    pub(crate) counts: Vec<u64>,
}

impl Histogram {
    /// Without values yet.
    pub(super) fn new(scale: Scale) -> Self {
        Self { scale, level: scale.least(), first: 0, counts: vec![] }
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
            let bin = self.scale.bin(self.level, *value) - self.first;
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
            self.widen_to(other.level);
            other.widen_to(self.level);
            let first = self.first.min(other.first);
            let end = (self.first + self.counts.len() as i64).max(other.first + other.counts.len() as i64);
            if end - first <= MOST_BINS {
                self.extend(first, end);
                break;
            }
            self.widen_to(self.level + 1);
        }
        for (bin, count) in (other.first - self.first..).zip(other.counts) {
            self.counts[bin as usize] += count;
        }
    }

    /// Few bins of a round width, which have all values.
    pub(super) fn bins(&self) -> Option<Bins> {
        let filled = |count: &u64| *count > 0;
        let start = self.first + self.counts.iter().position(filled)? as i64;
        let last = self.first + self.counts.iter().rposition(filled)? as i64;
        let shown = |factor: i64| last.div_euclid(factor) - start.div_euclid(factor) + 1;
        let mut factors = self.scale.round(self.level).map(|(factor, ..)| factor);
        let factor = factors.find(|factor| shown(*factor) <= MOST_SHOWN)?;
        let mut counts = vec![0; shown(factor) as usize];
        let first = start.div_euclid(factor);
        for (bin, count) in (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0) {
            counts[(bin.div_euclid(factor) - first) as usize] += count;
        }
        let edge = |bin: i64| self.scale.edge(self.level, (first + bin) * factor);
        Some(Bins { limits: (0..=counts.len() as i64).map(edge).collect(), counts })
    }

    fn make_room(&mut self, least: f64, most: f64) {
        if self.counts.is_empty() {
            let fits = |level: &i32| {
                self.scale.bin(*level, most).saturating_sub(self.scale.bin(*level, least)) < MOST_BINS / 10
            };
            let start = match self.scale {
                // Values of that size have bins with numbers that are exact.
                Scale::Numbers { .. } => least.abs().max(most.abs()).log10().floor().max(-295.0) as i32 - 12,
                Scale::Times { least } => least,
            };
            let levels = start.max(self.scale.least())..=f64::MAX_10_EXP;
            self.level = levels.into_iter().find(fits).unwrap_or(f64::MAX_10_EXP);
            self.first = self.scale.bin(self.level, least);
        }
        loop {
            let has = (self.first, self.first + self.counts.len() as i64);
            let bin = |value: f64| self.scale.bin(self.level, value);
            let (first, end) = (bin(least).min(has.0), bin(most).saturating_add(1).max(has.1));
            if end.saturating_sub(first) <= MOST_BINS {
                return self.extend(first, end);
            }
            self.widen_to(self.level + 1);
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

    /// Joins bins until they have the width of a level.
    fn widen_to(&mut self, level: i32) {
        while self.level < level {
            let joined = self.scale.joined(self.level);
            let first = self.first.div_euclid(joined);
            let last = (self.first + self.counts.len() as i64 - 1).div_euclid(joined);
            let mut counts = vec![0; (last - first + 1) as usize];
            for (bin, count) in (self.first..).zip(&self.counts) {
                counts[(bin.div_euclid(joined) - first) as usize] += count;
            }
            (self.first, self.counts, self.level) = (first, counts, self.level + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: Scale = Scale::Numbers { least: 0 };
    const ANY: Scale = Scale::Numbers { least: f64::MIN_10_EXP };

    fn of(values: &[f64], scale: Scale) -> Histogram {
        let mut histogram = Histogram::new(scale);
        values.chunks(7).for_each(|values| histogram.add(values));
        histogram
    }

    #[test]
    fn bins_have_round_edges() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let bins = of(&values, WHOLE).bins().unwrap();
        assert_eq!((bins.limits[0], bins.limits[1], bins.counts), (0.0, 5.0, vec![5; 20]));
        let values: Vec<f64> = values.iter().map(|value| value / 100.0).collect();
        let bins = of(&values, ANY).bins().unwrap();
        assert_eq!((bins.limits[0], bins.limits[3], bins.counts), (0.0, 0.15, vec![5; 20]));
    }

    #[test]
    fn few_whole_numbers_have_a_bin_each() {
        let bins = of(&[3.0, 4.0, 4.0, 7.0], WHOLE).bins().unwrap();
        assert_eq!((bins.limits, bins.counts), (vec![3.0, 4.0, 5.0, 6.0, 7.0, 8.0], vec![1, 2, 0, 0, 1]));
        assert_eq!(of(&[5.0; 9], WHOLE).bins().unwrap().counts, [9]);
        assert_eq!(of(&[0.0; 9], ANY).bins().unwrap().counts, [9]);
    }

    #[test]
    fn without_values_there_are_no_bins() {
        assert_eq!(Histogram::new(ANY).bins(), None);
    }

    #[test]
    fn the_widest_range_has_bins() {
        for values in [[-1e300, 1e300], [f64::MIN, f64::MAX], [1e-300, 1.0], [5e-324, f64::MAX], [1e15, 1e15 + 1.0]] {
            let bins = of(&values, ANY).bins().unwrap();
            assert_eq!(bins.counts.iter().sum::<u64>(), 2, "{values:?}");
            assert!(bins.counts.len() as i64 <= MOST_SHOWN && bins.limits.is_sorted(), "{values:?}: {bins:?}");
        }
    }

    #[test]
    fn times_have_bins_of_days_hours_or_minutes() {
        let minutes: Vec<f64> = (0..90).map(|minute| 1.6e15 + f64::from(minute) * 6e7).collect();
        let bins = of(&minutes, Scale::Times { least: 0 }).bins().unwrap();
        let widths: Vec<f64> = bins.limits.windows(2).map(|limits| (limits[1] - limits[0]) / 6e7).collect();
        assert_eq!((bins.limits[0] % 6e7, widths), (0.0, vec![5.0; bins.counts.len()]));
        let days: Vec<f64> = (0..30).map(|day| f64::from(19_000 + day) * 8.64e10).collect();
        let bins = of(&days, Scale::Times { least: DAY }).bins().unwrap();
        assert_eq!((bins.limits[0], bins.counts), (days[0], vec![1; 30]));
        let years: Vec<f64> = days.iter().map(|day| day * 3.0).collect();
        let bins = of(&years, Scale::Times { least: DAY }).bins().unwrap();
        assert_eq!(bins.limits[1] - bins.limits[0], 5.0 * 8.64e10);
    }

    #[test]
    fn limits_are_round_and_have_the_range() {
        assert_eq!(ANY.limits(0.001, 0.99).unwrap()[..3], [0.0, 0.05, 0.1]);
        assert_eq!(WHOLE.limits(3.0, 5.0).unwrap(), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(
            Scale::Times { least: DAY }.limits(8.64e10, 2.0 * 8.64e10).unwrap(),
            [8.64e10, 2.0 * 8.64e10, 3.0 * 8.64e10]
        );
        assert!(ANY.limits(-1e300, 1e300).unwrap().len() <= 41);
    }

    proptest! {
        #[test]
        fn every_value_is_in_its_bin(
            values in prop::collection::vec(prop_oneof![-1e9..1e9, -10.0..10.0, 0.0..1e-6], 1..300),
            cut in 0_usize..300,
        ) {
            let cut = cut.min(values.len());
            let mut histogram = of(&values[..cut], ANY);
            histogram.merge(of(&values[cut..], ANY));
            let Bins { limits, counts } = histogram.bins().unwrap();
            prop_assert!(counts.len() as i64 <= MOST_SHOWN && limits.len() == counts.len() + 1);
            let mut exact = vec![0; counts.len()];
            for value in &values {
                // An edge is rounded: a value there may be in either bin.
                let bin = limits.partition_point(|limit| limit <= value).max(1) - 1;
                exact[bin.min(counts.len() - 1)] += 1_u64;
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
