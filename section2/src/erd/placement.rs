//! Positions boxes, and lines between them that cross no box.
//!
//! [`layout`], which has no dependencies, finds the rows of boxes, their order and positions. Complete Mermaid
//! renderers were rejected: `flowmaid` draws well but is under the GPL; `mermaid-rs-renderer` draws no crow's feet and
//! takes comments for columns; `merman` adds over a hundred crates and measures text in a font that the reader may not
//! have, which cuts text off.
//!
//! A line crosses a row vertically, in a position of its own, and moves horizontally only between rows.

use layout::adt::dag::NodeHandle;
use layout::core::base::Orientation;
use layout::core::format::Visible as _;
use layout::core::geometry::{Point, Position};
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use layout::topo::placer::Placer;

/// Space above and below a box, for line ends.
const END: f64 = 24.0;
/// Space between rows, and between boxes and labels in a row.
const GAP: f64 = 32.0;
/// Minimum distance of a line end from the corner of a box.
const CORNER: f64 = 20.0;

/// Width and height.
pub(super) type Size = (f64, f64);

/// A box to be positioned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) size: Size,
    /// Space to its left and right.
    pub(super) aside: f64,
}

/// A line between two different boxes.
#[derive(Debug)]
pub(super) struct Link {
    /// The box that should be above the other one.
    pub(super) upper: usize,
    pub(super) lower: usize,
    pub(super) label: Size,
}

/// Positions of everything.
pub(super) struct Placement {
    pub(super) size: Size,
    /// In the order of the boxes.
    pub(super) boxes: Vec<Area>,
    /// In the order of the links.
    pub(super) lines: Vec<Line>,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A path from the lower side of a box to the upper side of another one.
pub(super) struct Line {
    /// Its vertical parts; the first and the last are at the boxes.
    pub(super) stretches: Vec<Stretch>,
    /// Position of its label.
    pub(super) label: Area,
}

/// A vertical part of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) x: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn middle(&self) -> f64 {
        self.left + self.width / 2.0
    }
}

impl Shape {
    fn with_room(&self) -> Size {
        (self.size.0 + 2.0 * self.aside, self.size.1 + 2.0 * END)
    }

    fn without_room(&self, area: Area) -> Area {
        let (width, height) = self.size;
        Area { left: area.left + self.aside, top: area.top + END, width, height }
    }
}

/// Positions boxes and lines.
pub(super) fn place(boxes: &[Shape], links: &[Link]) -> Placement {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let nodes: Vec<_> = boxes.iter().map(|shape| add(&mut graph, shape.with_room())).collect();
    let labels: Vec<_> = links.iter().map(|link| add(&mut graph, link.label)).collect();
    for (link, &label) in links.iter().zip(&labels) {
        graph.add_edge(Arrow::invisible(), nodes[link.upper], label);
        graph.add_edge(Arrow::invisible(), label, nodes[link.lower]);
    }
    graph.to_valid_dag();
    graph.split_long_edges(false);
    Placer::new(&mut graph).layout(false);
    stack_rows(&mut graph);

    let placed = nodes.iter().zip(boxes).map(|(&node, shape)| shape.without_room(area(&graph, node)));
    let boxes: Vec<Area> = placed.collect();
    let mut lines: Vec<Line> = labels.iter().map(|&label| line(&graph, label)).collect();
    spread_ends(&boxes, links, &mut lines);
    let areas = graph.iter_nodes().map(|node| area(&graph, node));
    let size = areas.fold((0.0_f64, 0.0_f64), |(x, y), area| (x.max(area.right()), y.max(area.bottom())));
    Placement { size, boxes, lines }
}

fn add(graph: &mut VisualGraph, (width, height): Size) -> NodeHandle {
    let position = Position::new(Point::zero(), Point::new(width, height), Point::zero(), Point::splat(GAP));
    graph.add_node(Element {
        shape: ShapeKind::new_box(""),
        pos: position,
        look: StyleAttr::simple(),
        orientation: Orientation::TopToBottom,
        properties: None,
    })
}

/// Moves everything to its final position: the picture starts at zero, and each row ends above the next one.
fn stack_rows(graph: &mut VisualGraph) {
    let left = graph.iter_nodes().map(|node| area(graph, node).left).fold(f64::MAX, f64::min);
    let mut top = 0.0;
    for level in 0..graph.dag.num_levels() {
        let row = graph.dag.row(level).clone();
        let height = row.iter().map(|&node| area(graph, node).height).fold(0.0_f64, f64::max);
        for node in row {
            let area = area(graph, node);
            let down = top + (height - area.height) / 2.0 - area.top;
            graph.pos_mut(node).translate(Point::new(-left, down));
        }
        top += height + GAP;
    }
}

fn area(graph: &VisualGraph, node: NodeHandle) -> Area {
    let ((left, top), (right, bottom)) = {
        let (from, to) = graph.pos(node).bbox(false);
        ((from.x, from.y), (to.x, to.y))
    };
    Area { left, top, width: right - left, height: bottom - top }
}

/// The path from box to box through a label.
fn line(graph: &VisualGraph, label: NodeHandle) -> Line {
    let is_box = |node: NodeHandle| !graph.element(node).is_connector();
    let mut way = vec![label];
    // A label, and every other node of the line, has one neighbour above and one below.
    while let Some(&above) = graph.preds(way[0]).first() {
        way.insert(0, above);
        if is_box(above) {
            break;
        }
    }
    while let Some(&below) = graph.succ(way[way.len() - 1]).first() {
        way.push(below);
        if is_box(below) {
            break;
        }
    }
    Line { stretches: way.into_iter().map(|node| stretch(graph, node)).collect(), label: area(graph, label) }
}

/// The middle of a node, over the whole height of its row.
fn stretch(graph: &VisualGraph, node: NodeHandle) -> Stretch {
    let row = graph.dag.row(graph.dag.level(node)).iter().map(|&node| area(graph, node));
    let (top, bottom) =
        row.fold((f64::MAX, f64::MIN), |(top, bottom), area| (top.min(area.top), bottom.max(area.bottom())));
    Stretch { x: area(graph, node).middle(), top, bottom }
}

/// Spreads the ends of lines along the sides of the boxes, in their order.
fn spread_ends(boxes: &[Area], links: &[Link], lines: &mut [Line]) {
    for (number, area) in boxes.iter().enumerate() {
        for is_upper in [true, false] {
            let ends_here = |link: &Link| if is_upper { link.upper == number } else { link.lower == number };
            let mut here: Vec<usize> = (0..links.len()).filter(|&link| ends_here(&links[link])).collect();
            let next = |line: &Line| {
                let stretches = &line.stretches;
                if is_upper { stretches[1].x } else { stretches[stretches.len() - 2].x }
            };
            here.sort_by(|&one, &other| next(&lines[one]).total_cmp(&next(&lines[other])));
            for (place, &link) in here.iter().enumerate() {
                let share = (place + 1) as f64 / (here.len() + 1) as f64;
                let is_alone = here.len() == 1;
                let wanted = if is_alone { next(&lines[link]) } else { area.left + area.width * share };
                let x = wanted.clamp(area.left + CORNER, area.right() - CORNER);
                let stretches = &mut lines[link].stretches;
                let last = stretches.len() - 1;
                if is_upper {
                    stretches[0] = Stretch { x, top: area.bottom(), ..stretches[0] };
                } else {
                    stretches[last] = Stretch { x, bottom: area.top, ..stretches[last] };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(one: &Area, other: &Area) -> bool {
        one.left < other.right() && other.left < one.right() && one.top < other.bottom() && other.top < one.bottom()
    }

    /// The areas covered by a line: its vertical parts, and its horizontal parts between rows.
    fn covered(line: &Line) -> Vec<Area> {
        let straight = line.stretches.iter();
        let straight = straight.map(|at| Area { left: at.x, top: at.top, width: 0.0, height: at.bottom - at.top });
        let aside = line.stretches.windows(2).map(|pair| {
            let left = pair[0].x.min(pair[1].x);
            let width = (pair[0].x - pair[1].x).abs();
            Area { left, top: pair[0].bottom, width, height: pair[1].top - pair[0].bottom }
        });
        straight.chain(aside).collect()
    }

    prop_compose! {
        fn graph()(boxes in prop::collection::vec((100.0..500.0, 50.0..500.0, 0.0..200.0), 1..14))
            (links in prop::collection::vec((0..boxes.len(), 0..boxes.len(), 30.0..200.0), 0..20), boxes in Just(boxes))
            -> (Vec<Shape>, Vec<Link>) {
            let shape = |(width, height, aside)| Shape { size: (width, height), aside };
            let links = links.into_iter().filter(|(one, other, _)| one != other);
            let link = |(one, other, width): (usize, usize, f64)| {
                Link { upper: one.min(other), lower: one.max(other), label: (width, 22.0) }
            };
            (boxes.into_iter().map(shape).collect(), links.map(link).collect())
        }
    }

    proptest! {
        #[test]
        fn boxes_and_labels_do_not_overlap_and_lines_cross_no_box((boxes, links) in graph()) {
            let placement = place(&boxes, &links);
            let labels = placement.lines.iter().map(|line| line.label);
            let areas: Vec<Area> = placement.boxes.iter().copied().chain(labels).collect();
            for (number, area) in areas.iter().enumerate() {
                prop_assert!(area.left >= 0.0 && area.top >= 0.0);
                prop_assert!(area.right() <= placement.size.0 && area.bottom() <= placement.size.1);
                for other in &areas[number + 1..] {
                    prop_assert!(!overlap(area, other), "{area:?} {other:?}");
                }
            }
            for (number, line) in placement.lines.iter().enumerate() {
                let (upper, lower) = (&placement.boxes[links[number].upper], &placement.boxes[links[number].lower]);
                let (first, last) = (line.stretches[0], line.stretches[line.stretches.len() - 1]);
                prop_assert!(upper.left < first.x && first.x < upper.right() && first.top == upper.bottom());
                prop_assert!(lower.left < last.x && last.x < lower.right() && last.bottom == lower.top);
                for part in covered(line) {
                    prop_assert!(part.height >= 0.0);
                    let own = placement.boxes.len() + number;
                    let others = areas.iter().enumerate().filter(|(area, _)| *area != own);
                    for (_, area) in others {
                        prop_assert!(!overlap(&part, area), "{part:?} {area:?}");
                    }
                }
            }
        }
    }
}
