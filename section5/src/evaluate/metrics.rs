//! Scores of predictions.

use serde::{Deserialize, Serialize};

use crate::schema::{Attribute, PRICES};

/// Lower bound of probabilities in the log loss: a 0 for the true price would outweigh all others.
const SMALLEST_PROBABILITY: f64 = 1e-15;

/// The prediction for one car.
pub(super) struct Outcome {
    /// The true price.
    pub(super) price: usize,
    pub(super) predicted: usize,
    /// The predicted probability of the true price.
    pub(super) probability: f64,
}

/// Confusion matrix: the number of predictions of each price for each true one.
pub(super) type Confusion = [[u64; PRICES]; PRICES];

/// Scores of one price against the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfPrice {
    /// The price.
    pub price: String,
    /// Precision: the share of cars predicted to have it that do; 0 if there are none.
    pub precision: f64,
    /// Recall: the share of cars with it that are predicted to have it; 0 if there are none.
    pub recall: f64,
    /// F1: the harmonic mean of both.
    pub f1: f64,
    /// Number of predictions for cars with this price, over all repetitions.
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

/// Over the prices that occur or are predicted.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(pairs: &[(usize, usize)]) -> Vec<Outcome> {
        pairs
            .iter()
            .map(|(price, predicted)| Outcome { price: *price, predicted: *predicted, probability: 0.5 })
            .collect()
    }

    #[test]
    fn the_mean_is_over_folds_and_its_error_is_corrected() {
        let folds = [outcomes(&[(0, 0), (1, 0)]), outcomes(&[(0, 0), (1, 1)]), outcomes(&[(2, 0), (3, 0)])];
        let (mean, error) = accuracy(&folds, 3);
        assert_eq!(mean, 0.5);
        // Accuracies 0.5, 1 and 0 have variance 0.25; (1/3 + 1/2) of it.
        assert!((error - (0.25_f64 * 5.0 / 6.0).sqrt()).abs() < 1e-12, "{error}");
    }

    #[test]
    fn precision_and_recall_are_of_columns_and_rows() {
        let confusion = confusion(outcomes(&[(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]).iter());
        let prices = of_prices(&confusion);
        assert_eq!((prices[0].precision, prices[0].recall, prices[0].support), (2.0 / 3.0, 2.0 / 3.0, 3));
        assert_eq!((prices[1].precision, prices[1].recall), (0.5, 0.5));
        assert_eq!(prices[2].f1, 0.0);
        assert!((macro_f1(&confusion) - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_zero_probability_of_the_true_price_has_a_bounded_loss() {
        let mut impossible = outcomes(&[(0, 1), (0, 0)]);
        impossible[0].probability = 0.0;
        let expected = (-SMALLEST_PROBABILITY.ln() + 2.0_f64.ln()) / 2.0;
        assert!((log_loss(impossible.iter()) - expected).abs() < 1e-12);
    }
}
