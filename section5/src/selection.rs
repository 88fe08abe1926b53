//! Which features tell something of the price: chosen from the data.

use crate::association::{self, Association};
use crate::schema::Attribute;
use crate::table::Table;

/// A feature is taken if what it tells would come about by chance less often than this; shared among the features that
/// are looked at (Bonferroni).
const SIGNIFICANCE: f64 = 0.01;

/// Features in the order in which they were taken: forward selection by conditional mutual information (Brown et al.,
/// "Conditional likelihood maximisation", 2012). Each time the feature is taken that tells most of the price to
/// somebody who knows those that were taken before, as long as that is not chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The features that were taken, with what each tells when it is its turn.
    pub taken: Vec<(Attribute, Association)>,
}

impl Selection {
    /// The features that tell something of the price in this table.
    pub fn of(table: &Table) -> Self {
        let mut left = Attribute::FEATURES.to_vec();
        let mut taken: Vec<(Attribute, Association)> = Vec::new();
        while !left.is_empty() {
            let given: Vec<Attribute> = taken.iter().map(|(feature, _)| *feature).collect();
            let of_each = left
                .iter()
                .map(|feature| (*feature, association::conditional(table, Attribute::Buying, *feature, &given)));
            let significant = of_each.filter(|(_, found)| found.p_value < SIGNIFICANCE / left.len() as f64);
            // Of equal ones the first in the order of a row.
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
