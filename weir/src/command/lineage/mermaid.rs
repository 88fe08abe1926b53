//! The lineage as a Mermaid flowchart: a box for each table, with its columns.

use std::collections::HashMap;
use std::fmt::Write;

use crate::lineage::{Dependency, Lineage};

/// Mermaid draws no chart with more edges, unless the page that it is on allows it.
const MOST_EDGES: usize = 500;

/// The chart. A line is a value, a dotted line decides which rows are there.
pub(super) fn chart(lineage: &Lineage) -> String {
    let chart = Chart::of(lineage);
    if chart.edges.len() + lineage.sinks.len() <= MOST_EDGES { chart.columns(lineage) } else { tables(lineage) }
}

/// A column of a table, or its rows if it is none.
type Node<'a> = (&'a str, Option<&'a str>);

#[derive(Default)]
struct Chart<'a> {
    /// The tables with the columns that are drawn, in their order.
    tables: Vec<(&'a str, Vec<Option<&'a str>>)>,
    edges: Vec<(Node<'a>, Node<'a>, Arrow)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrow {
    Value,
    Presence,
}

impl Arrow {
    fn shown(self) -> &'static str {
        match self {
            Self::Value => "-->",
            Self::Presence => "-.->",
        }
    }
}

impl<'a> Chart<'a> {
    fn of(lineage: &'a Lineage) -> Self {
        let mut chart = Self::default();
        let sources = lineage.sources.iter().map(|source| (source.table.as_str(), vec![]));
        chart.tables.extend(sources);
        for table in &lineage.tables {
            let name = table.table.as_str();
            let columns = table.from_tables.columns.iter().map(|column| Some(column.column.as_str()));
            let rows = (!table.from_tables.presence.is_empty()).then_some(None);
            chart.tables.push((name, columns.chain(rows).collect()));
            for column in &table.from_tables.columns {
                let node = (name, Some(column.column.as_str()));
                chart.add(&column.values, node, Arrow::Value);
                chart.add(&column.presence, node, Arrow::Presence);
            }
            chart.add(&table.from_tables.presence, (name, None), Arrow::Presence);
        }
        // Of a table whose lineage is not shown, such as a source, only what is read.
        let read: Vec<Node<'a>> = chart.edges.iter().map(|(from, ..)| *from).collect();
        for (table, column) in read {
            match chart.tables.iter_mut().find(|(name, _)| *name == table) {
                Some((_, columns)) if !columns.contains(&column) => columns.push(column),
                Some(_) => {}
                None => chart.tables.insert(0, (table, vec![column])),
            }
        }
        let is_read = |name: &str| lineage.sinks.iter().any(|sink| sink.table == name);
        chart.tables.retain(|(name, columns)| !columns.is_empty() || is_read(name));
        chart
    }

    fn add(&mut self, origins: &'a [Dependency], to: Node<'a>, arrow: Arrow) {
        self.edges.extend(origins.iter().map(|of| ((of.table.as_str(), Some(of.column.as_str())), to, arrow)));
    }

    fn columns(&self, lineage: &Lineage) -> String {
        let mut ids: HashMap<Node<'a>, String> = HashMap::new();
        let mut text = "flowchart LR\n".to_owned();
        for (number, (table, columns)) in self.tables.iter().enumerate() {
            line(&mut text, &format!("  subgraph t{number}[\"{}\"]", escape(table)));
            for (at, column) in columns.iter().enumerate() {
                let id = format!("t{number}c{at}");
                line(
                    &mut text,
                    &match column {
                        Some(column) => format!("    {id}[\"{}\"]", escape(column)),
                        None => format!("    {id}([\"rows\"])"),
                    },
                );
                ids.insert((table, *column), id);
            }
            line(&mut text, "  end");
        }
        for (from, to, arrow) in &self.edges {
            if let (Some(from), Some(to)) = (ids.get(from), ids.get(to)) {
                line(&mut text, &format!("  {from} {} {to}", arrow.shown()));
            }
        }
        let table = |name: &str| self.tables.iter().position(|(table, _)| *table == name);
        add_sinks(&mut text, lineage, table);
        text.trim_end().to_owned()
    }
}

/// A chart without columns, of a task with more of them than Mermaid draws.
fn tables(lineage: &Lineage) -> String {
    let sources = lineage.sources.iter().map(|source| source.table.as_str());
    let names: Vec<&str> = sources.chain(lineage.tables.iter().map(|table| table.table.as_str())).collect();
    let mut text = format!(
        "flowchart LR\n  %% without columns: they have more than {MOST_EDGES} edges, which Mermaid does not draw; choose with \
         --table\n"
    );
    for (number, name) in names.iter().enumerate() {
        line(&mut text, &format!("  t{number}[\"{}\"]", escape(name)));
    }
    let table = |name: &str| names.iter().position(|table| *table == name);
    for of in &lineage.tables {
        for read in of.reads.iter().filter_map(|read| table(read)) {
            if let Some(to) = table(&of.table) {
                line(&mut text, &format!("  t{read} --> t{to}"));
            }
        }
    }
    add_sinks(&mut text, lineage, table);
    text.trim_end().to_owned()
}

fn add_sinks(text: &mut String, lineage: &Lineage, table: impl Fn(&str) -> Option<usize>) {
    for (number, sink) in lineage.sinks.iter().enumerate() {
        line(text, &format!("  s{number}[(\"{}\")]", escape(&sink.sink)));
        if let Some(from) = table(&sink.table) {
            line(text, &format!("  t{from} ==> s{number}"));
        }
    }
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // a String takes all
}

/// A name as a label: what could be markup is written as the number of its character.
fn escape(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | ' ' | '-') => text.push(c),
            c if c.is_control() => text.push(' '),
            c => text += &format!("#{};", u32::from(c)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escape("a \"b\"\n<i>; größe"), "a #34;b#34; #60;i#62;#59; größe");
        assert_eq!(escape("`code` #1"), "#96;code#96; #35;1");
    }
}
