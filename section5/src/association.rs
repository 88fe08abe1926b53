//! Association measures between attributes, computed from the rows of a table.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::schema::{Attribute, Car};
use crate::table::Table;

/// Association of a feature with a target, given other attributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Association {
    /// Conditional mutual information I(target; feature | others) in nats; 0 if they are independent.
    pub mutual_information: f64,
    /// p-value of the G-test (with the χ² distribution) of independence.
    pub p_value: f64,
}

/// The conditional mutual information of two attributes given others, and its p-value.
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

/// Cramér's V of two attributes, from 0 (independent) to 1 (each determines the other), with bias correction (Bergsma,
/// "A bias-correction for Cramér's V and Tschuprow's T", 2013). 0 if one of them is constant.
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

/// Counts of the pairs of levels of two attributes.
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

    /// The number of occurring levels of each attribute.
    fn occurring(&self) -> (usize, usize) {
        let occur = |sums: Vec<f64>| sums.into_iter().filter(|sum| *sum > 0.0).count();
        (occur(self.rows()), occur(self.columns()))
    }

    fn freedom(&self) -> usize {
        let (rows, columns) = self.occurring();
        rows.saturating_sub(1) * columns.saturating_sub(1)
    }

    /// Non-zero counts, each with its expected count under independence.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::full_table;

    /// Cars that differ in maintenance and class only, with the number of each pair of levels.
    fn cars(counts: &[(u8, u8, usize)]) -> Table {
        let car = |maint, class| Car([0, maint, 0, 0, 0, 0, class]);
        let cars = counts.iter().flat_map(|(maint, class, count)| vec![car(*maint, *class); *count]);
        Table::new(cars.collect())
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn equivalent_attributes_have_full_mutual_information() {
        let same = cars(&[(0, 0, 50), (1, 1, 50)]);
        let found = conditional(&same, Attribute::Maint, Attribute::Class, &[]);
        near(found.mutual_information, 2.0_f64.ln());
        assert!(found.p_value < 1e-20);
        near(cramers_v(&same, Attribute::Maint, Attribute::Class), 1.0);
    }

    /// Reference values: counts 30, 10, 20, 40 have χ² = 16.66…, G = 17.26….
    #[test]
    fn a_table_of_two_by_two_has_the_statistics_of_the_textbook() {
        let table = cars(&[(0, 0, 30), (0, 1, 10), (1, 0, 20), (1, 1, 40)]);
        let found = conditional(&table, Attribute::Maint, Attribute::Class, &[]);
        let terms = [(30.0, 20.0), (10.0, 20.0), (20.0, 30.0), (40.0, 30.0)];
        let g: f64 = 2.0 * terms.iter().map(|(seen, expected): &(f64, f64)| seen * (seen / expected).ln()).sum::<f64>();
        near(found.mutual_information, g / 200.0);
        // χ² of one degree of freedom: the square of a normal deviate, 4.1541….
        assert!((3.0e-5..3.5e-5).contains(&found.p_value), "{}", found.p_value);
        let corrected: f64 = 2.0 - 1.0 / 99.0;
        let v = ((100.0 / 6.0 / 100.0 - 1.0 / 99.0) / (corrected - 1.0)).sqrt();
        near(cramers_v(&table, Attribute::Maint, Attribute::Class), v);
    }

    #[test]
    fn a_constant_attribute_has_no_association() {
        let table = cars(&[(0, 0, 30), (0, 1, 10)]);
        let found = conditional(&table, Attribute::Maint, Attribute::Class, &[]);
        assert_eq!(found, Association { mutual_information: 0.0, p_value: 1.0 });
        near(cramers_v(&table, Attribute::Maint, Attribute::Class), 0.0);
    }

    #[test]
    fn maintenance_is_informative_only_given_the_class() {
        let table = full_table();
        let of_maint = |given: &[Attribute]| conditional(&table, Attribute::Buying, Attribute::Maint, given);
        near(of_maint(&[]).mutual_information, 0.0);
        let with_class = of_maint(&[Attribute::Class]);
        assert!(with_class.mutual_information > 0.05 && with_class.p_value < 1e-10, "{with_class:?}");
    }
}
