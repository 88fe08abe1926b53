//! Draws entities as an SVG: a box for each table, a line for each foreign key with crow's feet at its ends.
//!
//! Text is in a monospaced font, so that its width is known without the reader's fonts. Comments are tooltips.

use std::fmt::Write as _;

use super::crow_foot::{self, Cardinality};
use super::placement::{Area, Line, Link, Placement, Shape, Size, place};
use super::{Entities, Relation, Table};

const CHARACTER: f64 = 7.5;
const ROW: f64 = 22.0;
const HEADER: f64 = 30.0;
const PADDING: f64 = 12.0;
const MARGIN: f64 = 24.0;
/// Distance from the middle of a line of text to its baseline.
const BASELINE: f64 = 4.0;
/// Width and height of a line that returns to its own box.
const LOOP: Size = (36.0, 40.0);
const LOOP_GAP: f64 = 20.0;
/// Minimum distance between the ends of two lines at a box.
const END_WIDTH: f64 = 22.0;

const STYLE: &str = "
text { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2937; white-space: pre; }
.name { font-weight: bold; fill: #ffffff; }
.key { font-weight: bold; fill: #9a3412; }
.type, .label { fill: #4b5563; }
.header { fill: #1e4e79; }
.box { fill: #ffffff; stroke: #1e4e79; stroke-width: 1.5; }
.row { stroke: #d1d5db; }
.line { fill: none; stroke: #374151; stroke-width: 1.5; }
.none { fill: #ffffff; stroke: #374151; stroke-width: 1.5; }
.ground { fill: #ffffff; }
";

/// The picture; ends with a line break.
pub fn svg(entities: &Entities) -> String {
    let columns: Vec<Widths> = entities.tables.iter().map(Widths::of).collect();
    let shapes: Vec<Shape> = (0..entities.tables.len()).map(|table| shape(entities, table, &columns[table])).collect();
    let across: Vec<&Relation> = entities.relations.iter().filter(|relation| !relation.is_loop()).collect();
    let links: Vec<Link> = across.iter().map(|relation| link(entities, relation)).collect();
    let placement = place(&shapes, &links);
    let mut svg = String::new();
    open(&mut svg, &placement);
    for (relation, line) in across.iter().zip(&placement.lines) {
        draw_line(&mut svg, entities, relation, line);
    }
    for (number, table) in entities.tables.iter().enumerate() {
        let area = &placement.boxes[number];
        for (place, relation) in loops(entities, number).enumerate() {
            draw_loop(&mut svg, entities, relation, area, place);
        }
        draw_table(&mut svg, table, area, &columns[number]);
    }
    svg.push_str("</svg>\n");
    svg
}

// Writing to a string cannot fail.
fn open(svg: &mut String, placement: &Placement) {
    let (width, height) = (placement.size.0 + 2.0 * MARGIN, placement.size.1 + 2.0 * MARGIN);
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{} {} {width} {height}\" role=\"img\">\n\
         <title>Entity-relationship diagram</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"/>",
        -MARGIN, -MARGIN, -MARGIN, -MARGIN
    );
}

fn draw_line(svg: &mut String, entities: &Entities, relation: &Relation, line: &Line) {
    let mut path = String::new();
    let mut previous: Option<(f64, f64)> = None;
    for stretch in &line.stretches {
        match previous {
            None => {
                let _ = write!(path, "M{} {}", stretch.x, stretch.top);
            }
            Some((x, _)) if x == stretch.x => {}
            Some((x, y)) => {
                let middle = f64::midpoint(y, stretch.top);
                let _ = write!(path, "L{x} {y}C{x} {middle} {} {middle} {} {}", stretch.x, stretch.x, stretch.top);
            }
        }
        previous = Some((stretch.x, stretch.bottom));
    }
    if let Some((x, y)) = previous {
        let _ = write!(path, "L{x} {y}");
    }
    let _ = writeln!(svg, "<path class=\"line\" d=\"{path}\"/>");
    let (parent, child) = ends(entities, relation);
    let (above, below) = if relation.parent < relation.child { (parent, child) } else { (child, parent) };
    if let (Some(first), Some(last)) = (line.stretches.first(), line.stretches.last()) {
        crow_foot::draw(svg, above, (first.x, first.top), (0.0, 1.0));
        crow_foot::draw(svg, below, (last.x, last.bottom), (0.0, -1.0));
    }
    let Area { left, top, width, height } = line.label;
    let _ = writeln!(svg, "<rect class=\"ground\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>");
    let (x, y) = (left + width / 2.0, top + height / 2.0);
    write_text(svg, "label\" text-anchor=\"middle", (x, y), &label(entities, relation));
}

/// A line from the right side of a box back to it.
fn draw_loop(svg: &mut String, entities: &Entities, relation: &Relation, area: &Area, place: usize) {
    let (x, top) = (area.right(), area.top + HEADER / 2.0 + place as f64 * (LOOP.1 + LOOP_GAP));
    let (far, bottom) = (x + LOOP.0, top + LOOP.1);
    let _ = writeln!(svg, "<path class=\"line\" d=\"M{x} {top}L{far} {top}L{far} {bottom}L{x} {bottom}\"/>");
    let (parent, child) = ends(entities, relation);
    crow_foot::draw(svg, parent, (x, top), (1.0, 0.0));
    crow_foot::draw(svg, child, (x, bottom), (1.0, 0.0));
    write_text(svg, "label", (far + PADDING / 2.0, top + LOOP.1 / 2.0), &label(entities, relation));
}

fn draw_table(svg: &mut String, table: &Table, area: &Area, widths: &Widths) {
    let Area { left, top, width, height } = *area;
    let _ = writeln!(svg, "<g>");
    write_title(svg, table.comment.as_deref());
    let _ = writeln!(svg, "<rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>");
    let _ = writeln!(svg, "<rect class=\"header\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{HEADER}\"/>");
    let name = (left + width / 2.0, top + HEADER / 2.0);
    write_text(svg, "name\" text-anchor=\"middle", name, &table.name);
    svg.push_str("</g>\n");
    for (number, column) in table.columns.iter().enumerate() {
        let line = top + HEADER + number as f64 * ROW;
        let _ = writeln!(svg, "<g>");
        write_title(svg, column.comment.as_deref());
        if number > 0 {
            let _ = writeln!(svg, "<path class=\"row\" d=\"M{left} {line}H{}\"/>", left + width);
        }
        let y = line + ROW / 2.0;
        let marks = left + PADDING;
        let name = marks + widths.marks;
        write_text(svg, "key", (marks, y), &column.marks().join(" "));
        write_text(svg, "column", (name, y), &column.name);
        write_text(svg, "type", (name + widths.name, y), &type_text(column));
        svg.push_str("</g>\n");
    }
}

fn write_title(svg: &mut String, comment: Option<&str>) {
    if let Some(comment) = comment {
        let _ = writeln!(svg, "<title>{}</title>", escaped(comment));
    }
}

/// Text, vertically centred at `y`.
fn write_text(svg: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    if !text.is_empty() {
        let y = y + BASELINE;
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
    }
}

/// Escapes XML special characters and removes those that XML does not allow.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ if char.is_control() => escaped.push(' '),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// Widths of the parts of a table's rows, including the space after them.
struct Widths {
    marks: f64,
    name: f64,
    of: f64,
}

impl Widths {
    fn of(table: &Table) -> Self {
        let widest = |text: fn(&super::Column) -> String| {
            table.columns.iter().map(|column| width(&text(column))).fold(0.0_f64, f64::max)
        };
        let marks = widest(|column| column.marks().join(" "));
        Self {
            marks: if marks > 0.0 { marks + PADDING } else { 0.0 },
            name: widest(|column| column.name.clone()) + 1.5 * PADDING,
            of: widest(type_text),
        }
    }
}

fn type_text(column: &super::Column) -> String {
    if column.is_not_null { column.of.clone() } else { format!("{} null", column.of) }
}

/// A table with space for its loops, on both sides so that other lines meet the table in its middle.
fn shape(entities: &Entities, table: usize, widths: &Widths) -> Shape {
    let of = &entities.tables[table];
    let text = (widths.marks + widths.name + widths.of).max(width(&of.name)) + 2.0 * PADDING;
    let above = entities.relations.iter().filter(|relation| relation.upper() == table && !relation.is_loop()).count();
    let below = entities.relations.iter().filter(|relation| relation.lower() == table && !relation.is_loop()).count();
    let own = text.max((above.max(below) + 1) as f64 * END_WIDTH);
    let height = HEADER + ROW * of.columns.len().max(1) as f64;
    let loops = loops(entities, table).count() as f64 * (LOOP.1 + LOOP_GAP) + HEADER / 2.0;
    Shape { size: (own, height.max(loops)), aside: loop_width(entities, table) }
}

fn loops(entities: &Entities, table: usize) -> impl Iterator<Item = &Relation> {
    entities.relations.iter().filter(move |relation| relation.is_loop() && relation.child == table)
}

fn loop_width(entities: &Entities, table: usize) -> f64 {
    let widest = loops(entities, table).map(|relation| width(&label(entities, relation))).reduce(f64::max);
    widest.map_or(0.0, |label| LOOP.0 + PADDING + label)
}

fn link(entities: &Entities, relation: &Relation) -> Link {
    Link { upper: relation.upper(), lower: relation.lower(), label: (width(&label(entities, relation)) + PADDING, ROW) }
}

/// The referring columns.
fn label(entities: &Entities, relation: &Relation) -> String {
    let columns = &entities.tables[relation.child].columns;
    relation.columns.iter().map(|&column| columns[column].name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The cardinalities at the parent's and the child's end.
fn ends(entities: &Entities, relation: &Relation) -> (Cardinality, Cardinality) {
    let parent = if relation.is_optional(entities) { Cardinality::OneOrNone } else { Cardinality::One };
    let child = if relation.is_one { Cardinality::OneOrNone } else { Cardinality::Any };
    (parent, child)
}

/// East Asian characters and emoji are twice as wide.
fn width(text: &str) -> f64 {
    text.chars().map(|char| if char < '\u{1100}' { CHARACTER } else { 2.0 * CHARACTER }).sum()
}
