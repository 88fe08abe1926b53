//! What the columns of a target can hold, as rules of the model: a row that a target could not hold is rejected with a
//! reason, instead of ending the run.

use std::collections::HashMap;

use serde_saphyr::{Location, Spanned};

use super::BoundSink;
use crate::task::{QualitySpec, Requirement, RuleSpec};

/// What a column of a target can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnLimit {
    /// The column's name in the sink.
    pub(crate) column: String,
    pub(crate) limit: Limit,
    /// The column's type, as the target names it.
    pub(crate) kind: String,
}

/// The values that a column can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Text without NUL, of at most that many characters.
    Text { characters: Option<u32> },
    /// Numbers between two, written as SQL.
    Between(String, String),
}

/// What targets can hold, by the name of the sink.
pub(crate) type ColumnLimits = HashMap<String, Vec<ColumnLimit>>;

/// Adds to the rules of a model what the targets require that take its accepted rows.
pub(crate) fn add_rules(quality: &mut QualitySpec, model: &str, sinks: &[BoundSink], limits: &ColumnLimits) {
    let takes = |sink: &&BoundSink| sink.route.table == model && !sink.route.rejected;
    for sink in sinks.iter().filter(takes) {
        let mut add = |name: String, requirement| {
            let rule = RuleSpec { requirement, max: None };
            quality
                .reject_unless
                .entry(name)
                .or_insert_with(|| Spanned::new(rule, Location::UNKNOWN, Location::UNKNOWN));
        };
        let of_kind = sink.target.limits();
        let of_target = limits.get(&sink.name).map_or(&[][..], Vec::as_slice);
        for column in sink.target.columns() {
            // The rules use the names of the model, which may differ from the target's.
            let of_model = &column.of_route;
            if sink.target.key().contains(&column.name) {
                add(format!("{of_model}_missing"), Requirement::NotNull(vec![of_model.clone()]));
            }
            let mut all = of_target.iter().chain(&of_kind);
            let Some(limit) = all.find(|limit| limit.column == column.name) else { continue };
            let quoted = format!("\"{}\"", of_model.replace('"', "\"\""));
            let condition = match &limit.limit {
                Limit::Text { characters } => {
                    format!("storable({quoted}, {})", characters.map_or(i64::MAX, i64::from))
                }
                Limit::Between(least, most) => format!("{quoted} is null or {quoted} between {least} and {most}"),
            };
            add(format!("{of_model}_unfit_for_{}", sink.name), Requirement::Condition(condition));
        }
    }
}
