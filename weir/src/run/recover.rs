//! Finishes or takes back what a run has left whose process died.

use super::Outcome;
use super::ledger::{Ledger, Unfinished};
use crate::error::Result;
use crate::sink::Target;
use crate::source::finish_moves;
use crate::task::Task;

/// Rolls every dead run of the task forward, if its commit record is there, or back. The caller holds the
/// task's lock, so a run that the ledger has open is dead.
pub(super) async fn recover(ledger: &mut Ledger, task: &Task) -> Result<()> {
    for run in ledger.unfinished(task.name(), &task.environment)? {
        let ended = if run.committed { go_forward(ledger, task, &run).await } else { go_back(task, &run).await };
        let (is_whole, message) = ended.map_err(|error| match run.committed {
            true => error.while_publishing(&run.id),
            false => error,
        })?;
        tracing::warn!(run = %run.id, "an earlier run did not end: {message}");
        ledger.recovered(&run, is_whole, &message)?;
    }
    Ok(())
}

async fn go_back(task: &Task, run: &Unfinished) -> Result<(bool, String)> {
    discard_all(task, run).await?;
    Ok((false, "it died before its commit record; the next start removed what it had staged".to_owned()))
}

async fn go_forward(ledger: &mut Ledger, task: &Task, run: &Unfinished) -> Result<(bool, String)> {
    let (mut lost, mut switched) = (Vec::new(), 0);
    for target in published(run) {
        if target.is_lost(task).await? {
            lost.push(target.sink());
        }
        switched += usize::from(target.is_published(task).await?);
    }
    if !lost.is_empty() && switched == 0 {
        discard_all(task, run).await?;
        return Ok((false, format!("what it had staged is gone for {}; nothing of it is published", lost.join(", "))));
    }
    for (target, publish) in in_order(run) {
        if !publish || lost.contains(&target.sink()) {
            target.discard(task).await?;
            continue;
        }
        match target.publish(task).await {
            Ok(_) => switched += 1,
            // It would refuse them at every start, and nothing of the run is anywhere.
            Err(error) if switched == 0 && error.is_refusal() => {
                discard_all(task, run).await?;
                return Ok((false, format!("{error}; nothing of it is published")));
            }
            Err(error) => return Err(error),
        }
    }
    if !lost.is_empty() {
        let message = format!("what it had staged is gone for {}; the other sinks are published", lost.join(", "));
        return Ok((false, message));
    }
    if run.outcome == Some(Outcome::Done) {
        finish_moves(&run.id, &ledger.moves(&run.id)?)?;
    }
    Ok((true, "it did not end after its commit record; the next start finished publishing".to_owned()))
}

/// The targets in the order in which they are published: tables first.
fn in_order(run: &Unfinished) -> impl Iterator<Item = &(Target, bool)> {
    let of = |is_table: bool| run.targets.iter().filter(move |(target, _)| target.is_table() == is_table);
    of(true).chain(of(false))
}

async fn discard_all(task: &Task, run: &Unfinished) -> Result<()> {
    for (target, _) in &run.targets {
        target.discard(task).await?;
    }
    Ok(())
}

fn published(run: &Unfinished) -> impl Iterator<Item = &Target> {
    run.targets.iter().filter(|(_, publish)| *publish).map(|(target, _)| target)
}
