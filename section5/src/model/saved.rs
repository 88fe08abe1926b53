//! Common functions for saving and loading models.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::Error;

pub(super) fn to_json(model: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(model).map_err(|error| Error::Fit { model: "a fitted model", message: error.to_string() })
}

/// JSON has no NaN: one is written as `null`, which fails here.
pub(super) fn from_json<T: DeserializeOwned>(saved: &RawValue) -> Result<T, String> {
    serde_json::from_str(saved.get()).map_err(|error| format!("its parameters cannot be read: {error}"))
}

pub(super) fn are_probabilities(values: &[f64]) -> Result<(), String> {
    let sum: f64 = values.iter().sum();
    match values.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() < 1e-9 {
        true => Ok(()),
        false => Err("its probabilities do not sum to 1".to_owned()),
    }
}

/// Larger numbers cannot result from fitting, and their sums might not be finite.
pub(super) fn are_weights<'a>(values: impl IntoIterator<Item = &'a f64>) -> Result<(), String> {
    match values.into_iter().all(|value| value.abs() < 1e6) {
        true => Ok(()),
        false => Err("a weight is out of range".to_owned()),
    }
}
