//! The columns of a table's files, with names and types, and its first rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionContext;

use super::guess::Guessed;
use super::input::{Found, Input};
use super::reading::{Reader, Types, failed};
use super::sniff::{Dialect, Form, Table};
use crate::engine;
use crate::error::Result;

/// The number of rows of which one is chosen for a fixture.
const TYPED_ROWS: usize = 1_000;

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
pub(in crate::command) struct Column {
    /// Its name in SQL.
    pub(in crate::command) name: String,
    pub(in crate::command) found: Found,
    pub(in crate::command) guessed: Guessed,
    /// Whether every row has a value.
    pub(super) is_full: bool,
}

impl Sample {
    /// Reads files to their end, to guess the types of their columns, and their first rows by these types.
    pub(super) async fn take(mut input: Input, functions: &[ScalarUDF]) -> Result<Self> {
        let reader = Reader::new(1, functions)?;
        let Types { mut columns, guessed_from, .. } = reader.types(&mut input).await?;
        let read = reader.read(&input, &columns).await?;
        let frame = read.frame.limit(0, Some(TYPED_ROWS)).map_err(failed)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let rows =
            concat_batches(&schema, &frame.collect().await.map_err(failed)?).map_err(|error| failed(error.into()))?;
        if guessed_from.is_none() {
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
