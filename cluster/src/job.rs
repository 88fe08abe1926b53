//! One job: its plan is submitted, waited for, and its rows are fetched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::client::BallistaClient;
use ballista_core::config::BALLISTA_JOB_NAME;
use ballista_core::extension::{BallistaConfigGrpcEndpoint, SessionConfigHelperExt};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result::Result as Submitted;
use ballista_core::serde::protobuf::job_status::Status as State;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair, PartitionLocation,
    RemoveSessionParams,
};
use ballista_core::version::insert_version_header;
use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use crate::channel::{Address, MESSAGE_SIZE, override_endpoint, reason};
use crate::tls::Tls;
use crate::{overview, task_error};

/// How long the scheduler may take to take a plan, and to answer anything else.
const SUBMISSION: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(10);

/// How long the scheduler may be out of reach, or not know a job that it has taken.
const OUT_OF_REACH: Duration = Duration::from_secs(20);

/// How long a job goes on without executors: those that were cut off may come back.
const WITHOUT_EXECUTORS: Duration = Duration::from_secs(30);

/// How often it is looked whether there are executors, and the scheduler told that somebody waits for the job.
const LOOK: Duration = Duration::from_secs(2);

/// The pauses between questions whether a job is done: short ones at first.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// How long an executor may take to send the next rows of a result.
const NEXT_ROWS: Duration = Duration::from_secs(60);

/// The scheduler, and the executors behind it.
#[derive(Debug, Clone)]
pub(crate) struct Machines {
    scheduler: Address,
    channel: Channel,
    tls: Option<Tls>,
}

/// What is computed.
pub(crate) struct Submission {
    pub(crate) name: String,
    pub(crate) plan: Vec<u8>,
    pub(crate) config: SessionConfig,
}

/// Ends a job that nobody waits for any more.
struct Cancel {
    machines: Machines,
    job: String,
    is_done: bool,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (mut client, job_id) = (self.machines.client(), std::mem::take(&mut self.job));
        // Without a runtime the process is about to end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            tracing::info!(job = job_id, "cancelling the job");
            match timeout(ANSWER, client.cancel_job(CancelJobParams { job_id })).await {
                Ok(Ok(_)) => {}
                Ok(Err(status)) => tracing::warn!("the job could not be cancelled: {}", reason(&status)),
                Err(_) => tracing::warn!("the job could not be cancelled: the scheduler does not answer in time"),
            }
        });
    }
}

impl Machines {
    pub(crate) fn new(scheduler: Address, channel: Channel, tls: Option<Tls>) -> Self {
        Self { scheduler, channel, tls }
    }

    fn client(&self) -> SchedulerGrpcClient<Channel> {
        SchedulerGrpcClient::new(self.channel.clone())
            .max_encoding_message_size(MESSAGE_SIZE)
            .max_decoding_message_size(MESSAGE_SIZE)
    }

    /// Runs a job once, and returns its rows, or why there are none.
    pub(crate) async fn run(&self, submission: Submission) -> Result<Vec<RecordBatch>, String> {
        let (name, started) = (submission.name.clone(), Instant::now());
        let session = uuid::Uuid::new_v4().to_string();
        let job = self.submit(submission, session.clone()).await?;
        tracing::debug!(job, name, "submitted");
        let mut cancel = Cancel { machines: self.clone(), job: job.clone(), is_done: false };
        let done = self.wait(&job).await;
        cancel.is_done = !matches!(done, Err(Lost::Given(_)));
        let rows = match done {
            Ok(locations) => self.fetch(locations).await,
            Err(Lost::Failed(error) | Lost::Given(error)) => Err(error),
        };
        // What is left of a failed one is removed by the scheduler.
        if rows.is_ok() {
            self.clean_up(job.clone()).await;
        }
        let _ = timeout(ANSWER, self.client().remove_session(RemoveSessionParams { session_id: session })).await;
        tracing::debug!(job, name, seconds = started.elapsed().as_secs_f64(), succeeded = rows.is_ok(), "ended");
        rows
    }

    /// Hands the plan to the scheduler; returns the job's id.
    async fn submit(&self, submission: Submission, session_id: String) -> Result<String, String> {
        let mut settings = submission.config.to_key_value_pairs();
        settings.retain(|setting| setting.key != BALLISTA_JOB_NAME);
        settings.push(KeyValuePair { key: BALLISTA_JOB_NAME.to_owned(), value: Some(submission.name) });
        let mut request = tonic::Request::new(ExecuteQueryParams {
            session_id,
            settings,
            operation_id: uuid::Uuid::new_v4().to_string(),
            query: Some(Query::PhysicalPlan(submission.plan)),
        });
        insert_version_header(request.metadata_mut());
        let answer = timeout(SUBMISSION, self.client().execute_query(request)).await;
        let answer = answer.map_err(|_| format!("{} does not take the plan in time", self.scheduler))?;
        let answer =
            answer.map_err(|status| format!("{} does not take the plan: {}", self.scheduler, reason(&status)))?;
        match answer.into_inner().result {
            Some(Submitted::Success(success)) => Ok(success.job_id),
            Some(Submitted::Failure(failure)) => Err(match failure.failure {
                Some(failure) => format!("{} does not take the plan: {}", self.scheduler, failure_text(failure)),
                None => format!("{} does not take the plan, and does not say why", self.scheduler),
            }),
            None => Err(format!("{} does not say whether it takes the plan", self.scheduler)),
        }
    }

    /// Waits for the end of a job; returns where its rows are.
    async fn wait(&self, job: &str) -> Result<Vec<PartitionLocation>, Lost> {
        let mut client = self.client();
        let (mut pause, mut heard, mut looked, mut with_executors) =
            (FIRST_PAUSE, Instant::now(), Instant::now(), Instant::now());
        loop {
            let answer = timeout(ANSWER, client.get_job_status(GetJobStatusParams { job_id: job.to_owned() })).await;
            let unheard = match answer {
                Ok(Ok(answer)) => match answer.into_inner().status.and_then(|status| status.status) {
                    Some(State::Successful(done)) => return Ok(done.partition_location),
                    Some(State::Failed(failed)) => {
                        return Err(Lost::Failed(task_error::of_job(&failed.error).to_owned()));
                    }
                    Some(State::Queued(_) | State::Running(_)) => None,
                    None => Some("it does not know the job: was it started again?".to_owned()),
                },
                Ok(Err(status)) => Some(reason(&status)),
                Err(_) => Some("it does not answer in time".to_owned()),
            };
            match unheard {
                None => heard = Instant::now(),
                Some(why) if heard.elapsed() > OUT_OF_REACH => {
                    return Err(Lost::Given(format!("the scheduler {} was lost: {why}", self.scheduler)));
                }
                Some(_) => {}
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                match overview::ask_for(self.channel.clone(), job).await {
                    Ok(overview) if overview.executors.is_empty() => {}
                    // Whether the scheduler can be reached is found out above.
                    Ok(_) | Err(_) => with_executors = Instant::now(),
                }
                if with_executors.elapsed() > WITHOUT_EXECUTORS {
                    let seconds = WITHOUT_EXECUTORS.as_secs();
                    return Err(Lost::Given(format!(
                        "the cluster {} has had no executors for {seconds} s, and the job cannot go on",
                        self.scheduler
                    )));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// The rows of a job that is done.
    async fn fetch(&self, locations: Vec<PartitionLocation>) -> Result<Vec<RecordBatch>, String> {
        let mut rows = vec![];
        for location in locations {
            let layout = location.layout();
            let (Some(executor), Some(partition)) = (location.executor_meta, location.partition_id) else {
                return Err(format!("{} does not say where the rows of the job are", self.scheduler));
            };
            let from = format!("executor {}:{}", executor.host, executor.port);
            let lost =
                |error: &dyn std::fmt::Display| format!("the rows of the job cannot be fetched from {from}: {error}");
            let customize = Arc::new(BallistaConfigGrpcEndpoint::new(override_endpoint(self.tls.clone())));
            let (host, port) = (executor.host.as_str(), executor.port as u16);
            let client =
                BallistaClient::try_new(host, port, MESSAGE_SIZE, self.tls.is_some(), Some(customize), 2, 500, 0, 0);
            let mut client = client.await.map_err(|error| lost(&error))?;
            let partition = partition.into();
            let fetching = client.fetch_partition(&executor.id, &partition, location.file_id, layout, true);
            let too_late = |_| lost(&"it does not answer in time");
            let mut stream = timeout(NEXT_ROWS, fetching).await.map_err(too_late)?.map_err(|error| lost(&error))?;
            while let Some(batch) = timeout(NEXT_ROWS, stream.next()).await.map_err(too_late)? {
                rows.push(batch.map_err(|error| lost(&error))?);
            }
        }
        Ok(rows)
    }

    /// Removes the rows that executors have kept of a job.
    async fn clean_up(&self, job_id: String) {
        let all = CleanJobDataParams { job_id, remove_stage_ids: vec![] };
        if let Ok(Err(status)) = timeout(ANSWER, self.client().clean_job_data(all)).await {
            // They are removed later.
            tracing::debug!("the rows of the job are still there: {}", reason(&status));
        }
    }
}

/// Why a job has no rows.
enum Lost {
    /// It has ended.
    Failed(String),
    /// It was given up, and may still go on.
    Given(String),
}

fn failure_text(failure: ballista_core::serde::protobuf::execute_query_failure_result::Failure) -> String {
    use ballista_core::serde::protobuf::execute_query_failure_result::Failure;
    match failure {
        Failure::SessionNotFound(text) | Failure::PlanParsingFailure(text) | Failure::SqlParsingFailure(text) => text,
    }
}
