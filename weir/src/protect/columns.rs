//! Which columns of a route are protected, and how.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::FilterBuilder;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use super::cache::TokenCache;
use super::method::{Method, stronger};
use super::token::KeyRing;
use crate::error::{Error, Result};
use crate::lineage::{ColumnLineage, DependencyKind, Lineage};
use crate::task::{PrivateSpec, Project, Route, SinkSpec, SourceSpec, Task};

/// The columns of a task that are private: those of sources, and what is computed from them.
#[derive(Debug, Default)]
pub(crate) struct PrivateColumns {
    /// By table and column.
    columns: HashMap<String, HashMap<String, PrivateSpec>>,
}

impl PrivateColumns {
    /// Those of a task.
    pub(crate) fn of(task: &Task, lineage: &Lineage) -> Self {
        let mut columns: HashMap<String, HashMap<String, PrivateSpec>> = HashMap::new();
        for (name, source) in &task.spec.sources {
            let of_source = of_source(&source.value).map(|(column, spec)| (column.to_owned(), spec.clone()));
            columns.insert(name.clone(), of_source.collect());
        }
        for table in &lineage.tables {
            let private =
                |column: &ColumnLineage| Some((column.column.clone(), computed(column, &columns)?.into_owned()));
            let of_table = table.from_sources.columns.iter().filter_map(private).collect();
            columns.insert(table.table.clone(), of_table);
        }
        columns.retain(|_, columns| !columns.is_empty());
        Self { columns }
    }

    /// How the columns of a route are protected that are private.
    pub(crate) fn of_route(&self, task: &Task, route: &Route) -> HashMap<&str, Cow<'_, PrivateSpec>> {
        let Some(of_table) = self.columns.get(&route.table) else { return HashMap::new() };
        if route.rejected && task.spec.sources.contains_key(&route.table) {
            // A record as it stands in its file.
            return HashMap::from([("_raw", Cow::Owned(PrivateSpec::Redact))]);
        }
        of_table.iter().map(|(column, spec)| (column.as_str(), Cow::Borrowed(spec))).collect()
    }
}

/// The private columns of a source.
fn of_source(source: &SourceSpec) -> impl Iterator<Item = (&str, &PrivateSpec)> {
    let columns = source.columns.iter();
    columns.filter_map(|(name, column)| Some((name.as_str(), column.value.private.as_ref()?)))
}

/// How a value that is computed from others is protected.
fn computed<'a>(
    column: &ColumnLineage,
    private: &'a HashMap<String, HashMap<String, PrivateSpec>>,
) -> Option<Cow<'a, PrivateSpec>> {
    let of = column.values.iter().filter_map(|from| {
        let spec = private.get(&from.table)?.get(&from.column)?;
        // A pattern is for the value as it is: of another one it may show what it was to hide.
        let is_same = from.kinds == [DependencyKind::Identity];
        let is_pattern = matches!(spec, PrivateSpec::Partial { .. });
        Some(if is_pattern && !is_same { Cow::Owned(PrivateSpec::Redact) } else { Cow::Borrowed(spec) })
    });
    of.reduce(stronger)
}

/// What a sink writes in place of the columns of its route that are private.
#[derive(Debug)]
pub(crate) struct Protection {
    /// For each column of the route.
    methods: Vec<Option<Method>>,
    /// The columns of the route as they are written.
    schema: SchemaRef,
    /// For each of them whether the sink reads it.
    is_read: Vec<bool>,
    keys: OnceLock<KeyRing>,
}

impl Protection {
    /// That of a sink; none if its route has no private column.
    pub(crate) fn bind(
        task: &Task,
        private: &PrivateColumns,
        sink: &str,
        spec: &SinkSpec,
        route: &SchemaRef,
    ) -> Result<Option<Self>> {
        let mut columns = private.of_route(task, &spec.from.value);
        for public in &spec.public {
            let error = |message: String| task.error(public, format!("sink `{sink}`: {message}"));
            if columns.remove(public.value.as_str()).is_some() {
                continue;
            }
            let known = route.fields().iter().map(|field| field.name().as_str());
            let error = match route.column_with_name(&public.value) {
                None => error(format!("`{}` has no column `{}`", spec.from.value, public.value))
                    .nearest(&public.value, known),
                Some(_) => error(format!("column `{}` is not computed from a private one", public.value))
                    .with_help("remove it from `public`"),
            };
            return Err(Box::new(error).into());
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let (mut methods, mut fields) = (vec![], vec![]);
        for field in route.fields() {
            let method = columns.get(field.name().as_str()).map(|spec| Method::new(spec, field.data_type()));
            let method = method.transpose().map_err(|message| {
                let message = format!("column `{}` is private, and {message}", field.name());
                Box::new(task.error(&spec.from, message))
            })?;
            fields.push(match &method {
                None => field.clone(),
                Some(method) => Arc::new(Field::new(field.name(), method.kind(field.data_type()), true)),
            });
            methods.push(method);
        }
        let (is_read, schema) = (vec![true; methods.len()], Arc::new(Schema::new(fields)));
        Ok(Some(Self { methods, schema, is_read, keys: OnceLock::new() }))
    }

    /// Says which columns of the route the sink reads: the others are null for it.
    pub(crate) fn read_only(&mut self, columns: impl IntoIterator<Item = usize>) {
        self.is_read.fill(false);
        columns.into_iter().for_each(|column| self.is_read[column] = true);
        let fields = self.schema.fields().iter().zip(&self.is_read);
        let fields =
            fields.map(
                |(field, is_read)| {
                    if *is_read { field.clone() } else { Arc::new(field.as_ref().clone().with_nullable(true)) }
                },
            );
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    }

    /// The columns of the route as they are written.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the column of the route at a position is protected.
    pub(crate) fn covers(&self, column: usize) -> bool {
        self.method(column).is_some()
    }

    /// Whether the column of the route at a position is not written.
    pub(crate) fn drops(&self, column: usize) -> bool {
        matches!(self.method(column), Some(Method::Drop))
    }

    /// Whether different values of the column at a position are written as different ones.
    pub(crate) fn keeps_values_apart(&self, column: usize) -> bool {
        self.method(column).is_none_or(Method::keeps_values_apart)
    }

    /// Whether null is written in place of every value of the column at a position.
    pub(crate) fn writes_null(&self, column: usize) -> bool {
        self.method(column).is_some_and(|method| method.writes_null(self.schema.field(column).data_type()))
    }

    /// The characters that are written of the column at a position, if it is protected and they are always so many.
    pub(crate) fn characters(&self, column: usize) -> Option<u32> {
        self.method(column).and_then(Method::characters)
    }

    fn method(&self, column: usize) -> Option<&Method> {
        self.methods.get(column).and_then(Option::as_ref)
    }

    /// Opens the keys.
    pub(crate) fn open(&self, project: &Project) -> Result<()> {
        let keys = KeyRing::of(project, self.methods.iter().flatten().filter_map(Method::key))?;
        // A second call has the same keys.
        let _ = self.keys.set(keys);
        Ok(())
    }

    /// What a writer keeps of each column.
    pub(crate) fn caches(&self) -> Vec<TokenCache> {
        self.methods.iter().map(|_| TokenCache::default()).collect()
    }

    /// The chosen rows of a batch of the route, or all, as they are written.
    pub(crate) fn apply(
        &self,
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
        known: &mut [TokenCache],
    ) -> Result<RecordBatch> {
        let keys = self.keys.get().ok_or_else(|| Error::internal("the keys of a sink are not open"))?;
        let failed = |error| Error::internal(format!("private columns: {error}"));
        // A token costs more than a copy: none is made of a row or a column that is not written.
        let rows = chosen.map_or(batch.num_rows(), BooleanBuffer::count_set_bits);
        let chosen =
            chosen.map(|chosen| FilterBuilder::new(&BooleanArray::new(chosen.clone(), None)).optimize().build());
        let mut columns = Vec::with_capacity(self.methods.len());
        for (at, known) in known.iter_mut().enumerate() {
            if !self.is_read[at] {
                columns.push(new_null_array(self.schema.field(at).data_type(), rows));
                continue;
            }
            let column = match &chosen {
                None => batch.column(at).clone(),
                Some(chosen) => chosen.filter(batch.column(at)).map_err(failed)?,
            };
            columns.push(match &self.methods[at] {
                None => column,
                Some(method) => method.apply(&column, keys, known)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(failed)
    }
}
