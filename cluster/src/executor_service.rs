//! What an executor does at the request of the scheduler: it ends tasks that are cancelled. Ballista's own executors that ask for
//! work themselves do not listen for it.

use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpc;
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, LaunchMultiTaskParams, LaunchMultiTaskResult, LaunchTaskParams,
    LaunchTaskResult, RemoveJobDataParams, RemoveJobDataResult, StopExecutorParams, StopExecutorResult,
};
use ballista_executor::executor::Executor;
use tonic::{Request, Response, Status};

/// The service of an executor.
pub(crate) struct ExecutorService(pub(crate) Arc<Executor>);

#[async_trait]
impl ExecutorGrpc for ExecutorService {
    async fn cancel_tasks(&self, request: Request<CancelTasksParams>) -> Result<Response<CancelTasksResult>, Status> {
        let mut cancelled = true;
        for task in request.into_inner().task_infos {
            let (job, stage, id) = (task.job_id.as_str().into(), task.stage_id as usize, task.task_id as usize);
            tracing::info!(job = task.job_id, stage, task = id, "told to cancel a task");
            cancelled &= self.0.cancel_task(job, stage, id).await.unwrap_or(false);
        }
        Ok(Response::new(CancelTasksResult { cancelled }))
    }

    async fn stop_executor(
        &self,
        request: Request<StopExecutorParams>,
    ) -> Result<Response<StopExecutorResult>, Status> {
        // It asks for work again, and is then known again.
        tracing::warn!(reason = request.into_inner().reason, "the scheduler takes this executor for lost");
        Ok(Response::new(StopExecutorResult {}))
    }

    async fn launch_task(&self, _: Request<LaunchTaskParams>) -> Result<Response<LaunchTaskResult>, Status> {
        Err(Status::unimplemented("this executor asks for work itself"))
    }

    async fn launch_multi_task(
        &self,
        _: Request<LaunchMultiTaskParams>,
    ) -> Result<Response<LaunchMultiTaskResult>, Status> {
        Err(Status::unimplemented("this executor asks for work itself"))
    }

    async fn remove_job_data(&self, _: Request<RemoveJobDataParams>) -> Result<Response<RemoveJobDataResult>, Status> {
        Err(Status::unimplemented("this executor asks for what to remove itself"))
    }
}
