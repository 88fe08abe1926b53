//! What the scheduler tells about its cluster: executors and jobs. Ballista has no request for it; this is a page at its port.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::get;
use ballista_core::error::BallistaError;
use ballista_scheduler::scheduler_server::SchedulerServer;
use ballista_scheduler::state::task_manager::JobOverview;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::transport::Channel;
use tower::ServiceExt;

use crate::lease::Leases;

/// The scheduler, with the plans that it takes.
pub(crate) type Scheduler = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

const PATH: &str = "/weir/overview";

/// The largest answer.
const LIMIT: usize = 16 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Overview {
    /// The build of the scheduler's program.
    pub(crate) build: String,
    pub(crate) executors: Vec<ExecutorView>,
    /// Those that are running, the oldest first.
    pub(crate) jobs: Vec<JobView>,
    /// How many are not planned yet.
    pub(crate) queued_jobs: usize,
}

/// An executor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExecutorView {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) cores: u32,
    pub(crate) free_cores: u32,
    /// How long ago it was heard of.
    pub(crate) heartbeat_seconds_ago: Option<u64>,
}

/// A job that is running.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) stages: usize,
    pub(crate) stages_done: usize,
    pub(crate) tasks_running: usize,
    /// Those of the stages that are running.
    pub(crate) tasks_waiting: usize,
    pub(crate) seconds: u64,
}

impl Overview {
    /// The cores of all executors.
    pub(crate) fn cores(&self) -> u32 {
        self.executors.iter().map(|executor| executor.cores).sum()
    }

    async fn of(scheduler: &Scheduler, build: &str) -> Result<Self, BallistaError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut busy: HashMap<String, u32> = HashMap::new();
        let mut jobs = vec![];
        for info in scheduler.state.task_manager.get_running_job_cache().values() {
            let graph = info.execution_graph.read().await;
            let (running, job) = (graph.running_tasks(), JobOverview::from(&*graph));
            jobs.push(JobView {
                id: job.job_id.to_string(),
                name: job.job_name,
                stages: job.num_stages,
                stages_done: job.completed_stages,
                tasks_running: running.len(),
                tasks_waiting: graph.available_tasks(),
                seconds: now.saturating_sub(Duration::from_millis(job.start_time)).as_secs(),
            });
            running.into_iter().for_each(|task| *busy.entry(task.executor_id).or_default() += 1);
        }
        jobs.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.id.cmp(&b.id)));
        let executors = scheduler.state.executor_manager.get_executors_state().await?;
        let executors = executors.into_iter().map(|(executor, heartbeat, _)| ExecutorView {
            cores: executor.specification.vcores,
            free_cores: executor.specification.vcores.saturating_sub(*busy.get(&executor.id).unwrap_or(&0)),
            heartbeat_seconds_ago: heartbeat.map(|at| now.saturating_sub(at).as_secs()),
            id: executor.id,
            host: executor.host,
            port: executor.port,
        });
        let mut executors: Vec<_> = executors.collect();
        executors.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        let queued_jobs = scheduler.pending_job_number();
        Ok(Self { build: build.to_owned(), executors, jobs, queued_jobs })
    }
}

/// What is asked: the client of a job says with each question that it still waits for it.
#[derive(Debug, Default, Deserialize)]
struct Question {
    job: Option<String>,
}

/// The page.
pub(crate) fn route(scheduler: Arc<Scheduler>, leases: Arc<Leases>, build: String) -> Router {
    let answer = move |Query(question): Query<Question>| async move {
        question.job.into_iter().for_each(|job| leases.renew(job));
        match Overview::of(&scheduler, &build).await.map(|overview| serde_json::to_string(&overview)) {
            Ok(Ok(text)) => (StatusCode::OK, text),
            Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    };
    Router::new().route(PATH, get(answer))
}

/// Asks the scheduler.
pub(crate) async fn ask(channel: Channel) -> Result<Overview, String> {
    get_page(channel, PATH.to_owned()).await
}

/// Asks the scheduler, and tells it that somebody waits for this job.
pub(crate) async fn ask_for(channel: Channel, job: &str) -> Result<Overview, String> {
    get_page(channel, format!("{PATH}?job={job}")).await
}

async fn get_page(channel: Channel, page: String) -> Result<Overview, String> {
    let answer = async {
        let request = Request::get(page).body(Body::empty()).map_err(|error| error.to_string())?;
        let response = channel.oneshot(request).await.map_err(|error| crate::channel::chain(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT).collect().await;
        let body = body.map_err(|error| crate::channel::chain(error.as_ref()))?.to_bytes();
        if !status.is_success() {
            return Err(format!("it answers with {status}: is it the scheduler of weir?"));
        }
        serde_json::from_slice(&body)
            .map_err(|error| format!("its answer is not understood ({error}): has it another version?"))
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
}
