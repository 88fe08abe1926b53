//! `section5 report`

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};

use super::common::{Car, Cars, Validation};
use super::output;
use crate::evaluate::Candidate;
use crate::report;
use crate::schema::{Attribute, Known};
use crate::{Error, Result};

/// Write an HTML report: data, models, their scores and limits, and a prediction.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    cars: Cars,
    /// The self-contained HTML file to write, written atomically.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Date on the report: 2026-02-28. By default that of SOURCE_DATE_EPOCH (seconds since 1970), otherwise today, in
    /// UTC. With the same date, the same cars and settings give the same bytes.
    #[arg(long, value_name = "DAY")]
    date: Option<NaiveDate>,
    #[command(flatten)]
    car: Car,
    #[command(flatten)]
    validation: Validation,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        output::expect_folder(&self.output)?;
        let date = self.date.map_or_else(default_date, Ok)?;
        let table = self.cars.read()?;
        let evaluation = self.validation.evaluate(&table, &Candidate::ALL)?;
        let known = Some(self.car.known()).filter(|known| *known != Known::default()).unwrap_or_else(example);
        let html = report::html(table, &evaluation, known, date)?;
        output::write(&self.output, html.as_bytes())?;
        output::print(format!("{}\n", self.output.display()).as_bytes())
    }
}

/// The date of SOURCE_DATE_EPOCH, which builds set so that they are reproducible
/// (<https://reproducible-builds.org/specs/source-date-epoch/>), or today.
fn default_date() -> Result<NaiveDate> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = std::env::var_os(NAME).filter(|text| !text.is_empty()) else {
        return Ok(Utc::now().date_naive());
    };
    let time = text.to_str().and_then(|seconds| DateTime::from_timestamp(seconds.parse().ok()?, 0));
    time.map(|time| time.date_naive()).ok_or_else(|| Error::Usage {
        message: format!("{NAME} is {text:?}, which is not a number of seconds since 1970"),
        help: "unset it, or specify the date of the report: --date 2026-02-28".to_owned(),
    })
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
