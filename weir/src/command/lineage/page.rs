//! The lineage as a page: one HTML file without scripts. A column that is clicked on is the target of a link, and the style
//! sheet marks the columns that it depends on.

use std::collections::{BTreeMap, BTreeSet};

use weir_page::{Section, contents, escape, page, thousands, tile};

use super::all_shown;
use crate::lineage::{Dependencies, Dependency, Lineage};

const STYLE: &str = include_str!("style.css");

/// What only pages of this command have: files with it may be overwritten.
pub(super) const MARK: &str = "<meta name=\"generator\" content=\"weir lineage\">";

/// The page.
pub(super) fn html(lineage: &Lineage) -> String {
    let page_of = Page::of(lineage);
    let sections = page_of.sections();
    let body = [
        head(lineage),
        contents(&sections),
        sections.iter().map(Section::html).collect(),
        format!("<footer><p>weir {}</p></footer>\n", env!("CARGO_PKG_VERSION")),
    ];
    let style = STYLE.to_owned() + &page_of.marks();
    page(&format!("Lineage of {}", lineage.task), &format!("{MARK}\n"), &style, &body.concat())
}

fn head(lineage: &Lineage) -> String {
    let columns: usize = lineage.tables.iter().map(|table| table.from_sources.columns.len()).sum();
    let tiles = [
        tile("", &thousands(lineage.sources.len() as u64), "sources"),
        tile("", &thousands(lineage.tables.len() as u64), "models and rejected routes"),
        tile("", &thousands(columns as u64), "columns of them"),
        tile("", &thousands(lineage.sinks.len() as u64), "sinks"),
    ];
    let untraced = lineage.tables.iter().flat_map(|table| table.untraced.iter().map(|what| (&table.table, what)));
    let untraced: String =
        untraced.map(|(table, what)| format!("<li><code>{}</code>: {}</li>\n", escape(table), escape(what))).collect();
    let warning = match untraced.is_empty() {
        true => String::new(),
        false => {
            format!("<div class=\"warning\"><p>Not traced, counts as all below it:</p><ul>\n{untraced}</ul></div>\n")
        }
    };
    format!(
        "<h1>Lineage of {}</h1>\n<p class=\"muted\">environment {}</p>\n\
         <p class=\"lead\">Choose a column: those that its values are computed from are marked \
         <span class=\"value\">like this</span>, those that decide whether its rows are there \
         <span class=\"presence\">like this</span>.</p>\n<div class=\"tiles\">\n{}</div>\n{warning}",
        escape(&lineage.task),
        escape(&lineage.environment),
        tiles.concat()
    )
}

/// A column of a table, by the names of both.
type Node<'a> = (&'a str, &'a str);

/// The columns of the page, by number.
struct Page<'a> {
    lineage: &'a Lineage,
    numbers: BTreeMap<Node<'a>, usize>,
}

impl<'a> Page<'a> {
    fn of(lineage: &'a Lineage) -> Self {
        let sources = lineage.sources.iter().flat_map(|of| of.columns.iter().map(|name| (&of.table, name)));
        let tables =
            lineage.tables.iter().flat_map(|of| of.from_tables.columns.iter().map(|at| (&of.table, &at.column)));
        let all = sources.chain(tables).map(|(table, column)| (table.as_str(), column.as_str()));
        Self { lineage, numbers: all.enumerate().map(|(number, node)| (node, number + 1)).collect() }
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = vec![];
        for (at, source) in self.lineage.sources.iter().enumerate() {
            let columns: String =
                source.columns.iter().map(|column| self.column((&source.table, column), String::new())).collect();
            sections.push(section(&format!("source-{}", at + 1), format!("Source {}", source.table), "", &columns));
        }
        for (at, table) in self.lineage.tables.iter().enumerate() {
            let of = &table.from_sources;
            let columns = of.columns.iter().map(|column| {
                let own = sentence("Whether there are rows depends on", &column.presence);
                let values = if column.values.is_empty() { "no column".to_owned() } else { all_shown(&column.values) };
                let about = format!("<span class=\"about\">{}{own}</span>", escape(&format!("← {values}")));
                self.column((&table.table, &column.column), about)
            });
            let rows = sentence("Rows depend on", &of.presence);
            let rows = if rows.is_empty() { rows } else { format!("<p class=\"rows\">{rows}</p>\n") };
            sections.push(section(
                &format!("table-{}", at + 1),
                table.table.clone(),
                &rows,
                &columns.collect::<String>(),
            ));
        }
        if !self.lineage.sinks.is_empty() {
            let sink = |sink: &crate::lineage::SinkLineage| {
                let to = format!("{} ← {}: {}", sink.sink, sink.table, sink.target);
                format!("<li>{}</li>\n", escape(&to))
            };
            let items: String = self.lineage.sinks.iter().map(sink).collect();
            let body = format!("<ul>\n{items}</ul>\n");
            sections.push(Section { id: "sinks".to_owned(), title: "Sinks".to_owned(), body });
        }
        sections
    }

    fn column(&self, node: Node<'_>, about: String) -> String {
        let number = self.numbers.get(&node).copied().unwrap_or_default();
        let name = escape(node.1);
        format!("<li id=\"c{number}\"><a href=\"#c{number}\">{name}</a>{about}</li>\n")
    }

    /// For each column the rules that mark those it depends on, through all tables between.
    fn marks(&self) -> String {
        let mut marks = String::new();
        for table in &self.lineage.tables {
            for column in &table.from_tables.columns {
                let (mut values, mut presence) = (BTreeSet::new(), BTreeSet::new());
                self.add_ancestors((&table.table, &column.column), &mut values, &mut presence);
                self.add_sources(&table.from_sources, &column.column, &mut values, &mut presence);
                let Some(number) = self.numbers.get(&(table.table.as_str(), column.column.as_str())) else { continue };
                presence.retain(|other| !values.contains(other));
                for (class, others) in [("value", values), ("presence", presence)] {
                    if !others.is_empty() {
                        let ids: Vec<String> = others.iter().map(|other| format!("#c{other}")).collect();
                        marks +=
                            &format!("body:has(#c{number}:target) :is({}) a {{ {} }}\n", ids.join(","), mark(class));
                    }
                }
            }
        }
        marks
    }

    /// The columns of sources, also where the tables between are not shown.
    fn add_sources(&self, of: &Dependencies, name: &str, values: &mut BTreeSet<usize>, presence: &mut BTreeSet<usize>) {
        let Some(column) = of.column(name) else { return };
        let number = |of: &Dependency| self.numbers.get(&(of.table.as_str(), of.column.as_str())).copied();
        values.extend(column.values.iter().filter_map(number));
        presence.extend(column.presence.iter().chain(&of.presence).filter_map(number));
    }

    fn add_ancestors(&self, node: Node<'a>, values: &mut BTreeSet<usize>, presence: &mut BTreeSet<usize>) {
        let mut seen: BTreeSet<(Node<'a>, bool)> = BTreeSet::new();
        let mut open = vec![(node, true)];
        while let Some((node, is_value)) = open.pop() {
            if !seen.insert((node, is_value)) {
                continue;
            }
            if let Some(number) = self.numbers.get(&node) {
                let found = if is_value { &mut *values } else { &mut *presence };
                found.insert(*number);
            }
            let Some(table) = self.lineage.table(node.0) else { continue };
            let Some(column) = table.from_tables.column(node.1) else { continue };
            let of = |dependencies: &'a [Dependency], is_value: bool| {
                dependencies.iter().map(move |of| ((of.table.as_str(), of.column.as_str()), is_value))
            };
            open.extend(of(&column.values, is_value));
            let Dependencies { presence: of_rows, .. } = &table.from_tables;
            open.extend(of(&column.presence, false).chain(of(of_rows, false)));
        }
        if let Some(number) = self.numbers.get(&node) {
            values.remove(number);
        }
    }
}

fn section(id: &str, title: String, before: &str, columns: &str) -> Section {
    Section { id: id.to_owned(), title, body: format!("{before}<ul class=\"columns card\">\n{columns}</ul>\n") }
}

/// Columns that decide about rows, if there are any.
fn sentence(begin: &str, dependencies: &[Dependency]) -> String {
    match dependencies {
        [] => String::new(),
        some => format!("<span class=\"by\">{begin} {}</span>", escape(&all_shown(some))),
    }
}

fn mark(class: &str) -> &'static str {
    match class {
        "value" => "color: var(--card); background: var(--accent); text-decoration: none;",
        _ => "color: var(--accent); outline: 2px dashed var(--accent);",
    }
}
