//! A chart as a picture.

use std::fmt::Display;
use std::sync::OnceLock;

use chrono::NaiveDate;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::number;
use super::ticks::ticks;
use crate::history::{Day, History};
use crate::{Error, Result};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 600;
/// Everything is drawn so many times as large and then made smaller: nothing else smooths lines and bars.
const FINER: u32 = 2;
/// More charts than that would have no room for their numbers.
const MOST_COUNTRIES: usize = 12;

const FONT: &str = "Noto Sans";
const INK: RGBColor = RGBColor(36, 41, 46);
const FAINT_INK: RGBColor = RGBColor(106, 115, 125);
const GRID: RGBColor = RGBColor(232, 234, 237);
const BAR: RGBColor = RGBColor(158, 197, 240);
/// Cases of several days in one.
const LONG_BAR: RGBColor = RGBColor(240, 190, 120);
const LINE: RGBColor = RGBColor(21, 81, 163);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws countries, each in a chart of its own, as a PNG of 1200 by 600 pixels.
///
/// # Errors
/// If there are more than [`MOST_COUNTRIES`].
pub(crate) fn png(histories: &[History]) -> Result<Vec<u8>> {
    if histories.len() > MOST_COUNTRIES {
        return Err(Error::Usage {
            message: format!("a picture has room for {MOST_COUNTRIES} countries, not for {}", histories.len()),
            help: "name fewer of them with --country".to_owned(),
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

/// The fonts come with the program: a server may have none.
fn load_fonts() -> Result<()> {
    static ARE_LOADED: OnceLock<bool> = OnceLock::new();
    let load = || {
        let fonts = [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)];
        fonts.into_iter().all(|(style, font)| register_font(FONT, style, font).is_ok())
    };
    if *ARE_LOADED.get_or_init(load) { Ok(()) } else { Err(failed("its font cannot be read")) }
}

/// In pixels of the picture as it is drawn.
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
    head.draw(&Text::new(title, at(20, 16), bold(25))).map_err(failed)?;
    legend(&head, histories)?;
    let style = text(14, FAINT_INK).pos(Pos::new(HPos::Right, VPos::Top));
    foot.draw(&Text::new(origin(histories), at(WIDTH - 20, 0), style)).map_err(failed)?;

    let columns = (histories.len() as f64).sqrt().ceil().max(1.0) as usize;
    let columns = if histories.len() <= 2 { 1 } else { columns };
    let panels = body.split_evenly((histories.len().div_ceil(columns), columns));
    for (panel, history) in panels.iter().zip(histories) {
        chart(panel, history, histories.len() > 1)?;
    }
    Ok(())
}

/// Who published what, and of which days.
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
        let style = text(14, INK).pos(Pos::new(HPos::Left, VPos::Center));
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

/// Days, of which each has its middle at its number; some have labels.
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
    builder.x_label_area_size(px(28)).y_label_area_size(px(if is_one_of_several { 64 } else { 78 }));
    if is_one_of_several {
        builder.caption(&history.country, bold(16));
    }
    let mut chart = builder.build_cartesian_2d(days, low..high).map_err(failed)?;
    let day_label = |value: &f64| {
        let label = labels.iter().find(|(day, _)| at(*day) == *value);
        label.map(|(_, label)| label.clone()).unwrap_or_default()
    };
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh().bold_line_style(GRID.stroke_width(FINER)).light_line_style(TRANSPARENT);
    mesh.axis_style(FAINT_INK.stroke_width(FINER)).label_style(text(14, INK));
    mesh.x_label_formatter(&day_label).x_labels(labels.len());
    mesh.y_labels((height / px(45)).clamp(2, 8) as usize).y_label_formatter(&|value| number(*value));
    if !is_one_of_several {
        mesh.y_desc("cases a day").axis_desc_style(text(14, FAINT_INK));
    }
    mesh.draw().map_err(failed)?;

    // Days of a pixel or two have no room for gaps.
    let half = if at(last.date) * f64::from(px(4)) > f64::from(width) { 0.5 } else { 0.35 };
    let bars = history.days.iter().filter_map(|day| {
        let (x, colour) = (at(day.date), if day.days_covered > 1 { LONG_BAR } else { BAR });
        day.cases.map(|cases| Rectangle::new([(x - half, 0.0), (x + half, cases as f64)], colour.filled()))
    });
    chart.draw_series(bars).map_err(failed)?;
    if low < 0.0 {
        let axis = [(-0.5, 0.0), (at(last.date) + 0.5, 0.0)];
        chart.draw_series([PathElement::new(axis, FAINT_INK.stroke_width(FINER))]).map_err(failed)?;
    }
    let points: Vec<(NaiveDate, f64)> = history.days.iter().filter_map(|day| Some((day.date, day.average?))).collect();
    // A whole path of this width has holes where it turns sharply; pieces with round ends have none.
    let ends = points.iter().map(|&(day, average)| Circle::new((at(day), average), px(1), LINE.filled()));
    chart.draw_series(ends).map_err(failed)?;
    let pieces = points.windows(2).filter(|pair| pair[0].0.succ_opt() == Some(pair[1].0));
    let piece = |pair: &[(NaiveDate, f64)]| {
        PathElement::new([(at(pair[0].0), pair[0].1), (at(pair[1].0), pair[1].1)], LINE.stroke_width(px(2)))
    };
    chart.draw_series(pieces.map(piece)).map_err(failed)?;
    Ok(())
}

/// From the lowest to the highest value, 0 included, with some air.
fn extent(days: &[Day]) -> (f64, f64) {
    let values = || days.iter().flat_map(|day| [day.cases.map(|cases| cases as f64), day.average]).flatten();
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let air = (high - low) * 0.05;
    match (low < 0.0, high > 0.0) {
        (false, false) => (0.0, 1.0),
        (is_below, is_above) => (if is_below { low - air } else { 0.0 }, if is_above { high + air } else { 0.0 }),
    }
}

/// The means of squares of pixels.
fn smaller(pixels: &[u8]) -> Vec<u8> {
    let (finer, line) = (FINER as usize, (WIDTH * FINER * 3) as usize);
    let mut small = Vec::with_capacity(pixels.len() / (finer * finer));
    for lines in pixels.chunks_exact(line * finer) {
        for x in 0..WIDTH as usize {
            for channel in 0..3 {
                let square = (0..finer).flat_map(|dy| (0..finer).map(move |dx| (dx, dy)));
                let of = |(dx, dy)| u32::from(lines[dy * line + (x * finer + dx) * 3 + channel]);
                small.push((square.map(of).sum::<u32>() / (FINER * FINER)) as u8);
            }
        }
    }
    small
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::days;
    use super::*;

    /// How many pixels of a picture have a colour. It has been made smaller, so edges are of other ones.
    fn area(history: History, colour: RGBColor) -> usize {
        let bytes = png(&[history]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
        pixels.chunks_exact(3).filter(|pixel| *pixel == [colour.0, colour.1, colour.2]).count()
    }

    fn history(values: &[(Option<i64>, Option<f64>)]) -> History {
        History { country: "Côte d'Ivoire".to_owned(), days: days(values) }
    }

    #[test]
    fn a_correction_takes_as_much_room_as_a_case() {
        let (up, both) = (history(&[(Some(9), None), (Some(0), None)]), history(&[(Some(9), None), (Some(-9), None)]));
        let (up, both) = (area(up, BAR), area(both, BAR));
        assert!(up > 100_000 && both.abs_diff(up) < up / 20, "{up} {both}");
    }

    #[test]
    fn the_line_has_a_gap_where_a_day_has_no_average() {
        let whole = area(history(&[(Some(1), Some(1.0)), (Some(1), Some(1.0)), (Some(1), Some(1.0))]), LINE);
        let gap = area(history(&[(Some(1), Some(1.0)), (Some(1), None), (Some(1), Some(1.0))]), LINE);
        assert!(whole > gap + 500, "{whole} {gap}");
    }

    #[test]
    fn cases_of_several_days_are_told_from_those_of_one() {
        let mut history = history(&[(Some(1), None), (None, None), (Some(3), None)]);
        assert_eq!(area(history.clone(), LONG_BAR), 0);
        history.days[1].days_covered = 2;
        assert!(area(history, LONG_BAR) > 1_000);
    }

    #[test]
    fn any_values_can_be_drawn() {
        for values in [
            &[(Some(0), None)][..],
            &[(Some(0), Some(0.0)), (Some(0), None)],
            &[(None, Some(0.5))],
            &[(Some(-1), None)],
            &[(Some(i64::MAX), None), (Some(i64::MIN), Some(1e300))],
        ] {
            assert!(area(history(values), WHITE) > 1_000, "{values:?}");
        }
    }

    #[test]
    fn more_countries_than_there_is_room_for_are_refused() {
        let histories = vec![history(&[(Some(1), None)]); MOST_COUNTRIES + 1];
        assert_eq!(png(&histories).unwrap_err().exit_code(), 2);
        assert!(png(&histories[1..]).is_ok());
    }
}
