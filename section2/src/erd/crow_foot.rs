//! Line ends in crow's foot notation: how many rows of the table at this end belong to one row at the other end.

use std::fmt::Write as _;

/// Cardinality of a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cardinality {
    /// Exactly one.
    One,
    /// Zero or one.
    OneOrNone,
    /// Zero or more.
    Any,
}

/// Draws the end of a line where it leaves a box, at `(x, y)` in the direction `(dx, dy)`, a unit vector that is
/// vertical or horizontal.
pub(super) fn draw(svg: &mut String, many: Cardinality, (x, y): (f64, f64), (dx, dy): (f64, f64)) {
    let point = |along: f64, aside: f64| (x + dx * along - dy * aside, y + dy * along + dx * aside);
    let mut path = String::new();
    let mut stroke = |from: (f64, f64), to: (f64, f64)| {
        let _ = write!(path, "M{} {}L{} {}", from.0, from.1, to.0, to.1);
    };
    let near = 8.0;
    let far = 14.0;
    match many {
        Cardinality::One => {
            stroke(point(near, -6.0), point(near, 6.0));
            stroke(point(far, -6.0), point(far, 6.0));
        }
        Cardinality::OneOrNone => stroke(point(near, -6.0), point(near, 6.0)),
        Cardinality::Any => {
            stroke(point(12.0, 0.0), point(0.0, -7.0));
            stroke(point(12.0, 0.0), point(0.0, 7.0));
        }
    }
    let _ = writeln!(svg, "<path class=\"line\" d=\"{path}\"/>");
    if many != Cardinality::One {
        let (x, y) = point(16.0, 0.0);
        let _ = writeln!(svg, "<circle class=\"none\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>");
    }
}
