//! Feature selection from the data.

use crate::association::{self, Association};
use crate::schema::Attribute;
use crate::table::Table;

/// Significance level of a selected feature, divided by the number of tested features (Bonferroni).
const SIGNIFICANCE: f64 = 0.01;

/// Features in the order of selection: forward selection by conditional mutual information (Brown et al., "Conditional
/// likelihood maximisation", 2012). Each step selects the feature with the most information about the price given the
/// previously selected ones, as long as it is significant.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The selected features, with their association when they were selected.
    pub taken: Vec<(Attribute, Association)>,
}

impl Selection {
    /// Selects the informative features of a table.
    pub fn of(table: &Table) -> Self {
        let mut left = Attribute::FEATURES.to_vec();
        let mut taken: Vec<(Attribute, Association)> = Vec::new();
        while !left.is_empty() {
            let given: Vec<Attribute> = taken.iter().map(|(feature, _)| *feature).collect();
            let of_each = left
                .iter()
                .map(|feature| (*feature, association::conditional(table, Attribute::Buying, *feature, &given)));
            let significant = of_each.filter(|(_, found)| found.p_value < SIGNIFICANCE / left.len() as f64);
            // Ties are broken by the order of a row.
            let best =
                significant.reduce(
                    |best, other| {
                        if other.1.mutual_information > best.1.mutual_information { other } else { best }
                    },
                );
            let Some(best) = best else { break };
            left.retain(|feature| *feature != best.0);
            taken.push(best);
        }
        Self { taken }
    }

    /// The features, in the order of a row.
    pub fn features(&self) -> Vec<Attribute> {
        let mut features: Vec<Attribute> = self.taken.iter().map(|(feature, _)| *feature).collect();
        features.sort_unstable();
        features
    }
}
