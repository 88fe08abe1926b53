//! The query engine's session: its threads, its memory and its spill folder.

mod average;
mod ceil_floor;
mod checked;
mod decimals;
mod fold;
mod grouping_sets;
mod leaf;
mod memory;
mod numbers;
mod operator;
mod product;
mod quotient;
mod row_error;
mod sum;
mod trial;

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use datafusion::arrow::array::ArrayRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as QueryResult;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{AggregateUDF, ColumnarValue, ScalarUDF};
use datafusion::prelude::{SessionConfig, SessionContext};
use indicatif::HumanBytes;

use ceil_floor::CeilFloor;
pub(crate) use checked::{check_constants, checked};
pub(crate) use fold::fold;
pub(crate) use leaf::{Leaf, LeafApart, LeafSpec, as_leaf, leaf};
use memory::ResidentPool;
pub(crate) use memory::{MemoryWatch, exceeded};
pub(crate) use row_error::{INVALID_VALUE, Pieces, RowError, in_pieces};
pub(crate) use trial::{try_expressions, try_out};

use crate::error::{Error, Result};
use crate::system::memory::physical_memory;

/// The resources of the machine that a run may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    /// The number of threads, and of partitions of every plan.
    pub(crate) threads: usize,
    /// The limit on resident memory, in bytes.
    pub(crate) memory_limit: u64,
}

impl Default for Resources {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, memory_limit: (physical_memory() / 2).max(memory::least_limit(threads)) }
    }
}

impl Resources {
    /// Fails if a run could not work with these resources.
    pub(crate) fn check(self) -> Result<()> {
        let Self { threads, memory_limit: limit } = self;
        if limit >= memory::least_limit(threads) {
            return Ok(());
        }
        let least = HumanBytes(memory::least_limit(threads));
        let message = format!("a memory limit of {} is too small for {threads} threads", HumanBytes(limit));
        Err(Error::usage(message, format!("set --memory-limit to at least {least}, or use fewer --threads")))
    }
}

/// The moment of a session: what `now()` and `current_date` are in all of its models and rules. Whole microseconds, which
/// every format keeps.
struct Moment(DateTime<Utc>);

/// What `now()` is in a session.
pub(crate) fn moment(context: &SessionContext) -> DateTime<Utc> {
    context.state().config().get_extension::<Moment>().map_or_else(Utc::now, |moment| moment.0)
}

/// The state of a session, in which to plan.
pub(crate) fn state(context: &SessionContext) -> SessionState {
    let mut state = context.state();
    let moment = state.config().get_extension::<Moment>();
    if let Some(moment) = moment {
        state.execution_props_mut().query_execution_start_time = Some(moment.0);
    }
    state
}

/// Starts a session that spills to `scratch`. Its moment is now, unless another one is given.
pub(crate) fn session(
    resources: Resources,
    scratch: &Path,
    functions: &[ScalarUDF],
    moment: Option<DateTime<Utc>>,
) -> Result<SessionContext> {
    let moment = Moment(moment.unwrap_or_else(Utc::now).trunc_subsecs(6));
    let mut config =
        SessionConfig::new().with_target_partitions(resources.threads.max(1)).with_extension(Arc::new(moment));
    config.options_mut().sql_parser.collect_spans = true;
    // `amount * 1.1` is an exact number.
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    // Nodes of the two plans may differ in what they say of JSON, which is taken from the logical one.
    config.options_mut().execution.skip_physical_aggregate_schema_check = true;
    let Resources { threads, memory_limit: limit } = resources;
    resources.check()?;
    let config = memory::frugal(config, limit, threads);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(ResidentPool::new(limit, threads)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![scratch.to_path_buf()])),
        )
        .build_arc()
        .map_err(|error| Error::state(scratch, &error, "check that the folder is writable").because(error))?;
    let mut context = SessionContext::new_with_config_rt(config, runtime);
    context
        .register_function_rewrite(Arc::new(numbers::AsPostgres))
        .map_err(|error| Error::internal(error.to_string()))?;
    context
        .register_function_rewrite(Arc::new(crate::function::KnownDocuments))
        .map_err(|error| Error::internal(error.to_string()))?;
    context
        .register_expr_planner(Arc::new(crate::function::JsonSyntax))
        .map_err(|error| Error::internal(error.to_string()))?;
    context.add_analyzer_rule(Arc::new(grouping_sets::OpaqueColumns));
    context.add_analyzer_rule(Arc::new(checked::rule()));
    context.register_udaf(AggregateUDF::from(sum::CheckedSum::default()));
    context.register_udaf(AggregateUDF::from(average::ExactAvg::default()));
    crate::function::aggregates().into_iter().for_each(|function| context.register_udaf(function));
    let own = crate::function::all();
    for function in [CeilFloor::ceil().into(), CeilFloor::floor().into()].iter().chain(&own).chain(functions) {
        context.register_udf(function.clone());
    }
    Ok(context)
}

/// The functions that only plans have, in place of what a query says: no query can call them by name.
pub(crate) fn hidden_functions() -> Vec<ScalarUDF> {
    let own = checked::functions().chain(numbers::functions());
    own.chain([ScalarUDF::from(grouping_sets::Never::default())]).chain(crate::function::hidden()).collect()
}

/// Computes a column, or a single value as a column of one.
fn per_array(
    value: &ColumnarValue,
    compute: impl FnOnce(&ArrayRef) -> QueryResult<ArrayRef>,
) -> QueryResult<ColumnarValue> {
    let is_scalar = matches!(value, ColumnarValue::Scalar(_));
    columnar(compute(&value.to_array(1)?)?, is_scalar)
}

/// A column as the result of a function: its only value, if all arguments were single values.
fn columnar(values: ArrayRef, is_scalar: bool) -> QueryResult<ColumnarValue> {
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
        false => ColumnarValue::Array(values),
    })
}

/// The same session without its registered tables, for planning over other tables.
pub(crate) fn without_tables(context: &SessionContext) -> SessionContext {
    let config = context.copied_config();
    let schema = Arc::new(MemorySchemaProvider::new());
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    let names = &config.options().catalog;
    // Registering a schema is only refused if the catalog has it already; a new catalog has none.
    let registered = catalog.register_schema(&names.default_schema, schema);
    debug_assert!(registered.is_ok());
    catalogs.register_catalog(names.default_catalog.clone(), catalog);
    SessionContext::new_with_state(
        SessionStateBuilder::new_from_existing(state(context)).with_catalog_list(catalogs).build(),
    )
}
