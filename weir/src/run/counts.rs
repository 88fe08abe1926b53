//! The counts of a run, as its report has them.

use crate::error::{Error, Result};
use crate::plan::Stage;
use crate::quality::Tally;
use crate::report::{ReasonReport, TableReport};
use crate::source::Source;
use crate::stage::Pass;

/// What was read of a source so far.
pub(super) fn counted(source: &Source) -> TableReport {
    let unreadable = source.rejected().rejected();
    let (accepted, rejected) = (source.rows_read(), unreadable.rows());
    let (nulled, lacking) = (source.rejected().nulled(), source.rejected().lacking());
    let reasons = [("unreadable", unreadable), ("set_null", nulled), ("no_key", lacking)];
    let reasons = reasons.into_iter().flat_map(|(effect, reasons)| {
        reasons.into_iter().map(move |(name, counted)| ReasonReport {
            help: source.rejected().advice(&name),
            ..ReasonReport::of(name, effect, counted)
        })
    });
    TableReport {
        table: source.name().to_owned(),
        is_source: true,
        rows: accepted + rejected,
        accepted,
        rejected,
        reasons: reasons.collect(),
    }
}

/// Why rows of a stage could not be computed, or failed rules, as far as they are counted while the rows go by.
pub(super) fn reasons(stage: &Stage, pass: &Pass) -> Vec<ReasonReport> {
    let failed = pass.failed.clone().into_iter().map(|(name, counted)| ReasonReport::of(name, "reject", counted));
    let rules = stage.judge.iter().flat_map(|judge| judge.rules.iter().zip(&pass.tally.failed));
    let rules = rules.filter(|(_, counted)| counted.rows > 0);
    failed
        .chain(rules.map(|(rule, counted)| ReasonReport::of(&rule.name, rule.effect.name(), counted.clone())))
        .collect()
}

pub(super) fn table_report(stage: &Stage, tally: &Tally, reasons: Vec<ReasonReport>) -> TableReport {
    TableReport {
        table: stage.table.clone(),
        is_source: false,
        rows: tally.rows,
        accepted: tally.accepted,
        rejected: tally.rejected,
        reasons,
    }
}

pub(super) fn balanced(what: &str, rows: u64, written: u64) -> Result<()> {
    if rows == written {
        return Ok(());
    }
    Err(Error::Unbalanced { message: format!("`{what}` was to get {rows} rows and has {written}") })
}
