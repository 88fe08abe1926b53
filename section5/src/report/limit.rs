//! The section about the upper limit of the accuracy.

use super::bars::{Bar, bars};
use super::chart::WIDE;
use super::page::{Section, figure, percent, thousands};
use crate::Result;
use crate::evaluate::{Evaluation, groups_with_equal_features};
use crate::schema::{Attribute, Car};
use crate::table::Table;

/// Explains the ceiling.
pub(super) fn section(table: &Table, evaluation: &Evaluation) -> Result<Section> {
    let groups = groups_with_equal_features(table);
    let ceiling = evaluation.ceiling;
    let one_each = ceiling.rows == groups.len();
    let within = match one_each {
        true => "all cars of a group have different prices, so a prediction is correct for at most one of them",
        false => {
            "a prediction is correct only for cars with that price; the most frequent price is the best prediction"
        }
    };
    let chart = figure(
        "Groups of cars that differ only in the price",
        &sizes(&groups)?,
        "By size of the group: the larger it is, the lower the maximum accuracy.",
    );
    let body = format!(
        "<div class=\"split\">\n<div>\n<p>A model uses all attributes of a car \
         except the price. Cars with equal features get the same prediction from any model. The {} cars form {} \
         groups with equal features, and {within}. That gives at most {} correct predictions out of {}: {}.</p>\n\
         {}</div>\n\
         {chart}</div>\n",
        thousands(table.cars().len()),
        thousands(groups.len()),
        thousands(ceiling.rows),
        thousands(table.cars().len()),
        percent(ceiling.accuracy),
        example(&groups),
    );
    Ok(Section { id: "limit".to_owned(), title: format!("Why {} is the limit", percent(ceiling.accuracy)), body })
}

/// The first group with every price, if one exists.
fn example(groups: &[Vec<Car>]) -> String {
    let has_all = |group: &&Vec<Car>| {
        let prices = Attribute::Buying.levels().len();
        (0..prices).all(|price| group.iter().any(|car| car.price() == price))
    };
    groups.iter().find(has_all).map_or(String::new(), |group| {
        let levels = Attribute::FEATURES.map(|feature| {
            let level = feature.level_name(group[0].level(feature));
            format!("{}={level}", feature.name())
        });
        format!(
            "<p>For example, cars with <code>{}</code> exist at every price, and nothing distinguishes them.</p>\n",
            levels.join(" ")
        )
    })
}

/// Files with many duplicates would have too many bars.
const MOST_BARS: usize = 12;

fn sizes(groups: &[Vec<Car>]) -> Result<String> {
    let mut sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let bar = |same: &[usize]| {
        let size = same[0];
        let cars = if size == 1 { "1 car".to_owned() } else { format!("{size} cars") };
        Bar { name: cars, share: same.len() as f64 / groups.len() as f64, value: thousands(same.len()) }
    };
    let all: Vec<Bar> = sizes.chunk_by(|a, b| a == b).map(bar).take(MOST_BARS).collect();
    bars("Number of groups with equal features by number of cars", WIDE, &all)
}
