//! How much attributes tell of each other, counted in the rows of a table.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::schema::{Attribute, Car};
use crate::table::Table;

/// How much a feature tells of a target once others are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Association {
    /// I(target; feature | others), in nats; 0 if there is none.
    pub mutual_information: f64,
    /// How probable at least as much is by chance, if there is none (G-test with the χ² distribution).
    pub p_value: f64,
}

/// The mutual information of two attributes given others, and whether it could be chance.
///
/// With empty `given` it is the mutual information of the two. The G-test's degrees of freedom are counted over the
/// levels that occur, for each combination of `given` that occurs.
pub fn conditional(table: &Table, target: Attribute, feature: Attribute, given: &[Attribute]) -> Association {
    let number = |car: &Car| {
        given.iter().fold(0, |number, attribute| number * attribute.levels().len() + usize::from(car.level(*attribute)))
    };
    let strata = given.iter().map(|attribute| attribute.levels().len()).product();
    let mut counts = vec![Contingency::empty(target, feature); strata];
    for car in table.cars() {
        counts[number(car)].add(car, target, feature);
    }
    let g: f64 = counts.iter().map(Contingency::g).sum();
    let freedom = counts.iter().map(Contingency::freedom).sum();
    let mutual_information = (g / 2.0 / table.cars().len().max(1) as f64).max(0.0);
    Association { mutual_information, p_value: survival(g, freedom) }
}

/// Cramér's V of two attributes, from 0 (independent) to 1 (each tells the other), with the correction for its bias
/// (Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013). 0 if one of them never changes.
pub fn cramers_v(table: &Table, a: Attribute, b: Attribute) -> f64 {
    let mut counts = Contingency::empty(a, b);
    table.cars().iter().for_each(|car| counts.add(car, a, b));
    let rows = counts.total();
    if rows < 2.0 {
        return 0.0;
    }
    let (levels_a, levels_b) = counts.occurring();
    let (levels_a, levels_b) = (levels_a as f64, levels_b as f64);
    let corrected = |levels: f64| levels - (levels - 1.0).powi(2) / (rows - 1.0);
    let smaller = corrected(levels_a).min(corrected(levels_b)) - 1.0;
    let phi = counts.chi_squared() / rows - (levels_a - 1.0) * (levels_b - 1.0) / (rows - 1.0);
    if smaller <= 0.0 { 0.0 } else { (phi.max(0.0) / smaller).sqrt().min(1.0) }
}

/// P(X ≥ statistic) for X of the χ² distribution; 1 without degrees of freedom.
fn survival(statistic: f64, freedom: usize) -> f64 {
    ChiSquared::new(freedom as f64).map_or(1.0, |distribution| distribution.sf(statistic.max(0.0)))
}

/// How often the levels of two attributes come together.
#[derive(Clone)]
struct Contingency {
    counts: Vec<Vec<f64>>,
}

impl Contingency {
    fn empty(a: Attribute, b: Attribute) -> Self {
        Self { counts: vec![vec![0.0; b.levels().len()]; a.levels().len()] }
    }

    fn add(&mut self, car: &Car, a: Attribute, b: Attribute) {
        self.counts[usize::from(car.level(a))][usize::from(car.level(b))] += 1.0;
    }

    fn rows(&self) -> Vec<f64> {
        self.counts.iter().map(|row| row.iter().sum()).collect()
    }

    fn columns(&self) -> Vec<f64> {
        (0..self.counts[0].len()).map(|column| self.counts.iter().map(|row| row[column]).sum()).collect()
    }

    fn total(&self) -> f64 {
        self.counts.iter().flatten().sum()
    }

    /// How many levels of each attribute occur.
    fn occurring(&self) -> (usize, usize) {
        let occur = |sums: Vec<f64>| sums.into_iter().filter(|sum| *sum > 0.0).count();
        (occur(self.rows()), occur(self.columns()))
    }

    fn freedom(&self) -> usize {
        let (rows, columns) = self.occurring();
        rows.saturating_sub(1) * columns.saturating_sub(1)
    }

    /// Counts that are not 0, each with the count that would be expected of independent attributes.
    fn with_expected(&self) -> Vec<(f64, f64)> {
        let (rows, columns, total) = (self.rows(), self.columns(), self.total());
        let mut pairs = Vec::new();
        for (row, row_sum) in self.counts.iter().zip(rows) {
            for (count, column_sum) in row.iter().zip(&columns) {
                pairs.push((*count, row_sum * column_sum / total));
            }
        }
        pairs.retain(|(_, expected)| *expected > 0.0);
        pairs
    }

    fn g(&self) -> f64 {
        let terms = self.with_expected().into_iter().filter(|(count, _)| *count > 0.0);
        2.0 * terms.map(|(count, expected)| count * (count / expected).ln()).sum::<f64>()
    }

    fn chi_squared(&self) -> f64 {
        self.with_expected().into_iter().map(|(count, expected)| (count - expected).powi(2) / expected).sum()
    }
}
