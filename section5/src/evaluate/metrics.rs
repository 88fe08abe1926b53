//! Scores of predictions.

use serde::{Deserialize, Serialize};

use crate::schema::{Attribute, PRICES};

/// No probability counts as smaller: one that is 0 and comes true would outweigh all others.
const SMALLEST_PROBABILITY: f64 = 1e-15;

/// What was predicted for one car.
pub(super) struct Outcome {
    /// The price that it has.
    pub(super) price: usize,
    pub(super) predicted: usize,
    /// The probability that was given to the price that it has.
    pub(super) probability: f64,
}

/// How often each price is predicted for each true one.
pub(super) type Confusion = [[u64; PRICES]; PRICES];

/// How well one price is told from the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfPrice {
    /// The price.
    pub price: String,
    /// The share of cars predicted to have it that do; 0 if none is.
    pub precision: f64,
    /// The share of cars that have it that are predicted to; 0 if none has.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// How many predictions there are for cars that have it, over all repetitions.
    pub support: u64,
}

/// The mean over the folds, and its standard error.
pub(super) fn accuracy(of_folds: &[Vec<Outcome>], folds: usize) -> (f64, f64) {
    let right = |fold: &Vec<Outcome>| fold.iter().filter(|outcome| outcome.predicted == outcome.price).count();
    let accuracies: Vec<f64> = of_folds.iter().map(|fold| right(fold) as f64 / fold.len() as f64).collect();
    let number = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / number;
    let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / (number - 1.0);
    let tested_to_trained = 1.0 / (folds as f64 - 1.0);
    (mean, (variance * (1.0 / number + tested_to_trained)).sqrt())
}

pub(super) fn confusion<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> Confusion {
    let mut confusion = [[0; PRICES]; PRICES];
    for outcome in outcomes {
        confusion[outcome.price][outcome.predicted] += 1;
    }
    confusion
}

pub(super) fn of_prices(confusion: &Confusion) -> Vec<OfPrice> {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let one = |price: usize| {
        let right = confusion[price][price];
        let support = confusion[price].iter().sum();
        let predicted = confusion.iter().map(|row| row[price]).sum::<u64>();
        OfPrice {
            price: Attribute::Buying.level_name(price as u8).to_owned(),
            precision: share(right, predicted),
            recall: share(right, support),
            f1: share(2 * right, support + predicted),
            support,
        }
    };
    (0..PRICES).map(one).collect()
}

/// Over the prices that occur, or are predicted.
pub(super) fn macro_f1(confusion: &Confusion) -> f64 {
    let occurs = |price: &usize| {
        confusion[*price].iter().sum::<u64>() + confusion.iter().map(|row| row[*price]).sum::<u64>() > 0
    };
    let prices = of_prices(confusion);
    let occurring: Vec<f64> = (0..PRICES).filter(occurs).map(|price| prices[price].f1).collect();
    occurring.iter().sum::<f64>() / occurring.len().max(1) as f64
}

pub(super) fn log_loss<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> f64 {
    let losses: Vec<f64> = outcomes.map(|outcome| -outcome.probability.max(SMALLEST_PROBABILITY).ln()).collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}
