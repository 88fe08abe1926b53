//! Aggregates days into columns of a chart.

use crate::history::Day;

/// Values of a column: of one day, or of several if there are more days than columns.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Column {
    /// Whether any of its days has a value.
    pub(super) is_known: bool,
    /// The maximum of its days' cases, or 0.
    pub(super) highest: f64,
    /// The minimum of its days' cases if negative, or 0.
    pub(super) lowest: f64,
    /// The mean of its days' averages.
    pub(super) average: Option<f64>,
}

/// Groups the days from the first to the last one into at most `most` columns; also returns the number of days per
/// column. Days must be sorted. Missing days have a place.
///
/// A column of several days keeps its minimum and maximum, because a mean would hide peaks and corrections.
pub(super) fn columns(days: &[Day], most: usize) -> (Vec<Column>, usize) {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return (Vec::new(), 1) };
    let place = |day: &Day| usize::try_from((day.date - first.date).num_days()).unwrap_or(0);
    let days_each = (place(last) + 1).div_ceil(most.max(1));
    let mut columns = vec![Column::default(); place(last) / days_each + 1];
    let mut averages = vec![(0.0, 0_u32); columns.len()];
    for day in days {
        let place = place(day) / days_each;
        if let Some(cases) = day.cases {
            let column = &mut columns[place];
            column.is_known = true;
            column.highest = column.highest.max(cases as f64);
            column.lowest = column.lowest.min(cases as f64);
        }
        if let Some(average) = day.average {
            averages[place].0 += average;
            averages[place].1 += 1;
        }
    }
    for (column, (sum, count)) in columns.iter_mut().zip(averages) {
        column.average = (count > 0).then(|| sum / f64::from(count));
    }
    (columns, days_each)
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::NaiveDate;

    use super::*;

    /// Days from 2020-03-01 on, with cases and averages; a day without either is missing.
    pub(crate) fn days(values: &[(Option<i64>, Option<f64>)]) -> Vec<Day> {
        let first = NaiveDate::from_ymd_opt(2020, 3, 1).unwrap();
        let day = |(date, &(cases, average)): (NaiveDate, &(Option<i64>, Option<f64>))| Day {
            date,
            cases,
            average,
            total: None,
            days_covered: 1,
            source: String::new(),
        };
        first.iter_days().zip(values).map(day).filter(|day| day.cases.is_some() || day.average.is_some()).collect()
    }

    #[test]
    fn each_day_has_a_column_while_there_is_space() {
        let days = days(&[(Some(3), None), (None, None), (Some(-2), Some(0.5))]);
        let column = |is_known, highest, lowest, average| Column { is_known, highest, lowest, average };
        let expected = vec![column(true, 3.0, 0.0, None), Column::default(), column(true, 0.0, -2.0, Some(0.5))];
        assert_eq!(columns(&days, 3), (expected, 1));
    }

    #[test]
    fn a_column_of_several_days_keeps_the_highest_and_the_lowest() {
        let days = days(&[(Some(3), Some(1.0)), (Some(-9), None), (Some(7), Some(2.0)), (Some(1), None)]);
        let column = |highest, lowest, average| Column { is_known: true, highest, lowest, average };
        assert_eq!(columns(&days, 2), (vec![column(3.0, -9.0, Some(1.0)), column(7.0, 0.0, Some(2.0))], 2));
        assert_eq!(columns(&days, 1), (vec![column(7.0, -9.0, Some(1.5))], 4));
    }

    #[test]
    fn no_days_have_no_columns() {
        assert_eq!(columns(&[], 10), (vec![], 1));
    }
}
