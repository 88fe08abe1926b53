//! What is profiled: files, a table of a database, or a source of a task.

use std::collections::HashSet;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::ScalarUDF;

use super::super::ProfileArgs;
use super::super::init::{
    Column, Connections, DatabaseTable, Form, Input, Objects, Reader, Rows, SOURCE, Types, declaration, name_of_file,
};
use super::report::{TypesFrom, Unreadable};
use crate::database::{Connector, Sessions};
use crate::engine::fold;
use crate::error::{Error, Result, nearest};
use crate::place::{Arrival, file_system, is_stdin};
use crate::plan::resolved;
use crate::profile::{Groups, ProfiledColumn, Sampler};
use crate::system::temporary::TemporaryFolder;
use crate::task::{ParamChoice, Project, Task, is_object_url};

/// Rows with named and typed columns, which can be read more than once.
pub(super) struct Profiled {
    /// A short name, that of the page.
    pub(super) name: String,
    /// As the user knows it.
    pub(super) shown: String,
    pub(super) types_from: TypesFrom,
    pub(super) columns: Vec<ProfiledColumn>,
    /// What a reader of the profile should know about how the rows are read.
    pub(super) notes: Vec<String>,
    /// How often the rows were read.
    pub(super) passes: usize,
    drawn: Option<RecordBatch>,
    origin: Origin,
    /// Where standard input is kept, or an object of a store.
    _kept: Kept,
}

/// Files that are removed with this.
#[derive(Default)]
struct Kept {
    _stdin: Option<TemporaryFolder>,
    _objects: Objects,
}

enum Origin {
    Files { input: Box<Input>, columns: Vec<Column> },
    Source { task: Box<Task>, source: String, sessions: Box<Sessions> },
}

impl Profiled {
    /// Finds the rows that the arguments name, and their columns.
    pub(super) async fn open(args: &ProfileArgs, reader: &Reader, functions: &[ScalarUDF]) -> Result<Self> {
        let given = args.source.to_string_lossy();
        if let Some(path) = &args.task_config {
            let choice =
                ParamChoice { environment: args.env.clone(), values: args.params.clone(), ..ParamChoice::default() };
            not_for(args, "the sources of a task, which declare `null_values`")?;
            let task = Task::load(path, &choice)?;
            let task = resolved(&task, functions, &[].into()).await?.into_owned();
            return Self::of_task(task, &given, reader);
        }
        if is_stdin(&given) {
            return Self::of_stdin(reader).await;
        }
        if is_object_url(&given) {
            let mut objects = Objects::default();
            let file = objects.bring(&Project::load(Path::new(""))?, &given).await?;
            let profiled = Self::of_files(Input::open(&file)?, name_of_file(&file), given.into_owned(), reader).await?;
            return Ok(Self { _kept: Kept { _objects: objects, ..Kept::default() }, ..profiled });
        }
        let mut connections = Connections::of(Path::new("."));
        if let Some(table) = connections.table(&args.source)? {
            not_for(args, "tables, whose nulls are known")?;
            let (connection, server) = (table.connection.clone(), table.server.clone());
            let name = table.plain_name();
            let table = DatabaseTable::take(table, functions).await?;
            let mut task = task_of(&table)?;
            task.project = connections.project_with_new()?;
            let sessions = Sessions::new(Connector::of(&task).with(&connection, server), &reader.stop);
            let origin =
                Origin::Source { task: Box::new(task), source: SOURCE.to_owned(), sessions: Box::new(sessions) };
            let columns = labelled(&table.columns);
            return Ok(Self {
                notes: table.notes(),
                ..Self::of(name, table.shown(), TypesFrom::Database, columns, origin)
            });
        }
        let is_pattern = !args.source.exists() && given.contains(['*', '?', '[']);
        let input = if is_pattern { Input::of_pattern(&given)? } else { Input::open(&args.source)? };
        let named = if is_pattern { name_of_file(&input.first) } else { name_of_file(&args.source) };
        Self::of_files(input, named, given.into_owned(), reader).await
    }

    fn of(name: String, shown: String, types_from: TypesFrom, columns: Vec<ProfiledColumn>, origin: Origin) -> Self {
        let name = if name.is_empty() { "data".to_owned() } else { name };
        Self { name, shown, types_from, columns, notes: vec![], passes: 0, drawn: None, origin, _kept: Kept::default() }
    }

    async fn of_files(mut input: Input, name: String, shown: String, reader: &Reader) -> Result<Self> {
        let Types { columns, guessed_from, drawn, passes } = reader.types(&mut input).await?;
        let types_from = if guessed_from.is_some() { TypesFrom::Guessed } else { TypesFrom::File };
        // The keys of JSON records are all known only when all of them were read.
        let is_json = matches!(input.form, Form::Json(_) | Form::Jsonl);
        let passes = passes + usize::from(is_json);
        let comments = columns.iter().filter_map(|column| {
            let comment = column.guessed.comment.as_ref()?;
            Some(format!("column `{}`: {comment}", column.found.label))
        });
        let notes = input.notes.iter().cloned().chain(comments).collect();
        let labels = labelled(&columns);
        let origin = Origin::Files { input: Box::new(input), columns };
        Ok(Self { notes, passes, drawn, ..Self::of(name, shown, types_from, labels, origin) })
    }

    /// Standard input can be read once: it is kept until the rows were read.
    async fn of_stdin(reader: &Reader) -> Result<Self> {
        let kept = TemporaryFolder::on_disk("profile").map_err(|error| {
            let help = "check the folder that TMPDIR names";
            Error::system("standard input cannot be kept in a temporary folder", error, help)
        })?;
        let task = Task::parse(Path::new("profile.yaml"), task_text(""), &ParamChoice::default())?;
        let files = file_system(&task, "-").map_err(Error::internal)?;
        let found = files.find("-", &Arrival { scratch: kept.path(), stop: &reader.stop }).await?;
        if found.iter().all(|file| file.size() == 0) {
            return Err(Error::input("standard input", "is empty", "pipe at least a header line and a row into it"));
        }
        let input = Input::open(&kept.path().join("standard-input"))?;
        let profiled = Self::of_files(input, "stdin".to_owned(), "standard input".to_owned(), reader).await?;
        Ok(Self { _kept: Kept { _stdin: Some(kept), ..Kept::default() }, ..profiled })
    }

    fn of_task(task: Task, source: &str, reader: &Reader) -> Result<Self> {
        let Some(spec) = task.spec.sources.get(source) else {
            let known: Vec<&str> = task.spec.sources.keys().map(String::as_str).collect();
            let help = match nearest(source, &known) {
                Some(near) => format!("did you mean `{near}`? Its sources: {}", known.join(", ")),
                None => format!("its sources: {}", known.join(", ")),
            };
            return Err(Error::usage(format!("task `{}` has no source `{source}`", task.name()), help));
        };
        let columns = spec.value.columns.iter();
        let columns =
            columns.map(|(name, column)| ProfiledColumn { name: name.clone(), sql_type: column.value.sql_type });
        let (columns, shown) = (columns.collect(), format!("source `{source}` of task `{}`", task.name()));
        let sessions = Box::new(Sessions::new(Connector::of(&task), &reader.stop));
        let origin = Origin::Source { task: Box::new(task), source: source.to_owned(), sessions };
        Ok(Self::of(source.to_owned(), shown, TypesFrom::Declared, columns, origin))
    }

    /// The columns of which no value is shown.
    pub(super) fn private_columns(&self) -> HashSet<String> {
        let Origin::Source { task, source, .. } = &self.origin else { return HashSet::new() };
        let spec = task.spec.sources.get(source);
        let columns = spec.into_iter().flat_map(|spec| &spec.value.columns);
        columns.filter(|(_, column)| column.value.private.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// The rows, once more.
    pub(super) async fn rows(&mut self, reader: &Reader) -> Result<Rows> {
        self.passes += 1;
        self.open_rows(reader).await
    }

    async fn open_rows(&mut self, reader: &Reader) -> Result<Rows> {
        match &mut self.origin {
            Origin::Files { input, columns } => reader.read(input, columns).await,
            Origin::Source { task, source, sessions } => reader.rows(task, source, sessions).await,
        }
    }

    /// The groups in which the columns are compared with one of them, by a sample of the rows.
    pub(super) async fn groups(&mut self, reader: &Reader, target: usize) -> Result<Groups> {
        let failed = |error| Error::query(SOURCE, error);
        let rows = self.open_rows(reader).await?;
        let drawn = match self.drawn.take() {
            Some(texts) => rows.source.typed(&texts).map_err(failed)?,
            None => {
                self.passes += 1;
                let schema = rows.source.schema().clone();
                let new = |thread| Sampler::new(schema.clone(), thread);
                let mut samplers =
                    fold(rows.frame, &reader.stop, new, Sampler::update).await.map_err(failed)?.into_iter();
                let mut all = samplers.next().ok_or_else(|| Error::internal("no thread has read"))?;
                samplers.try_for_each(|sampler| all.merge(sampler)).map_err(failed)?;
                all.finish().map_err(failed)?
            }
        };
        Groups::of(&drawn, &self.columns, target).map_err(|message| {
            let help = "choose another --target, or leave it out";
            Error::usage(format!("--target: column `{}` {message}", self.columns[target].name), help)
        })
    }

    /// The error of a table without rows.
    pub(super) fn without_rows(&self, unreadable: &Unreadable) -> Error {
        match unreadable.records {
            0 => Error::input(&self.shown, "has no rows", "name data with at least one row"),
            records => {
                let message = format!("none of its {records} records can be read: {}", unreadable.summary());
                Error::input(&self.shown, message, "correct the data, or how it is declared")
            }
        }
    }
}

/// Fails if texts for null are given where they have no effect.
fn not_for(args: &ProfileArgs, what: &str) -> Result<()> {
    match args.null_values.is_empty() {
        true => Ok(()),
        false => Err(Error::usage(format!("--null-value is not for {what}"), "leave it out")),
    }
}

fn labelled(columns: &[Column]) -> Vec<ProfiledColumn> {
    let column =
        |column: &Column| ProfiledColumn { name: column.found.label.clone(), sql_type: column.guessed.sql_type };
    columns.iter().map(column).collect()
}

/// A task whose source is a table.
fn task_of(table: &DatabaseTable) -> Result<Task> {
    let columns: String = table.columns.iter().map(declaration).collect();
    let source = format!("  {SOURCE}:\n{}    columns:\n{columns}", table.origin());
    Task::parse(Path::new("profile.yaml"), task_text(&source), &ParamChoice::default())
}

fn task_text(sources: &str) -> String {
    let sources = if sources.is_empty() { " {}".to_owned() } else { format!("\n{sources}") };
    format!(
        "name: {SOURCE}\nsources:{sources}\nsinks: {{{SOURCE}: {{from: {SOURCE}, mode: overwrite, files: {{path: x, format: csv}}}}}}\n"
    )
}
