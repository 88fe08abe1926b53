//! `section5 train`

use std::path::PathBuf;

use super::common::{Cars, Validation};
use super::output;
use crate::evaluate::Candidate;
use crate::model::{FeatureSet, Fitted, Kind};
use crate::{Error, Result};

/// Fit a model to all cars and save it, with its cross-validation scores.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cars: Cars,
    /// Kind of model.
    #[arg(long, value_enum, default_value = "bayes")]
    kind: Kind,
    /// Feature set; only `majority` uses none.
    #[arg(long, value_enum, value_name = "SET")]
    features: Option<FeatureSet>,
    /// Output file, written atomically.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    validation: Validation,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let candidate = self.candidate()?;
        output::expect_folder(&self.output)?;
        let table = self.cars.read()?;
        let evaluation = self.validation.evaluate(&table, &[candidate])?;
        let mut fitted = Fitted::fit(table, candidate)?;
        fitted.evaluated = evaluation.models.into_iter().next().map(|scores| (evaluation.settings, scores));
        output::write(&self.output, fitted.to_json()?.as_bytes())?;
        output::print(summary(&fitted, &self.output.display().to_string()).as_bytes())
    }

    fn candidate(&self) -> Result<Candidate> {
        let of_kind = if self.kind == Kind::Majority { FeatureSet::None } else { FeatureSet::All };
        let features = self.features.unwrap_or(of_kind);
        if (self.kind == Kind::Majority) == (features == FeatureSet::None) {
            return Ok(Candidate::new(self.kind, features));
        }
        Err(Error::Usage {
            message: format!("{} does not support features {}", self.kind.name(), features.name()),
            help: "omit --features: majority uses none, the others use all by default, or selected".to_owned(),
        })
    }
}

fn summary(fitted: &Fitted, path: &str) -> String {
    let (kind, rows) = (fitted.candidate.model.name(), fitted.training.cars().len());
    let names: Vec<&str> = fitted.features.iter().map(|feature| feature.name()).collect();
    let looks_at = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let score = fitted.evaluated.as_ref().map_or(String::new(), |(_, scores)| {
        let (mean, error) = (scores.accuracy_mean * 100.0, scores.accuracy_standard_error * 100.0);
        format!("cross-validated accuracy: {mean:.1} % ± {error:.1}\n")
    });
    format!("{path}: {kind}, fitted to {rows} cars\nfeatures: {looks_at}\n{score}")
}
