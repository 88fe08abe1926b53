//! Finishes or takes back what a run has left whose process died.

use super::ledger::Ledger;
use crate::error::Result;
use crate::task::Task;

/// Rolls every dead run of the task forward, if its commit record is there, or back. The caller holds the
/// task's lock, so a run that the ledger has open is dead.
pub(super) fn recover(ledger: &mut Ledger, task: &Task) -> Result<()> {
    for run in ledger.unfinished(task.name(), &task.environment)? {
        let mut lost = Vec::new();
        for (folder, publish) in &run.folders {
            if run.committed && *publish && folder.is_lost()? {
                lost.push(folder.sink.as_str());
            } else if run.committed && *publish {
                folder.publish().map_err(|error| error.while_publishing(&run.id))?;
            } else {
                folder.discard()?;
            }
        }
        let message = match (run.committed, lost.as_slice()) {
            (false, _) => "it died before its commit record; the next start removed what it had staged".to_owned(),
            (true, []) => "it did not end after its commit record; the next start finished publishing".to_owned(),
            (true, lost) => {
                format!("what it had staged is gone for {}; the other sinks are published", lost.join(", "))
            }
        };
        tracing::warn!(run = %run.id, "an earlier run did not end: {message}");
        ledger.recovered(&run, run.committed && lost.is_empty(), &message)?;
    }
    Ok(())
}
