//! The client: weir's runs on the machines of a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{ArgMatches, FromArgMatches};
use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;
use tonic::transport::Channel;
use weir::cluster::{Cluster, Job, JobFailed, build_id_of};
use weir::{Cli, Error, Result};

use crate::args::ClusterArgs;
use crate::channel::{Address, MESSAGE_SIZE};
use crate::codec::{Codec, other_build};
use crate::job::{Machines, Submission};
use crate::tls::Tls;
use crate::{joins, leaves, overview, runtime, session};

/// How many partitions there are for each core: the last ones to end are a small part of the whole.
const PARTITIONS_PER_CORE: usize = 4;

/// How long a scheduler without executors is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// The machines of a cluster.
#[derive(Debug)]
struct Remote {
    scheduler: Address,
    shared: PathBuf,
    partitions: Option<usize>,
    tls: Option<Tls>,
    codec: Arc<Codec>,
}

/// The cluster of the options of a command line, if they name one.
pub(crate) fn connect(matches: &ArgMatches) -> miette::Result<Option<Arc<dyn Cluster>>> {
    Ok(remote(matches)?)
}

/// The cluster of the options, if they name one.
pub(crate) fn remote(matches: &ArgMatches) -> Result<Option<Arc<dyn Cluster>>> {
    let args = ClusterArgs::from_arg_matches(matches).map_err(|error| Error::usage(error, "see --help"))?;
    let Some(scheduler) = args.cluster else { return Ok(None) };
    let Some(shared) = args.shared else {
        let help = "give --shared a folder that this machine and all executors have under the same path";
        return Err(Error::usage("--cluster needs a folder that all machines share", help));
    };
    let shared = shared.canonicalize().map_err(|error| {
        let help = "make the folder, and mount it under this path on all machines of the cluster";
        Error::input(shared.display(), &error, help).because(error)
    })?;
    let tls = args.tls.load()?;
    // Nodes are only written here, which needs nothing of the program.
    let program = args.program.as_deref().unwrap_or(Path::new("/proc/self/exe"));
    let codec = Codec::new(Cli::new("client").host(), build_id_of(program)?);
    let partitions = args.partitions.map(|partitions| partitions as usize);
    Ok(Some(Arc::new(Remote { scheduler, shared, partitions, tls, codec })))
}

impl Remote {
    fn channel(&self) -> Result<Channel> {
        self.scheduler.channel(self.tls.as_ref())
    }

    fn unavailable(&self, message: String, help: &str) -> Error {
        Error::Unavailable { path: self.scheduler.to_string(), message, help: help.to_owned() }
    }

    /// The cores of the cluster.
    async fn cores(&self) -> Result<usize> {
        let channel = self.channel()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let missing = match overview::ask(channel.clone()).await {
                Ok(overview) if overview.build != self.codec.build() => {
                    let message = format!("{}: {}", self.scheduler, other_build(self.codec.build(), &overview.build));
                    return Err(Error::usage(message, "use the program of the cluster"));
                }
                Ok(overview) if overview.cores() > 0 => return Ok(overview.cores() as usize),
                Ok(_) => {
                    let help = "start executors with the verb `executor` on the machines of the cluster";
                    self.unavailable("the cluster has no executors".to_owned(), help)
                }
                Err(error) => {
                    let message = format!("the scheduler cannot be reached: {error}");
                    self.unavailable(message, "check the address, and that the scheduler runs there")
                }
            };
            if Instant::now() >= deadline {
                return Err(missing);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// A plan as what is sent.
    fn encode(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<u8>, String> {
        leaves::check(plan.as_ref())?;
        let partitions = plan.output_partitioning().partition_count();
        if partitions != 1 {
            return Err(format!("the plan has {partitions} partitions, not one: this is a bug, please report it"));
        }
        let plan = joins::in_one_task(plan.clone()).map_err(|error| error.to_string())?;
        let node = PhysicalPlanNode::try_from_physical_plan(plan, self.codec.as_ref());
        let bytes = node.map_err(|error| error.to_string())?.encode_to_vec();
        if bytes.len() > MESSAGE_SIZE {
            return Err(format!(
                "the plan has {} bytes, and cannot have more than {MESSAGE_SIZE}: read fewer or larger files",
                bytes.len()
            ));
        }
        Ok(bytes)
    }
}

#[async_trait::async_trait]
impl Cluster for Remote {
    fn shared_folder(&self) -> &Path {
        &self.shared
    }

    async fn partitions(&self) -> Result<usize> {
        let cores = self.cores().await?;
        Ok(self.partitions.unwrap_or(cores * PARTITIONS_PER_CORE))
    }

    fn configure(&self, config: SessionConfig) -> SessionConfig {
        session::upgrade(config, &self.codec, self.tls.as_ref())
    }

    fn refuses(&self, plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
        let stack = runtime::stack(runtime::PLANNING_STACK);
        stacker::maybe_grow(stack / 2, stack, || self.encode(plan)).err()
    }

    async fn compute(&self, job: Job) -> Result<Vec<RecordBatch>, JobFailed> {
        let stack = runtime::stack(runtime::PLANNING_STACK);
        let plan = stacker::maybe_grow(stack / 2, stack, || self.encode(&job.plan)).map_err(JobFailed)?;
        let channel = self.channel().map_err(|error| JobFailed(error.to_string()))?;
        let machines = Machines::new(self.scheduler.clone(), channel, self.tls.clone());
        machines.run(Submission { name: job.name, plan, config: job.config }).await.map_err(JobFailed)
    }
}
