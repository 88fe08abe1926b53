//! The attributes of a car and their levels.

use serde::{Deserialize, Serialize};

/// Number of attributes of a car, including its price.
pub const ATTRIBUTES: usize = 7;
/// Number of features for predicting a price.
pub const FEATURES: usize = 6;
/// Number of price classes.
pub const PRICES: usize = 4;
/// Number of levels of [`Attribute::Class`].
pub const CLASSES: usize = 4;

/// An attribute of a car. Its levels are numbered in the order of [`Attribute::levels`], from the least to the most
/// favourable for a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// The buying price: the target of predictions.
    Buying,
    /// The price of maintenance.
    Maint,
    /// The number of doors.
    Doors,
    /// The number of persons.
    Persons,
    /// The size of the luggage boot.
    LugBoot,
    /// The estimated safety.
    Safety,
    /// The acceptability of the car, which [`crate::rules`] determine from all other attributes.
    Class,
}

impl Attribute {
    /// All attributes, in the order of a row.
    pub const ALL: [Self; ATTRIBUTES] =
        [Self::Buying, Self::Maint, Self::Doors, Self::Persons, Self::LugBoot, Self::Safety, Self::Class];

    /// The features for predicting a price, in the order of a row.
    pub const FEATURES: [Self; FEATURES] =
        [Self::Maint, Self::Doors, Self::Persons, Self::LugBoot, Self::Safety, Self::Class];

    /// Its name in columns and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buying => "buying",
            Self::Maint => "maint",
            Self::Doors => "doors",
            Self::Persons => "persons",
            Self::LugBoot => "lug_boot",
            Self::Safety => "safety",
            Self::Class => "class",
        }
    }

    /// The names of its levels, which are all its valid values.
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Buying | Self::Maint => &["vhigh", "high", "med", "low"],
            Self::Doors => &["2", "3", "4", "5more"],
            Self::Persons => &["2", "4", "more"],
            Self::LugBoot => &["small", "med", "big"],
            Self::Safety => &["low", "med", "high"],
            Self::Class => &["unacc", "acc", "good", "vgood"],
        }
    }

    /// The attribute with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// The number of the level with this name.
    pub fn level(self, name: &str) -> Option<u8> {
        self.levels().iter().position(|level| *level == name).map(|number| number as u8)
    }

    /// The name of the level with this number.
    ///
    /// # Panics
    /// If the level does not exist.
    pub fn level_name(self, number: u8) -> &'static str {
        self.levels()[usize::from(number)]
    }

    /// Its index in [`Attribute::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A car: the number of its level for each attribute of [`Attribute::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Car(pub [u8; ATTRIBUTES]);

impl Car {
    /// The number of its level of an attribute.
    pub fn level(&self, attribute: Attribute) -> u8 {
        self.0[attribute.index()]
    }

    /// The number of its price.
    pub fn price(&self) -> usize {
        usize::from(self.level(Attribute::Buying))
    }

    /// The same car with another price.
    pub fn at_price(mut self, price: usize) -> Self {
        self.0[Attribute::Buying.index()] = price as u8;
        self
    }
}

/// The known features of a car: for each of [`Attribute::FEATURES`] the number of its level, if known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Known(pub [Option<u8>; FEATURES]);

impl Known {
    /// The level of a feature; none if it is unknown, and for [`Attribute::Buying`].
    pub fn level(&self, attribute: Attribute) -> Option<u8> {
        attribute.index().checked_sub(1).and_then(|index| self.0[index])
    }

    /// A copy with another feature or level; [`Attribute::Buying`] is ignored.
    pub fn with(mut self, attribute: Attribute, level: u8) -> Self {
        if let Some(index) = attribute.index().checked_sub(1) {
            self.0[index] = Some(level);
        }
        self
    }

    /// The known features with their levels.
    pub fn given(&self) -> impl Iterator<Item = (Attribute, u8)> + '_ {
        Attribute::FEATURES.into_iter().filter_map(|feature| Some((feature, self.level(feature)?)))
    }

    /// The unknown features.
    pub fn missing(&self) -> impl Iterator<Item = Attribute> + '_ {
        Attribute::FEATURES.into_iter().filter(|feature| self.level(*feature).is_none())
    }

    /// Whether a car has all known levels.
    pub fn matches(&self, car: &Car) -> bool {
        self.given().all(|(feature, level)| car.level(feature) == level)
    }
}

impl From<&Car> for Known {
    fn from(car: &Car) -> Self {
        Self(Attribute::FEATURES.map(|feature| Some(car.level(feature))))
    }
}
