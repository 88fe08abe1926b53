//! Labels of an axis of days.

use chrono::{Datelike, Days, Months, NaiveDate};

/// Steps in days, for labels of single days.
const DAYS: [u64; 4] = [1, 2, 7, 14];
/// Steps in months, for labels at the first of a month.
const MONTHS: [u32; 8] = [1, 2, 3, 6, 12, 24, 60, 120];

/// At most `most` days with labels, evenly spaced between the first and the last day: single days for short periods,
/// otherwise firsts of months; none for periods of centuries.
pub(super) fn ticks(first: NaiveDate, last: NaiveDate, most: usize) -> Vec<(NaiveDate, String)> {
    let days = DAYS.iter().map(|&step| collect(Some(first), last, most, |day| day.checked_add_days(Days::new(step))));
    let months = MONTHS
        .iter()
        .map(|&step| collect(first_of_step(first, step), last, most, |day| day.checked_add_months(Months::new(step))));
    let days = days.flatten().map(|days| labelled(days, "%Y-%m-%d"));
    let mut all = days.chain(months.flatten().map(|days| labelled(days, "%Y-%m")));
    all.next().unwrap_or_default()
}

/// The days from one on, unless there are more than `most`.
fn collect(
    from: Option<NaiveDate>,
    last: NaiveDate,
    most: usize,
    next: impl Fn(&NaiveDate) -> Option<NaiveDate>,
) -> Option<Vec<NaiveDate>> {
    let days = std::iter::successors(from, next).take_while(|day| *day <= last);
    let days: Vec<NaiveDate> = days.take(most + 1).collect();
    (days.len() <= most).then_some(days)
}

/// The first of a month on or after a day, in a month that is a multiple of the step from January.
fn first_of_step(day: NaiveDate, step: u32) -> Option<NaiveDate> {
    let firsts = std::iter::successors(day.with_day(1), |first| first.checked_add_months(Months::new(1)));
    let is_step = |first: &NaiveDate| {
        let months = i64::from(first.year()) * 12 + i64::from(first.month0());
        months.rem_euclid(i64::from(step)) == 0
    };
    firsts.skip_while(|first| *first < day).find(is_step)
}

fn labelled(days: Vec<NaiveDate>, format: &str) -> Vec<(NaiveDate, String)> {
    days.into_iter().map(|day| (day, day.format(format).to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(first: &str, last: &str, most: usize) -> Vec<String> {
        let ticks = ticks(first.parse().unwrap(), last.parse().unwrap(), most);
        ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn few_days_have_a_label_each() {
        assert_eq!(labels("2020-02-28", "2020-03-01", 3), ["2020-02-28", "2020-02-29", "2020-03-01"]);
        assert_eq!(labels("2020-02-28", "2020-03-01", 2), ["2020-02-28", "2020-03-01"]);
        assert_eq!(labels("2020-02-28", "2020-02-28", 6), ["2020-02-28"]);
    }

    #[test]
    fn months_and_years_begin_where_calendars_do() {
        assert_eq!(labels("2020-01-23", "2020-06-30", 5), ["2020-02", "2020-03", "2020-04", "2020-05", "2020-06"]);
        assert_eq!(labels("2020-01-23", "2023-03-09", 4), ["2021-01", "2022-01", "2023-01"]);
        assert_eq!(labels("2020-01-01", "2022-12-31", 6).first().unwrap(), "2020-01");
    }

    #[test]
    fn there_are_never_more_labels_than_the_maximum() {
        for days in [0, 1, 10, 40, 100, 1_000, 10_000, 100_000, 2_000_000] {
            let first = NaiveDate::from_ymd_opt(2020, 1, 22).unwrap();
            let last = first + Days::new(days);
            let ticks = ticks(first, last, 9);
            assert!(ticks.len() <= 9, "{days}: {ticks:?}");
            assert!(ticks.iter().all(|(day, _)| (first..=last).contains(day)), "{days}: {ticks:?}");
        }
    }
}
