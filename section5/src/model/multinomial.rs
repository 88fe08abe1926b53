//! Multinomial logistic regression on one-hot features, with linfa-logistic.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::saved;
use crate::schema::{Attribute, Car};
use crate::table::Table;
use crate::{Error, Result};

/// L2 regularization: weight of half the squared norm of the weights in the loss, equal to `C=1` in scikit-learn.
const L2: f64 = 1.0;
const MOST_ITERATIONS: u64 = 200;
/// Tolerance of the gradient norm per car, because the loss is a sum over all cars; equal to scikit-learn's.
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// The probability of each level of one attribute, given the levels of others: `softmax(W x + b)`, with one-hot x.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multinomial {
    target: Attribute,
    inputs: Vec<Attribute>,
    /// The levels of the target in the training data; all others have probability 0.
    levels: Vec<u8>,
    /// An intercept per level of the target.
    intercept: Vec<f64>,
    /// For each level of each input, a weight per level of the target.
    weights: Vec<Vec<f64>>,
}

impl Multinomial {
    /// Fits it to the cars of a table.
    ///
    /// # Errors
    /// If the solver fails.
    pub fn fit(training: &Table, target: Attribute, inputs: &[Attribute]) -> Result<Self> {
        let mut levels: Vec<u8> = training.cars().iter().map(|car| car.level(target)).collect();
        levels.sort_unstable();
        levels.dedup();
        let (intercept, weights) = match levels.len() {
            // With one level there is nothing to fit, and linfa would not converge.
            0 | 1 => (vec![0.0; levels.len()], vec![vec![0.0; levels.len()]; width(inputs)]),
            _ => solve(training, target, inputs)?,
        };
        Ok(Self { target, inputs: inputs.to_vec(), levels, intercept, weights })
    }

    /// A probability for each level of the target.
    pub fn predict(&self, car: &Car) -> Vec<f64> {
        let mut scores = self.intercept.clone();
        let mut first = 0;
        for input in &self.inputs {
            let row = &self.weights[first + usize::from(car.level(*input))];
            scores.iter_mut().zip(row).for_each(|(score, weight)| *score += weight);
            first += input.levels().len();
        }
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
        let sum: f64 = scores.iter().sum();
        let mut probabilities = vec![0.0; self.target.levels().len()];
        for (level, score) in self.levels.iter().zip(&scores) {
            probabilities[usize::from(*level)] = score / sum;
        }
        probabilities
    }

    /// Checks the consistency of a model that was read from a file.
    ///
    /// # Errors
    /// What is inconsistent.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { target, inputs, levels, intercept, weights } = self;
        let fits = |row: &Vec<f64>| row.len() == levels.len();
        if !inputs.is_sorted_by(|a, b| a < b) || inputs.contains(target) {
            return Err("its inputs are not attributes in the order of a row".to_owned());
        }
        let known = levels.iter().all(|level| usize::from(*level) < target.levels().len());
        if !levels.is_sorted_by(|a, b| a < b) || levels.is_empty() || !known {
            return Err(format!("its levels are not levels of {}", target.name()));
        }
        if weights.len() != width(inputs) || !weights.iter().all(fits) || !fits(intercept) {
            return Err("the number of its weights does not match its inputs".to_owned());
        }
        saved::are_weights(weights.iter().flatten().chain(intercept))
    }

    /// The predicted attribute.
    pub fn target(&self) -> Attribute {
        self.target
    }

    /// The input attributes.
    pub fn inputs(&self) -> &[Attribute] {
        &self.inputs
    }

    /// For each level of each input the weights for all levels of the target; 0 for those that are not in the training
    /// data.
    pub fn weights(&self) -> impl Iterator<Item = (Attribute, u8, Vec<f64>)> + '_ {
        let rows = self.inputs.iter().flat_map(|input| (0..input.levels().len() as u8).map(|level| (*input, level)));
        rows.zip(&self.weights).map(|((input, level), row)| {
            let mut all = vec![0.0; self.target.levels().len()];
            for (number, weight) in self.levels.iter().zip(row) {
                all[usize::from(*number)] = *weight;
            }
            (input, level, all)
        })
    }
}

/// The number of one-hot columns of the inputs.
fn width(inputs: &[Attribute]) -> usize {
    inputs.iter().map(|input| input.levels().len()).sum()
}

/// Intercepts and weights.
fn solve(training: &Table, target: Attribute, inputs: &[Attribute]) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let cars = training.cars();
    let mut one_hot = Array2::zeros((cars.len(), width(inputs)));
    for (car, mut row) in cars.iter().zip(one_hot.rows_mut()) {
        let mut first = 0;
        for input in inputs {
            row[first + usize::from(car.level(*input))] = 1.0;
            first += input.levels().len();
        }
    }
    let targets: Array1<u8> = cars.iter().map(|car| car.level(target)).collect();
    let solver = MultiLogisticRegression::default()
        .alpha(L2)
        .max_iterations(MOST_ITERATIONS)
        .gradient_tolerance(GRADIENT_TOLERANCE * cars.len() as f64);
    let fitted = solver
        .fit(&Dataset::new(one_hot, targets))
        .map_err(|error| Error::Fit { model: "multinomial logistic regression", message: error.to_string() })?;
    Ok((fitted.intercept().to_vec(), fitted.params().rows().into_iter().map(|row| row.to_vec()).collect()))
}
