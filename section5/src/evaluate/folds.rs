//! Splits cars into folds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::unfit;
use crate::Result;
use crate::schema::{Attribute, PRICES};
use crate::table::Table;

/// The fold of each car of a table, for each repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    of_cars: Vec<Vec<usize>>,
}

impl Folds {
    /// Splits the cars of a table into folds whose sizes differ by at most one, in total and for each price.
    ///
    /// # Errors
    /// If there is only one price, or a price has fewer cars than folds; if there are fewer than two folds or no
    /// repetitions.
    pub fn new(table: &Table, folds: usize, repeats: usize, seed: u64) -> Result<Self> {
        if folds < 2 || repeats == 0 {
            let message = format!("{folds} folds and {repeats} repetitions leave no training or no test cars");
            return Err(unfit(message, "use at least two folds and one repetition"));
        }
        check(table.prices(), folds)?;
        let one = |repeat| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(repeat);
            deal(table, folds, &mut random)
        };
        Ok(Self { of_cars: (0..repeats as u64).map(one).collect() })
    }

    /// The indices of the training cars and of the test cars.
    pub fn split(&self, repeat: usize, fold: usize) -> (Vec<usize>, Vec<usize>) {
        let of_cars = &self.of_cars[repeat];
        (0..of_cars.len()).partition(|place| of_cars[*place] != fold)
    }

    /// As CSV: the index of each car in [`Table::cars`], and its fold in each repetition; from 0.
    pub fn to_csv(&self) -> String {
        let mut text = "row,repeat,fold\n".to_owned();
        for (repeat, of_cars) in self.of_cars.iter().enumerate() {
            for (row, fold) in of_cars.iter().enumerate() {
                text.push_str(&format!("{row},{repeat},{fold}\n"));
            }
        }
        text
    }
}

fn check(prices: [usize; PRICES], folds: usize) -> Result<()> {
    let there = || prices.iter().enumerate().filter(|(_, count)| **count > 0);
    if there().count() < 2 {
        let only = there().map(|(price, _)| Attribute::Buying.level_name(price as u8)).collect::<String>();
        let message = match only.is_empty() {
            true => "there are no cars".to_owned(),
            false => format!("all cars have the price {only}: there is nothing to classify"),
        };
        return Err(unfit(message, "evaluate on a table with several prices"));
    }
    match there().min_by_key(|(_, count)| **count) {
        Some((price, count)) if *count < folds => {
            let name = Attribute::Buying.level_name(price as u8);
            let message = format!("only {count} cars have the price {name}: too few for {folds} folds");
            Err(unfit(message, "use a table with more cars, or fewer folds: --folds"))
        }
        _ => Ok(()),
    }
}

/// Assigns the shuffled cars of each price to the folds in turn, continuing with the next price where the last one
/// ended.
fn deal(table: &Table, folds: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut of_cars = vec![0; table.cars().len()];
    let mut next = 0;
    for price in 0..PRICES {
        let mut places: Vec<usize> = (0..of_cars.len()).filter(|place| table.cars()[*place].price() == price).collect();
        shuffle(&mut places, random);
        for place in places {
            of_cars[place] = next % folds;
            next += 1;
        }
    }
    of_cars
}

/// Fisher and Yates's shuffle.
pub(super) fn shuffle<T>(values: &mut [T], random: &mut ChaCha8Rng) {
    for left in (2..=values.len()).rev() {
        let chosen = (u128::from(random.next_u64()) * left as u128) >> 64;
        values.swap(left - 1, chosen as usize);
    }
}
