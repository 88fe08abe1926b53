//! Where rows go. A sink is written to one side first (staged) and switched to in one step (published).

mod append;
mod column;
mod compressed;
mod csv;
mod digits;
mod fit;
mod folder;
mod jsonl;
mod manifest;
mod parquet;
mod part;
mod shared;
mod special;
mod synced;
mod table;
mod target;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use weir_postgres::load::Kind;

pub(crate) use csv::can_hold;
pub(crate) use shared::SharedParts;
pub(crate) use table::{Narrow, kind_of, rules};
pub(crate) use target::{Sink, Target};

use crate::error::{Error, Result};
use crate::task::{ColumnOut, Compression, FilesSpec, Format, Mode, Publish, Route, SinkSpec, Task, type_name};
use folder::FolderSink;
use part::{FileColumn, FileForm};
use table::BoundTable;

/// A table as a CSV file has it: a header line, and a line a row.
pub(crate) fn csv_file(headers: &[&str], rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut file = Vec::new();
    csv::header(headers.iter().copied(), &mut file);
    csv::rows(rows, &(0..headers.len()).collect::<Vec<_>>(), None, &mut file)?;
    Ok(file)
}

/// A part of a sink that is being written.
pub(crate) trait Part: Send {
    /// Writes the chosen rows of a batch, or all.
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()>;

    /// Makes sure that the part is on disk.
    fn finish(self: Box<Self>) -> Result<Written>;
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// The file's name within the sink; none of a part without rows.
    pub(crate) file: Option<String>,
}

/// A sink as the task declares it, bound to the columns of its route.
#[derive(Debug)]
pub(crate) struct BoundSink {
    pub(crate) name: String,
    pub(crate) route: Route,
    pub(crate) publish: Publish,
    form: Form,
}

/// Where a sink is, and how its rows are written.
#[derive(Debug)]
enum Form {
    Folder { path: String, mode: Mode, form: FileForm },
    Table(Box<BoundTable>),
}

impl BoundSink {
    /// Binds a sink to the columns of its route.
    pub(crate) fn bind(task: &Task, name: &str, spec: &SinkSpec, route: &SchemaRef) -> Result<Self> {
        let columns = columns(task, name, spec, route)?;
        let wrong = |message: &str, help: &str| {
            Err(Box::new(task.error(&spec.from, format!("sink `{name}` {message}")).with_help(help)).into())
        };
        let form = match (&spec.files, &spec.postgres) {
            (Some(files), None) => {
                if spec.mode == Mode::Merge || !spec.primary_key.is_empty() || spec.update_key.is_some() {
                    return wrong("is a folder, which has no keys", "`mode: merge` and keys are for `postgres`");
                }
                let form = file_form(task, name, spec, files, columns)?;
                Form::Folder { path: task.params.fill(&task.source, &files.path)?, mode: spec.mode, form }
            }
            (None, Some(table)) => Form::Table(Box::new(BoundTable::bind(task, name, spec, table, columns)?)),
            (None, None) => return wrong("has no place", "say `files:` for a folder or `postgres:` for a table"),
            (Some(_), Some(_)) => return wrong("has two places", "write a sink for each"),
        };
        Ok(Self { name: name.to_owned(), route: spec.from.value.clone(), publish: spec.publish, form })
    }

    /// The positions in the route that the sink takes.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        let columns = match &self.form {
            Form::Folder { form, .. } => &form.columns,
            Form::Table(table) => &table.columns,
        };
        columns.iter().map(|column| column.index)
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.form {
            Form::Folder { path, .. } => path.clone(),
            Form::Table(table) => table.shown(),
        }
    }

    /// The folder that it is, if it is one.
    pub(crate) fn folder(&self) -> Option<&str> {
        match &self.form {
            Form::Folder { path, .. } => Some(path),
            Form::Table(_) => None,
        }
    }

    /// The columns of a table that take only some values, if the rows are a model's: then they are judged for that.
    pub(crate) fn must_be_judged(&self, narrow: Vec<(String, Kind)>, task: &Task) -> Result<Vec<(String, Kind)>> {
        let is_judged = !self.route.rejected && task.spec.models.contains_key(&self.route.table);
        match narrow.first().filter(|_| !is_judged) {
            None => Ok(narrow),
            Some((column, kind)) => {
                let message = format!("column `{column}` is {kind}, and not every value of `{}` fits", self.route);
                let help = "let the sink take a model, whose rows are rejected with a reason if they do not fit";
                Err(Error::Sink { sink: self.name.clone(), path: self.place(), message, help: help.to_owned() })
            }
        }
    }

    /// The sink of one run; `number` is its place among the task's.
    pub(crate) fn open(&self, task: &Task, owner: &str, run: &str, number: usize) -> Result<Sink> {
        Ok(match &self.form {
            Form::Folder { path, mode, form } => {
                Sink::Folder(Box::new(FolderSink::new(&self.name, owner, run, path.as_ref(), *mode, form.clone())?))
            }
            Form::Table(table) => Sink::Table(Box::new(table.open(task, &self.name, run, number)?)),
        })
    }
}

/// The columns that a sink takes of its route.
fn columns(task: &Task, name: &str, spec: &SinkSpec, route: &SchemaRef) -> Result<Vec<FileColumn>> {
    let known = || route.fields().iter().map(|field| field.name().as_str());
    let mut columns: Vec<FileColumn> = Vec::new();
    let mut add = |name: &str, index: usize| {
        let field = route.field(index);
        let (of_route, kind) = (field.name().clone(), field.data_type().clone());
        columns.push(FileColumn { name: name.to_owned(), of_route, index, kind });
    };
    match &spec.columns {
        None => known().enumerate().for_each(|(i, name)| add(name, i)),
        Some(chosen) => {
            let mut names = std::collections::HashSet::new();
            for out in chosen {
                let ColumnOut { name: renamed, column } = &out.value;
                let Ok(index) = route.index_of(column) else {
                    let message = format!("sink `{name}`: `{}` has no column `{column}`", spec.from.value);
                    return Err(Box::new(task.error(out, message).nearest(column, known())).into());
                };
                if !names.insert(renamed) {
                    let message = format!("sink `{name}`: two columns are called `{renamed}`");
                    return Err(Box::new(task.error(out, message)).into());
                }
                add(renamed, index);
            }
        }
    }
    if columns.is_empty() {
        let error = task.error(&spec.from, format!("sink `{name}` has no columns"));
        return Err(Box::new(error).into());
    }
    Ok(columns)
}

fn file_form(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    files: &FilesSpec,
    columns: Vec<FileColumn>,
) -> Result<FileForm> {
    let format = files.format;
    for FileColumn { name: column, kind, .. } in &columns {
        if !part::can_hold(format, kind) {
            let format = part::name_of(format);
            let kind = type_name(kind);
            let message = format!("sink `{name}`: column `{column}` is {kind}, which {format} cannot hold");
            let help = "make text of it in the model: encode(column, 'hex') of bytes, the fields of a struct";
            return Err(Box::new(task.error(&spec.from, message).with_help(help)).into());
        }
    }
    Ok(FileForm { format, compression: compression(task, name, files)?, columns })
}

/// How a sink's files are compressed.
fn compression(task: &Task, name: &str, files: &FilesSpec) -> Result<Compression> {
    let Some(chosen) = &files.compression else {
        return Ok(if files.format == Format::Parquet { Compression::Snappy } else { Compression::None });
    };
    if part::can_be_compressed(files.format, chosen.value) {
        return Ok(chosen.value);
    }
    let format = part::name_of(files.format);
    let message = format!("sink `{name}`: {format} files are not compressed with Snappy, which only Parquet has");
    Err(Box::new(task.error(chosen, message).with_help("choose gzip, zstd or none")).into())
}
