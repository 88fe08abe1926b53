//! Gradient-boosted trees, with forust-ml.

use forust_ml::tree::Tree;
use forust_ml::{GradientBooster, Matrix};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Model, Probabilities, saved};
use crate::schema::{Attribute, Car, PRICES};
use crate::table::Table;
use crate::{Error, Result};

/// Number of trees, learning rate and depth are scikit-learn's defaults.
const TREES: usize = 100;
const LEARNING_RATE: f32 = 0.1;
const MAX_DEPTH: usize = 3;

/// Far outside the output of real trees. Without a limit all four probabilities could be 0, and could not be
/// normalized.
const MOST_LOG_ODDS: f64 = 100.0;

/// One booster per price, trained one versus rest; the probabilities are normalized. The features are the numbers of
/// the levels, which are ordered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientBoosting {
    features: Vec<Attribute>,
    prices: [OnePrice; PRICES],
}

/// The classifier of one price against the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnePrice {
    /// A constant probability, because the training data has only one outcome.
    Constant(f64),
    Trees(Box<GradientBooster>),
}

impl Model for GradientBoosting {
    fn fit(training: &Table, features: &[Attribute]) -> Result<Self> {
        let levels = columns(training.cars(), features);
        let rows = training.cars().len();
        let one = |price: usize| -> Result<OnePrice> {
            let is_it: Vec<f64> = training.cars().iter().map(|car| f64::from(car.price() == price)).collect();
            let share = is_it.iter().sum::<f64>() / rows as f64;
            if features.is_empty() || share == 0.0 || share == 1.0 {
                return Ok(OnePrice::Constant(share));
            }
            let mut booster = GradientBooster::default()
                .set_iterations(TREES)
                .set_learning_rate(LEARNING_RATE)
                .set_max_depth(MAX_DEPTH)
                .set_initialize_base_score(true)
                .set_parallel(false);
            let fitted = booster.fit_unweighted(&Matrix::new(&levels, rows, features.len()), &is_it, None);
            fitted.map_err(|error| Error::Fit { model: "gradient boosting", message: error.to_string() })?;
            Ok(OnePrice::Trees(Box::new(booster)))
        };
        Ok(Self { features: features.to_vec(), prices: [one(0)?, one(1)?, one(2)?, one(3)?] })
    }

    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities> {
        let levels = columns(cars, &self.features);
        let mut probabilities = vec![[0.0; PRICES]; cars.len()];
        for (price, one) in self.prices.iter().enumerate() {
            match one {
                OnePrice::Constant(share) => probabilities.iter_mut().for_each(|of_car| of_car[price] = *share),
                OnePrice::Trees(booster) => {
                    let log_odds = booster.predict(&Matrix::new(&levels, cars.len(), self.features.len()), false);
                    for (of_car, log_odds) in probabilities.iter_mut().zip(log_odds) {
                        of_car[price] = 1.0 / (1.0 + (-log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)).exp());
                    }
                }
            }
        }
        for of_car in &mut probabilities {
            let sum: f64 = of_car.iter().sum();
            of_car.iter_mut().for_each(|probability| *probability /= sum);
        }
        probabilities
    }

    fn save(&self) -> Result<Box<RawValue>> {
        saved::to_json(self)
    }

    fn load(saved: &RawValue) -> Result<Self, String> {
        let model: Self = saved::from_json(saved)?;
        if !model.features.is_sorted_by(|a, b| a < b) || model.features.contains(&Attribute::Buying) {
            return Err("its features are not attributes in the order of a row".to_owned());
        }
        for one in &model.prices {
            match one {
                OnePrice::Constant(share) if (0.0..=1.0).contains(share) => {}
                OnePrice::Constant(_) => return Err("one of its probabilities is invalid".to_owned()),
                OnePrice::Trees(booster) => {
                    saved::are_weights([&booster.base_score])?;
                    booster.trees.iter().try_for_each(|tree| check(tree, model.features.len()))?;
                }
            }
        }
        let constant = |one: &OnePrice| matches!(one, OnePrice::Constant(0.0));
        if model.prices.iter().all(constant) { Err("no price is possible".to_owned()) } else { Ok(model) }
    }
}

impl std::fmt::Debug for GradientBoosting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradientBoosting").field("features", &self.features).finish_non_exhaustive()
    }
}

/// The numbers of the levels, column by column, one column per feature.
fn columns(cars: &[Car], features: &[Attribute]) -> Vec<f64> {
    features.iter().flat_map(|feature| cars.iter().map(|car| f64::from(car.level(*feature)))).collect()
}

/// Checks that every path through a tree from a file ends at a leaf with a valid number, and uses only existing
/// features.
fn check(tree: &Tree, features: usize) -> Result<(), String> {
    let sound = tree.nodes.iter().enumerate().all(|(at, node)| {
        let further = |child: usize| child > at && child < tree.nodes.len();
        match node.is_leaf {
            true => node.weight_value.abs() < 1e6,
            false => {
                let children = [node.left_child, node.right_child, node.missing_node];
                node.split_feature < features && node.split_value.is_finite() && children.into_iter().all(further)
            }
        }
    });
    if sound && !tree.nodes.is_empty() { Ok(()) } else { Err("one of its trees is broken".to_owned()) }
}
