//! Removes what is left of jobs on an executor. The scheduler says once which job is over; whoever does not hear it then, or still
//! writes then, would keep its rows for ever.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use crate::overview;

/// How often it is looked for such jobs.
const LOOK: Duration = Duration::from_secs(60);

/// How long a job is over before it is removed: the rows of its result may still be fetched.
const PATIENCE: Duration = Duration::from_secs(300);

/// Removes the folders of jobs that are over, from now on.
pub(crate) async fn clean(shuffles: PathBuf, scheduler: Channel) {
    let mut over = Over::default();
    loop {
        tokio::time::sleep(LOOK).await;
        // Without an answer nobody knows which jobs are over.
        let Ok(overview) = overview::ask(scheduler.clone()).await else { continue };
        let running: HashSet<String> = overview.jobs.into_iter().map(|job| job.id).collect();
        for job in over.since(&there(&shuffles), &running, PATIENCE) {
            tracing::info!(job, "removing what is left of a job");
            if let Err(error) = tokio::fs::remove_dir_all(shuffles.join(&job)).await {
                tracing::warn!(job, "what is left of a job cannot be removed: {error}");
            }
        }
    }
}

/// The jobs that have folders.
fn there(shuffles: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(shuffles).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Since when jobs are over.
#[derive(Debug, Default)]
struct Over(HashMap<String, Instant>);

impl Over {
    /// Those that have been over for so long.
    fn since(&mut self, there: &[String], running: &HashSet<String>, patience: Duration) -> Vec<String> {
        self.0.retain(|job, _| there.contains(job) && !running.contains(job));
        let over = there.iter().filter(|job| !running.contains(*job));
        let over = over.filter(|job| self.0.entry((*job).clone()).or_insert_with(Instant::now).elapsed() >= patience);
        over.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_has_been_over_for_long_is_removed() {
        let mut over = Over::default();
        let there = ["a".to_owned(), "b".to_owned()];
        let running = HashSet::from(["a".to_owned()]);
        let short = Duration::from_secs(60);
        assert!(over.since(&there, &running, short).is_empty(), "b is over since now");
        assert_eq!(over.since(&there, &running, Duration::ZERO), ["b"]);
        assert!(over.since(&there, &HashSet::from(there.clone()), Duration::ZERO).is_empty());
        assert!(over.0.is_empty(), "both run again");
    }
}
