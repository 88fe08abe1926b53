//! What the columns of a target can hold, as rules of the model: a row that a target could not hold is rejected with a
//! reason, instead of ending the run.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use serde_saphyr::{Location, Spanned};

use super::BoundSink;
use crate::quality::{ColumnRule, ColumnTest};
use crate::route::REASONS;
use crate::task::{QualitySpec, Requirement, RuleSpec};

/// What to do about rows with a value that no sink holds: reject them with a rule. Those of a rejected route are rejected
/// already.
pub(crate) fn reject_them(batch: &RecordBatch, rule: &str) -> String {
    match batch.schema_ref().column_with_name(REASONS) {
        None => format!("reject such rows with the rule `{rule}`, or make the value null in the model"),
        Some(_) => "these rows are rejected already: make the value null in the model, or name the other columns of \
                    this sink under `columns`"
            .to_owned(),
    }
}

/// What a column of a target can hold.
#[derive(Debug, Clone)]
pub(crate) struct ColumnLimit {
    /// The column's name in the sink.
    pub(crate) column: String,
    pub(crate) limit: Limit,
    /// The column's type, as the target names it.
    pub(crate) kind: String,
}

/// The values that a column can hold.
#[derive(Debug, Clone)]
pub(crate) enum Limit {
    /// Text without NUL, of at most that many characters.
    Text { characters: Option<u32> },
    /// Text without NUL, of at most that many bytes.
    Bytes(u32),
    /// Those that are null, or for which a condition is true. `{}` in it is the column.
    Condition(String),
    /// Numbers between two, written as SQL.
    Between(String, String),
    /// Those that the target says it can hold.
    Test(Arc<dyn ColumnTest>),
    /// The same, where rows are judged. Of others the target refuses what it cannot hold, and changes none.
    TestOfJudged(Arc<dyn ColumnTest>),
    /// All but null.
    NotNull,
}

impl Limit {
    /// Whether a row that exceeds it has to be rejected before it is written: the target might change it otherwise, or
    /// refuse all rows without saying which is wrong.
    pub(crate) fn needs_judge(&self) -> bool {
        !matches!(self, Self::NotNull | Self::TestOfJudged(_))
    }
}

/// What targets can hold, by the name of the sink.
pub(crate) type ColumnLimits = HashMap<String, Vec<ColumnLimit>>;

/// Adds to the rules of a model what the targets require that take its accepted rows.
pub(crate) fn add_rules(quality: &mut QualitySpec, model: &str, sinks: &[BoundSink], limits: &ColumnLimits) {
    let takes = |sink: &&BoundSink| sink.route.table == model && !sink.route.rejected;
    for sink in sinks.iter().filter(takes) {
        let mut add = |reason: String, requirement| add_rule(quality, &reason, requirement);
        let of_kind = sink.target.limits();
        let of_target = limits.get(&sink.name).map_or(&[][..], Vec::as_slice);
        for column in sink.target.columns() {
            // The rules use the names of the model, which may differ from the target's.
            let of_model = &column.of_route;
            if sink.target.key().contains(&column.name) {
                add(format!("{of_model}_missing"), Requirement::NotNull(vec![of_model.clone()]));
            }
            let quoted = format!("\"{}\"", of_model.replace('"', "\"\""));
            let of_column = |limit: &&ColumnLimit| limit.column == column.name;
            let is_not_null = |limit: &ColumnLimit| matches!(limit.limit, Limit::NotNull);
            if of_target.iter().filter(of_column).any(is_not_null) {
                let requirement = match &sink.deleted_when {
                    // Such a row may have its key alone.
                    Some(deleted) => Requirement::Condition(format!("({deleted}) is true or {quoted} is not null")),
                    None => Requirement::NotNull(vec![of_model.clone()]),
                };
                add(format!("{of_model}_missing"), requirement);
            }
            if sink.protects(column.index) {
                // The rules judge the values, and something else is written in place of them.
                continue;
            }
            let all = of_target.iter().chain(&of_kind).filter(of_column);
            // What an existing target can hold is less than what all of its kind can.
            let conditions: Vec<_> = all.filter_map(|limit| condition(&limit.limit, &quoted)).collect();
            if conditions.is_empty() {
                continue;
            }
            let condition = conditions.join(" and ");
            add(unfit(of_model, sink), Requirement::Condition(condition));
        }
    }
}

/// A limit as a condition over a column; none if it is not one.
fn condition(limit: &Limit, column: &str) -> Option<String> {
    Some(match limit {
        Limit::Test(_) | Limit::TestOfJudged(_) | Limit::NotNull => return None,
        Limit::Text { characters } => format!("storable({column}, {})", characters.map_or(i64::MAX, i64::from)),
        Limit::Bytes(most) => {
            let any = i64::MAX;
            format!("storable({column}, {any}) and ({column} is null or octet_length({column}) <= {most})")
        }
        Limit::Between(least, most) => format!("({column} is null or {column} between {least} and {most})"),
        Limit::Condition(condition) => format!("({column} is null or {})", condition.replace("{}", column)),
    })
}

/// Adds a rule that rejects, unless it is there. Another rule of its name keeps the name.
fn add_rule(quality: &mut QualitySpec, reason: &str, requirement: Requirement) {
    let names = std::iter::once(plain(reason)).chain((2..).map(|number| format!("{}_{number}", plain(reason))));
    for name in names {
        let others = [&quality.warn_unless, &quality.fail_unless];
        match quality.reject_unless.get(&name) {
            Some(rule) if rule.value.requirement == requirement => return,
            None if !others.iter().any(|rules| rules.contains_key(&name)) => {
                let rule = RuleSpec::of(requirement);
                quality.reject_unless.insert(name, Spanned::new(rule, Location::UNKNOWN, Location::UNKNOWN));
                return;
            }
            _ => {}
        }
    }
}

/// The tests of the targets that take the accepted rows of a model.
pub(crate) fn tests(model: &str, sinks: &[BoundSink], limits: &ColumnLimits) -> Vec<ColumnRule> {
    let mut rules = Vec::new();
    for sink in sinks.iter().filter(|sink| sink.route.table == model && !sink.route.rejected) {
        for ColumnLimit { column, limit, .. } in limits.get(&sink.name).into_iter().flatten() {
            let taken = sink.target.columns().iter().find(|taken| taken.name == *column);
            let taken = taken.filter(|taken| !sink.protects(taken.index));
            if let (Limit::Test(test) | Limit::TestOfJudged(test), Some(taken)) = (limit, taken) {
                rules.push(ColumnRule {
                    name: plain(&unfit(&taken.of_route, sink)),
                    column: taken.index,
                    test: test.clone(),
                });
            }
        }
    }
    rules
}

/// A name that a rule may have: a column may have any.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The reason of a row whose value does not fit.
fn unfit(column: &str, sink: &BoundSink) -> String {
    format!("{column}_unfit_for_{}", sink.name)
}
