//! Reads files as a source of a task does, with types that are guessed from all of their rows.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

use super::guess::{Guess, Guessed};
use super::input::Input;
use super::sample::{Column, names};
use super::sniff::Form;
use crate::database::{Connector, Sessions};
use crate::engine::{self, Resources, fold};
use crate::error::{Error, Result, number_of};
use crate::format::scan::SourceTable;
use crate::profile::Sampler;
use crate::route::RejectedRoute;
use crate::run::key_of;
use crate::source::{Fetchers, Opening, Source};
use crate::system::stop::Stop;
use crate::task::{ParamChoice, SqlType, Task};
use crate::watch::{Event, Observer, Progress, ProgressBar};

/// The name of the source by which files are read.
pub(in crate::command) const SOURCE: &str = "sample";

/// How files are read.
pub(in crate::command) struct Reader {
    pub(in crate::command) session: SessionContext,
    pub(in crate::command) stop: Stop,
    /// Texts that mean null.
    pub(in crate::command) null_values: Vec<String>,
    /// Whether numbers in forms that a task would not guess, such as `1e-5`, are numbers.
    pub(in crate::command) takes_any_number: bool,
    /// Whether a terminal shows how much is read.
    pub(in crate::command) shows_progress: bool,
    /// Whether a sample of the rows is drawn while types are guessed.
    pub(in crate::command) draws: bool,
}

/// The columns of files, with names and types.
pub(in crate::command) struct Types {
    pub(in crate::command) columns: Vec<Column>,
    /// The number of rows from which the types were guessed; none if the files have types.
    pub(in crate::command) guessed_from: Option<u64>,
    /// The rows that were drawn, as texts.
    pub(in crate::command) drawn: Option<RecordBatch>,
    /// How often the rows were read: once more without the records at the end that are no rows.
    pub(in crate::command) passes: usize,
}

/// The rows of a source, as a run reads them.
pub(in crate::command) struct Rows {
    pub(in crate::command) frame: DataFrame,
    pub(in crate::command) table: Arc<dyn SourceTable>,
    pub(in crate::command) source: Source,
    /// Shown until they are read.
    bar: Option<ProgressBar>,
}

impl Reader {
    pub(in crate::command) fn new(threads: usize, functions: &[ScalarUDF]) -> Result<Self> {
        let resources = Resources { threads, ..Resources::default() };
        let session = engine::session(resources, &std::env::temp_dir(), functions, None)?;
        Ok(Self {
            session,
            stop: Stop::never(),
            null_values: vec![],
            takes_any_number: false,
            shows_progress: false,
            draws: false,
        })
    }

    /// The columns of files, read to their end if they have no types. Records at the end that are no rows are left out from
    /// then on.
    pub(in crate::command) async fn types(&self, input: &mut Input) -> Result<Types> {
        let names = names(&self.session, &input.columns).await;
        let mut columns: Vec<Column> = names
            .into_iter()
            .zip(&input.columns)
            .map(|(name, found)| Column {
                name,
                found: found.clone(),
                guessed: Guessed::plain(found.sql_type.unwrap_or(SqlType::String)),
                is_full: false,
            })
            .collect();
        if input.columns.iter().all(|column| column.sql_type.is_some()) {
            return Ok(Types { columns, guessed_from: None, drawn: None, passes: 0 });
        }
        let (read, passes) = match self.guess(input, &mut columns).await? {
            Read::Footer(records) => {
                input.skip_last(records);
                (self.guess(input, &mut columns).await?, 2)
            }
            read => (read, 1),
        };
        Ok(match read {
            Read::Rows(rows, drawn) => Types { columns, guessed_from: Some(rows), drawn, passes },
            Read::Footer(_) => Types { columns, guessed_from: None, drawn: None, passes },
        })
    }

    /// Guesses the types from all rows, read as texts.
    async fn guess(&self, input: &Input, columns: &mut [Column]) -> Result<Read> {
        for column in &mut *columns {
            column.guessed = Guessed::plain(column.found.sql_type.unwrap_or(SqlType::String));
        }
        let Rows { frame, source, bar: _bar, .. } = self.read(input, columns).await?;
        let schema = frame.schema().inner().clone();
        let is_workbook = matches!(input.form, Form::Excel(_));
        let guess = || match self.takes_any_number {
            true => Guess::of(is_workbook).with_any_number(),
            false => Guess::of(is_workbook),
        };
        let new = |thread| Seen {
            rows: 0,
            guesses: columns.iter().map(|_| guess()).collect(),
            full: vec![true; columns.len()],
            sampler: self.draws.then(|| Sampler::new(schema.clone(), thread)),
        };
        let seen = fold(frame, &self.stop, new, Seen::add).await.map_err(failed)?;
        let mut seen = seen.into_iter();
        let mut all = seen.next().ok_or_else(|| Error::internal("no thread has read"))?;
        seen.try_for_each(|seen| all.merge(seen)).map_err(failed)?;
        let Seen { rows, guesses, full, sampler } = all;
        let footer = source.rejected().unread.of("too_few_fields").all_last();
        if let Some(records) = footer.filter(|records| rows > 0 && input.may_have_footer(*records)) {
            return Ok(Read::Footer(records));
        }
        check_rows(&input.first, rows, source.rejected())?;
        for ((column, guess), full) in columns.iter_mut().zip(guesses).zip(full) {
            column.guessed = column.found.sql_type.map_or_else(|| guess.guessed(), Guessed::plain);
            column.is_full = rows > 0 && full;
        }
        let drawn = sampler.map(Sampler::finish).transpose().map_err(failed)?;
        Ok(Read::Rows(rows, drawn))
    }

    /// The rows of files whose columns are declared.
    pub(in crate::command) async fn read(&self, input: &Input, columns: &[Column]) -> Result<Rows> {
        let files = super::files::mapping(input.keys("input").into_iter());
        let columns: String = columns.iter().map(super::files::declaration).collect();
        let nulls = match self.null_values.as_slice() {
            [] => String::new(),
            texts => format!("    null_values: {}\n", serde_json::Value::from(texts)),
        };
        let task = format!(
            "name: {SOURCE}\nparams: {{input: {{type: string}}}}\nsources:\n  {SOURCE}:\n    \
             files: {{{files}}}\n    if_missing: empty\n{nulls}    columns:\n{columns}\
             sinks: {{{SOURCE}: {{from: {SOURCE}, mode: overwrite, files: {{path: x, format: csv}}}}}}\n"
        );
        let given = input.given.to_string_lossy().into_owned();
        let choice = ParamChoice { values: vec![("input".to_owned(), given)], ..ParamChoice::default() };
        let task = Task::parse(Path::new("sample.yaml"), task, &choice)?;
        let mut sessions = Sessions::new(Connector::of(&task), &self.stop);
        self.rows(&task, SOURCE, &mut sessions).await
    }

    /// The rows of a source of a task.
    pub(in crate::command) async fn rows(&self, task: &Task, name: &str, sessions: &mut Sessions) -> Result<Rows> {
        let (key, fetchers): (_, Fetchers) = (key_of(task), [].into());
        let mut opening = Opening::to_show(&key, None, &fetchers, sessions, &self.stop);
        let source = Source::declare_all(task)?.into_iter().find(|source| source.name() == name);
        let source = source.ok_or_else(|| Error::internal("no source"))?;
        source.rejected().connect(Box::new(|_| Ok(())));
        let opened = source.open(&mut opening).await?;
        let table = opened.table.ok_or_else(|| {
            let message = format!("source `{name}` exists only in a run");
            Error::usage(message, "write its rows to a file with a sink of the task, and name that file")
        })?;
        let frame = engine::without_tables(&self.session).read_table(table.clone()).map_err(failed)?;
        let bar = self.shows_progress.then(ProgressBar::on_terminal).flatten();
        if let Some(bar) = &bar {
            let progress = Progress::of(vec![source.progress()]);
            bar.event(&Event::Reading { bytes: opened.bytes, progress });
        }
        Ok(Rows { frame, table, source, bar })
    }
}

/// What was read of the files.
enum Read {
    /// The number of rows, and those that were drawn.
    Rows(u64, Option<RecordBatch>),
    /// The records at the end are no rows: their number.
    Footer(usize),
}

/// What a thread has seen of the rows.
struct Seen {
    rows: u64,
    guesses: Vec<Guess>,
    /// Whether a column has no null.
    full: Vec<bool>,
    sampler: Option<Sampler>,
}

impl Seen {
    fn add(&mut self, batch: &RecordBatch) -> datafusion::error::Result<()> {
        self.rows += batch.num_rows() as u64;
        for ((values, guess), full) in batch.columns().iter().zip(&mut self.guesses).zip(&mut self.full) {
            // A file may have types for some of its columns.
            let Some(texts) = values.as_string_view_opt() else { continue };
            *full &= texts.null_count() == 0;
            texts.iter().flatten().for_each(|text| guess.add(text));
        }
        self.sampler.as_mut().map_or(Ok(()), |sampler| sampler.update(batch))
    }

    fn merge(&mut self, other: Self) -> datafusion::error::Result<()> {
        self.rows += other.rows;
        self.guesses.iter_mut().zip(&other.guesses).for_each(|(guess, other)| guess.merge(other));
        self.full.iter_mut().zip(other.full).for_each(|(full, other)| *full &= other);
        match (&mut self.sampler, other.sampler) {
            (Some(sampler), Some(other)) => sampler.merge(other),
            _ => Ok(()),
        }
    }
}

/// A sample of which most records cannot be read says nothing about the file.
fn check_rows(path: &Path, rows: u64, rejected: &RejectedRoute) -> Result<()> {
    let unreadable = rejected.rejected();
    if unreadable.rows() <= rows {
        return Ok(());
    }
    let total = unreadable.rows();
    let reasons: Vec<String> = unreadable.into_iter().map(|(reason, _)| reason).collect();
    let help = match reasons.iter().map(String::as_str).next() {
        Some("invalid_utf8") => "write the task by hand, with the `encoding` of the file",
        Some("invalid_quotes") => {
            "close its quotes, and write a quote within a quoted value twice; or write the task by hand, with `quote` and `escape`"
        }
        Some("too_few_fields" | "too_many_fields") => {
            "give every line as many fields as the header has; or write the task by hand, with `delimiter` and `skip_lines`"
        }
        _ => "correct the file",
    };
    let help = match reasons.iter().find_map(|reason| rejected.advice(reason)) {
        Some(advice) => format!("write the task by hand; {advice}"),
        None => help.to_owned(),
    };
    let message = format!("{} of {} cannot be read: {}", number_of(total, "record"), total + rows, reasons.join(", "));
    Err(Error::input(path.display(), message, help))
}

pub(super) fn failed(error: datafusion::error::DataFusionError) -> Error {
    Error::query(SOURCE, error)
}
