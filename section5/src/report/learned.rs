//! The section about the fitted model.

use super::heatmap::{Cell, Heatmap, Row};
use super::page::figure;
use crate::Result;
use crate::model::{BayesInversion, Model};
use crate::schema::{Attribute, Known};
use crate::table::Table;

/// The prices by class, and the weights of the model.
pub(super) fn section(bayes: &BayesInversion, table: &Table) -> Result<String> {
    let prices = figure(
        "",
        "Price by class, other features averaged out",
        &prices_by_class(bayes, table)?,
        "A row per class: the probability of each price if nothing else is known.",
    );
    let weights = figure(
        "",
        "Weights for the class",
        &weights(bayes)?,
        "Contribution of each value to the log score of each class: blue increases the probability of the class, \
         orange decreases it.",
    );
    Ok(format!(
        "<h2>Parameters of the model</h2>\n<div class=\"split\">\n<div class=\"column\">\n\
         <p>The class depends on the price and the other attributes. So the model predicts the class, and Bayes’ rule \
         inverts it. A car that is acceptable despite expensive maintenance must be cheap to buy; one that is \
         unacceptable because it is unsafe, or seats two, may have any price.</p>\n\
         {prices}</div>\n{weights}</div>\n"
    ))
}

fn prices_by_class(bayes: &BayesInversion, table: &Table) -> Result<String> {
    let row = |(class, name): (u8, &&str)| {
        let known = Known::default().with(Attribute::Class, class);
        Row::Cells((*name).to_owned(), bayes.predict_partial(&known, table).map(Cell::percent).into())
    };
    let heatmap = Heatmap {
        description: "Probability of each price, given the class",
        axes: Some(("class", "price")),
        columns: Attribute::Buying.levels().iter().map(|price| (*price).to_owned()).collect(),
        rows: (0..).zip(Attribute::Class.levels()).map(row).collect(),
        cell_height: 40,
    };
    heatmap.draw()
}

fn weights(bayes: &BayesInversion) -> Result<String> {
    let weights: Vec<_> = bayes.class().weights().collect();
    let largest =
        weights.iter().flat_map(|(_, _, row)| row).fold(f64::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
    let mut rows = Vec::new();
    let mut last = None;
    for (input, level, row) in weights {
        if last != Some(input) {
            rows.push(Row::Heading(input.name().to_owned()));
            last = Some(input);
        }
        let cell = |weight: f64| Cell { strength: weight / largest, text: signed(weight) };
        rows.push(Row::Cells(input.level_name(level).to_owned(), row.into_iter().map(cell).collect()));
    }
    let heatmap = Heatmap {
        description: "Weight of each value for each class",
        axes: None,
        columns: Attribute::Class.levels().iter().map(|class| (*class).to_owned()).collect(),
        rows,
        cell_height: 22,
    };
    heatmap.draw()
}

/// With a sign, unless it is rounded to zero.
fn signed(weight: f64) -> String {
    let text = format!("{weight:+.1}").replace('-', "−");
    if weight.abs() < 0.05 { "0.0".to_owned() } else { text }
}
