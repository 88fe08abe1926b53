//! The question turned round: the class follows from price and features, the price does not follow from the features.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Model, Multinomial, Probabilities, completions, saved};
use crate::Result;
use crate::schema::{Attribute, Car, Known, PRICES};
use crate::table::Table;

/// Learns P(class | price, other features) by multinomial logistic regression and applies Bayes' rule:
///
/// P(price | class, others) ∝ P(class | price, others) · P(price)
///
/// The prior is uniform by design over the prices that were there to learn from: the table is a full factorial design,
/// in which every price comes with every combination of the others, so that their shares say nothing of cars. The class
/// is looked at whether it is among the features or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BayesInversion {
    prior: Probabilities,
    class: Multinomial,
}

impl BayesInversion {
    /// P(class | price, other features).
    pub fn class(&self) -> &Multinomial {
        &self.class
    }

    /// How probable the class of a car is at each price.
    fn likelihood(&self, car: &Car) -> Probabilities {
        let class = usize::from(car.level(Attribute::Class));
        std::array::from_fn(|price| self.class.predict(&car.at_price(price))[class])
    }

    fn posterior(&self, likelihood: &Probabilities) -> Probabilities {
        let joint: Probabilities = std::array::from_fn(|price| self.prior[price] * likelihood[price]);
        let evidence: f64 = joint.iter().sum();
        // A class that is impossible at every price says nothing of the price.
        if evidence < f64::MIN_POSITIVE { self.prior } else { joint.map(|probability| probability / evidence) }
    }
}

impl Model for BayesInversion {
    fn fit(training: &Table, features: &[Attribute]) -> Result<Self> {
        let counts = training.prices();
        let there = counts.iter().filter(|count| **count > 0).count() as f64;
        let prior = counts.map(|count| if count > 0 { 1.0 / there } else { 0.0 });
        let others = features.iter().copied().filter(|feature| *feature != Attribute::Class);
        let inputs: Vec<Attribute> = std::iter::once(Attribute::Buying).chain(others).collect();
        Ok(Self { prior, class: Multinomial::fit(training, Attribute::Class, &inputs)? })
    }

    fn predict_proba(&self, cars: &[Car]) -> Vec<Probabilities> {
        cars.iter().map(|car| self.posterior(&self.likelihood(car))).collect()
    }

    /// The likelihoods are averaged, not what follows from them: that is what Bayes' rule makes of a feature that is
    /// not known and does not depend on the price. Without the class there is nothing to learn from.
    fn predict_partial(&self, known: &Known, background: &Table) -> Probabilities {
        if known.level(Attribute::Class).is_none() {
            return self.prior;
        }
        let mut mean = [0.0; PRICES];
        for (car, weight) in completions(known, background) {
            for (mean, likelihood) in mean.iter_mut().zip(self.likelihood(&car)) {
                *mean += weight * likelihood;
            }
        }
        self.posterior(&mean)
    }

    fn save(&self) -> Result<Box<RawValue>> {
        saved::to_json(self)
    }

    fn load(saved: &RawValue) -> Result<Self, String> {
        let model: Self = saved::from_json(saved)?;
        saved::are_probabilities(&model.prior)?;
        model.class.check()?;
        match (model.class.target(), model.class.inputs().contains(&Attribute::Buying)) {
            (Attribute::Class, true) => Ok(model),
            _ => Err("it does not tell the class from the price".to_owned()),
        }
    }
}
