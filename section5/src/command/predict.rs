//! `section5 predict`

use std::path::{Path, PathBuf};

use super::asked::{Car, Cars};
use super::output;
use crate::batch::{self, Batch};
use crate::evaluate::Candidate;
use crate::model::Fitted;
use crate::predict::Prediction;
use crate::records;
use crate::{Error, Result};

/// So many bad rows are told of; all are kept apart.
const TOLD: usize = 20;

/// Predict the price of a car of which some attributes are known, or of each car of a CSV file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    car: Car,
    /// Print JSON.
    #[arg(long, conflicts_with = "input")]
    json: bool,
    /// A CSV file of cars: its header names attributes, an empty value is unknown.
    #[arg(long, value_name = "FILE", requires = "output")]
    #[arg(conflicts_with_all = ["maint", "doors", "persons", "lug_boot", "safety", "class"])]
    input: Option<PathBuf>,
    /// Where the cars go with their prices, as a whole or not at all.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// Where bad rows go, with the reason; beside the output as NAME.rejected.csv unless it is given.
    #[arg(long, value_name = "FILE", requires = "input")]
    rejected: Option<PathBuf>,
    /// A model that `section5 train` has saved, instead of the best one, fitted now.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    model: Option<PathBuf>,
    #[command(flatten)]
    cars: Cars,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let fitted = match &self.model {
            Some(path) => Fitted::read(path)?,
            None => Fitted::fit(self.cars.read()?, Candidate::DEFAULT)?,
        };
        match (&self.input, &self.output) {
            (Some(input), Some(output)) => self.batch(&fitted, input, output),
            _ => self.one(&fitted),
        }
    }

    fn one(&self, fitted: &Fitted) -> Result<()> {
        let prediction = Prediction::of(self.car.known(), fitted);
        let text = match self.json {
            true => format!("{:#}\n", prediction.to_json()),
            false => prediction.to_string(),
        };
        output::print(text.as_bytes())
    }

    fn batch(&self, fitted: &Fitted, input: &Path, output: &Path) -> Result<()> {
        let name = input.display().to_string();
        let text = records::read(input, "name a CSV file of cars")?;
        let rejected = self.rejected.clone().unwrap_or_else(|| output.with_extension("rejected.csv"));
        different(&[input, output, &rejected])?;
        let batch = batch::predict(&text, &name, fitted)?;
        output::write(&rejected, &batch.rejected)?;
        output::write(output, &batch.predicted)?;
        warn(&batch, &rejected);
        let Batch { cars, bad_rows, extrapolated, .. } = &batch;
        let told = format!(
            "{}: {}, {extrapolated} of them like no training row\n{}: {}\n",
            output.display(),
            number(*cars, "car"),
            rejected.display(),
            number(bad_rows.len(), "bad row")
        );
        output::print(told.as_bytes())?;
        if *cars > 0 {
            return Ok(());
        }
        Err(Error::Unfit {
            message: format!("{name}: no row could be read"),
            help: format!("{} has the reasons", rejected.display()),
        })
    }
}

fn warn(batch: &Batch, rejected: &Path) {
    for bad in batch.bad_rows.iter().take(TOLD) {
        match bad {
            Error::Table { help, .. } => eprintln!("warning: {bad}; {help}"),
            other => eprintln!("warning: {other}"),
        }
    }
    if let Some(more) = batch.bad_rows.len().checked_sub(TOLD).filter(|more| *more > 0) {
        eprintln!("warning: {} more; all are in {}", number(more, "bad row"), rejected.display());
    }
}

fn number(of: usize, what: &str) -> String {
    format!("{of} {what}{}", if of == 1 { "" } else { "s" })
}

fn different(paths: &[&Path]) -> Result<()> {
    let twice = (1..paths.len()).find(|at| paths[..*at].contains(&paths[*at]));
    twice.map_or(Ok(()), |at| {
        Err(Error::Usage {
            message: format!("{} is named for two purposes", paths[at].display()),
            help: "name different files for --input, --output and --rejected".to_owned(),
        })
    })
}
