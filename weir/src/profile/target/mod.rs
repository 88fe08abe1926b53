//! Columns compared with a target: how the target differs between groups of rows with similar values.
//!
//! `groups` are chosen by a sample, and say to which a row belongs; `strength` is that of the relation.

mod groups;
mod strength;

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use serde::Serialize;

pub(crate) use groups::Groups;

use super::ProfiledColumn;
use super::moments::Moments;
use super::shown::ShownValues;
use groups::{Grouping, OTHERS};
use strength::{Cell, correlation_ratio, cramers_v};

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
