//! Order times: more orders at week-ends, before Christmas and in the evening, and more from year to year.

use std::ops::Range;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use super::random::Random;

/// Units of time in microseconds.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Relative numbers of orders by weekday, from Monday.
const WEEKDAYS: [u64; 7] = [90, 85, 88, 95, 115, 130, 120];
/// Relative numbers of orders by month, from January.
const MONTHS: [u64; 12] = [85, 80, 92, 95, 100, 102, 96, 90, 97, 103, 135, 150];
/// Relative numbers of orders by hour, from midnight.
const HOURS: [u64; 24] = [4, 2, 1, 1, 1, 2, 5, 9, 13, 16, 18, 19, 22, 20, 18, 17, 18, 21, 26, 32, 36, 34, 22, 11];

/// The days of the sales, and the number of orders of each.
#[derive(Debug)]
pub(super) struct Calendar {
    /// Microseconds since 1970.
    begin: i64,
    /// Number of orders before each day, and finally the total.
    orders_before: Vec<u64>,
}

impl Calendar {
    const DAYS: u64 = 3 * 365;

    /// Spreads orders over the three years that end at the beginning of the day `until`, in UTC.
    pub(super) fn new(until: NaiveDate, orders: u64, random: &mut Random) -> Self {
        let first = until - Days::new(Self::DAYS);
        let mut sum = 0;
        let mut weights = vec![0];
        for day in 0..Self::DAYS {
            let date = first + Days::new(day);
            let growth = Self::DAYS + day;
            let weather = 80 + random.below(41);
            let weekday = WEEKDAYS[date.weekday().num_days_from_monday() as usize];
            sum += weekday * MONTHS[date.month0() as usize] * growth * weather;
            weights.push(sum);
        }
        let share = |&weight: &u64| (u128::from(orders) * u128::from(weight) / u128::from(sum)) as u64;
        Self { begin: midnight(first), orders_before: weights.iter().map(share).collect() }
    }

    /// From the first day to the end of the last one, in microseconds since 1970.
    pub(super) fn period(&self) -> Range<i64> {
        self.begin..self.begin + Self::DAYS as i64 * DAY
    }

    /// Iterator over the times of the orders, in ascending order.
    pub(super) fn times(&self) -> Times<'_> {
        Times { calendar: self, day: 0, order: 0 }
    }
}

/// The times of the orders, in microseconds since 1970, in ascending order.
#[derive(Debug)]
pub(super) struct Times<'a> {
    calendar: &'a Calendar,
    day: usize,
    order: u64,
}

impl Times<'_> {
    /// The time of the next order; there must be one.
    pub(super) fn next(&mut self, random: &mut Random) -> i64 {
        let orders_before = &self.calendar.orders_before;
        while orders_before[self.day + 1] <= self.order {
            self.day += 1;
        }
        let of_day = orders_before[self.day + 1] - orders_before[self.day];
        let place = (self.order - orders_before[self.day]) as f64 + random.fraction();
        self.order += 1;
        self.calendar.begin + self.day as i64 * DAY + time_of_day(place / of_day as f64)
    }
}

/// The time at which this fraction of a day's orders was placed, in microseconds since midnight.
fn time_of_day(fraction: f64) -> i64 {
    let all: u64 = HOURS.iter().sum();
    let mut left = fraction * all as f64;
    for (hour, &weight) in HOURS.iter().enumerate() {
        let weight = weight as f64;
        if left < weight {
            return hour as i64 * HOUR + (left / weight * HOUR as f64) as i64;
        }
        left -= weight;
    }
    // The fraction was rounded up to one.
    DAY - 1
}

/// The beginning of a day in UTC, in microseconds since 1970.
pub(super) fn midnight(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: u64 = 100_000;

    fn times() -> (Calendar, Vec<i64>) {
        let mut random = Random::new(1, 0);
        let until = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let calendar = Calendar::new(until, ORDERS, &mut random);
        let mut times = calendar.times();
        let times = (0..ORDERS).map(|_| times.next(&mut random)).collect();
        (calendar, times)
    }

    #[test]
    fn orders_come_one_after_the_other_within_three_years() {
        let (calendar, times) = times();
        assert!(times.is_sorted());
        let period = calendar.period();
        assert!(times.iter().all(|time| period.contains(time)));
        let until = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        assert_eq!(period.end, midnight(until));
    }

    #[test]
    fn orders_follow_weekly_and_yearly_patterns() {
        let (_, times) = times();
        let dates: Vec<_> =
            times.iter().map(|&time| chrono::DateTime::from_timestamp_micros(time).unwrap().date_naive()).collect();
        let count = |is: &dyn Fn(&NaiveDate) -> bool| dates.iter().filter(|date| is(date)).count();
        assert!(count(&|date| date.weekday().number_from_monday() == 6) * 100 > dates.len() * 16);
        assert!(count(&|date| date.month() == 12) * 100 > dates.len() * 11);
        assert!(count(&|date| date.month() == 2) * 100 < dates.len() * 8);
        assert!(count(&|date| date.year() == 2025) > count(&|date| date.year() == 2023) * 5 / 4);
    }

    #[test]
    fn few_orders_are_spread_over_the_days_too() {
        let mut random = Random::new(1, 0);
        let calendar = Calendar::new(NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(), 3, &mut random);
        let mut times = calendar.times();
        let times: Vec<_> = (0..3).map(|_| times.next(&mut random)).collect();
        assert!(times.is_sorted() && times[2] - times[0] > 100 * DAY, "{times:?}");
    }
}
