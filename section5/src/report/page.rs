//! The HTML page of the report, without external resources.

const STYLE: &str = include_str!("style.css");

/// A section of the page, with a heading that can be linked to.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) body: String,
}

impl Section {
    pub(super) fn html(&self) -> String {
        format!("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", self.id, escape(&self.title), self.body)
    }
}

/// The table of contents.
pub(super) fn contents(sections: &[Section]) -> String {
    let link = |section: &Section| format!("<li><a href=\"#{}\">{}</a></li>\n", section.id, escape(&section.title));
    let links: String = sections.iter().map(link).collect();
    format!("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">Contents</h2>\n<ul>\n{links}</ul>\n</nav>\n")
}

/// The complete file.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A chart with a title and a caption.
pub(super) fn figure(title: &str, svg: &str, caption: &str) -> String {
    let caption = if caption.is_empty() { String::new() } else { format!("<figcaption>{caption}</figcaption>\n") };
    format!("<figure class=\"card\">\n<h3>{}</h3>\n{svg}{caption}</figure>\n", escape(title))
}

/// A key figure with its description.
pub(super) fn tile(class: &str, number: &str, what: &str) -> String {
    format!("<div class=\"tile {class}\"><b>{}</b><span>{}</span></div>\n", escape(number), escape(what))
}

/// A table of numbers whose first column has names; some rows are highlighted.
pub(super) fn table(head: &[&str], rows: &[(bool, Vec<String>)]) -> String {
    let heads: String = head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let row = |(marked, row): &(bool, Vec<String>)| {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr{}>{cells}</tr>\n", if *marked { " class=\"best\"" } else { "" })
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table>\n<tr>{heads}</tr>\n{rows}</table></div>\n")
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As a percentage with one decimal.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// With thousands separators.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number of repetitions as text.
pub(super) fn times(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{} times", thousands(number)) }
}
