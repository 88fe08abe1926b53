//! Reading a table to its end on all threads.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result as QueryResult};
use futures::TryStreamExt;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::system::stop::Stop;

/// Reads all rows, each thread into a state of its own; returns the states in the order of the threads. An error of one of
/// them ends all, and so does a request to stop.
pub(crate) async fn fold<S: Send + 'static>(
    rows: DataFrame,
    stop: &Stop,
    new: impl Fn(usize) -> S,
    take: impl Fn(&mut S, &RecordBatch) -> QueryResult<()> + Send + Sync + 'static,
) -> QueryResult<Vec<S>> {
    let take = Arc::new(take);
    let mut threads = JoinSet::new();
    for (thread, mut batches) in rows.execute_stream_partitioned().await?.into_iter().enumerate() {
        let (mut state, take, stop) = (new(thread), take.clone(), stop.clone());
        threads.spawn(async move {
            while let Some(batch) = batches.try_next().await? {
                if stop.is_wanted() {
                    return Err(DataFusionError::from(Error::Interrupted));
                }
                take(&mut state, &batch)?;
            }
            Ok((thread, state))
        });
    }
    let mut states = vec![];
    while let Some(ended) = threads.join_next().await {
        states.push(ended.map_err(|error| DataFusionError::External(Box::new(error)))??);
    }
    states.sort_unstable_by_key(|(thread, _)| *thread);
    Ok(states.into_iter().map(|(_, state)| state).collect())
}
