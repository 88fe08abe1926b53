//! `section5 evaluate`

use std::fmt::Write;
use std::path::PathBuf;

use super::common::{Cars, Validation};
use super::output;
use crate::evaluate::{Candidate, Evaluation, Folds};
use crate::schema::Attribute;
use crate::{Error, Result};

/// Compare all models by repeated stratified cross-validation.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cars: Cars,
    #[command(flatten)]
    validation: Validation,
    /// Print JSON: all scores, those per price, and the confusion matrices.
    #[arg(long)]
    json: bool,
    /// Also write the folds as CSV: row,repeat,fold, counted from 0; rows in the order of `section5 generate`.
    #[arg(long, value_name = "FILE")]
    folds_output: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let table = self.cars.read()?;
        if let Some(path) = &self.folds_output {
            let settings = self.validation.settings();
            let folds = Folds::new(&table, settings.folds, settings.repeats, settings.seed)?;
            output::write(path, folds.to_csv().as_bytes())?;
        }
        let evaluation = self.validation.evaluate(&table, &Candidate::ALL)?;
        let text = match self.json {
            true => serde_json::to_string_pretty(&evaluation).map_err(|error| Error::Output(error.into()))? + "\n",
            false => summary(&evaluation),
        };
        output::print(text.as_bytes())
    }
}

/// A human-readable table, followed by the scores per price of the best model.
fn summary(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.to_string().trim_end());
    };
    let settings = evaluation.settings;
    line(format_args!(
        "{} cars; folds {}, repeats {}, seed {}\n",
        evaluation.rows, settings.folds, settings.repeats, settings.seed
    ));
    line(format_args!(
        "{:10}{:10}{:>10}{:>8}{:>10}{:>10}{:>9}{:>9}",
        "model", "features", "accuracy", "±", "macro F1", "log loss", "p", "seconds"
    ));
    for scores in &evaluation.models {
        line(format_args!(
            "{:10}{:10}{:>8.1} %{:>8.1}{:>10.3}{:>10.4}{:>9.4}{:>9.2}",
            scores.candidate.model.name(),
            scores.candidate.feature_set.name(),
            scores.accuracy_mean * 100.0,
            scores.accuracy_standard_error * 100.0,
            scores.macro_f1,
            scores.log_loss,
            scores.p_value,
            scores.seconds
        ));
    }
    let ceiling = evaluation.ceiling;
    line(format_args!("{:20}{:>8.1} %", "guessing", evaluation.baseline * 100.0));
    line(format_args!("{:20}{:>8.1} %   {} of {}", "ceiling", ceiling.accuracy * 100.0, ceiling.rows, evaluation.rows));
    if let Some(selected) = evaluation.models.iter().find(|scores| scores.candidate.feature_set.name() == "selected") {
        let names: Vec<&str> = selected.features.iter().map(|feature| feature.name()).collect();
        line(format_args!("\nselected: {}", names.join(", ")));
    }
    if let Some(best) = evaluation.best() {
        let name = best.candidate.model.name();
        line(format_args!("\n{name}, {} features, by price:\n", best.candidate.feature_set.name()));
        line(format_args!("{:10}{:>10}{:>8}{:>8}   predicted: {}", "price", "precision", "recall", "F1", prices()));
        for (of_price, row) in best.prices.iter().zip(best.confusion) {
            let row: String = row.iter().map(|count| format!("{count:>7}")).collect();
            line(format_args!(
                "{:10}{:>10.3}{:>8.3}{:>8.3}              {row}",
                of_price.price, of_price.precision, of_price.recall, of_price.f1
            ));
        }
    }
    text
}

fn prices() -> String {
    Attribute::Buying.levels().iter().map(|price| format!("{price:>7}")).collect()
}
