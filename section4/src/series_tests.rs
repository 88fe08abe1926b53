use super::*;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2020, 3, day).unwrap()
}

/// The series of places with their totals on days of March.
fn series(places: &[(&str, &[(u32, u64)])]) -> Series {
    limited(places, Days::default())
}

fn limited(places: &[(&str, &[(u32, u64)])], days: Days) -> Series {
    let mut totals = Totals::default();
    for (place, values) in places {
        for &(on, cases) in *values {
            totals.add(place, day(on), Cases(cases)).unwrap();
        }
    }
    totals.series("Atlantis", Source::Covid19api, days)
}

fn values(series: &Series) -> Vec<(NaiveDate, u64)> {
    series.measurements.iter().map(|measurement| (measurement.date, measurement.total_cases)).collect()
}

fn said(series: &Series) -> Vec<String> {
    series.warnings.iter().map(Warning::to_string).collect()
}

#[test]
fn provinces_are_summed_by_day_without_a_warning() {
    let series = series(&[("North", &[(1, 1), (2, 3)]), ("South", &[(1, 10), (2, 20)]), ("", &[(1, 0), (2, 100)])]);
    assert_eq!(values(&series), [(day(1), 11), (day(2), 123)]);
    assert_eq!(said(&series), [""; 0]);
}

#[test]
fn a_day_without_a_province_is_omitted_with_a_warning() {
    let series = series(&[("North", &[(1, 1), (2, 2), (3, 3)]), ("South", &[(1, 10), (3, 30)])]);
    assert_eq!(values(&series), [(day(1), 11), (day(3), 33)]);
    assert_eq!(said(&series), ["Atlantis: 1 day omitted because provinces are missing (South): 2020-03-02"]);
}

#[test]
fn a_province_that_ends_does_not_become_a_drop() {
    let series = series(&[("North", &[(1, 1), (2, 2), (3, 3)]), ("", &[(1, 10)])]);
    assert_eq!(values(&series), [(day(1), 11)]);
    let expected = "Atlantis: 2 days omitted because provinces are missing (the country itself): 2020-03-02, \
                    2020-03-03";
    assert_eq!(said(&series), [expected]);
}

#[test]
fn a_province_that_starts_late_is_a_warning_unless_it_starts_with_zero() {
    let series = series(&[("North", &[(1, 1), (2, 2)]), ("South", &[(2, 50)]), ("West", &[(2, 0)])]);
    assert_eq!(values(&series), [(day(1), 1), (day(2), 52)]);
    let expected = "Atlantis: the total jumps because provinces start late: South on 2020-03-02 with 50 cases";
    assert_eq!(said(&series), [expected]);
}

#[test]
fn decreasing_totals_are_kept_with_a_warning() {
    let series = series(&[("", &[(1, 10), (2, 8), (3, 9), (4, 7), (5, 6), (6, 5)])]);
    assert_eq!(values(&series).len(), 6);
    let expected = "Atlantis: the total decreases on 4 days: 2020-03-02 (10 to 8), 2020-03-04 (9 to 7), 2020-03-05 (7 to 6) \
                    and 1 more";
    assert_eq!(said(&series), [expected]);
}

#[test]
fn missing_days_are_a_warning_and_not_interpolated() {
    let series = series(&[("", &[(1, 1), (3, 3), (9, 9)])]);
    assert_eq!(values(&series), [(day(1), 1), (day(3), 3), (day(9), 9)]);
    assert_eq!(said(&series), ["Atlantis: 6 days missing, not interpolated: 2020-03-02, 2020-03-04 to 2020-03-08"]);
}

#[test]
fn days_out_of_order_are_sorted_with_a_warning() {
    let series = series(&[("", &[(1, 1), (3, 3), (2, 2)])]);
    assert_eq!(values(&series), [(day(1), 1), (day(2), 2), (day(3), 3)]);
    assert_eq!(said(&series), ["Atlantis: 1 day out of order, sorted: 2020-03-02"]);
}

#[test]
fn a_duplicate_day_with_the_same_value_counts_once() {
    let series = series(&[("North", &[(1, 5), (1, 5)]), ("South", &[(1, 5)])]);
    assert_eq!(values(&series), [(day(1), 10)]);
    assert_eq!(said(&series), ["Atlantis: 1 duplicate day with the same value: 2020-03-01"]);
}

#[test]
fn a_duplicate_day_with_another_value_is_refused() {
    let mut totals = Totals::default();
    totals.add("North", day(1), Cases(5)).unwrap();
    let error = totals.add("North", day(1), Cases(6)).unwrap_err();
    assert_eq!(error, "2020-03-01 has two values, 5 and 6 cases of North");
}

#[test]
fn days_outside_the_limits_are_ignored() {
    let days = Days::new(Some(day(3)), Some(day(4))).unwrap();
    let places: &[(&str, &[(u32, u64)])] = &[("", &[(1, 9), (2, 8), (2, 8), (3, 7), (4, 9), (6, 1)])];
    let series = limited(places, days);
    assert_eq!(values(&series), [(day(3), 7), (day(4), 9)]);
    assert_eq!(said(&series), [""; 0]);
}

#[test]
fn the_last_day_is_not_before_the_first() {
    assert!(Days::new(Some(day(2)), Some(day(2))).is_ok());
    assert!(matches!(Days::new(Some(day(2)), Some(day(1))), Err(Error::Usage { .. })));
}
