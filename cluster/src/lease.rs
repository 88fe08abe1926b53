//! Ends jobs whose client is gone: one that was killed, or cut off, cannot cancel what it has begun.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::overview::Scheduler;

/// After how long a job ends for which nobody asks. Clients ask every two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked for such jobs.
const LOOK: Duration = Duration::from_secs(5);

/// When clients have asked for their jobs last.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<String, Instant>>);

impl Leases {
    /// Somebody waits for a job.
    pub(crate) fn renew(&self, job: String) {
        // What is no job is forgotten at the next look.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, Instant::now());
    }

    /// Those of the running jobs for which nobody has asked for too long. Others than the running ones are forgotten.
    fn expired(&self, running: &[String]) -> Vec<String> {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|job, _| running.contains(job));
        let is_over = |job: &&String| leases.entry((*job).clone()).or_insert_with(Instant::now).elapsed() > PATIENCE;
        running.iter().filter(is_over).cloned().collect()
    }

    /// Ends jobs for which nobody asks, from now on.
    pub(crate) async fn watch(&self, scheduler: &Scheduler) {
        loop {
            tokio::time::sleep(LOOK).await;
            let running = scheduler.state.task_manager.get_running_job_cache();
            let running: Vec<String> = running.keys().map(ToString::to_string).collect();
            for job in self.expired(&running) {
                tracing::warn!(job, "nobody asks for this job any more: it is cancelled");
                if let Err(error) = scheduler.cancel_job(job.as_str().into()).await {
                    tracing::warn!(job, "the job cannot be cancelled: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_for_which_nobody_asks_is_over() {
        let leases = Leases::default();
        let running = ["new".to_owned(), "asked".to_owned(), "old".to_owned()];
        let Some(long_ago) = Instant::now().checked_sub(PATIENCE * 2) else { return };
        leases.0.lock().unwrap().insert("old".to_owned(), long_ago);
        leases.0.lock().unwrap().insert("ended".to_owned(), long_ago);
        leases.renew("asked".to_owned());
        assert_eq!(leases.expired(&running), ["old"]);
        assert_eq!(leases.0.lock().unwrap().len(), 3, "the one that has ended is forgotten");
        leases.renew("old".to_owned());
        assert!(leases.expired(&running).is_empty());
    }
}
