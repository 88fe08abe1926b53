//! The section about the fitted model.

use super::heatmap::{Cell, Heatmap, Row};
use super::page::{Section, figure};
use crate::Result;
use crate::model::{BayesInversion, Model};
use crate::schema::{Attribute, Known};
use crate::table::Table;

/// The prices by class, and the weights of the model.
pub(super) fn section(bayes: &BayesInversion, table: &Table) -> Result<Section> {
    let prices = figure(
        "Price by class, other features averaged out",
        &prices_by_class(bayes, table)?,
        "A row per class: the probability of each price if nothing else is known.",
    );
    let body = format!(
        "<div class=\"split\">\n<div>\n\
         <p>The class depends on the price and the other attributes. So the model predicts the class, and Bayes’ rule \
         inverts it. A car that is acceptable despite expensive maintenance must be cheap to buy; one that is \
         unacceptable because it is unsafe, or seats two, may have any price.</p>\n\
         <p>The charts below show the weights for the class: a row per value of an attribute, a column per class. A \
         weight is the contribution of the value to the log score of the class: blue increases the probability of \
         the class, orange decreases it.</p></div>\n{prices}</div>\n\
         <div class=\"grid\">\n{}</div>\n",
        weights(bayes)?
    );
    Ok(Section { id: "parameters".to_owned(), title: "Parameters of the model".to_owned(), body })
}

fn prices_by_class(bayes: &BayesInversion, table: &Table) -> Result<String> {
    let row = |(class, name): (u8, &&str)| {
        let known = Known::default().with(Attribute::Class, class);
        Row { name: (*name).to_owned(), cells: bayes.predict_partial(&known, table).map(Cell::percent).into() }
    };
    let heatmap = Heatmap {
        description: "Probability of each price, given the class",
        axes: Some(("class", "price")),
        columns: Attribute::Buying.levels().iter().map(|price| (*price).to_owned()).collect(),
        rows: (0..).zip(Attribute::Class.levels()).map(row).collect(),
        cell_height: 40,
        has_diagonal: false,
    };
    heatmap.draw()
}

/// A chart of the weights for each attribute.
fn weights(bayes: &BayesInversion) -> Result<String> {
    let weights: Vec<_> = bayes.class().weights().collect();
    let largest =
        weights.iter().flat_map(|(_, _, row)| row).fold(f64::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
    let cell = |weight: &f64| Cell { strength: weight / largest, text: signed(*weight) };
    let chart = |of_input: &[(Attribute, u8, Vec<f64>)]| {
        let input = of_input[0].0;
        let row = |(_, level, row): &(Attribute, u8, Vec<f64>)| Row {
            name: input.level_name(*level).to_owned(),
            cells: row.iter().map(cell).collect(),
        };
        let heatmap = Heatmap {
            description: &format!("Weight of each value of {} for each class", input.name()),
            axes: None,
            columns: Attribute::Class.levels().iter().map(|class| (*class).to_owned()).collect(),
            rows: of_input.iter().map(row).collect(),
            cell_height: 26,
            has_diagonal: false,
        };
        Ok(figure(&format!("Weights of {}", input.name()), &heatmap.draw()?, ""))
    };
    weights.chunk_by(|(one, ..), (other, ..)| one == other).map(chart).collect()
}

/// With a sign, unless it is rounded to zero.
fn signed(weight: f64) -> String {
    let text = format!("{weight:+.1}").replace('-', "−");
    if weight.abs() < 0.05 { "0.0".to_owned() } else { text }
}
