//! Checks pictures by the colours of their pixels.

use super::super::columns::tests::days;
use super::*;

/// Number of pixels of a colour. Edges have other colours, because the picture was scaled down.
fn area(history: History, colour: RGBColor) -> usize {
    count(history, |pixel| pixel == [colour.0, colour.1, colour.2])
}

fn count(history: History, is_counted: impl Fn(&[u8]) -> bool) -> usize {
    let bytes = png(&[history]).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
    pixels.chunks_exact(3).filter(|pixel| is_counted(pixel)).count()
}

fn history(values: &[(Option<i64>, Option<f64>)]) -> History {
    History { country: "Côte d'Ivoire".to_owned(), days: days(values) }
}

#[test]
fn a_correction_is_drawn_at_the_same_scale_as_cases() {
    let (up, both) = (history(&[(Some(9), None), (Some(0), None)]), history(&[(Some(9), None), (Some(-9), None)]));
    let (up, both) = (area(up, BAR), area(both, BAR));
    assert!(up > 100_000 && both.abs_diff(up) < up / 20, "{up} {both}");
}

#[test]
fn no_bar_disappears_with_more_days_than_pixels() {
    let is_blue = |pixel: &[u8]| i16::from(pixel[2]) > i16::from(pixel[0]) + 30;
    let mut values = vec![(Some(0), None); 5_000];
    let without = count(history(&values), is_blue);
    for peak in 2_501..2_504 {
        values[peak] = (Some(9), None);
        let with = count(history(&values), is_blue);
        values[peak] = (Some(0), None);
        assert!(with > without + 400, "{peak}: {without} {with}");
    }
}

#[test]
fn the_line_has_a_gap_where_a_day_or_its_average_is_missing() {
    let line = |middle| area(history(&[(Some(1), Some(1.0)), middle, (Some(1), Some(1.0))]), LINE);
    let whole = line((Some(1), Some(1.0)));
    for middle in [(Some(1), None), (None, None)] {
        assert!(whole > line(middle) + 500, "{middle:?}");
    }
}

#[test]
fn cases_of_several_days_have_another_colour() {
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
fn too_many_countries_are_refused() {
    let histories = vec![history(&[(Some(1), None)]); MOST_COUNTRIES + 1];
    assert_eq!(png(&histories).unwrap_err().exit_code(), 2);
    assert!(png(&histories[1..]).is_ok());
}
