//! The section about the models' scores.

use super::bars::accuracies;
use super::heatmap::{Cell, Heatmap, Row};
use super::page::{Section, escape, figure, percent, table, times};
use crate::Result;
use crate::evaluate::{Evaluation, Scores};
use crate::model::Kind;
use crate::schema::Attribute;

/// The scores of all models.
pub(super) fn comparison(evaluation: &Evaluation) -> Result<Section> {
    let settings = evaluation.settings;
    let chart = figure(
        "Accuracy",
        &accuracies(evaluation)?,
        "A dot is the mean over all folds, a line is ± one standard error.",
    );
    let body = format!(
        "<p>Every model is fitted to {} of {} folds of the cars and tested on the \
         remaining one, for all folds in turn; this is done {}. A model that predicts \
         the price directly can do worse than guessing: in a table that has every combination once, the held-out cars \
         are exactly those that the training cars lack. The inversion works: predict the probability of the class \
         at each price, and compute the probability of each price given the class with Bayes’ rule.</p>\n\
         <div class=\"grid\">\n{chart}{}</div>\n",
        settings.folds - 1,
        settings.folds,
        match settings.repeats {
            1 => times(1),
            repeats => format!("{}, with other folds each time", times(repeats)),
        },
        scores_table(evaluation),
    );
    Ok(Section { id: "models".to_owned(), title: "The models compared".to_owned(), body })
}

/// The confusion matrices, that of the best model first.
pub(super) fn confusion_matrices(evaluation: &Evaluation) -> Result<Section> {
    let best = evaluation.best();
    let others = evaluation.models.iter().filter(|scores| {
        scores.candidate.model != Kind::Majority && Some(scores.candidate) != best.map(|best| best.candidate)
    });
    let matrices: String = best.into_iter().chain(others).map(confusion).collect::<Result<_>>()?;
    let body = format!(
        "<div class=\"split\">\n<div>\n<p>A row per true price, a column per predicted one, in percent of the row, over \
         all repetitions. The outlined diagonal is correct.</p>\n\
         <p>Precision is the share of correct predictions among those of a price, recall the share of correct \
         predictions among the cars with that price, and F1 their harmonic mean.</p></div>\n{}</div>\n\
         <div class=\"grid\">\n{matrices}</div>\n",
        best.map(of_prices).unwrap_or_default()
    );
    Ok(Section { id: "confusion".to_owned(), title: "Confusion matrices".to_owned(), body })
}

fn scores_table(evaluation: &Evaluation) -> String {
    let best = evaluation.best().map(|scores| scores.candidate);
    let row = |scores: &Scores| {
        let row = vec![
            format!("{}, {}", scores.candidate.model.name(), scores.candidate.feature_set.name()),
            format!("{} ± {:.1}", percent(scores.accuracy_mean), scores.accuracy_standard_error * 100.0),
            format!("{:.3}", scores.macro_f1),
            format!("{:.3}", scores.log_loss),
            format!("{:.4}", scores.p_value),
        ];
        (best == Some(scores.candidate), row)
    };
    let rows: Vec<_> = evaluation.models.iter().map(row).collect();
    let head = ["model, features", "accuracy", "macro F1", "log loss", "p"];
    format!(
        "<figure class=\"card wide\">\n<h3>All scores</h3>\n{}<figcaption>Standard errors are corrected for folds that \
         share training cars (Nadeau and Bengio). Log loss is in nats; equal probabilities have {:.3}. p is the p-value \
         of a test with {} permutations of the prices.</figcaption></figure>\n",
        table(&head, &rows),
        (Attribute::Buying.levels().len() as f64).ln(),
        super::thousands(evaluation.settings.permutations)
    )
}

fn confusion(scores: &Scores) -> Result<String> {
    let prices: Vec<String> = Attribute::Buying.levels().iter().map(|price| (*price).to_owned()).collect();
    let row = |(price, counts): (&String, &[u64; 4])| {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        Row { name: price.clone(), cells: counts.iter().map(|count| Cell::percent(*count as f64 / all)).collect() }
    };
    let title = title(scores);
    let description = format!("Confusion matrix of {title}");
    let heatmap = Heatmap {
        description: &description,
        axes: Some(("true", "predicted")),
        columns: prices.clone(),
        rows: prices.iter().zip(&scores.confusion).map(row).collect(),
        cell_height: 36,
        has_diagonal: true,
    };
    Ok(figure(&title, &heatmap.draw()?, ""))
}

fn of_prices(best: &Scores) -> String {
    let row = |of_price: &crate::evaluate::OfPrice| {
        let numbers = [of_price.precision, of_price.recall, of_price.f1].map(|number| format!("{number:.3}"));
        (false, std::iter::once(of_price.price.clone()).chain(numbers).collect())
    };
    let rows: Vec<_> = best.prices.iter().map(row).collect();
    format!(
        "<figure class=\"card\">\n<h3>Scores by price: {}</h3>\n{}</figure>\n",
        escape(&title(best)),
        table(&["price", "precision", "recall", "F1"], &rows)
    )
}

fn title(scores: &Scores) -> String {
    format!("{}, {}", scores.candidate.model.name(), scores.candidate.feature_set.label())
}
