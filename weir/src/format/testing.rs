//! Reads files from memory like a source, for the tests of the formats.

use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use super::columns::{Column, Declared};
#[cfg(test)]
use super::parquet::ParquetFiles;
use super::scan::{Rows, RowsTable, SourceTable};
use super::text::{TextFiles, TextFormat, TextOptions};
use crate::error::Result;
use crate::function::encode::file_text;
use crate::place::FoundFile;
use crate::route::RejectedRoute;

/// Started once: fuzzers and property tests read thousands of files.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap());

pub(crate) type Row = Vec<Option<String>>;

/// The result of a scan: rows in file order if one reader read them, otherwise sorted.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Line, text, reason.
    pub(crate) rejected: Vec<(u64, String, String)>,
}

impl Outcome {
    pub(crate) fn sorted(mut self) -> Self {
        self.rows.sort();
        self.rejected.sort();
        self
    }
}

/// How files are read.
pub(crate) struct Reading {
    pub(crate) columns: Vec<Arc<Column>>,
    pub(crate) options: TextOptions,
    pub(crate) partitions: usize,
    pub(crate) null_values: Vec<String>,
    pub(crate) ignore_unknown: bool,
    /// The suffix of every file's name.
    pub(crate) extension: &'static str,
}

impl Reading {
    pub(crate) fn of(columns: &[(&str, DataType)]) -> Self {
        Self {
            columns: columns.iter().map(|(name, kind)| Arc::new(Column::plain(name, kind.clone()))).collect(),
            options: TextOptions::default(),
            partitions: 1,
            null_values: vec![],
            ignore_unknown: false,
            extension: "",
        }
    }

    pub(crate) fn texts(columns: usize) -> Self {
        let names: Vec<_> = (0..columns).map(|i| format!("c{i}")).collect();
        Self::of(&names.iter().map(|name| (name.as_str(), DataType::Utf8View)).collect::<Vec<_>>())
    }

    /// In blocks of `block_bytes`, with `partitions` readers.
    pub(crate) fn cut(mut self, block_bytes: usize, partitions: usize) -> Self {
        self.options.block_bytes = block_bytes;
        self.partitions = partitions;
        self
    }

    /// Reads one text file with these bytes, without a query.
    pub(crate) fn read<F: TextFormat + Default>(&self, file: &[u8]) -> Result<Outcome> {
        self.read_as(F::default(), file)
    }

    /// Reads one text file with these bytes in a format, without a query.
    pub(crate) fn read_as<F: TextFormat>(&self, format: F, file: &[u8]) -> Result<Outcome> {
        let options = self.options;
        self.ask(&[file], None, |found, declared| TextFiles::open(format, found, declared, options))
    }

    /// Reads one text file with these bytes in parts of about so many bytes, as several processes do; none if it cannot be
    /// read so.
    #[cfg(test)]
    pub(crate) fn read_parts<F: TextFormat>(
        &self,
        format: impl Fn() -> F,
        file: &[u8],
        bytes: u64,
    ) -> Result<Option<Outcome>> {
        let (options, parts) = (self.options, Mutex::new(None));
        self.ask(&[file], None, |found, declared| {
            let files = TextFiles::open(format(), found, declared, options)?;
            *parts.lock().unwrap() = files.parts_of_only(bytes)?;
            Ok(files)
        })?;
        let Some(parts) = parts.into_inner().unwrap() else { return Ok(None) };
        let mut all = Outcome::default();
        for part in parts {
            let Outcome { rows, rejected } = self.ask(&[file], None, |found, declared| {
                let mut files = TextFiles::open(format(), found, declared, options)?;
                files.restrict(&part)?;
                Ok(files)
            })?;
            all.rows.extend(rows);
            all.rejected.extend(rejected);
        }
        Ok(Some(all))
    }

    /// Queries text files with these bytes.
    #[cfg(test)]
    pub(crate) fn query<F: TextFormat + Default>(&self, files: &[&[u8]], sql: &str) -> Result<Outcome> {
        let options = self.options;
        self.ask(files, Some(sql), |found, declared| TextFiles::open(F::default(), found, declared, options))
    }

    /// Queries Parquet files with these bytes.
    #[cfg(test)]
    pub(crate) fn query_parquet(&self, files: &[&[u8]], sql: &str) -> Result<Outcome> {
        let if_empty = self.options.if_empty;
        self.ask(files, Some(sql), |found, declared| ParquetFiles::open(found, declared, if_empty))
    }

    /// Reads one Avro file with these bytes, without a query.
    #[cfg(all(test, feature = "avro"))]
    pub(crate) fn read_avro(&self, file: &[u8]) -> Result<Outcome> {
        let if_empty = self.options.if_empty;
        self.open_and_read(&[file], |found, declared| super::avro::AvroFiles::open(found, declared, if_empty))
    }

    /// Reads files that are opened so, without a query.
    #[cfg(feature = "avro")]
    pub(crate) fn open_and_read<T: Rows>(
        &self,
        files: &[&[u8]],
        open: impl FnOnce(Vec<FoundFile>, Arc<Declared>) -> Result<T>,
    ) -> Result<Outcome> {
        self.ask(files, None, open)
    }

    fn ask<T: Rows>(
        &self,
        files: &[&[u8]],
        sql: Option<&str>,
        open: impl FnOnce(Vec<FoundFile>, Arc<Declared>) -> Result<T>,
    ) -> Result<Outcome> {
        RUNTIME.block_on(async {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let mut found = Vec::new();
            for (i, file) in files.iter().enumerate() {
                let path = Path::from(format!("{i}{}", self.extension));
                store.put(&path, Bytes::copy_from_slice(file).into()).await.unwrap();
                let name = path.to_string();
                found.push(FoundFile::of(store.clone(), name.clone(), name, &path).await.unwrap());
            }
            let column = |column: &Arc<Column>| column.with_null_values(&self.null_values);
            let columns = self.columns.iter().map(column).map(Arc::new).collect();
            let declared = Arc::new(Declared::of(columns, self.ignore_unknown));
            let rejected = Arc::new(RejectedRoute::new("t"));
            let taken = Arc::new(Mutex::new(Vec::new()));
            let takes = taken.clone();
            rejected.connect(Box::new(move |batch| {
                takes.lock().unwrap().extend(rejected_records(batch));
                Ok(())
            }));
            let files = open(found, declared.clone())?;
            let table = Arc::new(RowsTable::new(files, declared, rejected, Arc::default()));
            let config = SessionConfig::new().with_target_partitions(self.partitions);
            let state = SessionStateBuilder::new().with_config(config);
            let batches = match sql {
                Some(sql) => {
                    let context = SessionContext::new_with_state(state.with_default_features().build());
                    context.register_table("t", table.clone()).unwrap();
                    context.sql(sql).await.unwrap().collect().await
                }
                None => {
                    let state = state.build();
                    let scan = table.scan(&state, None, &[], None).await.unwrap();
                    collect(scan, state.task_ctx()).await
                }
            };
            let batches = batches.map_err(|error| crate::Error::query("t", error))?;
            table.drain(&|| false).map_err(|error| crate::Error::query("t", error))?;
            Ok(Outcome { rows: batches.iter().flat_map(rows).collect(), rejected: taken.lock().unwrap().clone() })
        })
    }
}

pub(crate) fn rows(batch: &RecordBatch) -> Vec<Row> {
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
    }
    let texts: Vec<_> = batch.columns().iter().map(|column| file_text(column).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| {
            texts
                .iter()
                .map(|text| text.as_string_view())
                .map(|text| text.is_valid(row).then(|| text.value(row).to_owned()))
                .collect()
        })
        .collect()
}

fn rejected_records(batch: &RecordBatch) -> Vec<(u64, String, String)> {
    let lines = batch.column(1).as_primitive::<Int64Type>();
    let text = |column: usize, row| batch.column(column).as_string_view().value(row).to_owned();
    (0..batch.num_rows()).map(|row| (lines.value(row) as u64, text(2, row), text(3, row))).collect()
}

/// Values of rows, null as the empty text.
#[cfg(test)]
pub(crate) fn plain(rows: &[Row]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(|value| value.clone().unwrap_or_default()).collect()).collect()
}
