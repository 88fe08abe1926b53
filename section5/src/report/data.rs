//! The section about the data.

use super::bars::{Bar, bars};
use super::chart::NARROW;
use super::heatmap::{Cell, Heatmap, Row};
use super::page::{Section, figure, table as html_table, thousands};
use crate::Result;
use crate::association::{conditional, cramers_v};
use crate::schema::Attribute;
use crate::selection::Selection;
use crate::table::Table;

/// Distributions of the attributes, and associations between them.
pub(super) fn section(table: &Table) -> Result<Section> {
    let most = Attribute::ALL.iter().flat_map(|attribute| counts(table, *attribute)).max().unwrap_or(1);
    let distributions: String =
        Attribute::ALL.iter().map(|attribute| distribution(table, *attribute, most)).collect::<Result<_>>()?;
    let associations = figure(
        "Associations between attributes",
        &associations(table)?,
        "Cramér’s V with bias correction: 0 is independent, 1 is determined. Outlined: an attribute with \
         itself.",
    );
    let body = format!(
        "<p>Number of cars by value of each attribute. Equally long \
         bars are due to the design of the data, which is not a sample of real cars.</p>\n\
         <div class=\"grid small\">\n{distributions}<p class=\"note\">By itself, only an attribute that is associated \
         with <code>buying</code> is informative about the price. Given it, others can add information: the class \
         depends on the price and all other attributes together, so its information about the price depends on them.\
         </p>\n</div>\n\
         <div class=\"grid\">\n{associations}{}</div>\n",
        selection(table)
    );
    Ok(Section { id: "data".to_owned(), title: "Overview of the data".to_owned(), body })
}

/// Number of cars with each level.
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
    let description = format!("Number of cars by value of {}", attribute.name());
    Ok(figure(attribute.name(), &bars(&description, NARROW, &levels)?, ""))
}

fn associations(table: &Table) -> Result<String> {
    let cell = |a: Attribute, b: Attribute| {
        let strength = cramers_v(table, a, b);
        Cell { strength, text: format!("{strength:.2}") }
    };
    let row =
        |a: Attribute| Row { name: a.name().to_owned(), cells: Attribute::ALL.iter().map(|b| cell(a, *b)).collect() };
    let heatmap = Heatmap {
        description: "Cramér's V of each pair of attributes",
        axes: None,
        columns: Attribute::ALL.iter().map(|attribute| attribute.name().to_owned()).collect(),
        rows: Attribute::ALL.into_iter().map(row).collect(),
        cell_height: 34,
        has_diagonal: true,
    };
    heatmap.draw()
}

/// Information of each feature about the price, alone and when it is selected.
fn selection(table: &Table) -> String {
    let taken = Selection::of(table).taken;
    let row = |feature: &Attribute| {
        let alone = conditional(table, Attribute::Buying, *feature, &[]).mutual_information;
        let turn = taken.iter().position(|(other, _)| other == feature);
        let when_selected = turn.map_or(("–".to_owned(), "–".to_owned()), |turn| {
            ((turn + 1).to_string(), format!("{:.3}", taken[turn].1.mutual_information))
        });
        let v = cramers_v(table, Attribute::Buying, *feature);
        (
            turn.is_some(),
            vec![feature.name().to_owned(), format!("{alone:.3}"), format!("{v:.2}"), when_selected.0, when_selected.1],
        )
    };
    let rows: Vec<_> = Attribute::FEATURES.iter().map(row).collect();
    let head = ["feature", "alone, nats", "Cramér’s V", "selected", "then, nats"];
    format!(
        "<figure class=\"card wide\">\n<h3>Features selected from the data</h3>\n{}<figcaption>Mutual information with \
         the price. Forward selection: the feature that adds most to the previous ones is selected while it is \
         significant (G-test, 1 % with Bonferroni correction). In cross-validation the selection is repeated on the \
         training cars of each fold.</figcaption></figure>\n",
        html_table(&head, &rows)
    )
}
