//! What targets on local disks share: how a task declares their files, access rights, the lock of the one writer.

pub(super) mod access;
pub(super) mod lock;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use serde_saphyr::Spanned;

use crate::error::{Error, Result};
use crate::format::csv::{CsvStyle, Style};
use crate::format::write::{
    FileLayout, OutputColumn, RowGroups, WriteError, can_be_compressed, can_hold, levels_of, name_of,
};
use crate::function::encode::{InvalidValue, invalid_value};
use crate::sink::reject_them;
use crate::task::{Compression, Mode, OutputFilesSpec, OutputFormat, SinkSpec, Task, TaskError, type_name};

/// The help of an error of the disk.
pub(super) const WRITABLE: &str = "check that the folder is writable and has free space; then start the run again";

/// The files as the task declares them.
pub(super) fn declared<'a>(name: &str, spec: &'a SinkSpec) -> Result<&'a OutputFilesSpec> {
    spec.files.as_ref().ok_or_else(|| Error::internal(format!("sink `{name}` was taken for one of files")))
}

/// The path of the target, which must be a local one.
pub(super) fn local_path(task: &Task, at: &Spanned<String>) -> Result<String> {
    let path = task.data_path(at)?;
    if path.contains("://") {
        let error = task.error(at, format!("`{path}`: only files of this machine can be written there"));
        let help = "name a local folder or file; or, for a folder in a bucket, `path: s3://BUCKET/FOLDER`";
        return Err(Box::new(error.with_help(help)).into());
    }
    Ok(path)
}

/// How the files are written. Fails if the task specifies what files do not have, or they cannot hold a column. `by_name` is
/// the compression that the name of the file tells.
pub(super) fn layout(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    columns: Vec<OutputColumn>,
    by_name: Option<Compression>,
) -> Result<FileLayout> {
    let files = declared(name, spec)?;
    let compression = compression(task, name, spec, files, by_name).map_err(Box::new)?;
    check_options(task, name, files, compression).map_err(Box::new)?;
    let refused = |message: String, help: &str| Box::new(task.error(&spec.from, message).with_help(help));
    let what = if files.file.is_some() { "file" } else { "folder" };
    refuse_what_tables_have(task, name, spec, what, &[Mode::Overwrite, Mode::Append, Mode::Replace])?;
    if spec.escape_formulas && files.format != OutputFormat::Csv {
        let message = format!("sink `{name}`: `escape_formulas` is for CSV files, which spreadsheet programs open");
        return Err(refused(message, "remove it").into());
    }
    for OutputColumn { name: column, kind, .. } in &columns {
        if !can_hold(files.format, kind) {
            let (format, kind) = (name_of(files.format), type_name(kind));
            let message = format!("sink `{name}`: column `{column}` is {kind}, which {format} cannot hold");
            let help = "convert it to text in the model: to_json(column) or array_to_string(column, ', ') of a list, \
                        encode(column, 'hex') of bytes, the fields of a struct";
            return Err(refused(message, help).into());
        }
    }
    Ok(FileLayout {
        format: files.format,
        compression,
        level: files.compression_level.as_ref().map(|level| level.value),
        row_groups: RowGroups {
            rows: files.row_group_rows.as_ref().map_or(RowGroups::default().rows, |rows| rows.value as usize),
            ..RowGroups::default()
        },
        columns,
        csv: CsvStyle {
            escape_formulas: spec.escape_formulas,
            declared: Style::take(task, files).map_err(Box::new)?.map(Arc::new),
        },
        // Rejected rows are kept as they are, as far as the format can.
        must_be_finite: files.format == OutputFormat::Jsonl || !spec.from.value.rejected,
    })
}

/// Fails if the task specifies for files what only tables have. `modes` are those of the files.
pub(super) fn refuse_what_tables_have(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    what: &str,
    modes: &[Mode],
) -> Result<()> {
    let refused = |message: String, help: &str| Err(Box::new(task.error(&spec.from, message).with_help(help)).into());
    if !modes.contains(&spec.mode) || !spec.primary_key.is_empty() || spec.update_key.is_some() {
        let named: Vec<_> = modes.iter().map(|mode| format!("`{}`", mode.name())).collect();
        let of_it = match named.as_slice() {
            [only] => format!("{only} is its mode"),
            [others @ .., last] => format!("{} and {last} are its modes", others.join(", ")),
            [] => "it has no modes".to_owned(),
        };
        let message = format!("sink `{name}` is a {what}, which has no keys");
        return refused(message, &format!("{of_it}; the others and keys are for tables"));
    }
    let of_tables = [
        ("deleted_when", spec.deleted_when.is_some()),
        ("soft_delete", spec.soft_delete.is_some()),
        ("history", spec.history.is_some()),
    ];
    match of_tables.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => refused(format!("sink `{name}` is a {what}, and `{key}` is for tables"), "remove it"),
        None => Ok(()),
    }
}

/// Fails if an option does not fit the format and the compression of the files.
fn check_options(task: &Task, name: &str, files: &OutputFilesSpec, compression: Compression) -> Result<(), TaskError> {
    if let Some(level) = &files.compression_level {
        match levels_of(compression) {
            Some(levels) if levels.contains(&level.value) => {}
            Some(levels) => {
                let (least, most) = levels.into_inner();
                let message = format!("sink `{name}`: this compression has the levels {least} to {most}");
                return Err(task.error(level, message).with_help("choose one of them, or remove `compression_level`"));
            }
            None => {
                let message = format!("sink `{name}`: `compression_level` is for gzip and zstd");
                return Err(task.error(level, message).with_help("specify `compression`, or remove it"));
            }
        }
    }
    match &files.row_group_rows {
        Some(rows) if files.format != OutputFormat::Parquet => {
            let message = format!("sink `{name}`: `row_group_rows` is for Parquet files, which have row groups");
            Err(task.error(rows, message).with_help("remove it"))
        }
        Some(rows) if rows.value == 0 => Err(task
            .error(rows, format!("sink `{name}`: a row group has at least one row"))
            .with_help("write 1 or more")),
        _ => Ok(()),
    }
}

/// How the files of a sink are compressed.
fn compression(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    files: &OutputFilesSpec,
    by_name: Option<Compression>,
) -> Result<Compression, TaskError> {
    let format = name_of(files.format);
    match (&files.compression, by_name) {
        (Some(chosen), _) if !can_be_compressed(files.format, chosen.value) => {
            let why = match chosen.value {
                Compression::Snappy => "compressed with Snappy, which only Parquet has",
                _ => "written with this compression, which can only be read",
            };
            let message = format!("sink `{name}`: {format} files cannot be {why}");
            Err(task.error(chosen, message).with_help("choose gzip, zstd or none"))
        }
        (Some(chosen), Some(told)) if files.format != OutputFormat::Parquet && chosen.value != told => {
            let message = format!("sink `{name}`: the name of its file tells another compression than `compression`");
            let help = "remove `compression`, or rename the file: readers go by the suffix of its name";
            Err(task.error(chosen, message).with_help(help))
        }
        (Some(chosen), _) => Ok(chosen.value),
        (None, _) if files.format == OutputFormat::Parquet => Ok(Compression::Snappy),
        (None, Some(told)) if !can_be_compressed(files.format, told) => {
            let message = format!("sink `{name}`: the name of its file tells a compression that can only be read");
            let error = match &files.file {
                Some(file) => task.error(file, message),
                None => task.error(&spec.from, message),
            };
            Err(error.with_help("let the name end with .gz or .zst"))
        }
        (None, told) => Ok(told.unwrap_or(Compression::None)),
    }
}

/// The error of rows that could not be written to a file.
pub(super) fn failed(sink: &str, path: &Path, error: WriteError) -> Error {
    Error::sink(sink, path, &error, error.help().unwrap_or(WRITABLE)).because(error)
}

/// Fails if a chosen row has a value that the format cannot hold.
pub(super) fn check_values(
    sink: &str,
    target: &Path,
    layout: &FileLayout,
    batch: &RecordBatch,
    chosen: Option<&BooleanBuffer>,
) -> Result<()> {
    for OutputColumn { name, index, .. } in &layout.columns {
        let Some(invalid) = invalid_value(batch.column(*index), chosen, layout.must_be_finite) else {
            continue;
        };
        let schema = batch.schema_ref();
        let column = schema.field(*index).name();
        let (message, help) = match invalid {
            InvalidValue::NotFinite => (
                match layout.format {
                    OutputFormat::Jsonl => format!("column `{name}` has NaN or an infinity, which JSON cannot hold"),
                    _ => format!("column `{name}` has NaN or an infinity, which no source could read"),
                },
                reject_them(batch, &format!("{{finite: {column}}}")),
            ),
            InvalidValue::Nanoseconds => (
                format!("column `{name}` has a time with a fraction of a microsecond, which no source could read"),
                format!("cut it off in the model: `date_trunc('microsecond', {column})`"),
            ),
            InvalidValue::Year => (
                format!("column `{name}` has a date outside the years 1 to 9999, which no source could read"),
                reject_them(batch, &format!("date_part('year', {column}) between 1 and 9999")),
            ),
        };
        return Err(Error::sink(sink, target, message, help));
    }
    Ok(())
}
