//! Draws a chart as a picture.

use std::fmt::Display;
use std::sync::OnceLock;

use chrono::NaiveDate;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::number;
use super::ticks::ticks;
use crate::history::{Day, History};
use crate::{Error, Result};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 600;
/// Factor by which the picture is drawn larger and then scaled down, for antialiasing.
const FINER: u32 = 2;
/// Maximum number of charts; with more there would be no space for their numbers.
const MOST_COUNTRIES: usize = 12;

const FONT: &str = "Noto Sans";
const INK: RGBColor = RGBColor(36, 41, 46);
const FAINT_INK: RGBColor = RGBColor(106, 115, 125);
const GRID: RGBColor = RGBColor(232, 234, 237);
const BAR: RGBColor = RGBColor(158, 197, 240);
/// Bars with the cases of several days.
const LONG_BAR: RGBColor = RGBColor(240, 190, 120);
const LINE: RGBColor = RGBColor(21, 81, 163);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<DayAxis, RangedCoordf64>>;

/// Draws countries, each in its own chart, as a PNG of 1200 by 600 pixels.
///
/// # Errors
/// If there are more than [`MOST_COUNTRIES`].
pub(crate) fn png(histories: &[History]) -> Result<Vec<u8>> {
    if histories.len() > MOST_COUNTRIES {
        return Err(Error::Usage {
            message: format!("a picture can have at most {MOST_COUNTRIES} countries, not {}", histories.len()),
            help: "select fewer with --country".to_owned(),
        });
    }
    load_fonts()?;
    let mut pixels = vec![0; (WIDTH * FINER * HEIGHT * FINER * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (WIDTH * FINER, HEIGHT * FINER)).into_drawing_area();
        draw(&area, histories).and_then(|()| area.present().map_err(failed))?;
    }
    encode(&smaller(&pixels)).map_err(failed)
}

fn failed(error: impl Display) -> Error {
    Error::Picture(error.to_string())
}

/// The fonts are embedded in the program: a server may have none.
fn load_fonts() -> Result<()> {
    static ARE_LOADED: OnceLock<bool> = OnceLock::new();
    let load = || {
        let fonts = [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)];
        fonts.into_iter().all(|(style, font)| register_font(FONT, style, font).is_ok())
    };
    if *ARE_LOADED.get_or_init(load) { Ok(()) } else { Err(failed("its font cannot be read")) }
}

/// Converts pixels of the picture to pixels of the drawing.
const fn px(pixels: u32) -> u32 {
    pixels * FINER
}

fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, px(size)).into_font().color(&colour)
}

fn bold(size: u32) -> TextStyle<'static> {
    (FONT, px(size), FontStyle::Bold).into_font().color(&INK)
}

fn draw(area: &Area<'_>, histories: &[History]) -> Result<()> {
    area.fill(&WHITE).map_err(failed)?;
    let (head, below) = area.split_vertically(px(58));
    let (body, foot) = below.split_vertically(px(HEIGHT - 58 - 26));
    let title = match histories {
        [only] => format!("Daily confirmed cases: {}", only.country),
        _ => "Daily confirmed cases".to_owned(),
    };
    let at = |x: u32, y: u32| (px(x) as i32, px(y) as i32);
    head.draw(&Text::new(title, at(20, 13), bold(30))).map_err(failed)?;
    legend(&head, histories)?;
    let style = text(16, FAINT_INK).pos(Pos::new(HPos::Right, VPos::Top));
    foot.draw(&Text::new(origin(histories), at(WIDTH - 20, 0), style)).map_err(failed)?;

    let columns = (histories.len() as f64).sqrt().ceil().max(1.0) as usize;
    let columns = if histories.len() <= 2 { 1 } else { columns };
    let panels = body.split_evenly((histories.len().div_ceil(columns), columns));
    for (panel, history) in panels.iter().zip(histories) {
        chart(panel, history, histories.len() > 1)?;
    }
    Ok(())
}

/// The publishers, and the period of the data.
fn origin(histories: &[History]) -> String {
    let days = || histories.iter().flat_map(|history| &history.days);
    let mut sources: Vec<&str> = days().map(|day| day.source.as_str()).filter(|source| !source.is_empty()).collect();
    sources.sort_unstable();
    sources.dedup();
    let (first, last) = (days().map(|day| day.date).min(), days().map(|day| day.date).max());
    let range = first.zip(last).map(|(first, last)| format!("{first} to {last}")).unwrap_or_default();
    match sources.as_slice() {
        [] => range,
        sources => format!("source: {}, {range}", sources.join(", ")),
    }
}

fn legend(head: &Area<'_>, histories: &[History]) -> Result<()> {
    let has_long = histories.iter().flat_map(|history| &history.days).any(|day| day.days_covered > 1);
    let mut right = px(WIDTH - 20) as i32;
    let middle = px(30) as i32;
    let mut entries = vec![("7-day average", LINE, 1), ("cases of a day", BAR, 6)];
    if has_long {
        entries.push(("cases of several days", LONG_BAR, 6));
    }
    for (name, colour, half) in entries {
        let style = text(17, INK).pos(Pos::new(HPos::Left, VPos::Center));
        let (width, _) = head.estimate_text_size(name, &style).map_err(failed)?;
        let at = right - width as i32;
        head.draw(&Text::new(name, (at, middle), style)).map_err(failed)?;
        let (half, gap, wide) = (px(half) as i32, px(8) as i32, px(18) as i32);
        let mark = [(at - gap - wide, middle - half), (at - gap, middle + half)];
        head.draw(&Rectangle::new(mark, colour.filled())).map_err(failed)?;
        right = at - gap - wide - px(24) as i32;
    }
    Ok(())
}

/// An axis of days, each centred at its number; some have labels.
struct DayAxis {
    range: (f64, f64),
    labelled: Vec<f64>,
}

impl Ranged for DayAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let (first, last) = self.range;
        low + ((value - first) / (last - first) * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.labelled.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

impl ValueFormatter<f64> for DayAxis {
    fn format(value: &f64) -> String {
        value.to_string()
    }
}

fn chart(panel: &Area<'_>, history: &History, is_one_of_several: bool) -> Result<()> {
    let (Some(first), Some(last)) = (history.days.first(), history.days.last()) else { return Ok(()) };
    let at = |day: NaiveDate| (day - first.date).num_days() as f64;
    let (width, height) = panel.dim_in_pixel();
    let labels = ticks(first.date, last.date, (width / px(120)).max(2) as usize);
    let days =
        DayAxis { range: (-0.5, at(last.date) + 0.5), labelled: labels.iter().map(|(day, _)| at(*day)).collect() };
    let (low, high) = extent(&history.days);

    let mut builder = ChartBuilder::on(panel);
    builder.margin_right(px(20)).margin_left(px(8)).margin_bottom(px(4)).margin_top(px(4));
    builder.x_label_area_size(px(30)).y_label_area_size(px(if is_one_of_several { 78 } else { 90 }));
    if is_one_of_several {
        builder.caption(&history.country, bold(20));
    }
    let mut chart = builder.build_cartesian_2d(days, low..high).map_err(failed)?;
    let day_label = |value: &f64| {
        let label = labels.iter().find(|(day, _)| at(*day) == *value);
        label.map(|(_, label)| label.clone()).unwrap_or_default()
    };
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh().bold_line_style(GRID.stroke_width(FINER)).light_line_style(TRANSPARENT);
    mesh.axis_style(FAINT_INK.stroke_width(FINER)).label_style(text(17, INK));
    mesh.x_label_formatter(&day_label).x_labels(labels.len());
    mesh.y_labels((height / px(45)).clamp(2, 8) as usize).y_label_formatter(&|value| number(*value));
    if !is_one_of_several {
        mesh.y_desc("cases a day").axis_desc_style(text(16, FAINT_INK));
    }
    mesh.draw().map_err(failed)?;

    bars(&mut chart, &history.days)?;
    if low < 0.0 {
        let axis = [(-0.5, 0.0), (at(last.date) + 0.5, 0.0)];
        chart.draw_series([PathElement::new(axis, FAINT_INK.stroke_width(FINER))]).map_err(failed)?;
    }
    line(&mut chart, &history.days)
}

fn bars(chart: &mut Chart<'_, '_>, days: &[Day]) -> Result<()> {
    let Some(first) = days.first() else { return Ok(()) };
    let (pixels, _) = chart.plotting_area().dim_in_pixel();
    let of_a_pixel = chart.x_range().end / f64::from(pixels) * f64::from(FINER);
    // Bars are separated where there is space, and at least a pixel wide, so that none disappears.
    let half = if of_a_pixel > 0.25 { of_a_pixel.max(1.0) / 2.0 } else { 0.35 };
    let bars = days.iter().filter_map(|day| {
        let x = (day.date - first.date).num_days() as f64;
        let colour = if day.days_covered > 1 { LONG_BAR } else { BAR };
        day.cases.map(|cases| Rectangle::new([(x - half, 0.0), (x + half, cases as f64)], colour.filled()))
    });
    chart.draw_series(bars).map_err(failed)?;
    Ok(())
}

/// Draws dense dots as a line, with gaps where days have no average. A wide path of plotters would have holes at sharp
/// turns.
fn line(chart: &mut Chart<'_, '_>, days: &[Day]) -> Result<()> {
    let Some(first) = days.first() else { return Ok(()) };
    let place = |day: &Day| Some(((day.date - first.date).num_days() as f64, day.average?));
    let mut dots: Vec<(f64, f64)> = days.iter().filter_map(place).collect();
    for pair in days.windows(2).filter(|pair| pair[0].date.succ_opt() == Some(pair[1].date)) {
        let (Some(from), Some(to)) = (place(&pair[0]), place(&pair[1])) else { continue };
        let (start, end) = (chart.backend_coord(&from), chart.backend_coord(&to));
        let steps = start.0.abs_diff(end.0).max(start.1.abs_diff(end.1));
        let between = |step: u32| {
            let part = f64::from(step) / f64::from(steps);
            (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
        };
        dots.extend((1..steps).map(between));
    }
    chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot, px(1), LINE.filled()))).map_err(failed)?;
    Ok(())
}

/// The range of values, including 0, with a margin.
fn extent(days: &[Day]) -> (f64, f64) {
    let values = || days.iter().flat_map(|day| [day.cases.map(|cases| cases as f64), day.average]).flatten();
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let air = (high - low) * 0.05;
    match (low < 0.0, high > 0.0) {
        (false, false) => (0.0, 1.0),
        (is_below, is_above) => (if is_below { low - air } else { 0.0 }, if is_above { high + air } else { 0.0 }),
    }
}

/// Scales down: averages squares of pixels.
fn smaller(pixels: &[u8]) -> Vec<u8> {
    let (finer, line) = (FINER as usize, (WIDTH * FINER * 3) as usize);
    let mut small = Vec::with_capacity(pixels.len() / (finer * finer));
    for lines in pixels.chunks_exact(line * finer) {
        let mut sums = vec![0_u32; (WIDTH * 3) as usize];
        for (place, value) in lines.chunks_exact(line).flat_map(|line| line.iter().enumerate()) {
            sums[place / (3 * finer) * 3 + place % 3] += u32::from(*value);
        }
        small.extend(sums.into_iter().map(|sum| (sum / (FINER * FINER)) as u8));
    }
    small
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
