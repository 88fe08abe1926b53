//! Retention: what earlier runs have left is removed when it is old.

use chrono::{TimeDelta, Utc};

use crate::error::Result;
use crate::ledger::{Ledger, Pruned};
use crate::place::remove_archived;
use crate::report::RunKey;
use crate::task::{Project, RetentionSpec, Span};

/// What was removed, or would be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) history: Pruned,
    /// Files of archives.
    pub(crate) files: u64,
}

/// Removes what is older than it is kept: reports of runs, and archived files. What is not given is kept for ever.
pub(crate) async fn apply(
    ledger: &mut Ledger,
    key: &RunKey,
    project: &Project,
    keep: RetentionSpec,
    dry_run: bool,
) -> Result<Removed> {
    // A span that reaches back before all times keeps everything.
    let before = |span: Option<Span>| {
        let span = span.and_then(|span| TimeDelta::from_std(span.0).ok());
        span.and_then(|span| Utc::now().checked_sub_signed(span))
    };
    let mut removed = Removed::default();
    if let Some(before) = before(keep.archives) {
        for run in ledger.archived(key, before)? {
            let moves = ledger.moves(&run)?;
            if dry_run {
                removed.files += moves.len() as u64;
                continue;
            }
            removed.files += remove_archived(project, &run, &moves).await?;
            ledger.removed_archived(&run)?;
        }
    }
    if let Some(before) = before(keep.runs) {
        removed.history = ledger.prune(key, before, dry_run)?;
    }
    Ok(removed)
}
