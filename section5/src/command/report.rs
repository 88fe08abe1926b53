//! `section5 report`

use std::path::PathBuf;

use super::common::{Car, Cars, Validation};
use super::output;
use crate::Result;
use crate::evaluate::Candidate;
use crate::report;
use crate::schema::{Attribute, Known};

/// Write an HTML report: data, models, their scores and limits, and a prediction.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cars: Cars,
    /// The self-contained HTML file to write, written atomically.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    car: Car,
    #[command(flatten)]
    validation: Validation,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        output::expect_folder(&self.output)?;
        let table = self.cars.read()?;
        let evaluation = self.validation.evaluate(&table, &Candidate::ALL)?;
        let known = Some(self.car.known()).filter(|known| *known != Known::default()).unwrap_or_else(example);
        let html = report::html(table, &evaluation, known)?;
        output::write(&self.output, html.as_bytes())?;
        output::print(format!("{}\n", self.output.display()).as_bytes())
    }
}

/// The default car of the report: a good one with expensive maintenance, which matches no training row.
fn example() -> Known {
    let levels = [
        (Attribute::Maint, "high"),
        (Attribute::Doors, "4"),
        (Attribute::LugBoot, "big"),
        (Attribute::Safety, "high"),
        (Attribute::Class, "good"),
    ];
    let levels = levels.into_iter().filter_map(|(feature, name)| Some((feature, feature.level(name)?)));
    levels.fold(Known::default(), |known, (feature, level)| known.with(feature, level))
}
