//! The section of a column.

use weir_page::{Section, figure, thousands};

use super::chart::histogram;
use super::table::{code, pairs, top};
use super::{id, measure, percent, target, warnings};
use crate::profile::{ColumnProfile, LineProfile, TargetProfile, TextProfile};

pub(super) fn section(at: usize, column: &ColumnProfile, of_target: Option<&TargetProfile>) -> Section {
    let texts: Vec<String> = column.warnings.iter().map(|warning| warning.text(column.shows_values)).collect();
    let mut cards = vec![card(&pairs("Values", &values(column)))];
    if let Some(line) = &column.line {
        if let Some(bins) = &line.histogram {
            cards.push(figure("Distribution", &histogram(&column.name, bins), &outliers(line)));
        }
        if let Some(bins) = &line.middle {
            let error = match line.rank_error {
                0.0 => String::new(),
                error => format!(" Estimated: ± {:.2} % of all values at each edge.", error * 100.0),
            };
            let caption = format!("Without what is outside of the first and the last bin.{error}");
            cards.push(figure("From the first to the last hundredth", &histogram(&column.name, bins), &caption));
        }
        cards.push(card(&quantiles(line)));
    }
    if let Some(top_values) = column.top.as_ref().filter(|top| !top.values.is_empty()) {
        cards.push(card(&top("Most frequent values.", top_values, column.values())));
    }
    if let Some(texts) = &column.texts {
        cards.push(card(&pairs("Texts", &lengths(texts))));
        if let Some(patterns) = texts.patterns.as_ref().filter(|top| !top.values.is_empty()) {
            let caption = "Most frequent patterns: 9 is a digit, a and A are letters.";
            cards.push(card(&top(caption, patterns, column.values())));
        }
    }
    let compared = of_target.and_then(|target| {
        let column = target.columns.iter().find(|compared| compared.name == column.name)?;
        Some(target::groups(target, column))
    });
    let body = format!(
        "<p class=\"muted\">{}</p>\n{}<div class=\"cards\">\n{}{}</div>\n",
        code(&column.sql_type),
        warnings(&texts),
        cards.concat(),
        compared.map_or(String::new(), |table| format!("<div class=\"card wide\">\n{table}</div>\n"))
    );
    Section { id: id(at), title: column.name.clone(), body }
}

fn card(content: &str) -> String {
    format!("<div class=\"card\">\n{content}</div>\n")
}

fn values(column: &ColumnProfile) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("values", thousands(column.values())),
        ("nulls", format!("{} ({})", thousands(column.nulls), percent(column.null_share()))),
    ];
    if let Some(distinct) = column.distinct {
        let range = match distinct.is_exact {
            true => String::new(),
            false => format!("<br><small>95 %: {} to {}</small>", thousands(distinct.least), thousands(distinct.most)),
        };
        rows.push(("distinct", super::distinct(column) + &range));
    }
    rows.extend(column.min.as_ref().map(|min| ("least", code(min))));
    rows.extend(column.max.as_ref().map(|max| ("greatest", code(max))));
    if let Some(line) = &column.line {
        rows.push(("mean", code(&line.mean.parse().map_or(line.mean.clone(), measure))));
        rows.extend(line.standard_deviation.map(|of| ("standard deviation", code(&measure(of)))));
        rows.extend(line.zeros.map(|zeros| ("zeros", thousands(zeros))));
        rows.extend(line.negatives.map(|negatives| ("negative", thousands(negatives))));
    }
    rows
}

fn outliers(line: &LineProfile) -> String {
    match line.outliers {
        Some(outliers) if outliers > 0 => {
            format!("{} outliers: further from the quartiles than 1.5 times their distance.", thousands(outliers))
        }
        Some(_) => "No outliers.".to_owned(),
        None => String::new(),
    }
}

fn quantiles(line: &LineProfile) -> String {
    const NAMES: [&str; 7] = ["1 %", "5 %", "25 %", "50 % (median)", "75 %", "95 %", "99 %"];
    let caption = match line.rank_error {
        0.0 => "Quantiles: so many values are not greater.".to_owned(),
        error => format!("Quantiles: so many values are not greater, ± {:.2} %.", error * 100.0),
    };
    let rows = NAMES.iter().zip(&line.quantiles).map(|(name, quantile)| (*name, code(&quantile.value)));
    pairs(&caption, &rows.collect::<Vec<_>>())
}

fn lengths(texts: &TextProfile) -> Vec<(&'static str, String)> {
    let example = |text: &Option<String>| {
        text.as_ref().filter(|text| !text.is_empty()).map_or(String::new(), |text| format!("<br>{}", code(text)))
    };
    vec![
        ("shortest", format!("{} characters{}", thousands(texts.shortest), example(&texts.shortest_text))),
        ("mean length", format!("{:.1}", texts.mean_length)),
        ("longest", format!("{} characters{}", thousands(texts.longest), example(&texts.longest_text))),
        ("empty", thousands(texts.empty)),
        ("with outer blanks", thousands(texts.with_blanks)),
    ]
}
