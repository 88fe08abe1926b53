//! Finishes or takes back what a run has left whose process died.

use super::ledger::Ledger;
use crate::error::Result;
use crate::task::Task;

/// Rolls every dead run of the task forward, if its commit record is there, or back. The caller holds the
/// task's lock, so a run that the ledger has open is dead.
pub(super) fn recover(ledger: &mut Ledger, task: &Task) -> Result<()> {
    for run in ledger.unfinished(task.name(), &task.environment)? {
        for (folder, publish) in &run.folders {
            if run.committed && *publish && folder.is_lost()? {
                tracing::error!(run = %run.id, sink = %folder.sink, "what the run had staged for this sink is gone: run it again");
            } else if run.committed && *publish {
                folder.publish().map_err(|error| error.while_publishing(&run.id))?;
            } else {
                folder.discard()?;
            }
        }
        let what = if run.committed { "finished publishing" } else { "removed what was staged" };
        tracing::warn!(run = %run.id, "an earlier run did not end: {what}");
        ledger.recovered(&run)?;
    }
    Ok(())
}
