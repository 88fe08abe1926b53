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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reasons {
    counted: BTreeMap<String, Counted>,
    rows: u64,
}

impl Reasons {
    /// Adds a row with its reasons, joined by `;`. Each is counted for itself: there are few of them, and of their
    /// combinations there can be as many as there are rows.
    pub(crate) fn add_row<E>(&mut self, reasons: &str, sample: impl Fn() -> Result<Shown, E>) -> Result<(), E> {
        self.rows += 1;
        for reason in reasons.split(';') {
            let counted = self.of(reason);
            let sample = (counted.room() > 0).then(&sample).transpose()?;
            counted.add(1, sample);
        }
        Ok(())
    }

    /// The count of one reason.
    pub(crate) fn of(&mut self, reason: &str) -> &mut Counted {
        self.counted.entry(reason.to_owned()).or_default()
    }

    /// Adds what another reader has counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (reason, counted) in other.counted {
            self.counted.entry(reason).or_default().merge(counted);
        }
    }

    /// The rows that were added, whatever their reasons.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

impl IntoIterator for Reasons {
    type Item = (String, Counted);
    type IntoIter = std::collections::btree_map::IntoIter<String, Counted>;

    fn into_iter(self) -> Self::IntoIter {
        self.counted.into_iter()
    }
}
