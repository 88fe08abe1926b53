//! Why no model can do better.

use super::bars::{Bar, bars};
use super::page::{figure, percent, thousands};
use crate::Result;
use crate::evaluate::{Evaluation, look_alikes};
use crate::schema::{Attribute, Car};
use crate::table::Table;

/// The ceiling in plain words.
pub(super) fn section(table: &Table, evaluation: &Evaluation) -> Result<String> {
    let groups = look_alikes(table);
    let ceiling = evaluation.ceiling;
    let one_each = ceiling.rows == groups.len();
    let within = match one_each {
        true => "the cars of a group all have different prices, so whatever price is said, at most one is right",
        false => {
            "whatever price is said, only the cars that have it are right; the commonest is the best that can be said"
        }
    };
    let chart = figure(
        "",
        "Groups of cars that only the price tells apart",
        &sizes(&groups)?,
        "By the number of cars in a group: the more, the less can be right about them.",
    );
    Ok(format!(
        "<h2>Why {} is the limit</h2>\n<div class=\"split\">\n<div>\n<p>A model sees everything of a car but its price. \
         Cars that are alike in all of that get the same answer, whatever the model. The {} cars fall into {} groups of \
         look-alikes, and {within}. That makes {} right answers out of {}: {}.</p>\n{}</div>\n{chart}</div>\n",
        percent(ceiling.accuracy),
        thousands(table.cars().len()),
        thousands(groups.len()),
        thousands(ceiling.rows),
        thousands(table.cars().len()),
        percent(ceiling.accuracy),
        example(&groups),
    ))
}

/// The first group with every price, if there is one.
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
            "<p>There are, for example, cars with <code>{}</code> at every price, and nothing tells which is which.</p>\n",
            levels.join(" ")
        )
    })
}

/// What a file repeats many times would need no end of bars.
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
    bars("How many groups of look-alikes have so many cars", &all)
}
