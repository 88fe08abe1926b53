//! Recovery: rolls a run forward or back whose process died.

use std::path::Path;

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Lock, Unfinished};
use crate::place::finish_moves;
use crate::report::{Outcome, RunKey, State};
use crate::scratch::ScratchFolder;
use crate::sink::{self, Prepared};
use crate::watch::{Event, Observers};

/// A sink of a dead run, and whether it was to be published.
type Sink = (Box<dyn Prepared>, bool);

/// A dead run that was ended.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) run: String,
    pub(crate) message: String,
    /// Whether all of it is published now.
    pub(crate) is_whole: bool,
}

impl Recovered {
    /// Tells observers of a run that died; one that is published in the end is none.
    pub(crate) fn tell(&self, key: &RunKey, observers: &Observers) {
        if !self.is_whole {
            observers.event(&Event::Died { run: &self.run, key, state: State::Died, message: &self.message });
        }
    }
}

/// Rolls every dead run of a key forward, if its commit record exists, or back. The caller holds the lock of the key, so a
/// run that the ledger has open is dead. The task is not needed: it may be broken or changed since then.
pub(super) async fn recover(ledger: &mut Ledger, key: &RunKey, connector: &Connector) -> Result<Vec<Recovered>> {
    let mut all = Vec::new();
    for run in ledger.unfinished(key)? {
        let ended = match run.is_committed {
            true => roll_forward(ledger, connector, &run).await.map_err(|error| error.while_publishing(&run.id)),
            false => roll_back(connector, &run).await,
        };
        let (is_whole, message) = ended?;
        tracing::warn!(run = %run.id, "an earlier run did not end: {message}");
        ledger.recovered(&run, is_whole, &message)?;
        all.push(Recovered { run: run.id, message, is_whole });
    }
    Ok(all)
}

/// Takes the lock of a key and recovers its dead runs.
pub(crate) async fn recover_all(state: &Path, key: &RunKey, connector: &Connector) -> Result<Vec<Recovered>> {
    if unfinished(state, key)?.is_empty() {
        return Ok(vec![]);
    }
    let _lock = Lock::take(state, key, "recover")?;
    let recovered = recover(&mut Ledger::open(state)?, key, connector).await?;
    ScratchFolder::clear(state, key)?;
    Ok(recovered)
}

/// The runs of a key that have no end: their ids, and whether each has a commit record. They are dead if nobody holds the lock
/// of the key.
pub(crate) fn unfinished(state: &Path, key: &RunKey) -> Result<Vec<(String, bool)>> {
    let Some(ledger) = Ledger::read_only(state)? else { return Ok(vec![]) };
    Ok(ledger.unfinished(key)?.into_iter().map(|run| (run.id, run.is_committed)).collect())
}

/// Ends a dead run without committing anything more of it: what it has prepared is removed. Returns what became of its sinks.
pub(crate) async fn abandon(state: &Path, key: &RunKey, connector: &Connector, run: &str) -> Result<Recovered> {
    let _lock = Lock::take(state, key, "recover")?;
    let mut ledger = Ledger::open(state)?;
    let Some(dead) = ledger.unfinished(key)?.into_iter().find(|dead| dead.id == run) else {
        let help = "`weir recover` without options lists the runs that did not end";
        return Err(Error::usage(format!("run {run} of `{}` is not waiting for its end", key), help));
    };
    let sinks = sinks(&dead)?;
    let (mut committed, mut others) = (vec![], vec![]);
    for (sink, _) in sinks.iter().filter(|(_, is_published)| *is_published) {
        let of = if sink.is_committed(connector).await? { &mut committed } else { &mut others };
        of.push(sink.sink());
    }
    abort_all(connector, &sinks).await?;
    let of = |sinks: &[&str]| if sinks.is_empty() { "none".to_owned() } else { sinks.join(", ") };
    let message = format!("abandoned: published: {}; not published: {}", of(&committed), of(&others));
    ledger.recovered(&dead, false, &message)?;
    ScratchFolder::clear(state, key)?;
    Ok(Recovered { run: dead.id, message, is_whole: false })
}

async fn roll_back(connector: &Connector, run: &Unfinished) -> Result<(bool, String)> {
    abort_all(connector, &sinks(run)?).await?;
    Ok((false, "it died before its commit record; it was rolled back".to_owned()))
}

async fn roll_forward(ledger: &mut Ledger, connector: &Connector, run: &Unfinished) -> Result<(bool, String)> {
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
        finish_moves(connector.project(), &run.id, &ledger.moves(&run.id)?).await?;
    }
    Ok((true, "it did not end after its commit record; it was rolled forward".to_owned()))
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
