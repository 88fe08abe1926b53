//! The query engine's session: how many threads, how much memory, where it may spill.

use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::{Error, Result};

/// What a run may use of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    /// Threads, and partitions of every plan.
    pub(crate) threads: usize,
    /// Bytes of resident memory to stay under.
    pub(crate) memory_limit: u64,
}

/// Resident memory is more than what operators account for: blocks in flight, buffers, the allocator. A
/// quarter of the limit for the operators leaves room for that.
const POOL_SHARE: u64 = 4;

impl Default for Resources {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, memory_limit: physical_memory() / 2 }
    }
}

/// The memory that this process may have, in bytes: the machine's, or its container's if that is less; 2 GiB where
/// neither can be told.
fn physical_memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = read("/proc/meminfo");
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total = total.and_then(|kib| kib.parse::<u64>().ok()).map_or(2 << 30, |kib| kib * 1024);
    let of_container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    of_container.iter().filter_map(|path| read(path).trim().parse().ok()).fold(total, u64::min)
}

/// Starts a session that spills to `scratch`.
pub(crate) fn session(resources: Resources, scratch: &Path, functions: &[ScalarUDF]) -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_target_partitions(resources.threads.max(1));
    config.options_mut().sql_parser.collect_spans = true;
    // `amount * 1.1` stays an exact number.
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let pool = (resources.memory_limit / POOL_SHARE).max(1 << 20) as usize;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(pool)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![scratch.to_path_buf()])),
        )
        .build_arc()
        .map_err(|error| Error::state(scratch, error, "check that the folder is writable"))?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    for function in crate::function::all().iter().chain(functions) {
        context.register_udf(function.clone());
    }
    Ok(context)
}

/// The same session, without the tables that were registered in it: for planning over other ones.
pub(crate) fn without_tables(context: &SessionContext) -> SessionContext {
    let config = context.copied_config();
    let schema = Arc::new(MemorySchemaProvider::new());
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    let names = &config.options().catalog;
    // A schema of a catalog without any cannot be there already, which is all that could be refused.
    let registered = catalog.register_schema(&names.default_schema, schema);
    debug_assert!(registered.is_ok());
    catalogs.register_catalog(names.default_catalog.clone(), catalog);
    SessionContext::new_with_state(
        SessionStateBuilder::new_from_existing(context.state()).with_catalog_list(catalogs).build(),
    )
}
