//! Horizontal bars, with names on the left and values on the right.

use plotters::style::Color;

use super::chart::{ACCENT, At, CONTRARY, INK, MUTED, RULE, TEXT, WIDE, draw, part};
use crate::Result;
use crate::evaluate::Evaluation;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    /// Share of the full width, from 0 to 1.
    pub(super) share: f64,
    pub(super) value: String,
}

/// Bars in rows, in a chart of this width; the longest name determines the space on their left.
pub(super) fn bars(description: &str, width: i32, bars: &[Bar]) -> Result<String> {
    const ROW: i32 = 24;
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let left = 8 * longest as i32 + 10;
    let longest = bars.iter().map(|bar| bar.value.chars().count()).max().unwrap_or(0);
    let room = width - left - 8 * longest as i32 - 8;
    draw(description, (width, ROW * bars.len() as i32 + 4), |canvas| {
        for (bar, y) in bars.iter().zip((2..).step_by(ROW as usize)) {
            let middle = y + ROW / 2;
            let long = part(room, bar.share).max(1);
            canvas.text(&bar.name, (left - 8, middle), At::End, TEXT, INK)?;
            canvas.rectangle((left, y + 4), (long, ROW - 8), ACCENT.mix(0.9))?;
            canvas.text(&bar.value, (left + long + 6, middle), At::Start, TEXT, MUTED)?;
        }
        Ok(())
    })
}

/// The accuracy of each model with its standard error, between guessing and the ceiling.
pub(super) fn accuracies(evaluation: &Evaluation) -> Result<String> {
    const ROW: i32 = 32;
    const HEAD: i32 = 42;
    const FOOT: i32 = 26;
    let axis = Axis::of(evaluation);
    let bottom = HEAD + ROW * evaluation.models.len() as i32;
    draw("Accuracy of each model, with its standard error", (WIDE, bottom + FOOT), |canvas| {
        for accuracy in axis.ticks() {
            let x = axis.x(accuracy);
            canvas.line((x, HEAD), (x, bottom), RULE, 1)?;
            canvas.text(&format!("{:.0} %", accuracy * 100.0), (x, bottom + 14), At::Middle, TEXT - 1.0, MUTED)?;
        }
        // Each label has a line of its own, because the two limits may be close.
        let limits =
            [("guessing", evaluation.baseline, CONTRARY, 8), ("ceiling", evaluation.ceiling.accuracy, ACCENT, 24)];
        for (name, accuracy, colour, y) in limits {
            let x = axis.x(accuracy);
            canvas.line((x, HEAD - 8), (x, bottom), colour, 2)?;
            let label = format!("{name} {:.1} %", accuracy * 100.0);
            let half = 4 * label.chars().count() as i32;
            canvas.text(&label, (x.clamp(half, WIDE - half), y), At::Middle, TEXT, colour)?;
        }
        for (scores, y) in evaluation.models.iter().zip((HEAD + ROW / 2..).step_by(ROW as usize)) {
            let (mean, error) = (scores.accuracy_mean, scores.accuracy_standard_error);
            let name = format!("{}, {}", scores.candidate.model.name(), scores.candidate.feature_set.name());
            canvas.text(&name, (0, y), At::Start, TEXT, INK)?;
            let (from, to) = (axis.x(mean - error), axis.x(mean + error));
            canvas.line((from, y), (to, y), INK, 2)?;
            for end in [from, to] {
                canvas.line((end, y - 4), (end, y + 4), INK, 2)?;
            }
            canvas.dot((axis.x(mean), y), 5, INK)?;
        }
        Ok(())
    })
}

/// Maps accuracies to positions.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    const STEP: f64 = 0.05;
    /// Space for the names of the models.
    const LEFT: i32 = 126;
    const RIGHT: i32 = 16;

    /// The range of all drawn values, rounded outwards to whole steps.
    fn of(evaluation: &Evaluation) -> Self {
        let limits = [evaluation.baseline, evaluation.ceiling.accuracy];
        let ends = evaluation.models.iter().flat_map(|scores| {
            let (mean, error) = (scores.accuracy_mean, scores.accuracy_standard_error);
            [mean - error, mean + error]
        });
        let (lowest, highest) =
            ends.chain(limits).fold((1.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let from = (lowest / Self::STEP).floor() * Self::STEP;
        let to = (highest / Self::STEP).ceil() * Self::STEP;
        Self { from: from.max(0.0), to: to.min(1.0).max(from + Self::STEP) }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let steps = ((self.to - self.from) / Self::STEP).round() as usize;
        // With more labels there would be too little space between them.
        let every = steps.div_ceil(4).max(1);
        (0..=steps).step_by(every).map(|step| self.from + step as f64 * Self::STEP)
    }

    fn x(&self, value: f64) -> i32 {
        Self::LEFT + part(WIDE - Self::LEFT - Self::RIGHT, (value - self.from) / (self.to - self.from))
    }
}
