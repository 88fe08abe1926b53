//! The baseline, without features.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Model, Probabilities, saved};
use crate::Result;
use crate::schema::{Attribute, Car};
use crate::table::Table;

/// Predicts the relative frequencies of the prices in the training data for every car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Majority {
    shares: Probabilities,
}

impl Model for Majority {
    fn fit(training: &Table, _: &[Attribute]) -> Result<Self> {
        let all = training.cars().len() as f64;
        Ok(Self { shares: training.prices().map(|count| count as f64 / all) })
    }

    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities> {
        vec![self.shares; cars.len()]
    }

    fn save(&self) -> Result<Box<RawValue>> {
        saved::to_json(self)
    }

    fn load(saved: &RawValue) -> Result<Self, String> {
        let model: Self = saved::from_json(saved)?;
        saved::are_probabilities(&model.shares)?;
        Ok(model)
    }
}
