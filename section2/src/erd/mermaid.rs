//! Writes entities as a Mermaid [`erDiagram`](https://mermaid.js.org/syntax/entityRelationshipDiagram.html).
//!
//! Table names and comments are exact: characters that Mermaid would misinterpret in quotes are written as their code,
//! `#34;`. Column names and types cannot be quoted in all versions of Mermaid; a name that must be changed is repeated
//! before the comment.

use std::fmt::Write as _;

use super::{Entities, Relation, Table};

/// Words of the language, which an unquoted table name must not be.
const RESERVED: [&str; 19] = [
    "accdescr",
    "acctitle",
    "class",
    "classdef",
    "direction",
    "end",
    "erdiagram",
    "many",
    "o",
    "one",
    "only",
    "optionally",
    "style",
    "subgraph",
    "title",
    "to",
    "u",
    "zero",
    "default",
];

/// Longer comments would make the boxes too wide.
const LONGEST_COMMENT: usize = 64;

/// The text of the diagram; ends with a line break.
pub fn mermaid(entities: &Entities) -> String {
    let mut text = "erDiagram\n".to_owned();
    for table in &entities.tables {
        write_table(&mut text, table);
    }
    for relation in &entities.relations {
        write_relation(&mut text, entities, relation);
    }
    text
}

// Writing to a string cannot fail.
fn write_table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "    {} {{", table_name(&table.name));
    for column in &table.columns {
        let (of, name) = (word(&column.of), word(&column.name));
        let _ = write!(text, "        {of} {name}");
        let marks = column.marks();
        if !marks.is_empty() {
            let _ = write!(text, " {}", marks.join(", "));
        }
        let comment = column.comment.as_deref().filter(|comment| comment.chars().count() <= LONGEST_COMMENT);
        let exact_name = if name == column.name { String::new() } else { format!("{}: ", column.name) };
        let null = if column.is_not_null { "" } else { "May be null. " };
        let note = format!("{exact_name}{null}{}", comment.unwrap_or_default());
        if !note.is_empty() {
            let _ = write!(text, " \"{}\"", quotable(note.trim_end().trim_end_matches(':')));
        }
        text.push('\n');
    }
    text.push_str("    }\n");
}

fn write_relation(text: &mut String, entities: &Entities, relation: &Relation) {
    let (child, parent) = (&entities.tables[relation.child], &entities.tables[relation.parent]);
    let one_parent = if relation.is_optional(entities) { "|o" } else { "||" };
    let children = if relation.is_one { "o|" } else { "o{" };
    let columns = relation.columns.iter().map(|&column| child.columns[column].name.as_str()).collect::<Vec<_>>();
    let (child, parent) = (table_name(&child.name), table_name(&parent.name));
    let label = quotable(&columns.join(", "));
    let _ = writeln!(text, "    {parent} {one_parent}--{children} {child} : \"{label}\"");
}

fn table_name(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str());
    if is_plain { name.to_owned() } else { format!("\"{}\"", quotable(name)) }
}

/// A text that can be quoted and is displayed as the given one.
fn quotable(text: &str) -> String {
    let mut quotable = String::new();
    for char in text.chars() {
        match char {
            _ if char.is_control() || char.is_whitespace() => quotable.push(' '),
            _ if !char.is_ascii() || char.is_ascii_alphanumeric() || " _-.,:;()'/!?+=[]^".contains(char) => {
                quotable.push(char);
            }
            _ => {
                let _ = write!(quotable, "#{};", u32::from(char));
            }
        }
    }
    quotable
}

/// The nearest valid name or type of a column.
fn word(text: &str) -> String {
    let is_letter = |char: char| char.is_ascii_alphabetic() || char == '_' || char >= '\u{c0}';
    let mut word = String::new();
    for char in text.chars() {
        match char {
            // Only newer versions of Mermaid accept a comma: this is a similar character.
            ',' => word.push('\u{201a}'),
            _ if char.is_whitespace() => word.push('_'),
            _ if is_letter(char) || char.is_ascii_digit() || "-()[]".contains(char) => word.push(char),
            _ => word.push('_'),
        }
    }
    // At the beginning, PK, FK or UK would be parsed as a mark.
    let mut letters = word.chars();
    let first: String = letters.by_ref().take(2).collect::<String>().to_ascii_lowercase();
    let goes_on = letters.next().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_');
    let is_mark = ["pk", "fk", "uk"].contains(&first.as_str()) && !goes_on;
    if is_mark || !word.starts_with(is_letter) { format!("_{word}") } else { word }
}
