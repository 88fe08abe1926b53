//! The settings of sessions: those that all machines have in common.

use std::sync::Arc;

use ballista_core::config::BallistaConfig;
use ballista_core::extension::SessionConfigExt;
use datafusion::prelude::SessionConfig;

use crate::channel::{MESSAGE_SIZE, override_endpoint};
use crate::codec::Codec;
use crate::tls::Tls;

/// What every machine sets: how to connect, and how plans are written.
pub(crate) fn config(codec: &Arc<Codec>, tls: Option<&Tls>) -> SessionConfig {
    upgrade(SessionConfig::new(), codec, tls)
}

/// A session that plans for a cluster.
pub(crate) fn upgrade(config: SessionConfig, codec: &Arc<Codec>, tls: Option<&Tls>) -> SessionConfig {
    let config = match config.options().extensions.get::<BallistaConfig>() {
        Some(_) => config,
        None => config.upgrade_for_ballista(),
    };
    config
        .with_ballista_physical_extension_codec(codec.clone())
        .with_ballista_override_create_grpc_client_endpoint(override_endpoint(tls.cloned()))
        .with_ballista_use_tls(tls.is_some())
        .with_ballista_grpc_client_max_message_size(MESSAGE_SIZE)
        .with_ballista_adaptive_query_planner(false)
        // The scheduler drops such exchanges from plans: partitions come from the scans.
        .with_round_robin_repartition(false)
        // A filter that is filled in one stage is waited for in another one for ever (datafusion-ballista#1375).
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false)
        // The value of a subquery does not cross a stage's boundary (datafusion-ballista#1909).
        .set_bool("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", false)
        // As on one machine. A partition of the smaller side has to fit in memory; the other choice sorts both sides.
        .set_bool("datafusion.optimizer.prefer_hash_join", true)
        // An executor counts the tasks that it runs, not their partitions: a task of several would get it more than it has
        // cores for.
        .set_usize("ballista.scheduler.max_partitions_per_task", 1)
        // What each task that is written to a shuffle may keep in memory, besides what the limit of memory watches.
        .set_usize("ballista.shuffle.sort_based.memory_limit_per_task_bytes", 64 << 20)
        .set_u64("ballista.client.grpc_connect_timeout_seconds", 5)
        .set_u64("ballista.client.grpc_http2_keepalive_interval_seconds", 5)
        .set_u64("ballista.client.io_retry_wait_time_ms", 500)
        // As on one machine. Views that leave a stage are compacted: see `compact`.
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_have_nothing_that_a_cluster_cannot_compute() {
        let codec = Codec::of(&weir::Cli::new("test")).unwrap();
        let config = upgrade(SessionConfig::new().with_target_partitions(12), &codec, None);
        let optimizer = &config.options().optimizer;
        assert!(!optimizer.enable_round_robin_repartition);
        assert!(!optimizer.enable_dynamic_filter_pushdown);
        assert!(!optimizer.enable_physical_uncorrelated_scalar_subquery);
        assert_eq!(config.target_partitions(), 12);
        assert_eq!(config.ballista_config().max_partitions_per_task(), 1);
        assert!(!config.ballista_use_tls());
    }
}
