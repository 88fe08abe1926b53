//! Generates cases: waves with a weekly pattern, some countries with provinces, occasional corrections.
//!
//! The arithmetic is limited to sums, products and quotients, which are bit-exact on every machine: the same seed gives
//! the same data everywhere.

use chrono::{Datelike, NaiveDate};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::World;
use crate::source::Record;

/// Parameters of the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generate {
    /// Number of countries; every tenth has provinces.
    pub countries: u16,
    /// Number of days, from 2020-01-22 on.
    pub days: u16,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// The first day of the data of Johns Hopkins University.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2020, 1, 22).expect("that is a day");

/// Fictional names, composed of a beginning and an end.
const BEGINNINGS: [&str; 20] = [
    "Al", "Bor", "Cal", "Dra", "El", "Fen", "Gal", "Hor", "Il", "Jor", "Kal", "Lor", "Mar", "Nor", "Or", "Pal", "Quel",
    "Ros", "Sel", "Tar",
];
const ENDS: [&str; 12] =
    ["avia", "dovia", "enia", "gard", "imar", "land", "mark", "onia", "ora", "stan", "uria", "vania"];

/// Reported percentage of a day's cases, from Monday on: low on weekends, high afterwards.
const WEEK: [f64; 7] = [85.0, 120.0, 118.0, 112.0, 108.0, 92.0, 65.0];

impl World {
    /// Generates countries with fictional names.
    pub fn generate(generate: &Generate) -> Self {
        let mut records = Vec::new();
        for i in 0..generate.countries {
            let mut numbers = ChaCha8Rng::seed_from_u64(generate.seed);
            numbers.set_stream(i.into());
            let (name, code) = (name(i.into()), code(i));
            let provinces: &[&str] = if i % 10 == 3 { &["North", "South", "West"] } else { &[""] };
            for province in provinces {
                for (date, cases) in totals(&mut numbers, generate.days) {
                    records.push(Record::of_province(&name, &code, province, date, cases));
                }
            }
        }
        Self::of(records)
    }
}

fn name(i: usize) -> String {
    let names = BEGINNINGS.len() * ENDS.len();
    // Consecutive names begin differently.
    let name = format!("{}{}", BEGINNINGS[i % BEGINNINGS.len()], ENDS[i / BEGINNINGS.len() % ENDS.len()]);
    if i < names { name } else { format!("{name} {}", i / names + 1) }
}

/// A distinct two-letter code for each of the first 676.
fn code(i: u16) -> String {
    let letter = |i: u16| char::from(b'A' + (i % 26) as u8);
    [letter(i / 26), letter(i)].iter().collect()
}

/// A wave of daily cases.
struct Wave {
    peak: f64,
    /// Days from the first day to the peak.
    at: f64,
    /// Days from the peak to a quarter of it.
    width: f64,
}

impl Wave {
    fn cases(&self, day: f64) -> f64 {
        let distance = (day - self.at) / self.width;
        let half = 1.0 / (1.0 + distance * distance);
        self.peak * half * half
    }
}

/// The cumulative cases of a place by day.
fn totals(numbers: &mut ChaCha8Rng, days: u16) -> Vec<(NaiveDate, u64)> {
    let size = 1000.0 * (1.0 + 200.0 * random(numbers) * random(numbers) * random(numbers));
    let waves: Vec<Wave> = (0..5)
        .map(|wave| {
            let peak = size * (0.2 + random(numbers)) * f64::from(wave + 1) / 5.0;
            let at = 70.0 + 230.0 * f64::from(wave) + 80.0 * random(numbers);
            Wave { peak, at, width: 20.0 + 40.0 * random(numbers) }
        })
        .collect();
    let begins = 10.0 + 50.0 * random(numbers);
    let mut total = 0_u64;
    let mut all = Vec::with_capacity(days.into());
    for (day, date) in FIRST_DAY.iter_days().take(days.into()).enumerate() {
        let day = day as f64;
        let weekday = date.weekday().num_days_from_monday() as usize;
        let noise = 0.8 + 0.4 * random(numbers);
        let expected: f64 = waves.iter().map(|wave| wave.cases(day)).sum();
        let correction = random(numbers);
        if day >= begins {
            total += (expected * noise * WEEK[weekday] / 100.0) as u64;
            if correction < 0.004 {
                // A downward correction.
                total -= (total as f64 * 0.002) as u64 + total.min(3);
            }
        }
        all.push((date, total));
    }
    all
}

/// A random number from 0 to 1.
fn random(numbers: &mut ChaCha8Rng) -> f64 {
    f64::from(numbers.next_u32()) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const WORLD: Generate = Generate { countries: 500, days: 5, seed: 1 };

    #[test]
    fn countries_have_unique_names() {
        let world = World::generate(&WORLD);
        assert_eq!(world.countries().len(), 500);
        assert_eq!(world.countries().iter().map(|country| country.name()).collect::<BTreeSet<_>>().len(), 500);
    }

    #[test]
    fn data_is_determined_by_the_seed() {
        let world = Generate { countries: 3, days: 300, seed: 7 };
        assert_eq!(World::generate(&world), World::generate(&world));
        assert_ne!(World::generate(&world), World::generate(&Generate { seed: 8, ..world }));
    }

    #[test]
    fn the_first_countries_do_not_change_with_the_number_of_countries() {
        let few = World::generate(&Generate { countries: 3, days: 300, seed: 7 });
        let more = World::generate(&Generate { countries: 9, days: 300, seed: 7 });
        for country in few.countries() {
            assert_eq!(more.find(country.slug()), Some(country));
        }
    }

    #[test]
    fn there_are_weekends_corrections_and_provinces() {
        let world = World::generate(&Generate { countries: 20, days: 1143, seed: 1 });
        let (mut falls, mut sundays, mut tuesdays, mut provinces) = (0, 0, 0, 0);
        for country in world.countries() {
            let records: Vec<_> = country.totals().collect();
            provinces += usize::from(!records[0].0.is_empty());
            for pair in records.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
                let new = pair[1].2 as i64 - pair[0].2 as i64;
                falls += usize::from(new < 0);
                match pair[1].1.weekday() {
                    chrono::Weekday::Sun => sundays += new,
                    chrono::Weekday::Tue => tuesdays += new,
                    _ => {}
                }
            }
        }
        assert!(falls > 10, "{falls}");
        assert!(tuesdays > sundays * 3 / 2, "{tuesdays} {sundays}");
        assert_eq!(provinces, 2);
    }
}
