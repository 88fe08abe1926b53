//! A sample of a CSV file: its columns, with names and types, and its first rows.

use std::collections::HashSet;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionContext;

use super::guess;
use crate::database::{Connector, Sessions};
use crate::engine::{self, Resources};
use crate::error::{Error, Result, number_of};
use crate::format::csv::{Csv, Strict, header_names};
use crate::route::Reasons;
use crate::run::key_of;
use crate::source::{Opening, Source};
use crate::system::stop::Stop;
use crate::task::{ParamChoice, SqlType, Task};

/// The number of rows in a sample.
pub(super) const ROWS: usize = 1_000;

/// The columns of a file and its first rows, all as text.
pub(super) struct Sample {
    pub(super) columns: Vec<Column>,
    pub(super) rows: RecordBatch,
}

/// A column of the file.
pub(super) struct Column {
    /// Its name in SQL.
    pub(super) name: String,
    /// Its name in the file.
    pub(super) header: String,
    pub(super) sql_type: SqlType,
    /// Whether every row of the sample has a value.
    pub(super) is_full: bool,
}

impl Sample {
    /// Reads a sample of a file.
    pub(super) async fn take(path: &Path, functions: &[ScalarUDF]) -> Result<Self> {
        let headers = header_names(&Csv::<Strict>::default(), path)?;
        check_is_csv(path, &headers)?;
        check_headers(path, &headers)?;
        let session =
            engine::session(Resources { threads: 1, ..Resources::default() }, &std::env::temp_dir(), functions, None)?;
        let names = names(&session, &headers).await;
        let (rows, unreadable) = first_rows(&session, path, &names, &headers).await?;
        check_rows(path, rows.num_rows() as u64, &unreadable)?;
        let column = |(i, (name, header)): (usize, (String, String))| {
            let texts = rows.column(i).as_string_view();
            let values = texts.iter().flatten().filter(|value| !value.is_empty());
            let is_full = rows.num_rows() > 0 && texts.null_count() == 0;
            Column { name, header, sql_type: guess::sql_type(values), is_full }
        };
        let columns: Vec<Column> = names.into_iter().zip(headers).enumerate().map(column).collect();
        check_first_line(path, &columns)?;
        Ok(Self { columns, rows })
    }
}

/// A text of another format would become a table of one column.
fn check_is_csv(path: &Path, headers: &[String]) -> Result<()> {
    let first = headers.first().map_or("", |header| header.trim_start());
    if first.starts_with(['{', '[']) {
        let help = "for JSON Lines write the task by hand: `format: jsonl`, with the keys as `columns`; an array becomes JSON \
                    Lines with `jq --compact-output '.[]' FILE`";
        return Err(Error::input(path.display(), "is JSON, not CSV", help));
    }
    Ok(())
}

/// A sample of which most records cannot be read says nothing about the file.
fn check_rows(path: &Path, rows: u64, unreadable: &Reasons) -> Result<()> {
    if unreadable.rows() <= rows {
        return Ok(());
    }
    let reasons: Vec<String> = unreadable.clone().into_iter().map(|(reason, _)| reason).collect();
    let help = match reasons.iter().map(String::as_str).next() {
        Some("invalid_utf8") => "convert it to UTF-8, for example with `iconv -f ISO-8859-1 -t UTF-8`",
        Some("invalid_quotes") => "close its quotes, and write a quote within a quoted value twice",
        Some("too_few_fields" | "too_many_fields") => {
            "give every line as many fields as the header has; lines above the header have to go"
        }
        _ => "correct the file",
    };
    let records = number_of(unreadable.rows(), "record");
    let message = format!("{records} of its first {} cannot be read: {}", unreadable.rows() + rows, reasons.join(", "));
    Err(Error::input(path.display(), message, help))
}

/// A first line with the values of a row would be lost as a header. Years can be the names of columns.
fn check_first_line(path: &Path, columns: &[Column]) -> Result<()> {
    let is_year = |text: &str| text.parse().is_ok_and(|year: u32| (1900..=2100).contains(&year));
    let is_value = |column: &&Column| {
        let header = column.header.trim();
        let is_text = matches!(guess::sql_type([header].into_iter()), SqlType::String | SqlType::Boolean);
        header.contains('@') || (!is_text && !is_year(header))
    };
    let Some((place, _)) = columns.iter().enumerate().find(|(_, column)| is_value(column)) else { return Ok(()) };
    let message = format!("its first line has a value in place of the name of column {}", place + 1);
    Err(Error::input(path.display(), message, "write a header line with the names of the columns above the first row"))
}

/// A column without a name, or with a duplicate one, cannot be declared.
fn check_headers(path: &Path, headers: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for (i, header) in headers.iter().enumerate() {
        if header.trim().is_empty() {
            let message = format!("column {} has no name in its header", i + 1);
            return Err(Error::input(path.display(), message, "name every column in the file's first line"));
        }
        if !seen.insert(header) {
            let message = format!("duplicate column `{header}` in its header");
            return Err(Error::input(path.display(), message, "rename one of the two in the file"));
        }
    }
    Ok(())
}

/// For each column a unique name that is valid in SQL without quotes.
async fn names(session: &SessionContext, headers: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (i, header) in headers.iter().enumerate() {
        let plain = guess::plain(header);
        let mut candidates = vec![plain.clone(), format!("{plain}_column")];
        candidates.extend((0..).map(|again| format!("column_{}{}", i + 1, "_".repeat(again))).take(headers.len() + 1));
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
    if session.register_table("t", std::sync::Arc::new(table)).is_err() {
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

/// The first rows of the file, read as by a run, and the records among them that cannot be parsed.
async fn first_rows(
    session: &SessionContext,
    path: &Path,
    names: &[String],
    headers: &[String],
) -> Result<(RecordBatch, Reasons)> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let columns = names.iter().zip(headers);
    let columns: String = columns
        .map(|(name, header)| format!("{}: {{type: string, header: {}}}, ", quoted(name), quoted(header)))
        .collect();
    let task = format!(
        "name: sample\nparams: {{file: {{type: string}}}}\nsources:\n  sample:\n    \
         files: {{path: \"${{file}}\", format: csv}}\n    columns: {{{columns}}}\n\
         sinks: {{sample: {{from: sample, mode: overwrite, files: {{path: x, format: csv}}}}}}\n"
    );
    let file = path.display().to_string();
    let choice = ParamChoice { values: vec![("file".to_owned(), file)], ..ParamChoice::default() };
    let task = Task::parse(Path::new("sample.yaml"), task, &choice)?;
    let failed = |error| Error::query("sample", error);
    let (key, stop, fetchers) = (key_of(&task), Stop::never(), [].into());
    let mut sessions = Sessions::new(Connector::of(&task), &stop);
    let sources = Source::declare_all(&task)?;
    for source in &sources {
        source.rejected().connect(Box::new(|_| Ok(())));
        let mut opening = Opening {
            key: &key,
            ledger: None,
            run: None,
            fetchers: &fetchers,
            sessions: &mut sessions,
            scratch: Path::new(""),
            stop: &stop,
        };
        if let Some(table) = source.open(&mut opening).await?.table {
            session.register_table(source.name(), table).map_err(failed)?;
        }
    }
    let frame = session.table("sample").await.and_then(|frame| frame.limit(0, Some(ROWS))).map_err(failed)?;
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.map_err(failed)?;
    let rows = concat_batches(&schema, &batches).map_err(|error| failed(error.into()))?;
    let unreadable = sources.first().map(|source| source.rejected().rejected()).unwrap_or_default();
    Ok((rows, unreadable))
}
