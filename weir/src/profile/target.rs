//! Columns compared with a target: how the target differs between groups of rows with similar values.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::error::Result as QueryResult;
use serde::Serialize;

use super::kind::{self, Kind};
use super::moments::Moments;
use super::shown::ShownValues;
use super::{ProfiledColumn, hash_of};

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
const OTHERS: &str = "other values";

/// The groups in which rows are compared, as a sample of the rows tells them.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The place of the target among the columns.
    target: usize,
    /// The classes of a target of few values; none if its mean is compared.
    classes: Option<Grouping>,
    columns: Vec<Option<Grouping>>,
}

/// How rows belong to groups by their values in a column.
#[derive(Debug)]
enum Grouping {
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

    fn labels(&self) -> &[String] {
        match self {
            Self::Values { labels, .. } | Self::Bins { labels, .. } => labels,
        }
    }

    /// The group of each row; none for null.
    fn groups(&self, rows: &RecordBatch, at: usize, places: Option<&[f64]>) -> Vec<Option<usize>> {
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

/// The rows of a group.
#[derive(Debug, Clone)]
struct Cell {
    /// Rows of each class of the target; empty if its mean is compared.
    classes: Vec<u64>,
    moments: Moments,
}

/// What is known of the groups so far.
#[derive(Debug)]
pub(super) struct TargetProfiler {
    groups: Arc<Groups>,
    /// Rows in which the target is null: they are in no group.
    without: u64,
    /// The cells of each column: one for each group, and one for nulls.
    cells: Vec<Vec<Cell>>,
}

impl TargetProfiler {
    pub(super) fn new(groups: Arc<Groups>) -> Self {
        let classes = groups.classes.as_ref().map_or(0, |classes| classes.labels().len());
        let cell = Cell { classes: vec![0; classes], moments: Moments::default() };
        let number = |grouping: &Option<Grouping>| grouping.as_ref().map_or(0, |of| of.labels().len() + 1);
        let cells = groups.columns.iter().map(|grouping| vec![cell.clone(); number(grouping)]).collect();
        Self { groups, without: 0, cells }
    }

    pub(super) fn update(&mut self, rows: &RecordBatch, places: &[Option<Vec<f64>>]) {
        let target = self.groups.target;
        let of_target = places[target].as_deref();
        let classes = self.groups.classes.as_ref().map(|classes| classes.groups(rows, target, of_target));
        let has_target = |row: usize| match (&classes, of_target) {
            (Some(classes), _) => classes[row].is_some(),
            (None, Some(places)) => places[row].is_finite(),
            (None, None) => false,
        };
        let with: Vec<usize> = (0..rows.num_rows()).filter(|row| has_target(*row)).collect();
        self.without += (rows.num_rows() - with.len()) as u64;
        for (at, (grouping, cells)) in self.groups.columns.iter().zip(&mut self.cells).enumerate() {
            let Some(grouping) = grouping else { continue };
            let groups = grouping.groups(rows, at, places[at].as_deref());
            let of_nulls = cells.len() - 1;
            for row in &with {
                let cell = &mut cells[groups[*row].unwrap_or(of_nulls)];
                match (&classes, of_target) {
                    (Some(classes), _) => cell.classes[classes[*row].unwrap_or_default()] += 1,
                    (None, Some(places)) => cell.moments.add(places[*row]),
                    (None, None) => {}
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.without += other.without;
        for (cell, other) in self.cells.iter_mut().flatten().zip(other.cells.iter().flatten()) {
            cell.classes.iter_mut().zip(&other.classes).for_each(|(count, other)| *count += other);
            cell.moments.merge(&other.moments);
        }
    }

    pub(super) fn finish(&self, columns: &[ProfiledColumn], shown: &ShownValues) -> TargetProfile {
        let target = &columns[self.groups.target].name;
        let classes = self.groups.classes.as_ref();
        let used = |class: &usize| self.cells.iter().flatten().any(|cell| cell.classes[*class] > 0);
        let classes: Option<Vec<usize>> = classes.map(|classes| (0..classes.labels().len()).filter(used).collect());
        let of_columns = self.groups.columns.iter().zip(&self.cells).zip(columns);
        let mut compared: Vec<ComparedColumn> = of_columns
            .filter_map(|((grouping, cells), column)| {
                let labels = labels(grouping.as_ref()?.labels(), shown.of(&column.name) || is_bins(grouping));
                Some(compared(column, labels, cells, classes.as_deref()))
            })
            .collect();
        compared.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        TargetProfile {
            column: target.clone(),
            without: self.without,
            measure: match classes {
                Some(_) => "Cramér's V, with the correction of Bergsma for the number of groups",
                None => "correlation ratio, corrected for the number of groups",
            },
            classes: classes.map(|used| {
                let all = labels(self.groups.classes.as_ref().map_or(&[], Grouping::labels), shown.of(target));
                used.iter().map(|class| all[*class].clone()).collect()
            }),
            columns: compared,
        }
    }
}

fn is_bins(grouping: &Option<Grouping>) -> bool {
    matches!(grouping, Some(Grouping::Bins { .. }))
}

/// The labels of groups, without values if these are not shown.
fn labels(labels: &[String], are_shown: bool) -> Vec<String> {
    let label = |(at, label): (usize, &String)| match are_shown || label == OTHERS {
        true => label.clone(),
        false => format!("value {}", at + 1),
    };
    labels.iter().enumerate().map(label).collect()
}

/// The columns of a table, compared with one of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TargetProfile {
    pub(crate) column: String,
    /// Rows in which the target is null: they are left out.
    pub(crate) without: u64,
    /// What the strengths are.
    pub(crate) measure: &'static str,
    /// The values of the target, if there are few; otherwise its means are compared.
    pub(crate) classes: Option<Vec<String>>,
    /// The columns with the strongest relation first.
    pub(crate) columns: Vec<ComparedColumn>,
}

/// A column, compared with the target.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ComparedColumn {
    pub(crate) name: String,
    /// From 0 for no relation to 1.
    pub(crate) strength: f64,
    pub(crate) groups: Vec<ComparedGroup>,
}

/// Rows with similar values.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ComparedGroup {
    /// Null for the rows without a value.
    pub(crate) label: Option<String>,
    pub(crate) rows: u64,
    #[serde(flatten)]
    pub(crate) measure: GroupMeasure,
}

/// The target in a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupMeasure {
    /// The share of each class.
    Shares(Vec<f64>),
    Mean(f64),
}

fn compared(column: &ProfiledColumn, labels: Vec<String>, cells: &[Cell], classes: Option<&[usize]>) -> ComparedColumn {
    let labels = labels.into_iter().map(Some).chain([None]);
    let group = |(label, cell): (Option<String>, &Cell)| {
        let (rows, measure) = match classes {
            Some(classes) => {
                let rows: u64 = cell.classes.iter().sum();
                let share = |class: &usize| cell.classes[*class] as f64 / rows.max(1) as f64;
                (rows, GroupMeasure::Shares(classes.iter().map(share).collect()))
            }
            None => (cell.moments.count(), GroupMeasure::Mean(cell.moments.mean().unwrap_or(0.0))),
        };
        (rows > 0).then_some(ComparedGroup { label, rows, measure })
    };
    let strength = match classes {
        Some(_) => cramers_v(cells),
        None => correlation_ratio(cells),
    };
    ComparedColumn { name: column.name.clone(), strength, groups: labels.zip(cells).filter_map(group).collect() }
}

/// The correction is that of Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013: a column without a
/// relation has about 0, however many values it has.
fn cramers_v(cells: &[Cell]) -> f64 {
    let table: Vec<&Vec<u64>> =
        cells.iter().map(|cell| &cell.classes).filter(|classes| classes.iter().sum::<u64>() > 0).collect();
    let sum = |class: usize| table.iter().map(|classes| classes[class]).sum::<u64>() as f64;
    let sums: Vec<f64> = (0..table.first().map_or(0, |classes| classes.len())).map(sum).collect();
    let all: f64 = sums.iter().sum();
    let (rows, columns) = (table.len() as f64, sums.iter().filter(|sum| **sum > 0.0).count() as f64);
    if rows < 2.0 || columns < 2.0 || all < 2.0 {
        return 0.0;
    }
    let of_group = |classes: &&Vec<u64>| {
        let group: u64 = classes.iter().sum();
        let term = |(count, sum): (&u64, &f64)| match *sum > 0.0 {
            true => (*count as f64).powi(2) / (group as f64 * sum),
            false => 0.0,
        };
        classes.iter().zip(&sums).map(term).sum::<f64>()
    };
    let square = table.iter().map(of_group).sum::<f64>() - 1.0;
    let corrected = (square - (rows - 1.0) * (columns - 1.0) / (all - 1.0)).max(0.0);
    let less = |count: f64| count - (count - 1.0).powi(2) / (all - 1.0);
    let most = (less(rows).min(less(columns)) - 1.0).max(f64::EPSILON);
    (corrected / most).sqrt().min(1.0)
}

/// The square root of the share of the variance that is between the groups, adjusted for their number.
fn correlation_ratio(cells: &[Cell]) -> f64 {
    let mut whole = Moments::default();
    cells.iter().for_each(|cell| whole.merge(&cell.moments));
    let groups = cells.iter().filter(|cell| cell.moments.count() > 0).count() as f64;
    let rows = whole.count() as f64;
    let within: f64 = cells.iter().map(|cell| cell.moments.squares()).sum();
    if rows <= groups || whole.squares() <= 0.0 {
        return 0.0;
    }
    (1.0 - within / (rows - groups) / (whole.squares() / (rows - 1.0))).max(0.0).sqrt()
}
