//! Multinomial logistic regression on one-hot features, by linfa-logistic.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::saved;
use crate::schema::{Attribute, Car};
use crate::table::Table;
use crate::{Error, Result};

/// The weight of the squared norm of the weights in the loss (half of it counts), the same as `C=1` in scikit-learn.
const L2: f64 = 1.0;
const MOST_ITERATIONS: u64 = 200;
/// Of the norm of the gradient of the loss, for each car: the loss is a sum over all cars. scikit-learn's is the same.
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// How probable each level of one attribute is, given the levels of others: `softmax(W x + b)`, x one-hot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multinomial {
    target: Attribute,
    inputs: Vec<Attribute>,
    /// The levels of the target that were there to learn from; all others have probability 0.
    levels: Vec<u8>,
    /// For each of these levels.
    intercept: Vec<f64>,
    /// For each level of each input, a weight for each level of the target.
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
            // There is nothing to tell apart, and linfa would search in vain.
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

    /// Whether all that was read from a file fits together.
    ///
    /// # Errors
    /// What does not.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { target, inputs, levels, intercept, weights } = self;
        let fits = |row: &Vec<f64>| row.len() == levels.len();
        if !inputs.is_sorted_by(|a, b| a < b) || inputs.contains(target) {
            return Err("its inputs are not attributes in their order".to_owned());
        }
        let known = levels.iter().all(|level| usize::from(*level) < target.levels().len());
        if !levels.is_sorted_by(|a, b| a < b) || levels.is_empty() || !known {
            return Err(format!("its levels are not levels of {}", target.name()));
        }
        if weights.len() != width(inputs) || !weights.iter().all(fits) || !fits(intercept) {
            return Err("its weights do not fit its inputs".to_owned());
        }
        saved::are_weights(weights.iter().flatten().chain(intercept))
    }

    /// What it was fitted to tell.
    pub fn target(&self) -> Attribute {
        self.target
    }

    /// What it looks at.
    pub fn inputs(&self) -> &[Attribute] {
        &self.inputs
    }

    /// For each level of each input its weights for the levels of the target; 0 for those that were not there to learn
    /// from.
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

/// How many columns the inputs have, one a level.
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
