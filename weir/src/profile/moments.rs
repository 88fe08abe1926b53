//! Means, variances and correlations, by sums that can be merged.
//!
//! The formulas are those of Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983: they are
//! accurate also for numbers that are far from zero.

/// The mean and the variance of a column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    /// The sum of the squared deviations from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        Self { count, mean, squares: values.iter().map(|value| (value - mean).powi(2)).sum() }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        self.mean += apart * other.count / count;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.count = count;
    }

    pub(super) fn add(&mut self, value: f64) {
        self.merge(&Self { count: 1.0, mean: value, squares: 0.0 });
    }

    /// The number of values.
    pub(super) fn count(&self) -> u64 {
        self.count as u64
    }

    /// The sum of the squared deviations from the mean.
    pub(super) fn squares(&self) -> f64 {
        self.squares
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.mean)
    }

    /// The standard deviation of a sample.
    pub(super) fn deviation(&self) -> Option<f64> {
        (self.count > 1.0).then(|| (self.squares / (self.count - 1.0)).sqrt())
    }
}

/// What two columns have in common, of the rows in which both have a number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pair {
    count: f64,
    means: (f64, f64),
    squares: (f64, f64),
    /// The sum of the products of the deviations from the means.
    products: f64,
}

impl Pair {
    /// Of two columns, without the rows in which one has no finite number.
    pub(super) fn of(one: &[f64], other: &[f64]) -> Self {
        let (mut count, mut sums) = (0.0, (0.0, 0.0));
        for (a, b) in one.iter().zip(other) {
            if a.is_finite() && b.is_finite() {
                count += 1.0;
                sums = (sums.0 + a, sums.1 + b);
            }
        }
        if count == 0.0 {
            return Self::default();
        }
        let means = (sums.0 / count, sums.1 / count);
        let (mut squares, mut products) = ((0.0, 0.0), 0.0);
        for (a, b) in one.iter().zip(other) {
            if a.is_finite() && b.is_finite() {
                let (a, b) = (a - means.0, b - means.1);
                squares = (squares.0 + a * a, squares.1 + b * b);
                products += a * b;
            }
        }
        Self { count, means, squares, products }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let apart = (other.means.0 - self.means.0, other.means.1 - self.means.1);
        let (weight, both) = (other.count / count, self.count * other.count / count);
        self.means = (self.means.0 + apart.0 * weight, self.means.1 + apart.1 * weight);
        self.squares.0 += other.squares.0 + apart.0 * apart.0 * both;
        self.squares.1 += other.squares.1 + apart.1 * apart.1 * both;
        self.products += other.products + apart.0 * apart.1 * both;
        self.count = count;
    }

    /// Pearson's correlation; none if one of the columns has one number only.
    pub(super) fn correlation(&self) -> Option<f64> {
        let scale = self.squares.0.sqrt() * self.squares.1.sqrt();
        (scale > 0.0 && scale.is_finite()).then(|| (self.products / scale).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_far_from_zero_keep_their_variance() {
        let values: Vec<f64> = (0..1_000).map(|row| 1e12 + f64::from(row % 2)).collect();
        let mut moments = Moments::default();
        values.chunks(10).for_each(|values| moments.merge(&Moments::of(values)));
        assert!((moments.deviation().unwrap() - 0.500_250).abs() < 1e-6);
        assert_eq!(moments.mean().unwrap(), 1e12 + 0.5);
    }

    #[test]
    fn a_constant_column_has_no_correlation() {
        assert_eq!(Pair::of(&[1.0, 1.0], &[1.0, 2.0]).correlation(), None);
        assert_eq!(Pair::of(&[1.0, f64::NAN], &[f64::NAN, 2.0]).correlation(), None);
        assert_eq!(Moments::default().mean(), None);
    }

    #[test]
    fn a_line_has_the_correlation_of_its_direction() {
        let (one, up): (Vec<f64>, Vec<f64>) = (0..9).map(|x| (f64::from(x), f64::from(x) * 2.0 + 7.0)).unzip();
        let down: Vec<f64> = up.iter().map(|y| -y).collect();
        assert!((Pair::of(&one, &up).correlation().unwrap() - 1.0).abs() < 1e-12);
        assert!((Pair::of(&one, &down).correlation().unwrap() + 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn parts_have_the_moments_of_the_whole(
            rows in prop::collection::vec((-1e6..1e6_f64, -1e6..1e6_f64, 0_u8..8), 3..200), cut in 0_usize..200,
        ) {
            let cut = cut.min(rows.len());
            let number = |value: f64, is_null: bool| if is_null { f64::NAN } else { value };
            let one: Vec<f64> = rows.iter().map(|(a, _, null)| number(*a, *null == 1)).collect();
            let other: Vec<f64> = rows.iter().map(|(_, b, null)| number(*b, *null == 2)).collect();
            let mut pair = Pair::of(&one[..cut], &other[..cut]);
            pair.merge(&Pair::of(&one[cut..], &other[cut..]));
            let whole = Pair::of(&one, &other);
            prop_assert_eq!(pair.count, whole.count);
            let (merged, exact) = (pair.correlation().unwrap_or(0.0), whole.correlation().unwrap_or(0.0));
            prop_assert!((merged - exact).abs() < 1e-9, "{merged} {exact}");
            let present: Vec<f64> = one.iter().copied().filter(|value| !value.is_nan()).collect();
            let mut moments = Moments::of(&present[..cut.min(present.len())]);
            moments.merge(&Moments::of(&present[cut.min(present.len())..]));
            let exact = Moments::of(&present);
            prop_assert!((moments.deviation().unwrap_or(0.0) - exact.deviation().unwrap_or(0.0)).abs() < 1e-6);
        }
    }
}
