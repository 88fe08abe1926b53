//! The groups of rows in which a target is compared.

use std::collections::HashMap;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::error::Result as QueryResult;

use super::super::kind::{self, Kind};
use super::super::{ProfiledColumn, hash_of};

/// The most values of a column that are a group each; of a target that are a class each.
const MOST_VALUES: usize = 12;

/// The most different values of a target of texts.
const MOST_CLASSES: usize = 50;

/// Groups of a column of numbers.
const BINS: usize = 10;

/// The least share of rows of a text that is a group of its own.
const LEAST_SHARE: f64 = 0.005;

/// The characters of a value in a label.
const LABEL: usize = 40;

/// Where a null belongs that is no group of its own.
pub(super) const OTHERS: &str = "other values";

/// The groups in which rows are compared, as a sample of the rows tells them.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The place of the target among the columns.
    pub(super) target: usize,
    /// The classes of a target of few values; none if its mean is compared.
    pub(super) classes: Option<Grouping>,
    pub(super) columns: Vec<Option<Grouping>>,
}

/// How rows belong to groups by their values in a column.
#[derive(Debug)]
pub(super) enum Grouping {
    /// By value; the last group has all other values.
    Values { groups: HashMap<u64, usize>, labels: Vec<String>, places: bool },
    /// By limits, each of which is the greatest value of its group; the last group has none.
    Bins { limits: Vec<f64>, labels: Vec<String> },
}

/// A value of the sample with its number of rows.
struct Counted {
    key: u64,
    place: f64,
    label: String,
    rows: usize,
}

impl Groups {
    /// Chooses the groups of each column by a sample of the rows. The error says why there are none.
    ///
    /// # Errors
    /// If the target has one value only, or too many.
    pub(crate) fn of(sample: &RecordBatch, columns: &[ProfiledColumn], target: usize) -> Result<Self, String> {
        let read = |at: usize| counted(sample, at, &columns[at]).map_err(|error| error.to_string());
        let kind = Kind::of(columns[target].sql_type);
        let values = read(target)?;
        let is_number = matches!(kind, Kind::Number { .. });
        match values.len() {
            _ if kind == Kind::Unprofiled || kind == Kind::Time => {
                return Err(format!("is of type {}; a target has numbers, or few values", columns[target].sql_type));
            }
            0 => return Err("has only nulls".to_owned()),
            1 => return Err("has the same value in every row".to_owned()),
            many if many > MOST_CLASSES && !is_number => {
                return Err(format!(
                    "has more than {MOST_CLASSES} different values; a target has numbers, or few values"
                ));
            }
            _ => {}
        }
        let classes = match values.len() > MOST_VALUES && is_number {
            true => None,
            false => Some(Grouping::of_values(values, kind, true)),
        };
        let grouping = |(at, column): (usize, &ProfiledColumn)| {
            let kind = Kind::of(column.sql_type);
            if at == target || kind == Kind::Unprofiled {
                return Ok(None);
            }
            let values = read(at)?;
            let is_line = matches!(kind, Kind::Number { .. } | Kind::Time);
            Ok(Some(match values.len() > MOST_VALUES && is_line {
                true => Grouping::of_bins(values, column),
                false => Grouping::of_values(values, kind, false),
            }))
        };
        let columns = columns.iter().enumerate().map(grouping).collect::<Result<_, String>>()?;
        Ok(Self { target, classes, columns })
    }
}

/// The different values of a column of the sample, in their order.
fn counted(sample: &RecordBatch, at: usize, column: &ProfiledColumn) -> QueryResult<Vec<Counted>> {
    let values = sample.column(at);
    let mut found: HashMap<u64, Counted> = HashMap::new();
    let mut add = |key: u64, place: f64, label: &dyn Fn() -> String| {
        let new = || Counted { key, place, label: label(), rows: 0 };
        found.entry(key).or_insert_with(new).rows += 1;
    };
    match Kind::of(column.sql_type) {
        kind if kind.has_places() => {
            for place in kind::places(values)?.into_iter().filter(|place| place.is_finite()) {
                add(key_of_place(place), place, &|| kind::text_at(column.sql_type, place));
            }
        }
        Kind::Text => {
            for text in values.as_string_view().iter().flatten() {
                add(hash_of(text.as_bytes()), 0.0, &|| text.chars().take(LABEL).collect());
            }
        }
        _ => {}
    }
    let mut found: Vec<Counted> = found.into_values().collect();
    found.sort_by(|a, b| a.place.total_cmp(&b.place).then_with(|| a.label.cmp(&b.label)));
    Ok(found)
}

fn key_of_place(place: f64) -> u64 {
    (place + 0.0).to_bits()
}

impl Grouping {
    /// A group for each of the most frequent values. The class of a target that is compared last is the rarest one.
    fn of_values(mut values: Vec<Counted>, kind: Kind, is_target: bool) -> Self {
        let rows: usize = values.iter().map(|value| value.rows).sum();
        if values.len() > MOST_VALUES {
            values.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.label.cmp(&b.label)));
            values.truncate(MOST_VALUES);
        }
        let places = kind.has_places();
        if !is_target && !places {
            values.retain(|value| value.rows > 1 && value.rows as f64 >= LEAST_SHARE * rows as f64);
        }
        if is_target && !places {
            values.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.label.cmp(&b.label)));
        }
        let groups = values.iter().enumerate().map(|(at, value)| (value.key, at)).collect();
        let labels = values.into_iter().map(|value| value.label).chain([OTHERS.to_owned()]).collect();
        Self::Values { groups, labels, places }
    }

    /// Groups of about as many rows each.
    fn of_bins(values: Vec<Counted>, column: &ProfiledColumn) -> Self {
        let rows: usize = values.iter().map(|value| value.rows).sum();
        let (mut limits, mut seen, mut last) = (vec![], 0, 0);
        for value in &values[..values.len() - 1] {
            seen += value.rows;
            if (seen - last) * BINS >= rows && limits.len() < BINS - 1 {
                limits.push(value.place);
                last = seen;
            }
        }
        let text = |place: f64| kind::text_at(column.sql_type, place);
        let first = limits.first().map(|limit| format!("up to {}", text(*limit)));
        let between = limits.windows(2).map(|limits| format!("above {} to {}", text(limits[0]), text(limits[1])));
        let above = limits.last().map(|limit| format!("above {}", text(*limit)));
        let labels = first.into_iter().chain(between).chain(above).collect();
        Self::Bins { limits, labels }
    }

    pub(super) fn labels(&self) -> &[String] {
        match self {
            Self::Values { labels, .. } | Self::Bins { labels, .. } => labels,
        }
    }

    /// The group of each row; none for null.
    pub(super) fn groups(&self, rows: &RecordBatch, at: usize, places: Option<&[f64]>) -> Vec<Option<usize>> {
        match (self, places) {
            (Self::Bins { limits, .. }, Some(places)) => {
                let group = |place: &f64| (!place.is_nan()).then(|| limits.partition_point(|limit| limit < place));
                places.iter().map(group).collect()
            }
            (Self::Values { groups, labels, places: true }, Some(places)) => {
                let group = |place: &f64| groups.get(&key_of_place(*place)).copied().unwrap_or(labels.len() - 1);
                places.iter().map(|place| (!place.is_nan()).then(|| group(place))).collect()
            }
            (Self::Values { groups, labels, .. }, _) => {
                let group = |text: &str| groups.get(&hash_of(text.as_bytes())).copied().unwrap_or(labels.len() - 1);
                rows.column(at).as_string_view().iter().map(|text| text.map(group)).collect()
            }
            _ => vec![None; rows.num_rows()],
        }
    }
}
