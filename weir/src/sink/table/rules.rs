//! What a table asks of the rows of a model: rules beside those of the task, so that a row that it could not hold is
//! rejected with a reason instead of ending the run.

use std::collections::HashMap;

use serde_saphyr::{Location, Spanned};
use weir_postgres::load::Kind;

use crate::sink::{BoundSink, Form};
use crate::task::{QualitySpec, Requirement, RuleSpec};

/// By the sink's name, the columns of its table that take only some values.
pub(crate) type Narrow = HashMap<String, Vec<(String, Kind)>>;

/// Adds to the rules of a model what the tables ask that take its accepted rows.
pub(crate) fn rules(quality: &mut QualitySpec, model: &str, sinks: &[BoundSink], narrow: &Narrow) {
    let takes = |sink: &&BoundSink| sink.route.table == model && !sink.route.rejected;
    for sink in sinks.iter().filter(takes) {
        let Form::Table(table) = &sink.form else { continue };
        let mut add = |name: String, requirement| {
            let rule = RuleSpec { requirement, max: None };
            quality
                .reject_unless
                .entry(name)
                .or_insert_with(|| Spanned::new(rule, Location::UNKNOWN, Location::UNKNOWN));
        };
        let none = Vec::new();
        let narrow = narrow.get(&sink.name).unwrap_or(&none);
        for column in &table.columns {
            // The rules speak of the model's columns, which the table may call otherwise.
            let of_model = &column.of_route;
            if table.is_key(&column.name) {
                add(format!("{of_model}_missing"), Requirement::NotNull(vec![of_model.clone()]));
            }
            let quoted = format!("\"{}\"", of_model.replace('"', "\"\""));
            let to = narrow.iter().find(|(name, _)| *name == column.name).map(|(_, kind)| kind);
            let condition = match to {
                Some(Kind::Varchar(most)) => format!("storable({quoted}, {most})"),
                Some(kind) => match largest(kind) {
                    Some((least, most)) => format!("{quoted} is null or {quoted} between {least} and {most}"),
                    None => continue,
                },
                None if column.kind.is_string() => format!("storable({quoted}, {})", i64::MAX),
                None => continue,
            };
            add(format!("{of_model}_unfit_for_{}", sink.name), Requirement::Condition(condition));
        }
    }
}

/// The least and the largest value of a type of exact numbers, as SQL.
fn largest(kind: &Kind) -> Option<(String, String)> {
    Some(match kind {
        Kind::SmallInt => (i16::MIN.to_string(), i16::MAX.to_string()),
        Kind::Integer => (i32::MIN.to_string(), i32::MAX.to_string()),
        // The least of them is more than a literal of 64 bits holds before its sign.
        Kind::BigInt => {
            let exact = |value: i64| format!("cast('{value}' as decimal(20,0))");
            (exact(i64::MIN), exact(i64::MAX))
        }
        Kind::Numeric(Some((digits, scale))) => {
            let whole = "9".repeat(usize::from(digits - scale).max(1));
            let most = format!("{}.{}", if digits == scale { "0" } else { &whole }, "9".repeat(usize::from(*scale)));
            let most = most.trim_end_matches('.').to_owned();
            (format!("-{most}"), most)
        }
        _ => return None,
    })
}
