//! Models of the price, behind one trait.

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

/// A probability for each price, in the order of the levels of [`Attribute::Buying`]: finite, not negative, and their
/// sum is 1 up to rounding.
pub type Probabilities = [f64; PRICES];

/// A model that has been fitted: given the features of a car, how probable is each price?
pub trait Model: fmt::Debug + Send + Sync {
    /// Fits the model to cars, looking at these features and the price.
    ///
    /// # Errors
    /// If the solver fails.
    fn fit(training: &Table, features: &[Attribute]) -> Result<Self>
    where
        Self: Sized;

    /// The probabilities for each of these cars, whose prices are not looked at.
    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities>;

    /// The probabilities for a car of which not everything is known: those of every completion of it, weighted by how
    /// often the features that are missing are so among the cars of `background` (partial dependence; Friedman, "Greedy
    /// function approximation", 2001).
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

    /// What was learned, as JSON.
    ///
    /// # Errors
    /// If it has no form in JSON.
    fn save(&self) -> Result<Box<RawValue>>;

    /// The model that was saved so. It predicts the same, bit for bit.
    ///
    /// # Errors
    /// What is wrong with it: a number that is none, a shape that does not fit.
    fn load(saved: &RawValue) -> Result<Self, String>
    where
        Self: Sized;
}

/// Probabilities that differ by no more are the same.
pub(crate) const ROUNDING: f64 = 1e-9;

/// The price that is said to be the one: the most probable. Probabilities that differ by no more than rounding does are
/// the same, and then it is the first of them in the order of the levels, whatever machine has computed them.
pub fn most_probable(probabilities: &Probabilities) -> usize {
    let largest = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    probabilities.iter().position(|probability| *probability >= largest - ROUNDING).unwrap_or(0)
}

/// The kinds of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Every car has the commonest price.
    Majority,
    /// Multinomial logistic regression of the price.
    Logistic,
    /// Gradient-boosted trees, one price against the others.
    Boosting,
    /// Multinomial logistic regression of the class, turned round by Bayes' rule.
    Bayes,
}

impl Kind {
    /// Its name, as options and files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Logistic => "logistic",
            Self::Boosting => "boosting",
            Self::Bayes => "bayes",
        }
    }

    /// What a reader is told of it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Majority => "the commonest price",
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
            return Err(Error::Fit { model: self.name(), message: "there are no cars to learn from".to_owned() });
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

/// Which features a model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FeatureSet {
    /// None of them.
    None,
    /// Those that [`Selection`] takes, from the cars that the model is fitted to.
    Selected,
    /// All of them.
    All,
}

impl FeatureSet {
    /// Its name, as options and files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Selected => "selected",
            Self::All => "all",
        }
    }

    /// What a reader is told of it.
    pub fn told(self) -> &'static str {
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

/// All cars that may be meant, and how much each counts; the sum of the weights is 1.
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
