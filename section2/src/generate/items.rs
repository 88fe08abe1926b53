//! Plausible items and their manufacturers.

use std::collections::HashSet;
use std::ops::Range;

use super::calendar::DAY;
use super::copy::{Rows, Stopped};
use super::random::Random;

pub(super) const MANUFACTURER_COLUMNS: &str = "manufacturer (manufacturer_id, name)";
pub(super) const COLUMNS: &str = "item (item_id, manufacturer_id, name, cost, weight_kg, added_at, retired_at)";

/// An item that can be ordered.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: i64,
    /// In hundredths of the currency.
    pub(super) cost: i64,
    /// In grams.
    pub(super) weight: i64,
    /// Period of sale, in microseconds since 1970; without an end if it is not retired.
    pub(super) added: i64,
    pub(super) retired: Option<i64>,
}

impl Item {
    pub(super) fn is_for_sale(&self, time: i64) -> bool {
        self.added <= time && self.retired.is_none_or(|retired| time < retired)
    }
}

/// Items to generate.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) first_manufacturer: i64,
    pub(super) manufacturers: Vec<String>,
    pub(super) items: Vec<Item>,
}

impl Catalogue {
    const ITEMS_PER_MANUFACTURER: usize = 20;

    /// Generates items with these keys. The `period` is that of the sales; names in `taken` are not reused.
    pub(super) fn new(
        (first_manufacturer, first_item): (i64, i64),
        count: usize,
        period: &Range<i64>,
        taken: &HashSet<String>,
        random: &mut Random,
    ) -> Self {
        let wanted = count.div_ceil(Self::ITEMS_PER_MANUFACTURER);
        let names = (0_u64..).map(manufacturer).filter(|name| !taken.contains(name));
        let manufacturers = names.take(wanted).collect();
        let items = (0..count).map(|number| make(first_item + number as i64, number == 0, period, random)).collect();
        Self { first_manufacturer, manufacturers, items }
    }

    pub(super) fn write_manufacturers(&self, rows: &mut Rows) -> Result<(), Stopped> {
        for (key, name) in (self.first_manufacturer..).zip(&self.manufacturers) {
            rows.row(2)?;
            rows.bigint(key);
            rows.text(name);
        }
        Ok(())
    }

    pub(super) fn write_items(&self, mut random: Random, rows: &mut Rows) -> Result<(), Stopped> {
        for (number, item) in self.items.iter().enumerate() {
            // Consecutive items share a manufacturer, so the number in the name makes it unique.
            let of_manufacturer = number % Self::ITEMS_PER_MANUFACTURER;
            let model = of_manufacturer as u64 * 40 + random.below(40) + 100;
            rows.row(7)?;
            rows.bigint(item.key);
            rows.bigint(self.first_manufacturer + (number / Self::ITEMS_PER_MANUFACTURER) as i64);
            rows.text(&format!("{} {} {model}", random.one_of(&ADJECTIVES), random.one_of(&THINGS)));
            rows.numeric::<2>(item.cost);
            rows.numeric::<3>(item.weight);
            rows.time(Some(item.added));
            rows.time(item.retired);
        }
        Ok(())
    }
}

/// Most items are for sale from the beginning, some are added later, and a few are retired before the end. An item that
/// `stays` is for sale all the time.
fn make(key: i64, stays: bool, period: &Range<i64>, random: &mut Random) -> Item {
    const DEAREST: f64 = 500_000.0;
    const HEAVIEST: f64 = 80_000.0;
    let cost = random.spread(2_500.0).clamp(50.0, DEAREST) as i64;
    // Prices end in 9.
    let cost = cost / 10 * 10 + 9;
    let weight = random.spread(600.0).clamp(5.0, HEAVIEST) as i64;
    let days = (period.end - period.start) / DAY;
    let comes = if !stays && random.per_mille(300) { random.between(0, days - 60) } else { -random.between(1, 700) };
    let goes = (!stays && random.per_mille(40)).then(|| random.between(comes.max(0) + 30, days));
    Item { key, cost, weight, added: period.start + comes * DAY, retired: goes.map(|day| period.start + day * DAY) }
}

/// The name of a manufacturer, unique for each number.
fn manufacturer(number: u64) -> String {
    let choose = |words: &[&'static str], number: u64| words[(number % words.len() as u64) as usize];
    let [stems, ends, forms] = [&STEMS[..], &ENDS, &FORMS].map(|words| words.len() as u64);
    // Each word is derived from the combination of the previous ones, and similar numbers have different names.
    let stem = choose(&STEMS, number * 7);
    let end = choose(&ENDS, number / stems + number % stems * 5);
    let form = choose(&FORMS, number / (stems * ends) + number % (stems * ends));
    match number / (stems * ends * forms) {
        0 => format!("{stem}{end} {form}"),
        branch => format!("{stem}{end} {form} {}", branch + 1),
    }
}

const STEMS: [&str; 24] = [
    "Alba", "Boreal", "Cedar", "Corvo", "Delta", "Ember", "Fjord", "Gala", "Harbor", "Iris", "Juno", "Kestrel",
    "Lumen", "Merid", "Nord", "Onyx", "Pioneer", "Quant", "Rivet", "Solar", "Terra", "Umber", "Vela", "Zephyr",
];
const ENDS: [&str; 11] = ["tex", "craft", "works", "line", "tec", "home", "wood", "wave", "field", "stone", "mark"];
const FORMS: [&str; 7] = ["Ltd", "Inc", "GmbH", "Pte Ltd", "& Sons", "Group", "Co"];
const ADJECTIVES: [&str; 20] = [
    "Compact",
    "Classic",
    "Folding",
    "Silent",
    "Portable",
    "Wireless",
    "Slim",
    "Heavy-duty",
    "Travel",
    "Smart",
    "Soft",
    "Steel",
    "Bamboo",
    "Ceramic",
    "Insulated",
    "Rechargeable",
    "Adjustable",
    "Mini",
    "Family",
    "Outdoor",
];
const THINGS: [&str; 40] = [
    "kettle",
    "lamp",
    "backpack",
    "headphones",
    "keyboard",
    "blender",
    "tent",
    "chair",
    "desk",
    "speaker",
    "bottle",
    "toaster",
    "pan",
    "knife",
    "rug",
    "mirror",
    "charger",
    "monitor",
    "camera",
    "tripod",
    "jacket",
    "umbrella",
    "bicycle",
    "helmet",
    "drill",
    "ladder",
    "vacuum cleaner",
    "fan",
    "heater",
    "mattress",
    "pillow",
    "shelf",
    "clock",
    "scale",
    "suitcase",
    "watch",
    "game",
    "puzzle",
    "plant pot",
    "coffee mill",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manufacturers_have_unique_names() {
        let names: HashSet<_> = (0..10_000).map(manufacturer).collect();
        assert_eq!(names.len(), 10_000);
    }

    #[test]
    fn an_existing_manufacturer_is_not_created_again() {
        let taken = HashSet::from([manufacturer(0), manufacturer(2)]);
        let catalogue = Catalogue::new((1, 1), 60, &(0..1000 * DAY), &taken, &mut Random::new(1, 0));
        assert_eq!(catalogue.manufacturers, [1, 3, 4].map(manufacturer));
    }

    #[test]
    fn the_first_item_is_always_for_sale() {
        let period = 0..1000 * DAY;
        for seed in 0..200 {
            let catalogue = Catalogue::new((1, 1), 2, &period, &HashSet::new(), &mut Random::new(seed, 0));
            assert!(catalogue.items[0].is_for_sale(period.start) && catalogue.items[0].is_for_sale(period.end - 1));
        }
    }

    #[test]
    fn items_are_retired_after_they_were_added() {
        let catalogue = Catalogue::new((1, 1), 5000, &(0..1095 * DAY), &HashSet::new(), &mut Random::new(1, 0));
        let mut retired = catalogue.items.iter().filter(|item| item.retired.is_some()).peekable();
        assert!(retired.peek().is_some());
        assert!(retired.all(|item| item.retired > Some(item.added)));
    }
}
