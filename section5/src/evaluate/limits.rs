//! What can be achieved without looking, and what cannot be exceeded.

use serde::{Deserialize, Serialize};

use crate::schema::{Known, PRICES};
use crate::table::Table;

/// The most prices that any model can name rightly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// How many cars.
    pub rows: usize,
    /// Their share of all cars.
    pub accuracy: f64,
}

/// The share of the commonest price.
pub fn baseline(table: &Table) -> f64 {
    let most = table.prices().into_iter().max().unwrap_or(0);
    most as f64 / table.cars().len().max(1) as f64
}

/// Cars that are alike in all features get the same prediction, whatever the model: of these it names at most as many
/// as have the commonest of their prices.
pub fn ceiling(table: &Table) -> Ceiling {
    let mut cars: Vec<_> = table.cars().iter().map(|car| (car.at_price(0), car.price())).collect();
    cars.sort_unstable();
    let commonest = |alike: &[(_, usize)]| {
        let mut counts = [0; PRICES];
        alike.iter().for_each(|(_, price)| counts[*price] += 1);
        counts.into_iter().max().unwrap_or(0)
    };
    let rows = cars.chunk_by(|a, b| Known::from(&a.0) == Known::from(&b.0)).map(commonest).sum();
    Ceiling { rows, accuracy: rows as f64 / table.cars().len().max(1) as f64 }
}
