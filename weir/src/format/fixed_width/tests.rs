//! Fixed-width lines compared with a simple implementation that takes lines apart by their characters.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use proptest::prelude::*;

use super::FixedWidth;
use crate::format::csv::CsvForm;
use crate::format::testing::{Outcome, Reading, Row};
use crate::task::ShortLines;

/// Texts `c0` and `c1`; the first two characters and those from the fifth to the seventh.
const CHARACTERS: [(usize, usize); 2] = [(0, 2), (4, 7)];

fn reading(ignore_unknown: bool) -> Reading {
    let mut reading = Reading::of(&[("c0", DataType::Utf8View), ("c1", DataType::Utf8View)]);
    for (column, characters) in reading.columns.iter_mut().zip(["1-2", "5-7"]) {
        Arc::make_mut(column).characters = Some(characters.parse().unwrap());
    }
    Reading { ignore_unknown, ..reading }
}

fn form(trims: bool, short_lines: ShortLines) -> FixedWidth {
    FixedWidth::new(&CsvForm::default(), trims, short_lines)
}

fn reference(text: &str, trims: bool, fills: bool, ignore_unknown: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for (line, raw) in (1..).zip(text.split('\n')) {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        if raw.is_empty() {
            continue;
        }
        match row(&raw.chars().collect::<Vec<_>>(), trims, fills, ignore_unknown) {
            Ok(row) => outcome.rows.push(row),
            Err(reason) => outcome.rejected.push((line, raw.to_owned(), reason.to_owned())),
        }
    }
    outcome
}

fn row(line: &[char], trims: bool, fills: bool, ignore_unknown: bool) -> Result<Row, &'static str> {
    if line.len() < 7 && !fills {
        return Err("too_few_characters");
    }
    let is_declared = |at: usize| CHARACTERS.iter().any(|(from, to)| (*from..*to).contains(&at));
    if !ignore_unknown && line.iter().enumerate().any(|(at, c)| !c.is_whitespace() && !is_declared(at)) {
        return Err("undeclared_characters");
    }
    let value = |(from, to): (usize, usize)| {
        let value: String = line.iter().skip(from).take(to - from).collect();
        let shown = if trims { value.trim() } else { &value };
        (!value.trim().is_empty()).then(|| shown.to_owned())
    };
    Ok(CHARACTERS.map(value).to_vec())
}

proptest! {
    #[test]
    fn lines_are_taken_apart_by_their_characters(
        lines in proptest::collection::vec("[a é7\u{a0}😀]{0,9}\r?", 0..20),
        ends_line in any::<bool>(),
        (trims, fills, ignore_unknown) in any::<(bool, bool, bool)>(),
        block_bytes in 1usize..200,
        partitions in 1usize..3,
    ) {
        let text = lines.join("\n") + if ends_line { "\n" } else { "" };
        prop_assume!(!text.trim_ascii().is_empty());
        let short_lines = if fills { ShortLines::Fill } else { ShortLines::Reject };
        let reading = reading(ignore_unknown).cut(block_bytes, partitions);
        let outcome = reading.read_as(form(trims, short_lines), text.as_bytes()).unwrap();
        prop_assert_eq!(outcome.sorted(), reference(&text, trims, fills, ignore_unknown).sorted());
    }
}

#[test]
fn a_line_that_is_no_text_is_rejected_alone() {
    let outcome = reading(true).read_as(form(true, ShortLines::Reject), b"ab--cde\n\xff\xfe--cde\nfg--hij\n").unwrap();
    let row = |values: [&str; 2]| values.map(|value| Some(value.to_owned())).to_vec();
    assert_eq!(outcome.rows, [row(["ab", "cde"]), row(["fg", "hij"])]);
    assert_eq!(outcome.rejected.len(), 1);
    assert_eq!((outcome.rejected[0].0, outcome.rejected[0].2.as_str()), (2, "invalid_utf8"));
}
