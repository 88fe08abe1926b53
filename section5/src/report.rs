//! The report: one self-contained HTML file with charts, for light and dark mode.

mod bars;
mod chart;
mod data;
mod heatmap;
mod learned;
mod limit;
mod models;
mod page;

use chrono::NaiveDate;

use crate::Result;
use crate::evaluate::{Candidate, Evaluation};
use crate::model::{BayesInversion, Fitted, Model};
use crate::predict::Prediction;
use crate::schema::{Attribute, Known};
use crate::table::Table;

use bars::{Bar, bars};
use chart::WIDE;
use page::{Section, escape, figure, percent, thousands, tile, times};

/// The report of a day on an evaluation of these cars, and on a prediction for a partially known car. The same
/// arguments give the same bytes, because the durations of models are not included.
///
/// # Errors
/// If a model cannot be fitted.
pub fn html(table: Table, evaluation: &Evaluation, known: Known, date: NaiveDate) -> Result<String> {
    let bayes = BayesInversion::fit(&table, &Attribute::FEATURES)?;
    let fitted = Fitted::fit(table, Candidate::DEFAULT)?;
    let prediction = Prediction::of(known, &fitted);
    let table = &fitted.training;
    let sections = [
        data::section(table)?,
        models::comparison(evaluation)?,
        models::confusion_matrices(evaluation)?,
        limit::section(table, evaluation)?,
        learned::section(&bayes, table)?,
        example(&prediction)?,
    ];
    let body = [
        head(evaluation, &prediction, date),
        page::contents(&sections),
        sections.iter().map(Section::html).collect(),
        foot(evaluation),
    ];
    Ok(page::page("The buying price of a car", &body.concat()))
}

fn head(evaluation: &Evaluation, prediction: &Prediction, date: NaiveDate) -> String {
    let best = evaluation.best();
    let accuracy = best.map_or(String::new(), |scores| percent(scores.accuracy_mean));
    let name = best.map_or("", |scores| scores.candidate.model.label());
    let ceiling = evaluation.ceiling;
    let highest = prediction.probabilities.iter().copied().fold(0.0, f64::max);
    let tiles = [
        tile("", &percent(evaluation.baseline), "accuracy of guessing the most frequent price"),
        tile("accent", &accuracy, &format!("accuracy of the best model, {name}")),
        tile("", &percent(ceiling.accuracy), "maximum accuracy of any model on this data"),
        tile("accent", prediction.price(), &format!("predicted price of the example car, at {}", percent(highest))),
    ];
    format!(
        "<h1>The buying price of a car</h1>\n\
         <p class=\"muted\">Report of <time datetime=\"{date}\">{}</time>, section5 {}</p>\n\
         <p class=\"lead\">How well do maintenance, doors, persons, boot, safety and acceptability predict the price \
         class of a car? {} cars, {} models, each evaluated on held-out cars.</p>\n\
         <div class=\"tiles\">\n{}</div>\n",
        date.format("%-d %B %Y"),
        env!("CARGO_PKG_VERSION"),
        thousands(evaluation.rows),
        evaluation.models.len(),
        tiles.concat()
    )
}

/// The requested prediction.
fn example(prediction: &Prediction) -> Result<Section> {
    let names = Attribute::Buying.levels().iter().zip(prediction.probabilities);
    let shares: Vec<Bar> =
        names.map(|(name, share)| Bar { name: (*name).to_owned(), share, value: percent(share) }).collect();
    let chart = bars("Probability of each price for the example car", WIDE, &shares)?;
    let given = |text: String| format!("<code>{}</code>", escape(&text));
    let given: Vec<String> = prediction
        .known
        .given()
        .map(|(feature, level)| given(format!("{}={}", feature.name(), feature.level_name(level))))
        .collect();
    let missing: Vec<&str> = prediction.known.missing().map(Attribute::name).collect();
    let averaged = match missing.is_empty() {
        true => String::new(),
        false => format!(" Unknown features ({}) are averaged out.", escape(&missing.join(", "))),
    };
    let warnings: String = prediction.warnings.iter().map(|warning| format!("<li>{}</li>", escape(warning))).collect();
    let warning = match warnings.is_empty() {
        true => String::new(),
        false => {
            format!("<div class=\"warning\"><p><b>Limitations of this prediction</b></p><ul>{warnings}</ul></div>\n")
        }
    };
    let caption = format!(
        "{} of {} training rows have all given features.",
        thousands(prediction.matching_rows),
        thousands(prediction.rows)
    );
    let body = format!(
        "<div class=\"split\">\n<div>\n\
         <p>Given: {}.{averaged} The most probable price is <b>{}</b>.</p>\n{warning}</div>\n{}</div>\n",
        if given.is_empty() { "nothing".to_owned() } else { given.join(", ") },
        prediction.price(),
        figure("Probability of each price", &chart, &caption)
    );
    Ok(Section { id: "example".to_owned(), title: "Example prediction".to_owned(), body })
}

fn foot(evaluation: &Evaluation) -> String {
    let settings = evaluation.settings;
    format!(
        "<footer><p>section5 {}; {} cars, SHA-256 <code>{}</code>; {} folds, {}, seed {}, {} permutations. Rules \
         behind the data: Bohanec and Rajkovič, “Knowledge acquisition and explanation for multi-attribute decision \
         making”, 1988.</p></footer>\n",
        env!("CARGO_PKG_VERSION"),
        thousands(evaluation.rows),
        evaluation.data_sha256,
        settings.folds,
        times(settings.repeats),
        settings.seed,
        thousands(settings.permutations)
    )
}
