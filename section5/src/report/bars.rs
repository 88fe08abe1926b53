//! Horizontal bars, with their names before and their values behind them.

use plotters::style::{Color, RGBColor};

use super::chart::{ACCENT, At, CONTRARY, INK, MUTED, RULE, TEXT, WIDTH, draw, part};
use crate::Result;
use crate::evaluate::Evaluation;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    /// From 0 to 1, of the whole width.
    pub(super) share: f64,
    pub(super) value: String,
}

/// Bars one below the other; as much room before them as the longest name needs.
pub(super) fn bars(says: &str, bars: &[Bar]) -> Result<String> {
    const ROW: i32 = 24;
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let left = 8 * longest as i32 + 10;
    let room = WIDTH - left - 64;
    draw(says, ROW * bars.len() as i32 + 4, |canvas| {
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
    const ROW: i32 = 40;
    const HEAD: i32 = 44;
    const FOOT: i32 = 28;
    let models = &evaluation.models;
    let axis = Axis::of(evaluation);
    let bottom = HEAD + ROW * models.len() as i32;
    draw("Accuracy of each model, with its standard error", bottom + FOOT, |canvas| {
        let limits = [
            ("guessing", evaluation.baseline, CONTRARY, At::End),
            ("ceiling", evaluation.ceiling.accuracy, ACCENT, At::Start),
        ];
        for percent in axis.ticks() {
            let x = axis.x(percent);
            canvas.line((x, HEAD), (x, bottom), RULE, 1)?;
            canvas.text(&format!("{:.0} %", percent * 100.0), (x, bottom + 14), At::Middle, TEXT - 1.0, MUTED)?;
        }
        for (name, accuracy, colour, at) in limits {
            limit(canvas, name, accuracy, (axis.x(accuracy), HEAD, bottom), colour, at)?;
        }
        for (scores, y) in models.iter().zip((HEAD..).step_by(ROW as usize)) {
            let (mean, error) = (scores.accuracy_mean, scores.accuracy_standard_error);
            let name = format!("{}, {}", scores.candidate.model.name(), scores.candidate.feature_set.told());
            canvas.text(&name, (0, y + 11), At::Start, TEXT, INK)?;
            let value = format!("{:.1} % ± {:.1}", mean * 100.0, error * 100.0);
            canvas.text(&value, (WIDTH, y + 11), At::End, TEXT, MUTED)?;
            let (from, to, middle) = (axis.x(mean - error), axis.x(mean + error), y + 28);
            canvas.line((from, middle), (to, middle), INK, 2)?;
            for end in [from, to] {
                canvas.line((end, middle - 4), (end, middle + 4), INK, 2)?;
            }
            canvas.dot((axis.x(mean), middle), 5, INK)?;
        }
        Ok(())
    })
}

fn limit(
    canvas: &super::chart::Canvas,
    name: &str,
    accuracy: f64,
    (x, top, bottom): (i32, i32, i32),
    colour: RGBColor,
    at: At,
) -> super::chart::Drawn {
    canvas.line((x, top - 4), (x, bottom), colour, 2)?;
    // Their names stand away from each other: the two may be close.
    let beside = if matches!(at, At::End) { x + 4 } else { x - 4 };
    canvas.text(name, (beside, top - 30), at, TEXT, colour)?;
    canvas.text(&format!("{:.1} %", accuracy * 100.0), (beside, top - 14), at, TEXT, colour)
}

/// From accuracies to places.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    const STEP: f64 = 0.05;
    const MARGIN: i32 = 20;

    /// From whole step to whole step, around all that is drawn.
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
        // Whatever the range, no more numbers than there is room for.
        let every = steps.div_ceil(6).max(1);
        (0..=steps).step_by(every).map(|step| self.from + step as f64 * Self::STEP)
    }

    fn x(&self, value: f64) -> i32 {
        Self::MARGIN + part(WIDTH - 2 * Self::MARGIN, (value - self.from) / (self.to - self.from))
    }
}
