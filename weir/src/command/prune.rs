//! `prune`: removes what is old from the ledger and from archives.

use super::{PruneArgs, runtime};
use crate::error::{Error, Result, number_of};
use crate::ledger::{Ledger, Lock};
use crate::run::{Removed, apply_retention, key_of};
use crate::task::{RetentionSpec, Span};

pub(super) fn prune(args: &PruneArgs) -> Result<u8> {
    let task = args.task.load()?;
    let of_project = task.project.retention();
    let keep = RetentionSpec {
        runs: args.keep.map(Span).or(of_project.runs),
        archives: args.keep_archives.map(Span).or(of_project.archives),
    };
    if keep.runs.is_none() && keep.archives.is_none() {
        let help = "specify --keep 90d, or `retention: {runs: 90d}` in weir.yaml";
        return Err(Error::usage("how long runs are kept is not specified", help));
    }
    let (state, key) = (args.state.folder(args.task.file.path()), key_of(&task));
    if Ledger::read_only(&state)?.is_none() {
        say!("no runs yet in {}", state.display());
        return Ok(0);
    }
    let _lock = Lock::take(&state, &key, "prune")?;
    let mut ledger = Ledger::open(&state)?;
    let removed = runtime(1)?.block_on(apply_retention(&mut ledger, &key, &task.project, keep, args.dry_run))?;
    if !args.dry_run && removed != Removed::default() {
        ledger.shrink()?;
    }
    if !args.task.log.quiet {
        let Removed { history, files } = removed;
        let would = if args.dry_run { "would be " } else { "" };
        say!(
            "{} {would}removed from the ledger, {} {would}reduced to id, times and state; {} {would}removed from archives",
            number_of(history.runs as usize, "run"),
            number_of(history.reduced as usize, "run"),
            number_of(files as usize, "file"),
        );
    }
    Ok(0)
}
