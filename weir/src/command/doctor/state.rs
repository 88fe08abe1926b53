//! The state folder: whether it is writable, and what earlier runs have left in it.

use std::path::Path;

use super::Findings;
use super::places::check_writable;
use crate::error::{Error, Result, number_of, state_io};
use crate::ledger::{Inspection, holder};
use crate::report::State;
use crate::run::key_of;
use crate::task::Task;

const ABOUT: &str = "state folder";

pub(super) fn check(task: &Task, state: &Path, ledger: &Result<Option<Inspection>>, findings: &mut Findings) {
    match check_writable(state) {
        Ok(()) if state.exists() => findings.ok(ABOUT, format!("{} is writable", state.display())),
        Ok(()) => findings.ok(ABOUT, format!("{} will be created by the first run", state.display())),
        Err(error) => findings.problem(ABOUT, &state_io(state)(error)),
    }
    let holder = holder(state, &key_of(task));
    if let Some(holder) = &holder {
        findings.warn("lock", holder, "a run that is started now exits with code 4");
    } else {
        findings.ok("lock", "is free");
    }
    match ledger {
        Ok(Some(inspection)) => check_ledger(inspection, holder.is_some(), findings),
        Ok(None) => findings.ok("ledger", "no runs yet"),
        Err(error) => findings.problem("ledger", error),
    }
}

fn check_ledger(ledger: &Inspection, is_running: bool, findings: &mut Findings) {
    let Inspection { path, version, known_version, damage, states, latest } = ledger;
    if !damage.is_empty() {
        let help = "move it away; a new one is created, without the history";
        return findings.problem("ledger", &Error::state(path, format!("is damaged: {}", damage.join("; ")), help));
    }
    if version > known_version {
        let message = format!("has version {version}, and this program knows version {known_version}");
        let help = "use the newer version of the program, or another state folder";
        return findings.problem("ledger", &Error::state(path, message, help));
    }
    findings.ok("ledger", format!("version {version}, {}, whole", number_of(states.len(), "run")));
    if !is_running {
        for (id, state) in ledger.unfinished() {
            let message = format!("run {id} did not end while {state}");
            if *state == State::Publishing {
                let help = "some sinks may hold this run and others the one before: `weir recover --retry` publishes the \
                            rest, and so does the next start; `weir recover --abandon RUN` ends it as it is";
                findings.problem("ledger", &Error::state(path, message, help));
            } else {
                findings.warn("ledger", message, "the next start rolls it back, and so does `weir recover --retry`");
            }
        }
    }
    if let Some(latest) = latest
        && *latest > chrono::Utc::now()
    {
        let message = format!("the newest entry is from {latest}, which is in the future");
        findings.warn("clock", message, "set the clock of this machine");
    }
}
