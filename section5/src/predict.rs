//! Prediction of the price of a car from some of its features.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{Fitted, Probabilities, ROUNDING, most_probable};
use crate::schema::{Attribute, Known, PRICES};
use crate::table::Table;

/// A prediction for a car, and its basis.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The known features of the car.
    pub known: Known,
    /// A probability for each price.
    pub probabilities: Probabilities,
    /// Number of training cars that have all known features.
    pub matching_rows: usize,
    /// Number of training cars.
    pub rows: usize,
    /// Warnings about the prediction.
    pub warnings: Vec<String>,
}

impl Prediction {
    /// Predicts the price of a car.
    pub fn of(known: Known, fitted: &Fitted) -> Self {
        let probabilities = fitted.model.predict_partial(&known, &fitted.training);
        let matching_rows = fitted.training.matching(&known);
        let mut warnings = Vec::new();
        if matching_rows == 0 {
            warnings = extrapolation(&known, &fitted.training);
        }
        if probabilities.iter().all(|probability| (probability - 1.0 / PRICES as f64).abs() < ROUNDING) {
            warnings.push(nothing_known(&known));
        }
        Self { known, probabilities, matching_rows, rows: fitted.training.cars().len(), warnings }
    }

    /// The name of the most probable price.
    pub fn price(&self) -> &'static str {
        Attribute::Buying.level_name(most_probable(&self.probabilities) as u8)
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Value {
        let named = |(attribute, level): (Attribute, u8)| {
            (attribute.name().to_owned(), Value::from(attribute.level_name(level)))
        };
        let price = |(name, probability): (&&str, f64)| ((*name).to_owned(), Value::from(probability));
        let object = Object {
            price: self.price(),
            probabilities: Attribute::Buying.levels().iter().zip(self.probabilities).map(price).collect(),
            given: self.known.given().map(named).collect(),
            averaged_over: self.known.missing().map(Attribute::name).collect(),
            matching_rows: self.matching_rows,
            rows: self.rows,
            extrapolation: self.matching_rows == 0,
            warnings: &self.warnings,
        };
        serde_json::json!(object)
    }
}

#[derive(Serialize)]
struct Object<'p> {
    price: &'static str,
    probabilities: Map<String, Value>,
    given: Map<String, Value>,
    averaged_over: Vec<&'static str>,
    matching_rows: usize,
    rows: usize,
    extrapolation: bool,
    warnings: &'p [String],
}

/// As human-readable lines.
impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDTH: f64 = 40.0;
        writeln!(f, "price: {}\n", self.price())?;
        for (name, probability) in Attribute::Buying.levels().iter().zip(self.probabilities) {
            let bar = "█".repeat((probability * WIDTH).round() as usize);
            writeln!(f, "{}", format!("  {name:5} {:5.1} %  {bar}", probability * 100.0).trim_end())?;
        }
        let Self { matching_rows, rows, .. } = self;
        writeln!(f, "\ngiven: {}", combination(self.known.given(), ", "))?;
        let missing: Vec<&str> = self.known.missing().map(Attribute::name).collect();
        if !missing.is_empty() {
            writeln!(f, "averaged over: {}", missing.join(", "))?;
        }
        writeln!(f, "training rows that match: {matching_rows} of {rows}")?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// Warnings about extrapolation: the smallest combinations of known features that no training car has.
fn extrapolation(known: &Known, training: &Table) -> Vec<String> {
    let mut warnings = vec![
        "this is extrapolation: no training row has all given features, so the data cannot confirm the prediction"
            .to_owned(),
    ];
    for new in never_occurring(known, training) {
        warnings.push(format!("no training row has {}", combination(new.given(), " and ")));
    }
    if let Some(class) = known.level(Attribute::Class) {
        let only_class = Known::default().with(Attribute::Class, class);
        let of_class = training.cars().iter().filter(|car| only_class.matches(car)).copied();
        let prices = Table::new(of_class.collect()).prices();
        let there = Attribute::Buying.levels().iter().zip(prices).filter(|(_, count)| *count > 0);
        let there: Vec<String> = there.map(|(name, count)| format!("{name} ({count})")).collect();
        if (1..PRICES).contains(&there.len()) {
            let class = Attribute::Class.level_name(class);
            warnings.push(format!("class={class} occurs only with these prices: {}", there.join(", ")));
        }
    }
    warnings
}

/// Minimal combinations of known features that no car has.
fn never_occurring(known: &Known, training: &Table) -> Vec<Known> {
    let given: Vec<(Attribute, u8)> = known.given().collect();
    let mut chosen: Vec<u32> = (1..1u32 << given.len()).collect();
    chosen.sort_by_key(|bits| bits.count_ones());
    let mut smallest: Vec<u32> = Vec::new();
    let combination = |bits: u32| {
        let parts = given.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        parts.fold(Known::default(), |known, (_, (feature, level))| known.with(*feature, *level))
    };
    for bits in chosen {
        let has_one = smallest.iter().any(|part| bits & part == *part);
        if !has_one && training.matching(&combination(bits)) == 0 {
            smallest.push(bits);
        }
    }
    smallest.into_iter().map(combination).collect()
}

fn nothing_known(known: &Known) -> String {
    let because = match known.level(Attribute::Class) {
        None => "the other attributes carry no information about the price unless the class is known",
        Some(_) => "the given features are equally probable at each price",
    };
    format!("all prices are equally probable: {because}")
}

fn combination(parts: impl Iterator<Item = (Attribute, u8)>, between: &str) -> String {
    let parts: Vec<String> =
        parts.map(|(attribute, level)| format!("{}={}", attribute.name(), attribute.level_name(level))).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(between) }
}
