//! Tables with captions, and bars in their cells.

use weir_page::{escape, thousands};

use super::percent;
use crate::profile::TopValues;

/// Names and values, a row each. The values are HTML.
pub(super) fn pairs(caption: &str, rows: &[(&str, String)]) -> String {
    let row = |(name, value): &(&str, String)| format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n");
    let rows: String = rows.iter().map(row).collect();
    format!("<table class=\"pairs\">\n<caption>{}</caption>\n{rows}</table>\n", escape(caption))
}

/// The most frequent values with their counts.
pub(super) fn top(caption: &str, top: &TopValues, values: u64) -> String {
    let row = |(value, count): (String, u64)| {
        let share = count as f64 / values.max(1) as f64;
        let count = thousands(count);
        format!("<tr><th scope=\"row\">{value}</th><td>{count}</td><td>{}</td>{}</tr>\n", percent(share), bar(share))
    };
    let rows: String = top.values.iter().map(|of| row((code(&of.value), of.count))).collect();
    let error = match top.error {
        0 => String::new(),
        error => format!(" Each may occur up to {} times more often.", thousands(error)),
    };
    format!(
        "<table class=\"top\">\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">value</th><th scope=\"col\">count</th>\
         <th scope=\"col\">share</th><th scope=\"col\" aria-hidden=\"true\"></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        escape(caption) + &error
    )
}

/// A cell with a bar.
pub(super) fn bar(share: f64) -> String {
    format!("<td class=\"bar\" aria-hidden=\"true\"><i style=\"width:{:.1}%\"></i></td>", share.clamp(0.0, 1.0) * 100.0)
}

/// A value.
pub(super) fn code(value: &str) -> String {
    match value {
        "" => "<em>empty</em>".to_owned(),
        value => format!("<code>{}</code>", escape(value)),
    }
}

/// Something that may be wider than the screen, which scrolls within itself.
pub(super) fn pan(label: &str, content: &str) -> String {
    format!("<div class=\"pan\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n{content}</div>\n", escape(label))
}
