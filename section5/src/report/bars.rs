//! Horizontal bars, with names on the left and values on the right.

use plotters::style::Color;

use super::chart::{ACCENT, At, CONTRARY, INK, MUTED, RULE, TEXT, WIDTH, draw, part};
use crate::Result;
use crate::evaluate::Evaluation;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    /// Share of the full width, from 0 to 1.
    pub(super) share: f64,
    pub(super) value: String,
}

/// Bars in rows; the longest name determines the space on their left.
pub(super) fn bars(description: &str, bars: &[Bar]) -> Result<String> {
    const ROW: i32 = 24;
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let left = 8 * longest as i32 + 10;
    let room = WIDTH - left - 64;
    draw(description, ROW * bars.len() as i32 + 4, |canvas| {
        for (bar, y) in bars.iter().zip((2..).step_by(ROW as usize)) {
            let middle = y + ROW / 2;
            let width = part(room, bar.share).max(1);
            canvas.text(&bar.name, (left - 8, middle), At::End, TEXT, INK)?;
            canvas.rectangle((left, y + 4), (width, ROW - 8), ACCENT.mix(0.9))?;
            canvas.text(&bar.value, (left + width + 6, middle), At::Start, TEXT, MUTED)?;
        }
        Ok(())
    })
}

/// The accuracy of each model with its standard error, between guessing and the ceiling.
pub(super) fn comparison(evaluation: &Evaluation) -> Result<String> {
    const ROW: i32 = 32;
    const HEAD: i32 = 40;
    const FOOT: i32 = 26;
    let axis = Axis::of(evaluation);
    let bottom = HEAD + ROW * evaluation.models.len() as i32;
    draw("Accuracy of each model, with its standard error", bottom + FOOT, |canvas| {
        for accuracy in axis.ticks() {
            let x = axis.x(accuracy);
            canvas.line((x, HEAD), (x, bottom), RULE, 1)?;
            canvas.text(&format!("{:.0} %", accuracy * 100.0), (x, bottom + 14), At::Middle, TEXT - 1.0, MUTED)?;
        }
        // The labels point away from each other, because the two lines may be close.
        let limits = [
            ("guessing", evaluation.baseline, CONTRARY, At::End, 4),
            ("ceiling", evaluation.ceiling.accuracy, ACCENT, At::Start, -4),
        ];
        for (name, accuracy, colour, at, beside) in limits {
            let x = axis.x(accuracy);
            canvas.line((x, HEAD - 6), (x, bottom), colour, 2)?;
            canvas.text(name, (x + beside, HEAD - 32), at, TEXT, colour)?;
            canvas.text(&format!("{:.1} %", accuracy * 100.0), (x + beside, HEAD - 16), at, TEXT, colour)?;
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
        // Limits the number of labels, regardless of the range.
        let every = steps.div_ceil(5).max(1);
        (0..=steps).step_by(every).map(|step| self.from + step as f64 * Self::STEP)
    }

    fn x(&self, value: f64) -> i32 {
        Self::LEFT + part(WIDTH - Self::LEFT - Self::RIGHT, (value - self.from) / (self.to - self.from))
    }
}
