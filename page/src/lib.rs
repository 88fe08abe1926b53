//! HTML pages in one file: no script, no external resource, light and dark mode, narrow and wide screens.

const STYLE: &str = include_str!("style.css");

/// A section of a page, with a heading that can be linked to.
#[derive(Debug)]
pub struct Section {
    /// The target of links to it.
    pub id: String,
    /// The heading, as text.
    pub title: String,
    /// What is below the heading, as HTML.
    pub body: String,
}

impl Section {
    /// The section as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        format!("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", self.id, escape(&self.title), self.body)
    }
}

/// The table of contents.
#[must_use]
pub fn contents(sections: &[Section]) -> String {
    let link = |section: &Section| format!("<li><a href=\"#{}\">{}</a></li>\n", section.id, escape(&section.title));
    let links: String = sections.iter().map(link).collect();
    format!("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">Contents</h2>\n<ul>\n{links}</ul>\n</nav>\n")
}

/// The complete file. `head` is added to the head, `style` to the style sheet that all pages have; `body` is HTML.
#[must_use]
pub fn page(title: &str, head: &str, style: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n{head}\
         <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A chart with a title and a caption, which is HTML.
#[must_use]
pub fn figure(title: &str, svg: &str, caption: &str) -> String {
    let caption = if caption.is_empty() { String::new() } else { format!("<figcaption>{caption}</figcaption>\n") };
    format!("<figure class=\"card\">\n<h3>{}</h3>\n{svg}{caption}</figure>\n", escape(title))
}

/// A key figure with its description.
#[must_use]
pub fn tile(class: &str, number: &str, what: &str) -> String {
    format!("<div class=\"tile {class}\"><b>{}</b><span>{}</span></div>\n", escape(number), escape(what))
}

/// A table of numbers whose first column has names; some rows are highlighted.
#[must_use]
pub fn table(head: &[&str], rows: &[(bool, Vec<String>)]) -> String {
    let heads: String = head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let row = |(marked, row): &(bool, Vec<String>)| {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr{}>{cells}</tr>\n", if *marked { " class=\"best\"" } else { "" })
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table>\n<tr>{heads}</tr>\n{rows}</table></div>\n")
}

/// Escapes text for HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As a percentage with one decimal.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// With thousands separators.
#[must_use]
pub fn thousands(number: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_separators_between_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(percent(0.1234), "12.3 %");
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        let section = Section { id: "a".to_owned(), title: "<b>".to_owned(), body: String::new() };
        assert!(
            !page("<i>", "", "", &(contents(&[section]) + &table(&["<i>"], &[(true, vec!["<i>".to_owned()])])))
                .contains("<i>")
        );
    }
}
