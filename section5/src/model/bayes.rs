//! Bayes inversion: the class depends on price and features, but the price does not depend on the features.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Model, Multinomial, Probabilities, completions, saved};
use crate::Result;
use crate::schema::{Attribute, Car, Known, PRICES};
use crate::table::Table;

/// Fits P(class | price, other features) by multinomial logistic regression and applies Bayes' rule:
///
/// P(price | class, others) ∝ P(class | price, others) · P(price)
///
/// The prior is uniform over the prices in the training data: the table is a full factorial design, which has every
/// price with every combination of the other attributes, so frequencies of prices carry no information. The class is
/// used even if it is not among the features.
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

    /// The likelihood of a car's class at each price.
    fn likelihood(&self, car: &Car) -> Probabilities {
        let class = usize::from(car.level(Attribute::Class));
        std::array::from_fn(|price| self.class.predict(&car.at_price(price))[class])
    }

    fn posterior(&self, likelihood: &Probabilities) -> Probabilities {
        let joint: Probabilities = std::array::from_fn(|price| self.prior[price] * likelihood[price]);
        let evidence: f64 = joint.iter().sum();
        // A class that is impossible at every price carries no information about the price.
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

    /// The likelihoods are averaged rather than the posteriors: that is Bayes' rule for an unknown feature that is
    /// independent of the price. Without the class there is no information.
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
            _ => Err("it does not predict the class from the price".to_owned()),
        }
    }
}
