//! Models of the price, with one common trait.

mod bayes;
mod boosting;
mod file;

mod logistic;
mod majority;
mod multinomial;
mod saved;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::schema::{Attribute, Car, Known, PRICES};
use crate::selection::Selection;
use crate::table::Table;
use crate::{Error, Result};

pub use bayes::BayesInversion;
pub use boosting::GradientBoosting;
pub use file::{FORMAT, Fitted, VERSION};

pub use logistic::Logistic;
pub use majority::Majority;
pub use multinomial::Multinomial;

/// A probability per price, in the order of the levels of [`Attribute::Buying`]: finite, not negative, with a sum of 1
/// up to rounding.
pub type Probabilities = [f64; PRICES];

/// A fitted model, which maps the features of a car to the probability of each price.
pub trait Model: fmt::Debug + Send + Sync {
    /// Fits the model to the price and these features of cars.
    ///
    /// # Errors
    /// If the solver fails.
    fn fit(training: &Table, features: &[Attribute]) -> Result<Self>
    where
        Self: Sized;

    /// The probabilities for each of these cars; their prices are ignored.
    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities>;

    /// The probabilities for a car with some unknown features: the mean over all completions of it, weighted by the
    /// frequency of the missing features among the cars of `background` (partial dependence; Friedman, "Greedy function
    /// approximation", 2001).
    fn predict_partial(&self, known: &Known, background: &Table) -> Probabilities {
        let completions = completions(known, background);
        let cars: Vec<Car> = completions.iter().map(|(car, _)| *car).collect();
        let mut mean = [0.0; PRICES];
        for (of_one, (_, weight)) in self.predict_proba(&cars).iter().zip(&completions) {
            for (mean, probability) in mean.iter_mut().zip(of_one) {
                *mean += weight * probability;
            }
        }
        mean
    }

    /// Serializes the fitted parameters as JSON.
    ///
    /// # Errors
    /// If they cannot be represented in JSON.
    fn save(&self) -> Result<Box<RawValue>>;

    /// Loads a saved model. Its predictions are bit-identical.
    ///
    /// # Errors
    /// What is wrong with it: an invalid number, or shapes that do not match.
    fn load(saved: &RawValue) -> Result<Self, String>
    where
        Self: Sized;
}

/// Probabilities with a smaller difference are considered equal.
pub(crate) const ROUNDING: f64 = 1e-9;

/// The most probable price. Probabilities that are equal up to rounding are a tie, which the first one in the order of
/// the levels wins, so that the result does not depend on the machine.
pub fn most_probable(probabilities: &Probabilities) -> usize {
    let largest = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    probabilities.iter().position(|probability| *probability >= largest - ROUNDING).unwrap_or(0)
}

/// The kinds of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The most frequent price for every car.
    Majority,
    /// Multinomial logistic regression of the price.
    Logistic,
    /// Gradient-boosted trees, one versus rest.
    Boosting,
    /// Multinomial logistic regression of the class, inverted with Bayes' rule.
    Bayes,
}

impl Kind {
    /// Its name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Logistic => "logistic",
            Self::Boosting => "boosting",
            Self::Bayes => "bayes",
        }
    }

    /// Its human-readable name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Majority => "the most frequent price",
            Self::Logistic => "logistic regression",
            Self::Boosting => "gradient boosting",
            Self::Bayes => "the Bayes inversion",
        }
    }

    /// Fits a model of this kind.
    ///
    /// # Errors
    /// If there are no cars, or the solver fails.
    pub fn fit(self, training: &Table, features: &[Attribute]) -> Result<Box<dyn Model>> {
        if training.cars().is_empty() {
            return Err(Error::Fit { model: self.name(), message: "there are no training cars".to_owned() });
        }
        Ok(match self {
            Self::Majority => Box::new(Majority::fit(training, features)?),
            Self::Logistic => Box::new(Logistic::fit(training, features)?),
            Self::Boosting => Box::new(GradientBoosting::fit(training, features)?),
            Self::Bayes => Box::new(BayesInversion::fit(training, features)?),
        })
    }

    fn load(self, saved: &RawValue) -> Result<Box<dyn Model>, String> {
        Ok(match self {
            Self::Majority => Box::new(Majority::load(saved)?),
            Self::Logistic => Box::new(Logistic::load(saved)?),
            Self::Boosting => Box::new(GradientBoosting::load(saved)?),
            Self::Bayes => Box::new(BayesInversion::load(saved)?),
        })
    }
}

/// A feature set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FeatureSet {
    /// None of them.
    None,
    /// Those chosen by [`Selection`] from the training cars.
    Selected,
    /// All of them.
    All,
}

impl FeatureSet {
    /// Its name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Selected => "selected",
            Self::All => "all",
        }
    }

    /// Its human-readable name.
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "no features",
            Self::Selected => "selected features",
            Self::All => "all features",
        }
    }

    /// The features, in the order of a row.
    pub fn features(self, training: &Table) -> Vec<Attribute> {
        match self {
            Self::None => Vec::new(),
            Self::Selected => Selection::of(training).features(),
            Self::All => Attribute::FEATURES.to_vec(),
        }
    }
}

/// All possible cars with the known features, and their weights; the sum of the weights is 1.
fn completions(known: &Known, background: &Table) -> Vec<(Car, f64)> {
    let complete = |car: &Car| {
        let mut car = car.at_price(0);
        for (feature, level) in known.given() {
            car.0[feature.index()] = level;
        }
        car
    };
    let mut cars: Vec<Car> = background.cars().iter().map(complete).collect();
    cars.sort_unstable();
    let all = cars.len() as f64;
    cars.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64 / all)).collect()
}
