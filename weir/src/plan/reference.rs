//! `ref`: sources that read what other tasks publish.
//!
//! The other task is planned over tables without rows. Its sink says which columns there are, of which types, which of them
//! stay private, and where the rows are: the source becomes one of files or of a table.

use std::borrow::Cow;
use std::path::Path;

use datafusion::logical_expr::ScalarUDF;
use futures::future::{BoxFuture, FutureExt};
use glob::Pattern;
use indexmap::IndexMap;
use serde_saphyr::{Location, Spanned};

use super::Draft;
use crate::engine::{self, Resources};
use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::report::RunKey;
use crate::sink::BoundSink;
use crate::source::Fetchers;
use crate::system::disk;
use crate::task::{
    ColumnFrom, ColumnSpec, FilesSpec, HeaderSpec, IfEmpty, IfMissing, Mode, MysqlSourceSpec, OutputFilesSpec,
    OutputFormat, PostgresSourceSpec, Published, ReferenceSpec, SinkSpec, SourceSpec, SqlType, TableSpec, Task,
    TaskError, ZeroDates, is_object_url,
};

/// The task with sources of files and tables in place of those that read what other tasks publish. Nothing is accessed but
/// the files of the tasks and their SQL.
pub(crate) async fn resolved<'a>(
    task: &'a Task,
    functions: &[ScalarUDF],
    fetchers: &Fetchers,
) -> Result<Cow<'a, Task>> {
    if !task.has_references() {
        return Ok(Cow::Borrowed(task));
    }
    let program = Program { functions, fetchers };
    Ok(Cow::Owned(program.resolve(task.clone(), vec![]).await?))
}

/// A source that reads what a sink of the task itself has published.
pub(crate) fn published_by(task: &Task, draft: &Draft, sink: &str) -> Result<SourceSpec> {
    let of = ReferenceSpec { task: task.name().to_owned(), sink: sink.to_owned() };
    let at = Spanned::new(of, Location::UNKNOWN, Location::UNKNOWN);
    let source = Reading { task, at: &at, other: task, draft }.source(&SourceSpec::default())?;
    let if_missing = source.files.is_some().then_some(IfMissing::Empty);
    Ok(SourceSpec { if_missing, ..source })
}

/// What the SQL and the sources of the tasks of a program may name.
struct Program<'a> {
    functions: &'a [ScalarUDF],
    fetchers: &'a Fetchers,
}

impl Program<'_> {
    /// Resolves the references of a task; `readers` are the tasks that read what it publishes.
    fn resolve(&self, mut task: Task, mut readers: Vec<String>) -> BoxFuture<'_, Result<Task>> {
        async move {
            readers.push(task.name().to_owned());
            for name in task.spec.sources.keys().cloned().collect::<Vec<_>>() {
                let Some(reference) = task.spec.sources[&name].value.reference.clone() else { continue };
                let of = &reference.value;
                if readers.contains(&of.task) {
                    let circle = readers.iter().chain([&of.task]).cloned().collect::<Vec<_>>().join(", ");
                    let error = task.error(&reference, format!("tasks that read from each other: {circle}"));
                    return Err(Box::new(error.with_help("remove one of the references")).into());
                }
                let other = self.resolve(task.referenced(&reference)?, readers.clone()).await?;
                let resources = Resources::default();
                let session = engine::session(resources, &std::env::temp_dir(), self.functions, task.run_started_at)?;
                let draft = Draft::of(&other, &session, self.fetchers).await?;
                let reading = Reading { task: &task, at: &reference, other: &other, draft: &draft };
                let source = reading.source(&task.spec.sources[&name].value)?;
                task.spec.sources[&name].value = source;
            }
            Ok(task)
        }
        .boxed()
    }
}

/// A source that reads a sink of another task.
struct Reading<'a> {
    task: &'a Task,
    at: &'a Spanned<ReferenceSpec>,
    other: &'a Task,
    draft: &'a Draft,
}

impl Reading<'_> {
    /// The source in place of the one with the reference.
    fn source(&self, spec: &SourceSpec) -> Result<SourceSpec> {
        let name = &self.at.value.sink;
        let sinks = &self.other.spec.sinks;
        let Some((bound, sink)) = self.draft.sinks.iter().find(|sink| sink.name == *name).zip(sinks.get(name)) else {
            let error = self.error(format!("task `{}` has no sink `{name}`", self.other.name()));
            return Err(Box::new(error.nearest(name, sinks.keys().map(String::as_str))).into());
        };
        let sink = &sink.value;
        let mut source = SourceSpec { reference: None, columns: self.columns(bound, sink), ..spec.clone() };
        let place = sink.files.as_ref().and_then(|files| files.path.as_ref().or(files.file.as_ref()));
        let tables = [&sink.postgres, &sink.mysql].into_iter().flatten();
        let place = place.or_else(|| tables.map(|table| &table.table).next());
        let is_in_window = self.task.window.as_ref().is_some_and(|window| self.other.window.as_ref() == Some(window));
        if self.other.window.is_some() && !is_in_window && place.is_some_and(super::windows::has_window) {
            let message =
                format!("sink `{name}` of task `{}` has a place of its own for each window", self.other.name());
            let help = "read it in a task with the same windows, or read all of the places as `files` with a pattern";
            return Err(Box::new(self.error(message).with_help(help)).into());
        }
        let mut folder = None;
        match sink {
            SinkSpec { files: Some(files), .. } => {
                let (place, files) = self.files(files, sink)?;
                (source.files, folder) = (Some(files), place);
                source.if_empty = source.if_empty.or(Some(IfEmpty::Skip));
            }
            SinkSpec { postgres: Some(table), .. } => {
                let (connection, table) = self.table(table)?;
                source.postgres =
                    Some(PostgresSourceSpec { connection, table: Some(table), query: None, cursor: None });
            }
            SinkSpec { mysql: Some(table), .. } => {
                let (connection, table) = self.table(table)?;
                source.mysql = Some(MysqlSourceSpec {
                    connection,
                    table: Some(table),
                    query: None,
                    cursor: None,
                    zero_dates: ZeroDates::default(),
                    utc_datetimes: true,
                });
            }
            _ => {
                let message =
                    format!("sink `{name}` of task `{}` writes documents, which are no table", self.other.name());
                let help = "read a sink of files or a table, or read the documents as `files`";
                return Err(Box::new(self.error(message).with_help(help)).into());
            }
        }
        source.published = Some(Published {
            by: self.at.value.clone(),
            owner: RunKey::new(self.other.name(), &self.other.environment).owner(),
            folder,
            task_file: self.other.source.name().to_owned(),
        });
        Ok(source)
    }

    /// The columns of what is published: those of the rows, and those that the sink sets itself.
    fn columns(&self, bound: &BoundSink, sink: &SinkSpec) -> IndexMap<String, Spanned<ColumnSpec>> {
        let private = self.draft.private_columns(self.other);
        let private = private.of_route(self.other, &bound.route);
        let is_folder = sink.files.is_some();
        let of_rows = bound.target.columns().iter().map(|column| {
            let mut spec = ColumnSpec::of(type_of(column));
            if is_folder && sink.partition_by.iter().any(|by| by.value == column.name) {
                spec.from = ColumnFrom::Folder;
            }
            // What stands in the place of a value is not private; a value that is published in clear is.
            let of_value = private.get(column.of_route.as_str()).filter(|_| !bound.protects(column.index));
            spec.private = of_value.map(|private| private.as_ref().clone());
            (column.name.clone(), self.placed(spec))
        });
        let mut columns: IndexMap<_, _> = of_rows.collect();
        let mut own = |name: &str, kind: SqlType| columns.insert(name.to_owned(), self.placed(ColumnSpec::of(kind)));
        if sink.mode == Mode::Scd2 {
            let history = sink.history.clone().unwrap_or_default();
            let of_key = bound.target.columns().iter().find(|column| Some(&column.name) == sink.update_key.as_ref());
            let kind = of_key.map_or(SqlType::TimestampTz, type_of);
            own(&history.valid_from, kind);
            own(&history.valid_to, kind);
        }
        if let Some(mark) = &sink.soft_delete {
            own(mark, SqlType::TimestampTz);
        }
        columns
    }

    /// The folder, if it is one, and the files in it.
    fn files(&self, files: &OutputFilesSpec, sink: &SinkSpec) -> Result<(Option<String>, FilesSpec)> {
        if sink.escape_formulas {
            let message =
                format!("sink `{}` writes apostrophes before formulas, which would be read", self.at.value.sink);
            return Err(Box::new(self.error(message).with_help("read a sink without `escape_formulas`")).into());
        }
        let (location, is_folder) = match (&files.path, &files.file) {
            (Some(folder), _) => (folder, true),
            (None, Some(file)) => (file, false),
            (None, None) => return Err(Box::new(self.error("its sink has no place".to_owned())).into()),
        };
        let place = self.other.data_path(location)?;
        let place = match is_object_url(&place) {
            true => place.trim_end_matches('/').to_owned(),
            false => disk::absolute(Path::new(&place)).display().to_string(),
        };
        let mut pattern = Pattern::escape(&place);
        if is_folder {
            sink.partition_by.iter().for_each(|_| pattern.push_str("/*"));
            pattern.push_str("/part-*");
        }
        if self.task.window.is_some() {
            pattern = pattern.replace('%', "%%");
        }
        let is_text = files.format != OutputFormat::Parquet;
        let spec = FilesSpec {
            compression: files.compression.clone().filter(|_| is_text),
            delimiter: files.delimiter.clone(),
            quote: files.quote.clone(),
            escape: files.escape.clone(),
            encoding: files.encoding.clone(),
            header: files.header.as_ref().filter(|header| !header.value).map(|_| self.placed(HeaderSpec::None)),
            line_end: files.line_end.clone(),
            null_text: files.null_text.clone(),
            ..FilesSpec::of(self.placed(pattern), files.format.into())
        };
        Ok((is_folder.then_some(place), spec))
    }

    /// The connection and the name of a table.
    fn table(&self, table: &TableSpec) -> Result<(Spanned<String>, Spanned<String>)> {
        let name = self.other.params.fill(&self.other.source, &table.table)?;
        Ok((self.placed(table.connection.value.clone()), self.placed(name)))
    }

    /// What stands in the place of the reference.
    fn placed<T>(&self, value: T) -> Spanned<T> {
        Spanned { value, referenced: self.at.referenced, defined: self.at.defined }
    }

    fn error(&self, message: String) -> TaskError {
        self.task.error(self.at, message)
    }
}

/// The type that a column is read as.
fn type_of(column: &OutputColumn) -> SqlType {
    if column.is_json { SqlType::Json } else { SqlType::of_arrow(&column.kind) }
}
