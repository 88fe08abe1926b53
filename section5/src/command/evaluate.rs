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

/// A human-readable table of at most 60 columns, followed by the scores per price of the best model.
fn summary(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.to_string().trim_end());
    };
    let settings = evaluation.settings;
    line(format_args!(
        "{} cars; folds {}, repeats {}, seed {}",
        evaluation.rows, settings.folds, settings.repeats, settings.seed
    ));
    line(format_args!(""));
    line(format_args!("{:18}{:>11}{:>7}{:>7}{:>8}{:>9}", "", "", "macro", "log", "", "CPU"));
    line(format_args!(
        "{:9}{:9}{:>11}{:>7}{:>7}{:>8}{:>9}",
        "model", "features", "accuracy, %", "F1", "loss", "p", "seconds"
    ));
    for scores in &evaluation.models {
        line(format_args!(
            "{:9}{:9}{:>11}{:>7.3}{:>7.3}{:>8.4}{:>9.2}",
            scores.candidate.model.name(),
            scores.candidate.feature_set.name(),
            format!("{:.1} ± {:.1}", scores.accuracy_mean * 100.0, scores.accuracy_standard_error * 100.0),
            scores.macro_f1,
            scores.log_loss,
            scores.p_value,
            scores.seconds
        ));
    }
    let ceiling = evaluation.ceiling;
    // Below the means, whose standard errors have six characters.
    line(format_args!("{:18}{:>5.1}", "guessing", evaluation.baseline * 100.0));
    let of_all = format!("({} of {})", ceiling.rows, evaluation.rows);
    line(format_args!("{:18}{:>5.1} {of_all}", "ceiling", ceiling.accuracy * 100.0));
    if let Some(selected) = evaluation.models.iter().find(|scores| scores.candidate.feature_set.name() == "selected") {
        let names: Vec<&str> = selected.features.iter().map(|feature| feature.name()).collect();
        line(format_args!("\nselected: {}", names.join(", ")));
    }
    if let Some(best) = evaluation.best() {
        let name = best.candidate.model.name();
        line(format_args!("\n{name}, {} features, by price:", best.candidate.feature_set.name()));
        line(format_args!(""));
        line(format_args!("{:32}{:>28}", "", "predicted"));
        line(format_args!("{:7}{:>9}{:>8}{:>8}{}", "price", "precision", "recall", "F1", prices()));
        for (of_price, row) in best.prices.iter().zip(best.confusion) {
            let row: String = row.iter().map(|count| format!("{count:>7}")).collect();
            line(format_args!(
                "{:7}{:>9.3}{:>8.3}{:>8.3}{row}",
                of_price.price, of_price.precision, of_price.recall, of_price.f1
            ));
        }
    }
    text
}

fn prices() -> String {
    Attribute::Buying.levels().iter().map(|price| format!("{price:>7}")).collect()
}
