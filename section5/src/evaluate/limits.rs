//! What can be achieved without looking, and what cannot be exceeded.

use serde::{Deserialize, Serialize};

use crate::schema::{Car, PRICES};
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

/// The cars in groups that are alike in all features: no model can tell those of one group apart.
pub fn look_alikes(table: &Table) -> Vec<Vec<Car>> {
    let mut cars = table.cars().to_vec();
    cars.sort_by_key(|car| (car.at_price(0), car.price()));
    cars.chunk_by(|a, b| a.at_price(0) == b.at_price(0)).map(<[Car]>::to_vec).collect()
}

/// Look-alikes get the same prediction, whatever the model: of these it names at most as many as have the commonest of
/// their prices.
pub fn ceiling(table: &Table) -> Ceiling {
    let commonest = |alike: &Vec<Car>| {
        let mut counts = [0; PRICES];
        alike.iter().for_each(|car| counts[car.price()] += 1);
        counts.into_iter().max().unwrap_or(0)
    };
    let rows = look_alikes(table).iter().map(commonest).sum();
    Ceiling { rows, accuracy: rows as f64 / table.cars().len().max(1) as f64 }
}
