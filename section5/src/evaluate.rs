//! How good models are, on cars that they have not seen: repeated stratified k-fold cross-validation.

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
pub use limits::{Ceiling, baseline, ceiling, look_alikes};
pub use metrics::OfPrice;

/// A kind of model with the features that it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The kind of model.
    pub model: Kind,
    /// What it looks at.
    pub feature_set: FeatureSet,
}

impl Candidate {
    /// All that are compared.
    pub const ALL: [Self; 7] = [
        Self::new(Kind::Majority, FeatureSet::None),
        Self::new(Kind::Logistic, FeatureSet::Selected),
        Self::new(Kind::Logistic, FeatureSet::All),
        Self::new(Kind::Boosting, FeatureSet::Selected),
        Self::new(Kind::Boosting, FeatureSet::All),
        Self::new(Kind::Bayes, FeatureSet::Selected),
        Self::new(Kind::Bayes, FeatureSet::All),
    ];

    /// The one that predicts unless another is asked for: the best of the comparison.
    pub const DEFAULT: Self = Self::new(Kind::Bayes, FeatureSet::All);

    /// A kind of model with the features that it looks at.
    pub const fn new(model: Kind, feature_set: FeatureSet) -> Self {
        Self { model, feature_set }
    }
}

/// How an evaluation is done; the same settings give the same figures, on any number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Into how many parts the cars are divided; a model is fitted to all but one, and judged on that one.
    pub folds: usize,
    /// How often that is done, divided differently each time.
    pub repeats: usize,
    /// Another seed divides and shuffles differently.
    pub seed: u64,
    /// How often prices are shuffled for the permutation test.
    pub permutations: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { folds: 10, repeats: 5, seed: 1, permutations: 9_999 }
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many cars there are.
    pub rows: usize,
    /// [`Table::sha256`].
    pub data_sha256: String,
    /// How it was done.
    #[serde(flatten)]
    pub settings: Settings,
    /// The share of the commonest price: what guessing achieves.
    pub baseline: f64,
    /// What no model can exceed.
    pub ceiling: Ceiling,
    /// Each model's scores.
    pub models: Vec<Scores>,
}

impl Evaluation {
    /// The scores of the model with the highest accuracy; of equal ones the first.
    pub fn best(&self) -> Option<&Scores> {
        self.models.iter().reduce(|best, other| if other.accuracy_mean > best.accuracy_mean { other } else { best })
    }
}

/// How good a model is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// Which one.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// The features it looks at when it is fitted to all cars.
    pub features: Vec<Attribute>,
    /// The share of cars whose price it names: the mean over all folds.
    pub accuracy_mean: f64,
    /// The standard error of that mean, with Nadeau and Bengio's correction for folds that share their training cars
    /// ("Inference for the Generalization Error", 2003).
    pub accuracy_standard_error: f64,
    /// The mean over prices of the harmonic means of precision and recall; the mean over the repetitions.
    pub macro_f1: f64,
    /// The mean of -ln(probability given to the true price), in nats; ln 4 is what guessing has.
    pub log_loss: f64,
    /// How probable it is to name as many prices by chance: the prices were shuffled among the cars, the predictions
    /// stayed.
    pub p_value: f64,
    /// What it took to fit it and to predict, for all folds, on one thread.
    pub seconds: f64,
    /// Each price by itself, in the order of the levels.
    pub prices: Vec<OfPrice>,
    /// For each true price how often each price was predicted, over all repetitions.
    pub confusion: [[u64; PRICES]; PRICES],
}

/// Compares models on the same folds. `progress` is called after each fold of each model.
///
/// # Errors
/// If the cars cannot be divided so, or a model cannot be fitted.
pub fn evaluate(
    table: &Table,
    candidates: &[Candidate],
    settings: Settings,
    progress: &(dyn Fn() + Sync),
) -> Result<Evaluation> {
    let folds = Folds::new(table, settings.folds, settings.repeats, settings.seed)?;
    let splits = settings.folds * settings.repeats;
    let judged = (0..candidates.len() * splits).into_par_iter().map(|task| {
        let (candidate, split) = (candidates[task / splits], task % splits);
        let part = judge(table, candidate, &folds, split / settings.folds, split % settings.folds);
        progress();
        part
    });
    // First all, then the first error among them: which one comes first in time depends on the threads.
    let judged: Vec<Result<Part>> = judged.collect();
    let judged: Vec<Part> = judged.into_iter().collect::<Result<_>>()?;
    let scores = candidates
        .par_iter()
        .zip(judged.par_chunks(splits))
        .map(|(candidate, parts)| scores(table, *candidate, parts, settings));
    Ok(Evaluation {
        rows: table.cars().len(),
        data_sha256: table.sha256(),
        settings,
        baseline: baseline(table),
        ceiling: ceiling(table),
        models: scores.collect(),
    })
}

/// What a model predicts for the cars of one fold.
struct Part {
    /// The places of the cars in the table.
    places: Vec<usize>,
    probabilities: Vec<Probabilities>,
    seconds: f64,
}

fn judge(table: &Table, candidate: Candidate, folds: &Folds, repeat: usize, fold: usize) -> Result<Part> {
    let (training, places) = folds.split(repeat, fold);
    let started = Instant::now();
    let training = table.part(&training);
    let model = candidate.model.fit(&training, &candidate.feature_set.features(&training))?;
    let cars: Vec<Car> = places.iter().map(|place| table.cars()[*place]).collect();
    let probabilities = model.predict_proba(&cars);
    Ok(Part { places, probabilities, seconds: started.elapsed().as_secs_f64() })
}

fn scores(table: &Table, candidate: Candidate, parts: &[Part], settings: Settings) -> Scores {
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
        p_value: permutation::p_value(&votes(parts, prices.len()), &prices, settings.permutations, seed),
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

/// For each car, how many repetitions predict each price.
fn votes(parts: &[Part], cars: usize) -> Vec<[u32; PRICES]> {
    let mut votes = vec![[0; PRICES]; cars];
    for part in parts {
        for (place, probabilities) in part.places.iter().zip(&part.probabilities) {
            votes[*place][most_probable(probabilities)] += 1;
        }
    }
    votes
}

/// The number of folds of an evaluation of so many models.
pub fn steps(candidates: &[Candidate], settings: Settings) -> usize {
    candidates.len() * settings.folds * settings.repeats
}

fn unfit(message: String, help: &str) -> Error {
    Error::Unfit { message, help: help.to_owned() }
}
