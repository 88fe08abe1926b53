//! Lower and upper limits of the accuracy: guessing, and the best possible model.

use serde::{Deserialize, Serialize};

use crate::schema::{Car, PRICES};
use crate::table::Table;

/// The maximum number of prices that any model can predict correctly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Number of cars.
    pub rows: usize,
    /// Their share of all cars.
    pub accuracy: f64,
}

/// The share of the most frequent price.
pub fn baseline(table: &Table) -> f64 {
    let most = table.prices().into_iter().max().unwrap_or(0);
    most as f64 / table.cars().len().max(1) as f64
}

/// Groups of cars with equal features, which no model can distinguish.
pub fn groups_with_equal_features(table: &Table) -> Vec<Vec<Car>> {
    let mut cars = table.cars().to_vec();
    cars.sort_by_key(|car| (car.at_price(0), car.price()));
    cars.chunk_by(|a, b| a.at_price(0) == b.at_price(0)).map(<[Car]>::to_vec).collect()
}

/// Cars with equal features get the same prediction from any model, which is correct at most for those with their most
/// frequent price.
pub fn ceiling(table: &Table) -> Ceiling {
    let most_frequent = |alike: &Vec<Car>| {
        let mut counts = [0; PRICES];
        alike.iter().for_each(|car| counts[car.price()] += 1);
        counts.into_iter().max().unwrap_or(0)
    };
    let rows = groups_with_equal_features(table).iter().map(most_frequent).sum();
    Ceiling { rows, accuracy: rows as f64 / table.cars().len().max(1) as f64 }
}
