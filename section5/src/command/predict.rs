//! `section5 predict`

use std::path::{Path, PathBuf};

use super::common::{Car, Cars};
use super::output;
use crate::batch::{self, Batch};
use crate::evaluate::Candidate;
use crate::model::Fitted;
use crate::predict::Prediction;
use crate::records;
use crate::{Error, Result};

/// Maximum number of rejected rows that are printed; all are written to the file.
const MAX_PRINTED: usize = 20;

/// Predict the price of a car from some of its attributes, or of each car of a CSV file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    car: Car,
    /// Print JSON.
    #[arg(long, conflicts_with = "input")]
    json: bool,
    /// CSV file of cars: its header has attributes, an empty value is unknown.
    #[arg(long, value_name = "FILE", requires = "output")]
    #[arg(conflicts_with_all = ["maint", "doors", "persons", "lug_boot", "safety", "class"])]
    input: Option<PathBuf>,
    /// Output file of the predicted cars, written atomically.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// Output file of rejected rows with reasons; by default NAME.rejected.csv next to the output.
    #[arg(long, value_name = "FILE", requires = "input")]
    rejected: Option<PathBuf>,
    /// Model file of `section5 train`, instead of fitting the best model now.
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
        let text = records::read(input, "specify a CSV file of cars")?;
        let rejected = self.rejected.clone().unwrap_or_else(|| output.with_extension("rejected.csv"));
        different(&[input, output, &rejected])?;
        let batch = batch::predict(&text, &name, fitted)?;
        output::write(&rejected, &batch.rejected)?;
        output::write(output, &batch.predicted)?;
        warn(&batch, &rejected);
        let Batch { cars, bad_rows, extrapolated, .. } = &batch;
        let summary = format!(
            "{}: {}, {extrapolated} of them without a matching training row\n{}: {}\n",
            output.display(),
            number(*cars, "car"),
            rejected.display(),
            number(bad_rows.len(), "rejected row")
        );
        output::print(summary.as_bytes())?;
        if *cars > 0 {
            return Ok(());
        }
        Err(Error::Unfit {
            message: format!("{name}: all rows were rejected"),
            help: format!("see the reasons in {}", rejected.display()),
        })
    }
}

fn warn(batch: &Batch, rejected: &Path) {
    for bad in batch.bad_rows.iter().take(MAX_PRINTED) {
        match bad {
            Error::Table { help, .. } => output::complain(&format_args!("warning: {bad}; {help}")),
            other => output::complain(&format_args!("warning: {other}")),
        }
    }
    if let Some(more) = batch.bad_rows.len().checked_sub(MAX_PRINTED).filter(|more| *more > 0) {
        let more = number(more, "rejected row");
        output::complain(&format_args!("warning: {more} more; all are in {}", rejected.display()));
    }
}

fn number(of: usize, what: &str) -> String {
    format!("{of} {what}{}", if of == 1 { "" } else { "s" })
}

fn different(paths: &[&Path]) -> Result<()> {
    let twice = (1..paths.len()).find(|at| paths[..*at].contains(&paths[*at]));
    twice.map_or(Ok(()), |at| {
        Err(Error::Usage {
            message: format!("{} is given for two options", paths[at].display()),
            help: "use different files for --input, --output and --rejected".to_owned(),
        })
    })
}
