//! Judges a table: each row is accepted, or rejected with all its reasons, in one pass.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray, make_view};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::equal_rows::EqualRows;
use super::order;
use super::related::{Passes, Related};
use super::rule::{ColumnRule, Effect, Rule, Scope};
use super::unique::{KeyWriter, Keys, UniqueRule};
use crate::error::{Error, Result};
use crate::lineage::Rejecting;
use crate::route::{Counted, Shown};
use crate::task::{GateSpec, Limit, QualitySpec, Requirement, RuleSpec, TaskError};

/// The rules of one table, bound to its columns.
#[derive(Debug)]
pub(crate) struct Judge {
    table: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) unique: Vec<UniqueRule>,
    pub(crate) equal_rows: Vec<EqualRows>,
    pub(crate) gate: GateSpec,
    /// The columns of rules about related rows, which come after those of the table.
    related: Vec<Related>,
    /// How many columns the table has.
    width: usize,
    /// The columns that a sample shows.
    shown: Vec<usize>,
}

/// The result for the rows of one batch.
pub(crate) struct Verdict {
    /// Whether each row is accepted.
    pub(crate) accepted: BooleanBuffer,
    /// The number of accepted rows.
    pub(crate) accepted_rows: usize,
    /// The reasons of the rejected rows, null for the others; `None` if all rows are accepted.
    pub(crate) reasons: Option<ArrayRef>,
}

/// The counts of one table, or of one reader's part of it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    /// The rows that failed each rule.
    pub(crate) failed: Vec<Counted>,
}

/// What one reader judges with: its counts, the keys that it has seen, and the texts of reasons.
#[derive(Debug)]
pub(crate) struct Judging {
    pub(crate) tally: Tally,
    keys: Vec<KeyWriter>,
    texts: HashMap<Vec<u64>, u128>,
    text: Vec<u8>,
}

impl Judge {
    /// Binds a table's rules to its columns. `of_targets` are those of what its rows are written to; `shown` are the columns
    /// that identify a row in a sample.
    pub(crate) fn bind(
        scope: &Scope<'_>,
        spec: &QualitySpec,
        of_targets: Vec<ColumnRule>,
        shown: Vec<usize>,
    ) -> Result<Self> {
        let mut rules: Vec<Rule> = of_targets.into_iter().map(Rule::from).collect();
        let width = scope.schema.fields().len();
        let mut related = Vec::new();
        let (mut unique, mut equal_rows) = (Vec::new(), Vec::new());
        let mut names = HashSet::new();
        let groups = [
            (Effect::Reject, &spec.reject_unless),
            (Effect::Warn, &spec.warn_unless),
            (Effect::Fail, &spec.fail_unless),
        ];
        for (effect, group) in groups {
            for (name, rule) in group {
                check_name(scope, name, rule)?;
                if effect == Effect::Fail && rule.value.max.is_some() {
                    let error =
                        scope.error(rule, name, "`max` is only for rules that reject or warn: this one ends the run");
                    return Err(Box::new(error).into());
                }
                if !names.insert(name) {
                    let error = scope.error(rule, name, "duplicate rule name in this table");
                    return Err(Box::new(error).into());
                }
                if let Some(of) = Related::bind(scope, name, effect, rule)? {
                    rules.push(Rule::computed(scope, name, effect, rule, width + related.len())?);
                    related.push(of);
                    continue;
                }
                match &rule.value.requirement {
                    Requirement::Unique(columns, _) => {
                        unique.push(UniqueRule::bind(scope, name, effect, rule, columns)?);
                    }
                    Requirement::EqualRows(table) => {
                        equal_rows.push(EqualRows::bind(scope, name, effect, rule, table)?);
                    }
                    _ => rules.push(Rule::bind(scope, name, effect, rule)?),
                }
            }
        }
        Ok(Self { table: scope.table.to_owned(), rules, unique, equal_rows, gate: spec.gate, related, width, shown })
    }

    /// The name and limit of each rule that is counted after the pass: `unique`, then `equal_rows`.
    pub(crate) fn counted_later(&self) -> impl Iterator<Item = (&str, Option<Limit>)> {
        let unique = self.unique.iter().map(|rule| (rule.name.as_str(), rule.max));
        unique.chain(self.equal_rows.iter().map(|rule| (rule.name.as_str(), rule.max)))
    }

    /// What the rules read that reject rows.
    pub(crate) fn rejecting(&self) -> Rejecting {
        let mut rejecting = Rejecting::default();
        for rule in self.rules.iter().filter(|rule| rule.effect == Effect::Reject) {
            rejecting.columns.extend(rule.columns());
            if let Some(related) = rule.computed_column().and_then(|at| self.related.get(at.checked_sub(self.width)?)) {
                rejecting.columns.extend(related.columns(self.width));
                rejecting.lookups.extend(related.lookup());
            }
        }
        rejecting
    }

    /// The tables that rules look into.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.related.iter().filter_map(Related::table)
    }

    /// Adds the columns of rules about related rows to the table's plan.
    pub(crate) fn extended(
        &self,
        plan: LogicalPlan,
        tables: &HashMap<String, LogicalPlan>,
    ) -> Result<LogicalPlan, DataFusionError> {
        let rejecting =
            self.rules.iter().filter(|rule| rule.effect == Effect::Reject && rule.computed_column().is_none());
        let passes = Passes::of(rejecting);
        // A join does not keep the order of the rows: it is made behind it.
        let (plan, order) = if self.related.is_empty() { (plan, None) } else { order::taken(plan) };
        let mut related = self.related.iter().enumerate();
        let plan = related
            .try_fold(plan, |plan, (number, related)| related.add(plan, number, self.width, passes.as_ref(), tables))?;
        match order {
            Some(order) => order.restored(plan),
            None => Ok(plan),
        }
    }

    /// The columns of the table alone.
    pub(crate) fn own<'a>(&self, batch: &'a RecordBatch) -> Result<Cow<'a, RecordBatch>> {
        if self.related.is_empty() {
            return Ok(Cow::Borrowed(batch));
        }
        let own = batch.project(&(0..self.width).collect::<Vec<_>>());
        own.map(Cow::Owned).map_err(|error| Error::query(&self.table, error.into()))
    }

    /// Zero counts.
    pub(crate) fn tally(&self) -> Tally {
        Tally { failed: vec![Counted::default(); self.rules.len()], ..Tally::default() }
    }

    /// Begins to judge the rows of one reader. Keys go to files in the folder.
    pub(crate) fn begin(&self, folder: &Path) -> Judging {
        Judging {
            tally: self.tally(),
            keys: self.unique.iter().map(|rule| rule.writer(folder)).collect(),
            texts: HashMap::new(),
            text: Vec::new(),
        }
    }

    /// Judges a batch and counts its rows.
    pub(crate) fn judge(&self, batch: &RecordBatch, judging: &mut Judging) -> Result<Verdict> {
        let tally = &mut judging.tally;
        let rows = batch.num_rows();
        let mut accepted = BooleanBuffer::new_set(rows);
        // The reasons of a row are a bit mask, of as many words as the rules need.
        let words = self.rules.len().div_ceil(64);
        let mut reasons: Vec<u64> = Vec::new();
        for (i, rule) in self.rules.iter().enumerate() {
            let holds = self.ask(rule, batch)?;
            // Rules that reject come first: warnings count accepted rows only.
            let misses = match rule.effect {
                Effect::Reject | Effect::Fail => !&holds,
                Effect::Warn => &accepted & &!&holds,
            };
            let count = misses.count_set_bits() as u64;
            if count == 0 {
                continue;
            }
            let counted = &mut tally.failed[i];
            let samples = misses.set_indices().take(counted.room());
            let samples = samples.map(|row| Shown::row(batch, &self.shown, row)).collect::<Result<Vec<_>, _>>();
            counted.add(count, samples.map_err(|error| Error::query(&self.table, error.into()))?);
            match rule.effect {
                Effect::Fail => return Err(self.failed(&rule.name, counted)),
                Effect::Warn => {}
                Effect::Reject => {
                    accepted = &accepted & &holds;
                    reasons.resize(rows * words, 0);
                    misses.set_indices().for_each(|row| reasons[row * words + i / 64] |= 1 << (i % 64));
                }
            }
        }
        let accepted_rows = accepted.count_set_bits();
        let rejected_rows = rows - accepted_rows;
        tally.rows += rows as u64;
        tally.accepted += accepted_rows as u64;
        tally.rejected += rejected_rows as u64;
        for (rule, keys) in self.unique.iter().zip(&mut judging.keys) {
            keys.add(rule, batch, &accepted).map_err(|error| Error::query(&self.table, error))?;
        }
        let reasons = (rejected_rows > 0).then(|| self.reasons(reasons.chunks(words), &accepted, judging));
        Ok(Verdict { accepted, accepted_rows, reasons })
    }

    fn ask(&self, rule: &Rule, batch: &RecordBatch) -> Result<BooleanBuffer> {
        rule.holds(batch).map_err(|error| match Error::query(&self.table, error) {
            Error::Query { table, message } => {
                Error::Query { table, message: format!("rule `{}`: {message}", rule.name) }
            }
            own => own,
        })
    }

    /// The reasons of each row as text. Few combinations occur, so each is written once per batch.
    fn reasons<'a>(
        &self,
        masks: impl Iterator<Item = &'a [u64]>,
        accepted: &BooleanBuffer,
        judging: &mut Judging,
    ) -> ArrayRef {
        let Judging { texts, text, .. } = judging;
        let mut view_of = |mask: &[u64]| match texts.get(mask) {
            Some(view) => *view,
            None => {
                let names = (0..self.rules.len()).filter(|i| mask[i / 64] >> (i % 64) & 1 == 1);
                let joined = names.map(|i| self.rules[i].name.as_str()).collect::<Vec<_>>().join(";");
                let start = text.len();
                text.extend_from_slice(joined.as_bytes());
                let view = make_view(joined.as_bytes(), 0, start as u32);
                texts.insert(mask.to_vec(), view);
                view
            }
        };
        let is_none = |mask: &[u64]| mask.iter().all(|word| *word == 0);
        let views: Vec<u128> = masks.map(|mask| if is_none(mask) { 0 } else { view_of(mask) }).collect();
        let nulls = NullBuffer::new(!accepted);
        let buffers = [Buffer::from_slice_ref(text.as_slice())];
        // SAFETY: every view was made of a range of `text`, which only grows, and which consists of rule names.
        Arc::new(unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(views), buffers, Some(nulls)) })
    }

    /// The error of a `fail_unless` rule that a row failed.
    pub(crate) fn failed(&self, rule: &str, counted: &Counted) -> Error {
        let (rows, samples) = (counted.rows, Shown::joined(&counted.samples));
        Error::RuleFailed { table: self.table.clone(), rule: rule.to_owned(), rows, samples }
    }
}

impl Tally {
    /// Adds another reader's counts.
    pub(crate) fn merge(&mut self, other: Tally) {
        self.rows += other.rows;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.failed.iter_mut().zip(other.failed).for_each(|(counted, other)| counted.merge(other));
    }
}

impl Judging {
    /// The counts, and the keys for each `unique` rule, in files that other processes read or not.
    pub(crate) fn finish(self, is_shared: bool) -> Result<(Tally, Vec<Keys>)> {
        let keys = self.keys.into_iter().map(|keys| keys.finish(is_shared)).collect::<Result<_>>()?;
        Ok((self.tally, keys))
    }
}

/// Reasons are joined with `;`, so a rule's name must be plain.
fn check_name(scope: &Scope<'_>, name: &str, rule: &Spanned<RuleSpec>) -> Result<(), Box<TaskError>> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let error = || scope.error(rule, name, "a rule's name can have letters, digits and `_` only");
    plain.then_some(()).ok_or_else(|| Box::new(error()))
}
