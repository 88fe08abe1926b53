//! The quality gate: limits on rejected rows and row counts, above or below which nothing is published.

use indicatif::HumanCount;

use super::judge::{Judge, Tally};
use crate::error::number_of;
use crate::task::{GateSpec, Limit};

/// The reasons why the gate of a judged table closes; empty if it is open. `later` has the rows that each rule
/// counted that is counted after the pass, `unreadable` the records of the table's sources that could not be read: they would have been rows of it.
pub(crate) fn breaches(judge: &Judge, tally: &Tally, later: &[u64], unreadable: u64) -> Vec<String> {
    let counted = judge
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.max))
        .zip(tally.failed.iter().map(|counted| counted.rows));
    let exceeded = counted.chain(judge.counted_later().zip(later.iter().copied())).filter_map(|((name, max), rows)| {
        over(max, rows, tally.rows).map(|share| format!("rule `{name}` failed for {share}"))
    });
    let mut messages: Vec<String> = exceeded.collect();
    let Tally { rows, rejected, .. } = tally;
    messages.extend(few(&judge.gate, *rows));
    let share = over(judge.gate.max_rejected, rejected + unreadable, rows + unreadable);
    let of_sources = match unreadable {
        0 => String::new(),
        _ => format!("; {} of its sources among them", number_of(unreadable, "unreadable record")),
    };
    messages.extend(share.map(|share| format!("rejected: {share}{of_sources}")));
    messages
}

/// The limits of a `gate` itself that a table exceeds.
pub(crate) fn of_table(gate: &GateSpec, rows: u64, rejected: u64) -> Vec<String> {
    let rejected = over(gate.max_rejected, rejected, rows).map(|share| format!("rejected: {share}"));
    rejected.into_iter().chain(few(gate, rows)).collect()
}

fn few(gate: &GateSpec, rows: u64) -> Option<String> {
    let min = gate.min_rows.filter(|min| rows < *min)?;
    Some(format!("{}, fewer than min_rows ({min})", number_of(rows, "row")))
}

fn over(max: Option<Limit>, part: u64, whole: u64) -> Option<String> {
    let max = max.filter(|max| max.is_exceeded(part, whole))?;
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    Some(format!("{} of {} ({percent:.1}%), more than {max}", HumanCount(part), number_of(whole, "row")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_closes_above_its_limit_and_below_its_minimum() {
        let gate = GateSpec { max_rejected: Some(Limit::Share(0.5)), min_rows: Some(10) };
        assert_eq!(of_table(&gate, 10, 5), Vec::<String>::new());
        assert_eq!(of_table(&gate, 10, 6), ["rejected: 6 of 10 rows (60.0%), more than 50%"]);
        assert_eq!(of_table(&gate, 9, 0), ["9 rows, fewer than min_rows (10)"]);
    }
}
