//! The columns of a table's files, with names and types, and its first rows.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::guess::{Guess, Guessed};
use super::input::{Found, Input};
use super::sniff::{Dialect, Form, Table};
use crate::database::{Connector, Sessions};
use crate::engine::{self, Resources};
use crate::error::{Error, Result, number_of};
use crate::route::RejectedRoute;
use crate::run::key_of;
use crate::source::{Opening, Source};
use crate::system::stop::Stop;
use crate::task::{ParamChoice, SqlType, Task};

/// The number of rows of which one is chosen for a fixture.
const TYPED_ROWS: usize = 1_000;

/// The name of the source by which a sample is read.
const SOURCE: &str = "sample";

/// A table: files with the names and types of their columns.
pub(super) struct Sample {
    pub(super) input: Input,
    pub(super) columns: Vec<Column>,
    /// The number of rows from which the types were guessed; none if the files have types.
    pub(super) guessed_from: Option<u64>,
    /// The values of the first rows, in their canonical form.
    pub(super) first: Vec<Vec<Option<String>>>,
}

/// A column of files or of a table.
pub(super) struct Column {
    /// Its name in SQL.
    pub(super) name: String,
    pub(super) found: Found,
    pub(super) guessed: Guessed,
    /// Whether every row has a value.
    pub(super) is_full: bool,
}

impl Sample {
    /// Reads files to their end, to guess the types of their columns, and their first rows by these types.
    pub(super) async fn take(mut input: Input, functions: &[ScalarUDF]) -> Result<Self> {
        let session =
            engine::session(Resources { threads: 1, ..Resources::default() }, &std::env::temp_dir(), functions, None)?;
        let names = names(&session, &input.columns).await;
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
        let is_typed = input.columns.iter().all(|column| column.sql_type.is_some());
        let mut guessed_from = None;
        if !is_typed {
            guessed_from = match guess(&session, &input, &mut columns).await? {
                Read::Rows(rows) => Some(rows),
                Read::Footer(records) => {
                    input.skip_last(records);
                    guess(&session, &input, &mut columns).await?.rows()
                }
            };
        }
        let read = read(&session, &input, &columns).await?;
        let frame = read.frame.limit(0, Some(TYPED_ROWS)).map_err(failed)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let rows =
            concat_batches(&schema, &frame.collect().await.map_err(failed)?).map_err(|error| failed(error.into()))?;
        if is_typed {
            let is_full = |(column, values): (&mut Column, &ArrayRef)| {
                column.is_full = rows.num_rows() > 0 && values.null_count() == 0;
            };
            columns.iter_mut().zip(rows.columns()).for_each(is_full);
        }
        Ok(Self { first: texts(&rows)?, input, columns, guessed_from })
    }
}

/// The values of rows in their canonical form.
fn texts(rows: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
    let texts = rows.columns().iter().map(|column| cast(column, &DataType::Utf8));
    let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.into()))?;
    let value = |column: &ArrayRef, row: usize| {
        let column = column.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    Ok((0..rows.num_rows()).map(|row| texts.iter().map(|column| value(column, row)).collect()).collect())
}

/// What was read of the files.
enum Read {
    /// The number of rows.
    Rows(u64),
    /// The records at the end are no rows: their number.
    Footer(usize),
}

impl Read {
    fn rows(&self) -> Option<u64> {
        match self {
            Self::Rows(rows) => Some(*rows),
            Self::Footer(_) => None,
        }
    }
}

/// Guesses the types from all rows, read as texts.
async fn guess(session: &SessionContext, input: &Input, columns: &mut [Column]) -> Result<Read> {
    let read = read(session, input, columns).await?;
    let mut guesses: Vec<Guess> = columns.iter().map(|_| Guess::of(matches!(input.form, Form::Excel(_)))).collect();
    let mut full = vec![true; columns.len()];
    let mut rows = 0;
    let mut batches = read.frame.execute_stream().await.map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        rows += batch.num_rows() as u64;
        for ((values, guess), full) in batch.columns().iter().zip(&mut guesses).zip(&mut full) {
            let texts = values.as_string_view();
            *full &= texts.null_count() == 0;
            texts.iter().flatten().for_each(|text| guess.add(text));
        }
    }
    let footer = read.source.rejected().unread.of("too_few_fields").all_last();
    if let Some(records) = footer.filter(|records| rows > 0 && input.may_have_footer(*records)) {
        return Ok(Read::Footer(records));
    }
    check_rows(&input.first, rows, read.source.rejected())?;
    for ((column, guess), full) in columns.iter_mut().zip(guesses).zip(full) {
        column.guessed = column.found.sql_type.map_or_else(|| guess.guessed(), Guessed::plain);
        column.is_full = rows > 0 && full;
    }
    Ok(Read::Rows(rows))
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

/// For each column a unique name that is valid in SQL without quotes.
pub(super) async fn names(session: &SessionContext, columns: &[Found]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let plain = column.plain();
        let mut candidates = vec![plain.clone(), format!("{plain}_column")];
        candidates.extend((0..).map(|again| format!("column_{}{}", i + 1, "_".repeat(again))).take(columns.len() + 1));
        for candidate in candidates {
            if !names.contains(&candidate) && is_sql_name(session, &candidate).await {
                names.push(candidate);
                break;
            }
        }
    }
    names
}

/// Whether SQL accepts the text as a column name, at the end of a list and before a comma.
async fn is_sql_name(session: &SessionContext, name: &str) -> bool {
    // Rejected rows have the additional column `reasons`.
    if name.is_empty() || name == "reasons" {
        return false;
    }
    let session = engine::without_tables(session);
    let table = EmptyTable::new(Schema::new(vec![Field::new(name, DataType::Utf8View, true)]).into());
    if session.register_table("t", Arc::new(table)).is_err() {
        return false;
    }
    for sql in [format!("select {name}, 1 as one from t"), format!("select 1 as one, {name}\nfrom t")] {
        let Ok(plan) = engine::state(&session).create_logical_plan(&sql).await else { return false };
        let LogicalPlan::Projection(projection) = plan else { return false };
        let is_column = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == name);
        if !projection.expr.iter().any(is_column) {
            return false;
        }
    }
    true
}

/// The rows of files, as a run reads them.
struct Reading {
    frame: datafusion::dataframe::DataFrame,
    source: Source,
}

async fn read(session: &SessionContext, input: &Input, columns: &[Column]) -> Result<Reading> {
    let files = super::files::mapping(input.keys("input").into_iter());
    let columns: String = columns.iter().map(super::files::declaration).collect();
    let task = format!(
        "name: {SOURCE}\nparams: {{input: {{type: string}}}}\nsources:\n  {SOURCE}:\n    \
         files: {{{files}}}\n    if_missing: empty\n    columns:\n{columns}\
         sinks: {{{SOURCE}: {{from: {SOURCE}, mode: overwrite, files: {{path: x, format: csv}}}}}}\n"
    );
    let given = input.given.to_string_lossy().into_owned();
    let choice = ParamChoice { values: vec![("input".to_owned(), given)], ..ParamChoice::default() };
    let task = Task::parse(Path::new("sample.yaml"), task, &choice)?;
    let (key, stop, fetchers) = (key_of(&task), Stop::never(), [].into());
    let mut sessions = Sessions::new(Connector::of(&task), &stop);
    let mut opening = Opening {
        key: &key,
        ledger: None,
        run: None,
        fetchers: &fetchers,
        sessions: &mut sessions,
        scratch: Path::new(""),
        stop: &stop,
    };
    let source = Source::declare_all(&task)?.pop().ok_or_else(|| Error::internal("no source".to_owned()))?;
    source.rejected().connect(Box::new(|_| Ok(())));
    let table = source.open(&mut opening).await?.table;
    let table = table.ok_or_else(|| Error::internal("nothing to read".to_owned()))?;
    let frame = engine::without_tables(session).read_table(table).map_err(failed)?;
    Ok(Reading { frame, source })
}

fn failed(error: datafusion::error::DataFusionError) -> Error {
    Error::query(SOURCE, error)
}

impl Sample {
    /// What the author of the task should know about how the files are read.
    pub(super) fn notes(&self) -> Vec<String> {
        let skipped = self.dialect().map_or(0, |dialect| dialect.skip_last);
        let footer = match skipped {
            0 => None,
            1 => Some("its last record seems to be a total or a footer: `skip_last: 1` leaves it out".to_owned()),
            more => Some(format!("its last {more} records seem to be a footer: `skip_last: {more}` leaves them out")),
        };
        self.input.notes.iter().cloned().chain(footer).collect()
    }

    /// The dialect of CSV files, or what a sheet has of one.
    pub(super) fn dialect(&self) -> Option<&Dialect> {
        match &self.input.form {
            Form::Csv(dialect) | Form::Excel(Table { dialect, .. }) => Some(dialect),
            _ => None,
        }
    }
}
