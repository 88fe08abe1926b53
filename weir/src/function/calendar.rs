//! Days since 1970-01-01 and civil dates of the Gregorian calendar, each from the other, in
//! integers only.

/// Days of the civil date since 1970-01-01, or none if there is no such date.
///
/// Years run from 1 to 9999, as four digits can write them.
#[inline]
pub fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    // Without branches that a processor could guess wrong: `&` and `|`, and lengths from a table.
    // Of the years that 25 divides, 16 has to divide a leap year: 400 does, 100 alone does not.
    let zero_bits = if year.is_multiple_of(25) { 15 } else { 3 };
    let leap = year & zero_bits == 0;
    let month_index = (month & 15) as usize;
    let length = MONTH_LENGTHS[month_index] + u32::from(leap & (month == 2));
    let is_date = (year.wrapping_sub(1) < 9999) & (month < 16) & (day.wrapping_sub(1) < length);
    if !is_date {
        return None;
    }
    let passed = year - 1;
    let centuries = passed / 100;
    let before_year = passed * 365 + passed / 4 - centuries + centuries / 4;
    let before_month = DAYS_BEFORE_MONTH[month_index] + u32::from(leap & (month > 2));
    Some((before_year + before_month + day - 1) as i32 - EPOCH)
}

/// The civil date (year, month, day) of a day since 1970-01-01.
///
/// The year is astronomical: 0 is the year before the year 1.
pub fn date(days: i32) -> (i64, u32, u32) {
    // Years that begin in March end with the leap day, and so do their groups of 4, 100 and 400.
    let since_march = i64::from(days) + i64::from(EPOCH) + DAYS_FROM_MARCH_OF_YEAR_ZERO;
    let era = since_march.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = since_march.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    // Months from March are 31, 30, 31, 30, 31 days long, over and over: 153 days in five months.
    let month_from_march = (day_of_year * 5 + 2) / 153;
    let day = day_of_year - (month_from_march * 153 + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Days from 0001-01-01 to 1970-01-01.
const EPOCH: i32 = 719_162;
/// Days from 0000-03-01 to 0001-01-01.
const DAYS_FROM_MARCH_OF_YEAR_ZERO: i64 = 306;
const DAYS_OF_400_YEARS: i64 = 146_097;

/// Lengths of the months 1 to 12 of a common year; what is no month has no days.
const MONTH_LENGTHS: [u32; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];
/// Days of a common year before each of the months 1 to 12.
const DAYS_BEFORE_MONTH: [u32; 16] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0];

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    const CHRONO_EPOCH: i32 = 719_163;

    proptest! {
        #[test]
        fn a_date_has_the_days_that_chrono_counts(
            year in 0u32..10_001,
            month in 0u32..40,
            day in 0u32..34,
        ) {
            let expected = NaiveDate::from_ymd_opt(year as i32, month, day)
                .filter(|_| (1..=9999).contains(&year))
                .map(|date| date.num_days_from_ce() - CHRONO_EPOCH);
            prop_assert_eq!(days(year, month, day), expected);
        }

        #[test]
        fn a_day_has_the_date_that_chrono_gives(day in -90_000_000i32..90_000_000) {
            let expected = NaiveDate::from_num_days_from_ce_opt(day + CHRONO_EPOCH).unwrap();
            let expected = (i64::from(expected.year()), expected.month(), expected.day());
            prop_assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn every_day_of_four_hundred_years_comes_back() {
        for day in -80_000..80_000 {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year as u32, month, day_of_month), Some(day));
        }
    }

    #[test]
    fn the_first_and_the_last_day_of_all_have_a_date() {
        assert_eq!(date(i32::MIN).0, -5_877_641);
        assert_eq!(date(i32::MAX).0, 5_881_580);
    }

    #[test]
    fn a_month_past_sixteen_is_no_month() {
        assert_eq!(days(2000, 17, 1), None);
    }
}
