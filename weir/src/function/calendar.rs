//! Converts days since 1970-01-01 to civil dates of the Gregorian calendar and back, in integer
//! arithmetic only.

/// Days of the civil date since 1970-01-01; `None` if there is no such date.
///
/// Valid years are 1 to 9999.
#[inline]
pub fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    // Without mispredictable branches: `&` and `|`, and month lengths from a table.
    // A year divisible by 25 is a leap year only if 16 divides it: 400 is, 100 is not.
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
/// The year is astronomical: 0 is the year before the year 1. The method is that of Cassio Neri and Lorenz
/// Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022).
#[inline]
pub fn date(days: i32) -> (i64, u32, u32) {
    // Relative to a 1 March before all of them, whole groups of 400 years apart.
    let days = i64::from(days) + DAYS_FROM_MARCH_OF_YEAR_ZERO + i64::from(EPOCH);
    let groups = if (0..DAYS_OF_400_YEARS * 25).contains(&days) { 0 } else { days.div_euclid(DAYS_OF_400_YEARS) };
    let day = (days - groups * DAYS_OF_400_YEARS) as u32;
    let of_century = 4 * day + 3;
    let century = of_century / 146_097;
    let of_year = u64::from((of_century % 146_097) | 3) * 2_939_745;
    let year = 100 * century + (of_year >> 32) as u32;
    let day_of_year = (of_year as u32) / 2_939_745 / 4;
    let of_month = 2141 * day_of_year + 197_913;
    let (month, day_of_month) = (of_month >> 16, (of_month & 0xffff) / 2141);
    // The year began in March: January and February belong to the next one.
    let is_next = day_of_year >= 306;
    let month = if is_next { month - 12 } else { month };
    (i64::from(year + u32::from(is_next)) + groups * 400, month, day_of_month + 1)
}

/// Days from 0001-01-01 to 1970-01-01.
const EPOCH: i32 = 719_162;
/// Days from 0000-03-01 to 0001-01-01.
const DAYS_FROM_MARCH_OF_YEAR_ZERO: i64 = 306;
const DAYS_OF_400_YEARS: i64 = 146_097;

/// Lengths of the months 1 to 12 of a common year; other numbers have no days.
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
    fn every_day_of_four_hundred_years_round_trips() {
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
    fn a_month_past_sixteen_is_invalid() {
        assert_eq!(days(2000, 17, 1), None);
    }
}
