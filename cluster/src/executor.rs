//! `executor`: starts an executor of a cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::BallistaLogicalExtensionCodec;
use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpcServer;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorStoppedParams,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::metrics::LoggingMetricsCollector;
use clap::{ArgMatches, FromArgMatches};
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tonic::transport::Channel;
use weir::cluster::Host;
use weir::{Cli, Error, Result};

use crate::args::ExecutorArgs;
use crate::channel::MESSAGE_SIZE;
use crate::codec::{Codec, other_build};
use crate::listen::{check_exposure, listen, server};
use crate::patient::Patient;
use crate::strict::Strict;
use crate::tls::Tls;
use crate::work_dir::WorkDir;
use crate::{janitor, log, overview, runtime, session};

/// How long the scheduler may take to hear that this executor ends.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) fn run(matches: &ArgMatches, cli: &Cli) -> miette::Result<u8> {
    let args = ExecutorArgs::from_arg_matches(matches).map_err(|error| Error::usage(error, "see --help"))?;
    log::start(args.log);
    let tls = args.tls.load()?;
    check_exposure(SocketAddr::new(args.bind, args.port), tls.as_ref(), args.exposure)?;
    let (host, codec) = (cli.host(), Codec::of(cli)?);
    let cores = args.cores.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let cores = cores.unwrap_or(1);
    let stack = runtime::stack(runtime::COMPUTING_STACK).to_string();
    // Ballista starts the threads that compute, and leaves their stack to this variable.
    // SAFETY: no other thread was started yet, which could read the environment at the same time.
    unsafe { std::env::set_var("RUST_MIN_STACK", stack) };
    runtime::block_on(cores.max(2), serve(args, cores, host, codec, tls))?;
    Ok(0)
}

async fn serve(args: ExecutorArgs, cores: usize, host: Host, codec: Arc<Codec>, tls: Option<Tls>) -> Result<()> {
    let end = runtime::Signals::new()?.any();
    tokio::pin!(end);
    let reached_as = reached_as(&args)?;
    let (incoming, address) = listen(SocketAddr::new(args.bind, args.port)).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let work = WorkDir::create(&args.work_dir, &id)?;
    let channel = args.scheduler.channel(tls.as_ref())?;
    tokio::select! {
        found = find_scheduler(&channel, &args, codec.build()) => found?,
        () = &mut end => return Ok(()),
    }
    let registration = ExecutorRegistration {
        id: id.clone(),
        host: Some(reached_as.clone()),
        port: address.port().into(),
        grpc_port: address.port().into(),
        specification: Some(ExecutorSpecification::default().with_vcores(cores as u32).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    let executor = executor(registration, &args, cores, &host, &codec, tls.as_ref(), &work)?;
    let flight = FlightServiceServer::new(BallistaFlightService::new(executor.work_dir().to_owned()))
        .max_decoding_message_size(MESSAGE_SIZE)
        .max_encoding_message_size(MESSAGE_SIZE);
    let orders = ExecutorGrpcServer::new(crate::executor_service::ExecutorService(executor.clone()));
    let serving = server(tls.as_ref())?.add_service(flight).add_service(orders).serve_with_incoming(incoming);
    let mut serving = tokio::spawn(serving);
    let plans = BallistaCodec::<LogicalPlanNode, PhysicalPlanNode>::new(
        Arc::new(BallistaLogicalExtensionCodec::default()),
        codec.clone(),
    );
    let scheduler = SchedulerGrpcClient::new(Patient::new(channel.clone()))
        .max_encoding_message_size(MESSAGE_SIZE)
        .max_decoding_message_size(MESSAGE_SIZE);
    let mut working = tokio::spawn(poll_loop(scheduler, executor, plans, None, None, Default::default()));
    let cleaning = tokio::spawn(janitor::clean(work.shuffles(), channel.clone()));
    tracing::info!(%address, host = reached_as, id, cores, tls = tls.is_some(), "the executor is listening");
    let stopped = |what: String| Error::system("the executor cannot go on", what, "start it again");
    let ended = tokio::select! {
        served = &mut serving => Err(stopped(match served {
            Ok(Ok(())) => "its port was closed".to_owned(),
            Ok(Err(error)) => crate::channel::chain(&error),
            Err(error) => error.to_string(),
        })),
        worked = &mut working => Err(stopped(match worked {
            Ok(Ok(())) => "it has stopped to ask for work".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        })),
        () = &mut end => Ok(()),
    };
    working.abort();
    say_farewell(channel, id).await;
    cleaning.abort();
    serving.abort();
    drop(work);
    tracing::info!("the executor has ended");
    ended
}

/// The name or address under which others reach this executor.
fn reached_as(args: &ExecutorArgs) -> Result<String> {
    let host = match &args.host {
        Some(host) => host.clone(),
        None if args.bind.is_unspecified() => {
            let message = format!("with --bind {} nobody knows how to reach this executor", args.bind);
            return Err(Error::usage(message, "give the name or address of this machine with --host"));
        }
        None => args.bind.to_string(),
    };
    // It becomes part of URLs.
    Ok(if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host })
}

/// Waits for the scheduler. Fails if it has another program.
async fn find_scheduler(channel: &Channel, args: &ExecutorArgs, build: &str) -> Result<()> {
    let mut last = String::new();
    loop {
        match overview::ask(channel.clone()).await {
            Ok(overview) if overview.build == build => return Ok(()),
            Ok(overview) => {
                let message = format!("{}: {}", args.scheduler, other_build(build, &overview.build));
                return Err(Error::usage(message, "install the same build of the program on all machines"));
            }
            Err(error) if error == last => {}
            Err(error) => {
                tracing::warn!(scheduler = %args.scheduler, "waiting for the scheduler: {error}");
                last = error;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn executor(
    registration: ExecutorRegistration,
    args: &ExecutorArgs,
    cores: usize,
    host: &Host,
    codec: &Arc<Codec>,
    tls: Option<&Tls>,
    work: &WorkDir,
) -> Result<Arc<Executor>> {
    // One for all tasks: the limit is one of the process.
    let resources = Host::runtime(args.memory_limit, cores, &work.spill())?;
    let config = session::config(codec, tls);
    let functions = BallistaFunctionRegistry::from(&host.session(config.clone(), resources.clone())?);
    Ok(Arc::new(Executor::new(
        registration,
        &work.shuffles().to_string_lossy(),
        Arc::new(move |_: &SessionConfig| Ok(resources.clone())),
        Arc::new(move || config.clone()),
        Arc::new(functions),
        Arc::new(LoggingMetricsCollector::default()),
        cores,
        Arc::new(Strict::new(args.lenient)),
    )))
}

/// Tells the scheduler that this executor ends, which it would notice only later.
async fn say_farewell(channel: Channel, executor_id: String) {
    let mut scheduler = SchedulerGrpcClient::new(channel);
    let farewell = ExecutorStoppedParams { executor_id, reason: "it was told to end".to_owned() };
    match tokio::time::timeout(FAREWELL, scheduler.executor_stopped(farewell)).await {
        Ok(Ok(_)) => {}
        Ok(Err(status)) => {
            tracing::warn!("the scheduler does not know that this executor ends: {}", crate::channel::reason(&status))
        }
        Err(_) => tracing::warn!("the scheduler does not know that this executor ends: it does not answer in time"),
    }
}
