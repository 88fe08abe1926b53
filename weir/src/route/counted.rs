//! Rows counted by reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SAMPLES, Shown};

/// Rows that share one reason, with a few of them to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) rows: u64,
    pub(crate) samples: Vec<Shown>,
}

impl Counted {
    /// How many more samples are taken.
    pub(crate) fn room(&self) -> usize {
        SAMPLES.saturating_sub(self.samples.len())
    }

    /// Adds rows, with samples of them; samples that are too many are left out.
    pub(crate) fn add(&mut self, rows: u64, samples: impl IntoIterator<Item = Shown>) {
        self.rows += rows;
        let room = self.room();
        self.samples.extend(samples.into_iter().take(room));
    }

    /// Adds what another reader has counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.rows, other.samples);
    }
}

/// Counts by reason, in the order of the reasons' names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reasons(BTreeMap<String, Counted>);

impl Reasons {
    /// The count of one reason.
    pub(crate) fn of(&mut self, reason: &str) -> &mut Counted {
        self.0.entry(reason.to_owned()).or_default()
    }

    /// The rows of all reasons together.
    pub(crate) fn rows(&self) -> u64 {
        self.0.values().map(|counted| counted.rows).sum()
    }
}

impl IntoIterator for Reasons {
    type Item = (String, Counted);
    type IntoIter = std::collections::btree_map::IntoIter<String, Counted>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
