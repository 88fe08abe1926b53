//! Evaluation of models on held-out cars: repeated stratified k-fold cross-validation.

mod folds;
mod limits;
mod metrics;
mod permutation;

use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::model::{FeatureSet, Kind, Probabilities, most_probable};
use crate::schema::{Attribute, Car, PRICES};
use crate::table::Table;
use crate::{Error, Result};

pub use folds::Folds;
pub use limits::{Ceiling, baseline, ceiling, groups_with_equal_features};
pub use metrics::OfPrice;

/// A kind of model with a feature set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The kind of model.
    pub model: Kind,
    /// Its features.
    pub feature_set: FeatureSet,
}

impl Candidate {
    /// All compared candidates.
    pub const ALL: [Self; 7] = [
        Self::new(Kind::Majority, FeatureSet::None),
        Self::new(Kind::Logistic, FeatureSet::Selected),
        Self::new(Kind::Logistic, FeatureSet::All),
        Self::new(Kind::Boosting, FeatureSet::Selected),
        Self::new(Kind::Boosting, FeatureSet::All),
        Self::new(Kind::Bayes, FeatureSet::Selected),
        Self::new(Kind::Bayes, FeatureSet::All),
    ];

    /// The default for predictions: the best one of the comparison.
    pub const DEFAULT: Self = Self::new(Kind::Bayes, FeatureSet::All);

    /// A kind of model with a feature set.
    pub const fn new(model: Kind, feature_set: FeatureSet) -> Self {
        Self { model, feature_set }
    }
}

/// Settings of an evaluation; the same settings give the same results, on any number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Number of folds; a model is fitted to all but one and tested on that one.
    pub folds: usize,
    /// Number of repetitions, each with other folds.
    pub repeats: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Number of permutations of the permutation test.
    pub permutations: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { folds: 10, repeats: 5, seed: 1, permutations: 9_999 }
    }
}

/// Result of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of cars.
    pub rows: usize,
    /// [`Table::sha256`].
    pub data_sha256: String,
    /// The settings.
    #[serde(flatten)]
    pub settings: Settings,
    /// The share of the most frequent price: the accuracy of guessing.
    pub baseline: f64,
    /// The upper limit of any model.
    pub ceiling: Ceiling,
    /// The scores of each model.
    pub models: Vec<Scores>,
}

impl Evaluation {
    /// The scores of the model with the highest accuracy; the first one of a tie.
    pub fn best(&self) -> Option<&Scores> {
        self.models.iter().reduce(|best, other| if other.accuracy_mean > best.accuracy_mean { other } else { best })
    }
}

/// Scores of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// The candidate.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Its features when it is fitted to all cars.
    pub features: Vec<Attribute>,
    /// Accuracy: the mean over all folds of the share of correctly predicted cars.
    pub accuracy_mean: f64,
    /// The standard error of that mean, with Nadeau and Bengio's correction for folds that share their training cars
    /// ("Inference for the Generalization Error", 2003).
    pub accuracy_standard_error: f64,
    /// Macro F1: the mean over prices of the harmonic means of precision and recall; the mean over the repetitions.
    pub macro_f1: f64,
    /// Log loss: the mean of -ln(probability of the true price), in nats; ln 4 for uniform guessing.
    pub log_loss: f64,
    /// p-value of the accuracy by a permutation test: the prices are permuted among the cars, the predictions stay.
    pub p_value: f64,
    /// CPU seconds for fitting and predicting, over all folds.
    pub seconds: f64,
    /// Scores per price, in the order of the levels.
    pub prices: Vec<OfPrice>,
    /// Confusion matrix: for each true price the number of predictions of each price, over all repetitions.
    pub confusion: [[u64; PRICES]; PRICES],
}

/// A step of an evaluation. All folds come first, in any order, then the permutation tests of all models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A model was fitted to a fold.
    Fold,
    /// The prices were permuted once, for one model.
    Permutation,
    /// All scores of a model are known.
    Model,
}

/// Compares models on the same folds. `progress` is called after each step.
///
/// # Errors
/// If the cars cannot be split into folds, or a model cannot be fitted.
pub fn evaluate(
    table: &Table,
    candidates: &[Candidate],
    settings: Settings,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Evaluation> {
    let folds = Folds::new(table, settings.folds, settings.repeats, settings.seed)?;
    let splits = settings.folds * settings.repeats;
    let parts = (0..candidates.len() * splits).into_par_iter().map(|task| {
        let (candidate, split) = (candidates[task / splits], task % splits);
        let part = evaluate_fold(table, candidate, &folds, split / settings.folds, split % settings.folds);
        progress(Step::Fold);
        part
    });
    // All results are collected before the first error is returned: which error occurs first in time depends on the
    // threads.
    let parts: Vec<Result<Part>> = parts.collect();
    let parts: Vec<Part> = parts.into_iter().collect::<Result<_>>()?;
    let scores = candidates.par_iter().zip(parts.par_chunks(splits)).map(|(candidate, parts)| {
        let scores = scores(table, *candidate, parts, settings, progress);
        progress(Step::Model);
        scores
    });
    Ok(Evaluation {
        rows: table.cars().len(),
        data_sha256: table.sha256(),
        settings,
        baseline: baseline(table),
        ceiling: ceiling(table),
        models: scores.collect(),
    })
}

/// Predictions for the cars of one fold.
struct Part {
    /// Indices of the cars in the table.
    places: Vec<usize>,
    probabilities: Vec<Probabilities>,
    seconds: f64,
}

fn evaluate_fold(table: &Table, candidate: Candidate, folds: &Folds, repeat: usize, fold: usize) -> Result<Part> {
    let (training, places) = folds.split(repeat, fold);
    let started = Instant::now();
    let training = table.part(&training);
    let model = candidate.model.fit(&training, &candidate.feature_set.features(&training))?;
    let cars: Vec<Car> = places.iter().map(|place| table.cars()[*place]).collect();
    let probabilities = model.predict_proba(&cars);
    Ok(Part { places, probabilities, seconds: started.elapsed().as_secs_f64() })
}

fn scores(
    table: &Table,
    candidate: Candidate,
    parts: &[Part],
    settings: Settings,
    progress: &(dyn Fn(Step) + Sync),
) -> Scores {
    let prices: Vec<usize> = table.cars().iter().map(|car| car.price()).collect();
    let outcomes: Vec<Vec<metrics::Outcome>> = parts.iter().map(|part| outcomes(part, &prices)).collect();
    let (accuracy_mean, accuracy_standard_error) = metrics::accuracy(&outcomes, settings.folds);
    let confusion = metrics::confusion(outcomes.iter().flatten());
    let repeats = outcomes.chunks(settings.folds);
    let macro_f1 = repeats.map(|folds| metrics::macro_f1(&metrics::confusion(folds.iter().flatten()))).sum::<f64>();
    let seed = settings.seed;
    Scores {
        candidate,
        features: candidate.feature_set.features(table),
        accuracy_mean,
        accuracy_standard_error,
        macro_f1: macro_f1 / settings.repeats as f64,
        log_loss: metrics::log_loss(outcomes.iter().flatten()),
        p_value: permutation::p_value(&votes(parts, prices.len()), &prices, settings.permutations, seed, &|| {
            progress(Step::Permutation);
        }),
        seconds: parts.iter().map(|part| part.seconds).sum(),
        prices: metrics::of_prices(&confusion),
        confusion,
    }
}

fn outcomes(part: &Part, prices: &[usize]) -> Vec<metrics::Outcome> {
    let of_car = |(place, probabilities): (&usize, &Probabilities)| {
        let price = prices[*place];
        metrics::Outcome { price, predicted: most_probable(probabilities), probability: probabilities[price] }
    };
    part.places.iter().zip(&part.probabilities).map(of_car).collect()
}

/// For each car, the number of repetitions that predict each price.
fn votes(parts: &[Part], cars: usize) -> Vec<[u32; PRICES]> {
    let mut votes = vec![[0; PRICES]; cars];
    for part in parts {
        for (place, probabilities) in part.places.iter().zip(&part.probabilities) {
            votes[*place][most_probable(probabilities)] += 1;
        }
    }
    votes
}

/// The number of steps of a kind in an evaluation, as the length of a progress bar.
pub fn steps(kind: Step, candidates: &[Candidate], settings: Settings) -> usize {
    let of_model = match kind {
        Step::Fold => settings.folds * settings.repeats,
        Step::Permutation => settings.permutations,
        Step::Model => 1,
    };
    candidates.len() * of_model
}

fn unfit(message: String, help: &str) -> Error {
    Error::Unfit { message, help: help.to_owned() }
}
