//! Where rows go. A sink is written to one side first (staged) and switched to in one step (published).

mod csv;
mod folder;
mod synced;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::SchemaRef;

pub(crate) use folder::{Folder, FolderSink};

use crate::error::Result;
use crate::task::{ColumnOut, Format, Publish, Route, SinkSpec, Task};

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
    /// Where it is.
    pub(crate) path: String,
    format: Format,
    /// The sink's columns: name, and position in the route.
    columns: Vec<(String, usize)>,
}

impl BoundSink {
    /// Binds a sink to the columns of its route.
    pub(crate) fn bind(task: &Task, name: &str, spec: &SinkSpec, route: &SchemaRef) -> Result<Self> {
        let path = task.params.fill(&task.source, &spec.files.path)?;
        let known = || route.fields().iter().map(|field| field.name().as_str());
        let mut columns = Vec::new();
        let all = known().map(|name| ColumnOut { name: name.to_owned(), column: name.to_owned() });
        match &spec.columns {
            None => columns.extend(all.enumerate().map(|(i, column)| (column.name, i))),
            Some(chosen) => {
                for out in chosen {
                    let ColumnOut { name: renamed, column } = &out.value;
                    let Ok(index) = route.index_of(column) else {
                        let message = format!("sink `{name}`: `{}` has no column `{column}`", spec.from.value);
                        return Err(Box::new(task.error(out, message).nearest(column, known())).into());
                    };
                    if columns.iter().any(|(name, _)| name == renamed) {
                        let message = format!("sink `{name}`: two columns are called `{renamed}`");
                        return Err(Box::new(task.error(out, message)).into());
                    }
                    columns.push((renamed.clone(), index));
                }
            }
        }
        for (column, index) in &columns {
            let kind = route.field(*index).data_type();
            if !csv::can_hold(kind) {
                let message = format!("sink `{name}`: column `{column}` is {kind}, which CSV cannot hold");
                let help = "make text of it in the model: encode(column, 'hex') of bytes, the fields of a struct";
                return Err(Box::new(task.error(&spec.from, message).with_help(help)).into());
            }
        }
        if columns.is_empty() {
            let error = task.error(&spec.from, format!("sink `{name}` has no columns"));
            return Err(Box::new(error).into());
        }
        Ok(Self {
            name: name.to_owned(),
            route: spec.from.value.clone(),
            publish: spec.publish,
            path,
            format: spec.files.format,
            columns,
        })
    }

    /// The positions in the route that the sink takes.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|(_, index)| *index)
    }

    /// The sink of one run.
    pub(crate) fn open(&self, task: &str, run: &str) -> Result<FolderSink> {
        FolderSink::new(&self.name, task, run, self.path.as_ref(), self.format, self.columns.clone())
    }
}
