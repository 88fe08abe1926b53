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

/// The numbers of a column, as deviations from their mean.
#[derive(Debug)]
pub(super) struct Centred {
    /// 0 where there is no finite number.
    values: Vec<f64>,
    /// 1 where there is one, and 0 elsewhere.
    is_number: Vec<f64>,
    has_all: bool,
    mean: f64,
    squares: f64,
}

impl Centred {
    pub(super) fn of(values: &[f64]) -> Self {
        let is_number: Vec<f64> = values.iter().map(|value| f64::from(u8::from(value.is_finite()))).collect();
        let count = is_number.iter().sum::<f64>();
        let finite = |value: &f64| if value.is_finite() { *value } else { 0.0 };
        let mean = values.iter().map(finite).sum::<f64>() / count.max(1.0);
        let centred = |value: &f64| if value.is_finite() { value - mean } else { 0.0 };
        let centred: Vec<f64> = values.iter().map(centred).collect();
        Self {
            squares: dot(&centred, &centred),
            values: centred,
            has_all: count == values.len() as f64,
            is_number,
            mean,
        }
    }
}

/// The sum of a term over the rows. Several sums at a time: an addition need not wait for the one before.
fn sum(one: &[f64], other: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f64 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| term(*a, *b)).sum();
    for (a, b) in ones.zip(others) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The sum of products.
fn dot(one: &[f64], other: &[f64]) -> f64 {
    sum(one, other, |a, b| a * b)
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
    /// Of two columns, of the rows in which both have a finite number.
    pub(super) fn of(one: &Centred, other: &Centred) -> Self {
        let products = dot(&one.values, &other.values);
        if one.has_all && other.has_all {
            let count = one.values.len() as f64;
            return Self { count, means: (one.mean, other.mean), squares: (one.squares, other.squares), products };
        }
        let (a, b) = (&one.is_number, &other.is_number);
        let count = dot(a, b);
        if count == 0.0 {
            return Self::default();
        }
        // Sums over the rows that both have, of deviations from the means of all rows that one has.
        let sums = (dot(&one.values, b), dot(a, &other.values));
        let squares =
            |values: &[f64], is_counted: &[f64]| sum(values, is_counted, |value, counts| value * value * counts);
        let squares = (squares(&one.values, b), squares(&other.values, a));
        Self {
            count,
            means: (one.mean + sums.0 / count, other.mean + sums.1 / count),
            squares: (squares.0 - sums.0 * sums.0 / count, squares.1 - sums.1 * sums.1 / count),
            products: products - sums.0 * sums.1 / count,
        }
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

    fn pair(one: &[f64], other: &[f64]) -> Pair {
        Pair::of(&Centred::of(one), &Centred::of(other))
    }

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
        assert_eq!(pair(&[1.0, 1.0], &[1.0, 2.0]).correlation(), None);
        assert_eq!(pair(&[1.0, f64::NAN], &[f64::NAN, 2.0]).correlation(), None);
        assert_eq!(Moments::default().mean(), None);
    }

    #[test]
    fn a_line_has_the_correlation_of_its_direction() {
        let (one, up): (Vec<f64>, Vec<f64>) = (0..9).map(|x| (f64::from(x), f64::from(x) * 2.0 + 7.0)).unzip();
        let down: Vec<f64> = up.iter().map(|y| -y).collect();
        assert!((pair(&one, &up).correlation().unwrap() - 1.0).abs() < 1e-12);
        assert!((pair(&one, &down).correlation().unwrap() + 1.0).abs() < 1e-12);
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
            let mut merged = pair(&one[..cut], &other[..cut]);
            merged.merge(&pair(&one[cut..], &other[cut..]));
            let both = || one.iter().zip(&other).filter(|(a, b)| !a.is_nan() && !b.is_nan());
            let count = both().count() as f64;
            prop_assert_eq!(merged.count, count);
            let means = both().fold((0.0, 0.0), |sums, (a, b)| (sums.0 + a / count, sums.1 + b / count));
            let sum = |term: &dyn Fn(f64, f64) -> f64| both().map(|(a, b)| term(a - means.0, b - means.1)).sum::<f64>();
            let exact = sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
            let found = merged.correlation().unwrap_or(0.0);
            prop_assert!(exact.is_nan() || (found - exact).abs() < 1e-7, "{found} {exact}");
            let present: Vec<f64> = one.iter().copied().filter(|value| !value.is_nan()).collect();
            let mut moments = Moments::of(&present[..cut.min(present.len())]);
            moments.merge(&Moments::of(&present[cut.min(present.len())..]));
            let exact = Moments::of(&present);
            prop_assert!((moments.deviation().unwrap_or(0.0) - exact.deviation().unwrap_or(0.0)).abs() < 1e-6);
        }
    }
}
