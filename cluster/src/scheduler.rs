//! `scheduler`: starts the scheduler of a cluster.

use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::create_scheduler;
use clap::{ArgMatches, FromArgMatches};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use tonic::service::Routes;
use weir::cluster::Host;
use weir::{Cli, Error, Result};

use crate::args::SchedulerArgs;
use crate::channel::{MESSAGE_SIZE, override_endpoint};
use crate::codec::Codec;
use crate::lease::Leases;
use crate::listen::{check_exposure, listen, server};
use crate::overview::{Scheduler, route};
use crate::tls::Tls;
use crate::{log, runtime, session};

/// After how many seconds without a sign of life an executor is lost. One that is busy gives a sign every five seconds.
const EXECUTOR_TIMEOUT: u64 = 15;

/// After how many seconds the rows of a job are removed if its client does not say that it has them.
const ROWS_KEPT: u64 = 120;

/// After how many seconds the state of a job that is done is forgotten.
const STATE_KEPT: u64 = 120;

pub(crate) fn run(matches: &ArgMatches, cli: &Cli) -> miette::Result<u8> {
    let args = SchedulerArgs::from_arg_matches(matches).map_err(|error| Error::usage(error, "see --help"))?;
    log::start(args.log);
    let tls = args.tls.load()?;
    check_exposure(args.bind, tls.as_ref(), args.exposure)?;
    let (host, codec) = (cli.host(), Codec::of(cli)?);
    runtime::block_on(2, serve(args, host, codec, tls))?;
    Ok(0)
}

async fn serve(args: SchedulerArgs, host: Host, codec: Arc<Codec>, tls: Option<Tls>) -> Result<()> {
    let end = runtime::Signals::new()?;
    let (incoming, address) = listen(args.bind).await?;
    let config = config(address, host, codec.clone(), tls.clone());
    let failed = |error: ballista_core::error::BallistaError| {
        Error::system("the scheduler cannot be started", error, "start it again")
    };
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    let scheduler: Scheduler = create_scheduler(cluster, Arc::new(config)).await.map_err(failed)?;
    let service = SchedulerGrpcServer::new(scheduler.clone())
        .max_decoding_message_size(MESSAGE_SIZE)
        .max_encoding_message_size(MESSAGE_SIZE);
    let (scheduler, leases) = (Arc::new(scheduler), Arc::new(Leases::default()));
    let pages = route(scheduler.clone(), leases.clone(), codec.build().to_owned());
    tokio::spawn(async move { leases.watch(&scheduler).await });
    let routes = Routes::from(Routes::new(service).into_axum_router().merge(pages));
    tracing::info!(%address, tls = tls.is_some(), build = codec.build(), "the scheduler is listening");
    let serving = server(tls.as_ref())?.add_routes(routes).serve_with_incoming(incoming);
    tokio::select! {
        served = serving => served.map_err(|error| {
            Error::system("the scheduler cannot go on", crate::channel::chain(&error), "start it again")
        }),
        () = end.any() => Ok(()),
    }?;
    tracing::info!("the scheduler has ended");
    Ok(())
}

fn config(address: std::net::SocketAddr, host: Host, codec: Arc<Codec>, tls: Option<Tls>) -> SchedulerConfig {
    let (of_session, of_client) = (codec.clone(), tls.clone());
    SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: address.ip().to_string(),
        // With the other policy the cores of cancelled tasks are never given back (datafusion-ballista#2418).
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        task_distribution: TaskDistributionPolicy::Bias,
        finished_job_data_clean_up_interval_seconds: ROWS_KEPT,
        finished_job_state_clean_up_interval_seconds: STATE_KEPT,
        executor_timeout_seconds: EXECUTOR_TIMEOUT,
        expire_dead_executor_interval_seconds: 1,
        no_executors_grace_period_seconds: EXECUTOR_TIMEOUT,
        grpc_server_max_decoding_message_size: MESSAGE_SIZE as u32,
        grpc_server_max_encoding_message_size: MESSAGE_SIZE as u32,
        grpc_client_max_message_size: MESSAGE_SIZE as u32,
        use_tls: tls.is_some(),
        override_create_grpc_client_endpoint: Some(override_endpoint(tls)),
        override_config_producer: Some(Arc::new(move || session::config(&of_session, of_client.as_ref()))),
        override_session_builder: Some(Arc::new(move |config| {
            let runtime = RuntimeEnvBuilder::new().build_arc()?;
            host.session(config, runtime).map_err(|error| DataFusionError::External(Box::new(error)))
        })),
        override_physical_codec: Some(codec),
        ..SchedulerConfig::default()
    }
}
