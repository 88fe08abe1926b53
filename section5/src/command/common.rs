//! Options of several commands.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::builder::PossibleValuesParser;
use clap::value_parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::evaluate::{self, Candidate, Evaluation, Settings, Step};
use crate::schema::{Attribute, Known};
use crate::table::Table;
use crate::{Error, Result, rules};

/// Training data.
#[derive(Debug, clap::Args)]
pub(super) struct Cars {
    /// CSV file of training cars, instead of the full table.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

impl Cars {
    pub(super) fn read(&self) -> Result<Table> {
        self.data.as_deref().map_or_else(|| Ok(rules::full_table()), Table::read)
    }
}

/// Settings of the evaluation.
#[derive(Debug, clap::Args)]
pub(super) struct Validation {
    /// Number of folds.
    #[arg(long, value_name = "N", default_value = "10", value_parser = value_parser!(u64).range(2..=1000))]
    folds: u64,
    /// Number of repetitions of the cross-validation.
    #[arg(long, value_name = "N", default_value = "5", value_parser = value_parser!(u64).range(1..=1000))]
    repeats: u64,
    /// Number of permutations of the permutation test.
    #[arg(long, value_name = "N", default_value = "9999", value_parser = value_parser!(u64).range(1..=1_000_000))]
    permutations: u64,
    /// Seed of the random numbers.
    #[arg(long, value_name = "S", default_value = "1")]
    seed: u64,
    /// Number of threads; by default the number of processors. The results do not depend on it.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Validation {
    pub(super) fn settings(&self) -> Settings {
        let Self { folds, repeats, permutations, seed, .. } = *self;
        Settings { folds: folds as usize, repeats: repeats as usize, seed, permutations: permutations as usize }
    }

    /// Evaluates, with its progress on standard error if that is a terminal.
    pub(super) fn evaluate(&self, table: &Table, candidates: &[Candidate]) -> Result<Evaluation> {
        let settings = self.settings();
        let threads = usize::from(self.threads.unwrap_or(0));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| Error::Usage {
            message: format!("the threads cannot be started: {error}"),
            help: "use fewer: --threads".to_owned(),
        })?;
        let progress = Progress::new(candidates, settings);
        let evaluation = pool.install(|| evaluate::evaluate(table, candidates, settings, &|step| progress.after(step)));
        progress.bar.finish_and_clear();
        evaluation
    }
}

/// A line of progress: first the folds, then the models whose permutation tests are done.
struct Progress {
    bar: ProgressBar,
    permutations: u64,
    models: u64,
    tested: AtomicU64,
}

impl Progress {
    fn new(candidates: &[Candidate], settings: Settings) -> Self {
        let steps = |kind| evaluate::steps(kind, candidates, settings) as u64;
        let bar = ProgressBar::new(steps(Step::Fold));
        let progress =
            Self { bar, permutations: steps(Step::Permutation), models: steps(Step::Model), tested: AtomicU64::new(0) };
        progress.style("evaluating {wide_bar} {pos}/{len} folds, {eta} left");
        progress
    }

    fn after(&self, step: Step) {
        match step {
            Step::Fold => {
                self.bar.inc(1);
                if self.bar.length() == Some(self.bar.position()) {
                    self.bar.reset();
                    self.bar.set_length(self.permutations);
                    self.bar.set_message(format!("0/{}", self.models));
                    self.style("testing {wide_bar} {msg} models, {eta} left");
                }
            }
            Step::Permutation => self.bar.inc(1),
            Step::Model => {
                let tested = 1 + self.tested.fetch_add(1, Ordering::Relaxed);
                self.bar.set_message(format!("{tested}/{}", self.models));
            }
        }
    }

    /// The template is valid; with the default one there would still be progress.
    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.tick();
    }
}

/// The known attributes of a car.
#[derive(Debug, clap::Args)]
pub(super) struct Car {
    /// The price of maintenance.
    #[arg(long, value_parser = levels(Attribute::Maint))]
    maint: Option<String>,
    /// The number of doors.
    #[arg(long, value_parser = levels(Attribute::Doors))]
    doors: Option<String>,
    /// The number of persons.
    #[arg(long, value_parser = levels(Attribute::Persons))]
    persons: Option<String>,
    /// The size of the luggage boot.
    #[arg(long, value_parser = levels(Attribute::LugBoot))]
    lug_boot: Option<String>,
    /// The estimated safety.
    #[arg(long, value_parser = levels(Attribute::Safety))]
    safety: Option<String>,
    /// The acceptability of the car.
    #[arg(long, value_parser = levels(Attribute::Class))]
    class: Option<String>,
}

impl Car {
    pub(super) fn known(&self) -> Known {
        let Self { maint, doors, persons, lug_boot, safety, class } = self;
        let given = [maint, doors, persons, lug_boot, safety, class];
        Known(std::array::from_fn(|at| Attribute::FEATURES[at].level(given[at].as_deref()?)))
    }
}

fn levels(attribute: Attribute) -> PossibleValuesParser {
    PossibleValuesParser::new(attribute.levels())
}
