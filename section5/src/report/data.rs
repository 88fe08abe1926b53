//! The data at a glance.

use super::bars::{Bar, bars};
use super::heatmap::{Cell, Heatmap, Row};
use super::page::{figure, table as html_table, thousands};
use crate::Result;
use crate::association::{conditional, cramers_v};
use crate::schema::Attribute;
use crate::selection::Selection;
use crate::table::Table;

/// How attributes are distributed, and what they tell of each other.
pub(super) fn section(table: &Table) -> Result<String> {
    let most = Attribute::ALL.iter().flat_map(|attribute| counts(table, *attribute)).max().unwrap_or(1);
    let distributions: String =
        Attribute::ALL.iter().map(|attribute| distribution(table, *attribute, most)).collect::<Result<_>>()?;
    let associations = figure(
        "",
        "What attributes tell of each other",
        &associations(table)?,
        "Cramér’s V, corrected for its bias: 0 tells nothing, 1 tells all.",
    );
    Ok(format!(
        "<h2>The data at a glance</h2>\n<p>How many cars have each value of each attribute. Where all bars are equally \
         long, that is how the data was made: it is no sample of cars on the road.</p>\n\
         <div class=\"grid\">\n{distributions}<div class=\"wide\">\n<p>By itself, only an attribute that is associated \
         with <code>buying</code> says something of the price. Once it is known, others can add to it: the class follows \
         from the price and all other attributes together, so what it says of the price depends on them.</p></div>\n</div>\n\
         <div class=\"grid\">\n{associations}{}</div>\n",
        selection(table)
    ))
}

/// How many cars have each level.
fn counts(table: &Table, attribute: Attribute) -> Vec<usize> {
    let mut counts = vec![0; attribute.levels().len()];
    table.cars().iter().for_each(|car| counts[usize::from(car.level(attribute))] += 1);
    counts
}

fn distribution(table: &Table, attribute: Attribute, most: usize) -> Result<String> {
    let bar = |(name, count): (&&str, usize)| Bar {
        name: (*name).to_owned(),
        share: count as f64 / most as f64,
        value: thousands(count),
    };
    let levels: Vec<Bar> = attribute.levels().iter().zip(counts(table, attribute)).map(bar).collect();
    let says = format!("How many cars have each value of {}", attribute.name());
    Ok(figure("", attribute.name(), &bars(&says, &levels)?, ""))
}

fn associations(table: &Table) -> Result<String> {
    let cell = |a: Attribute, b: Attribute| {
        let strength = cramers_v(table, a, b);
        Cell { strength, text: format!("{strength:.2}") }
    };
    let row = |a: Attribute| Row::Cells(a.name().to_owned(), Attribute::ALL.iter().map(|b| cell(a, *b)).collect());
    let heatmap = Heatmap {
        says: "Cramér's V of each two attributes",
        axes: None,
        columns: Attribute::ALL.iter().map(|attribute| attribute.name().to_owned()).collect(),
        rows: Attribute::ALL.into_iter().map(row).collect(),
        cell_height: 34,
    };
    heatmap.draw()
}

/// What each feature tells of the price, alone and when it is its turn.
fn selection(table: &Table) -> String {
    let taken = Selection::of(table).taken;
    let row = |feature: &Attribute| {
        let alone = conditional(table, Attribute::Buying, *feature, &[]).mutual_information;
        let turn = taken.iter().position(|(other, _)| other == feature);
        let told = turn.map_or(("–".to_owned(), "–".to_owned()), |turn| {
            ((turn + 1).to_string(), format!("{:.3}", taken[turn].1.mutual_information))
        });
        let v = cramers_v(table, Attribute::Buying, *feature);
        (turn.is_some(), vec![feature.name().to_owned(), format!("{alone:.3}"), format!("{v:.2}"), told.0, told.1])
    };
    let rows: Vec<_> = Attribute::FEATURES.iter().map(row).collect();
    let head = ["feature", "alone, nats", "Cramér’s V", "taken", "then, nats"];
    format!(
        "<figure class=\"card wide\">\n<h3>Features selected from the data</h3>\n{}<figcaption>Mutual information with the \
         price. Each time the feature is taken that adds most to those before it, as long as that is not chance \
         (G-test, 1 % shared among the features). In cross-validation the selection is made anew from the training cars \
         of each fold.</figcaption></figure>\n",
        html_table(&head, &rows)
    )
}
