//! Recovery: rolls a run forward or back whose process died.

use crate::database::Connector;
use crate::error::Result;
use crate::ledger::{Ledger, Unfinished};
use crate::place::finish_moves;
use crate::report::{Outcome, RunKey};
use crate::sink::{self, Prepared};
use crate::task::Task;

/// A sink of a dead run, and whether it was to be published.
type Sink = (Box<dyn Prepared>, bool);

/// Rolls every dead run of a key forward, if its commit record exists, or back. The caller holds the lock of the key, so a
/// run that the ledger has open is dead.
pub(super) async fn recover(ledger: &mut Ledger, task: &Task, key: &RunKey, connector: &Connector) -> Result<()> {
    for run in ledger.unfinished(key)? {
        let ended = match run.is_committed {
            true => roll_forward(ledger, task, connector, &run).await.map_err(|error| error.while_publishing(&run.id)),
            false => roll_back(connector, &run).await,
        };
        let (is_whole, message) = ended?;
        tracing::warn!(run = %run.id, "an earlier run did not end: {message}");
        ledger.recovered(&run, is_whole, &message)?;
    }
    Ok(())
}

async fn roll_back(connector: &Connector, run: &Unfinished) -> Result<(bool, String)> {
    abort_all(connector, &sinks(run)?).await?;
    Ok((false, "it died before its commit record; the next start rolled it back".to_owned()))
}

async fn roll_forward(
    ledger: &mut Ledger,
    task: &Task,
    connector: &Connector,
    run: &Unfinished,
) -> Result<(bool, String)> {
    let sinks = sinks(run)?;
    let (mut lost, mut committed) = (Vec::new(), 0);
    for (sink, _) in sinks.iter().filter(|(_, is_published)| *is_published) {
        if sink.is_lost(connector).await? {
            lost.push(sink.sink());
        }
        committed += usize::from(sink.is_committed(connector).await?);
    }
    if !lost.is_empty() && committed == 0 {
        abort_all(connector, &sinks).await?;
        return Ok((
            false,
            format!("what it had prepared is lost for {}; nothing of it is published", lost.join(", ")),
        ));
    }
    let is_kept = |(sink, is_published): &&Sink| *is_published && !lost.contains(&sink.sink());
    for transaction in sink::transactions(sinks.iter().filter(is_kept).map(|(sink, _)| &**sink)) {
        match sink::commit(&*transaction, connector).await {
            Ok(_) => committed += 1,
            // It would be refused at every start, and nothing of the run is published.
            Err(error) if committed == 0 && error.is_refusal() => {
                abort_all(connector, &sinks).await?;
                return Ok((false, format!("{error}; nothing of it is published")));
            }
            Err(error) => return Err(error),
        }
    }
    for (sink, _) in sinks.iter().filter(|sink| !is_kept(sink)) {
        sink.abort(connector).await?;
    }
    if !lost.is_empty() {
        let message = format!("what it had prepared is lost for {}; the other sinks are published", lost.join(", "));
        return Ok((false, message));
    }
    if run.outcome == Some(Outcome::Done) {
        finish_moves(task, &run.id, &ledger.moves(&run.id)?).await?;
    }
    Ok((true, "it did not end after its commit record; the next start rolled it forward".to_owned()))
}

/// The sinks of a run.
fn sinks(run: &Unfinished) -> Result<Vec<Sink>> {
    run.targets.iter().map(|(target, is_published)| Ok((target.read()?, *is_published))).collect()
}

async fn abort_all(connector: &Connector, sinks: &[Sink]) -> Result<()> {
    for (sink, _) in sinks {
        sink.abort(connector).await?;
    }
    Ok(())
}
