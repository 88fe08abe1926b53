//! The rules that determine the acceptability of a car.
//!
//! The hierarchical decision model CAR of Bohanec and Rajkovič, "Knowledge acquisition and explanation for
//! multi-attribute decision making", 8th International Workshop on Expert Systems and their Applications, 1988:
//!
//! ```text
//! CAR
//! ├── PRICE      buying, maint
//! └── TECH
//!     ├── COMFORT    doors, persons, lug_boot
//!     └── safety
//! ```
//!
//! Each inner node has as many values as can be distinguished by their effect on `class`; the tables are derived from
//! the published data set and reproduce its 1,728 rows exactly.

use crate::schema::{Attribute, Car};
use crate::table::Table;

#[derive(Clone, Copy)]
enum Price {
    VeryHigh,
    High,
    Medium,
    Low,
}

#[derive(Clone, Copy)]
enum Comfort {
    Small,
    Medium,
    High,
}

#[derive(Clone, Copy)]
enum Tech {
    Bad,
    Satisfactory,
    Good,
    VeryGood,
}

/// The level of [`Attribute::Class`] that the rules assign to a car, regardless of its current class.
pub fn class_of(car: &Car) -> u8 {
    let [buying, maint, doors, persons, lug_boot, safety, _] = car.0;
    acceptability(price(buying, maint), tech(comfort(doors, persons, lug_boot), safety))
}

/// The full table: every combination of levels once, with the class assigned by the rules, in the order of the
/// published file.
pub fn full_table() -> Table {
    let mut cars = vec![Car([0; _])];
    for attribute in Attribute::ALL.into_iter().filter(|attribute| *attribute != Attribute::Class) {
        let levels = 0..attribute.levels().len() as u8;
        let with_each_level = |car: &Car| {
            let mut car = *car;
            levels.clone().map(move |level| {
                car.0[attribute.index()] = level;
                car
            })
        };
        cars = cars.iter().flat_map(with_each_level).collect();
    }
    for car in &mut cars {
        car.0[Attribute::Class.index()] = class_of(car);
    }
    Table::new(cars)
}

/// Both are `vhigh`, `high`, `med`, `low`.
fn price(buying: u8, maint: u8) -> Price {
    use Price::{High, Low, Medium, VeryHigh};
    [
        [VeryHigh, VeryHigh, High, High],
        [VeryHigh, High, High, High],
        [High, High, Medium, Low],
        [High, Medium, Low, Low],
    ][usize::from(buying)][usize::from(maint)]
}

/// A car for two persons is always uncomfortable. The fewer the doors, the larger the boot must be, in particular for
/// more than four persons.
fn comfort(doors: u8, persons: u8, lug_boot: u8) -> Comfort {
    use Comfort::{High, Medium, Small};
    // By doors, then by the boot: `small`, `med`, `big`.
    let four = [[Medium, Medium, High], [Medium, Medium, High], [Medium, High, High], [Medium, High, High]];
    let more = [[Small, Medium, High], [Medium, High, High], [Medium, High, High], [Medium, High, High]];
    match persons {
        0 => Small,
        1 => four[usize::from(doors)][usize::from(lug_boot)],
        _ => more[usize::from(doors)][usize::from(lug_boot)],
    }
}

/// Safety is `low`, `med`, `high`.
fn tech(comfort: Comfort, safety: u8) -> Tech {
    use Tech::{Bad, Good, Satisfactory, VeryGood};
    match (comfort, safety) {
        (Comfort::Small, _) | (_, 0) => Bad,
        (Comfort::Medium, 1) => Satisfactory,
        (Comfort::Medium, _) | (Comfort::High, 1) => Good,
        (Comfort::High, _) => VeryGood,
    }
}

/// `unacc`, `acc`, `good`, `vgood`.
fn acceptability(price: Price, tech: Tech) -> u8 {
    match (price, tech) {
        (Price::VeryHigh, _) | (_, Tech::Bad) | (Price::High, Tech::Satisfactory) => 0,
        (Price::High, _) | (Price::Medium, Tech::Satisfactory | Tech::Good) | (Price::Low, Tech::Satisfactory) => 1,
        (Price::Low, Tech::Good) => 2,
        (Price::Medium | Price::Low, Tech::VeryGood) => 3,
    }
}
