//! Multinomial logistic regression of the price.

use serde_json::value::RawValue;

use super::{Model, Multinomial, Probabilities, saved};
use crate::Result;
use crate::schema::{Attribute, Car};
use crate::table::Table;

/// P(price | features), linear in the features.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic(Multinomial);

impl Model for Logistic {
    fn fit(training: &Table, features: &[Attribute]) -> Result<Self> {
        Multinomial::fit(training, Attribute::Buying, features).map(Self)
    }

    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities> {
        let of_one = |car: &Car| {
            let of_levels = self.0.predict(car);
            std::array::from_fn(|price| of_levels[price])
        };
        cars.iter().map(of_one).collect()
    }

    fn save(&self) -> Result<Box<RawValue>> {
        saved::to_json(&self.0)
    }

    fn load(saved: &RawValue) -> Result<Self, String> {
        let model: Multinomial = saved::from_json(saved)?;
        model.check()?;
        match model.target() {
            Attribute::Buying => Ok(Self(model)),
            other => Err(format!("it predicts {}, not the price", other.name())),
        }
    }
}
