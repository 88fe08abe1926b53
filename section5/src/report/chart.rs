//! Drawing primitives: an SVG of plotters whose colours the page can change in dark mode.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::{Error, Result};

/// The width of a chart, in pixels of a narrow screen, so that texts are readable on any screen.
pub(super) const WIDE: i32 = 320;
/// The width of a chart of which up to four are side by side.
pub(super) const NARROW: i32 = 220;
/// The default height of text, in the same units.
pub(super) const TEXT: f64 = 12.0;

/// Colours of light mode. The style sheet has a rule for each one that changes it in dark mode.
pub(super) const INK: RGBColor = RGBColor(0x1F, 0x29, 0x37);
pub(super) const MUTED: RGBColor = RGBColor(0x6B, 0x72, 0x80);
pub(super) const RULE: RGBColor = RGBColor(0xE5, 0xE7, 0xEB);
pub(super) const ACCENT: RGBColor = RGBColor(0x1D, 0x4E, 0xD8);
pub(super) const CONTRARY: RGBColor = RGBColor(0xC2, 0x41, 0x0C);

/// Maximum opacity of a cell's colour: with more, its text would not be readable in both modes.
const STRONGEST: f64 = 0.45;

/// Space between cells of a heatmap.
const GAP: i32 = 1;

/// An SVG that is being drawn.
pub(super) struct Canvas<'s> {
    area: DrawingArea<SVGBackend<'s>, Shift>,
}

pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Position of a text relative to its point.
#[derive(Clone, Copy)]
pub(super) enum At {
    Start,
    Middle,
    End,
}

impl Canvas<'_> {
    pub(super) fn rectangle(&self, (x, y): (i32, i32), (width, height): (i32, i32), colour: RGBAColor) -> Drawn {
        self.area.draw(&Rectangle::new([(x, y), (x + width, y + height)], colour.filled()))
    }

    pub(super) fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor, width: u32) -> Drawn {
        self.area.draw(&PathElement::new([from, to], colour.stroke_width(width)))
    }

    pub(super) fn dot(&self, at: (i32, i32), radius: i32, colour: RGBColor) -> Drawn {
        self.area.draw(&Circle::new(at, radius, colour.filled()))
    }

    /// Draws a text, vertically centred at the point.
    pub(super) fn text(&self, text: &str, point: (i32, i32), at: At, size: f64, colour: RGBColor) -> Drawn {
        let horizontal = match at {
            At::Start => HPos::Left,
            At::Middle => HPos::Center,
            At::End => HPos::Right,
        };
        // The backend writes font sizes as line heights.
        let font = ("sans-serif", size * 1.24).into_font().color(&colour);
        self.area.draw(&Text::new(text.to_owned(), point, font.pos(Pos::new(horizontal, VPos::Center))))
    }

    /// Draws a text rotated upwards from the point.
    pub(super) fn text_upwards(&self, text: &str, point: (i32, i32), size: f64, colour: RGBColor) -> Drawn {
        let font = ("sans-serif", size * 1.24).into_font().transform(FontTransform::Rotate270).color(&colour);
        self.area.draw(&Text::new(text.to_owned(), point, font.pos(Pos::new(HPos::Left, VPos::Center))))
    }

    /// Draws a heatmap cell: a colour with an opacity, and a readable text on it.
    pub(super) fn cell(&self, corner: (i32, i32), size: (i32, i32), colour: RGBColor, share: f64, text: &str) -> Drawn {
        self.rectangle(corner, (size.0 - GAP, size.1 - GAP), RULE.mix(0.4))?;
        let strength = (share * STRONGEST * 1000.0).round() / 1000.0;
        self.rectangle(corner, (size.0 - GAP, size.1 - GAP), colour.mix(strength))?;
        self.text(text, (corner.0 + size.0 / 2, corner.1 + size.1 / 2), At::Middle, TEXT - 1.0, INK)
    }

    /// Draws the outline of a heatmap cell, inside it.
    pub(super) fn outline(&self, (x, y): (i32, i32), (width, height): (i32, i32), colour: RGBColor) -> Drawn {
        let (right, bottom) = (x + width - GAP - 1, y + height - GAP - 1);
        let corners =
            [(x + 1, y + 1), (right, y + 1), (right, bottom), (x + 1, bottom), (x + 1, y + 1), (right, y + 1)];
        self.area.draw(&PathElement::new(corners, colour.stroke_width(2)))
    }
}

/// Draws a chart of this width and height. `description` is its description for screen readers.
pub(super) fn draw(
    description: &str,
    (width, height): (i32, i32),
    how: impl FnOnce(&Canvas) -> Drawn,
) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (width as u32, height as u32)).into_drawing_area();
    let canvas = Canvas { area };
    let drawn = how(&canvas).and_then(|()| canvas.area.present());
    drop(canvas);
    drawn.map_err(|error| Error::Chart { chart: description.to_owned(), message: error.to_string() })?;
    let label = format!("<svg role=\"img\" aria-label=\"{}\" ", super::page::escape(description));
    Ok(svg.replacen("<svg ", &label, 1))
}

/// The width of a share of the whole.
pub(super) fn part(of: i32, share: f64) -> i32 {
    (f64::from(of) * share.clamp(0.0, 1.0)).round() as i32
}
