//! Dividing cars into folds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::unfit;
use crate::Result;
use crate::schema::{Attribute, PRICES};
use crate::table::Table;

/// Which fold each car of a table is in, for each repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    of_cars: Vec<Vec<usize>>,
}

impl Folds {
    /// Divides the cars of a table so that each fold has as many as any other, or one less, in total and of each price.
    ///
    /// # Errors
    /// If there is only one price, or fewer cars of a price than folds; if there are fewer than two folds, or none at
    /// all.
    pub fn new(table: &Table, folds: usize, repeats: usize, seed: u64) -> Result<Self> {
        if folds < 2 || repeats == 0 {
            let message = format!("{folds} folds, {repeats} times, leave no cars to learn from or none to judge on");
            return Err(unfit(message, "ask for two folds at least, and once at least"));
        }
        check(table.prices(), folds)?;
        let one = |repeat| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(repeat);
            deal(table, folds, &mut random)
        };
        Ok(Self { of_cars: (0..repeats as u64).map(one).collect() })
    }

    /// The places of the cars to learn from, and of those to predict.
    pub fn split(&self, repeat: usize, fold: usize) -> (Vec<usize>, Vec<usize>) {
        let of_cars = &self.of_cars[repeat];
        (0..of_cars.len()).partition(|place| of_cars[*place] != fold)
    }

    /// As CSV: the number of each car in the order of [`Table::cars`], and its fold in each repetition; from 0.
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
            false => format!("all cars have the price {only}: there is nothing to tell apart"),
        };
        return Err(unfit(message, "evaluate on a table with several prices"));
    }
    match there().min_by_key(|(_, count)| **count) {
        Some((price, count)) if *count < folds => {
            let name = Attribute::Buying.level_name(price as u8);
            let message = format!("of the cars {count} have the price {name}: too few for {folds} folds");
            Err(unfit(message, "give a table with more cars, or ask for fewer folds: --folds"))
        }
        _ => Ok(()),
    }
}

/// Deals the shuffled cars of each price round, going on with the next price where the last one ended.
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
