//! How a column depends on another one, and sets of such dependencies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a column depends on a column of another table.
///
/// The kinds of values are ordered: what is aggregated from a value that was transformed is aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DependencyKind {
    /// The value is the column's value.
    Identity,
    /// The value is computed from the column's value.
    Transformation,
    /// The value is computed from the column's values in several rows.
    Aggregation,
    /// The column divides or orders the rows that a window function sees.
    Window,
    /// The column decides which value it is: a condition of `case`, the filter or the order of an aggregate.
    Conditional,
    /// A condition on rows.
    Filter,
    /// A condition of a join.
    Join,
    /// Rows with the same value become one row.
    GroupBy,
    /// The order of the rows, some of which are taken.
    Sort,
    /// A row becomes as many rows as the list has elements.
    Unnest,
    /// A quality rule reads the column, and rejects rows.
    Rule,
    /// The column makes rows that cannot be computed, which are rejected.
    Error,
    /// Not understood: it may be any of them.
    Unknown,
}

impl DependencyKind {
    /// All kinds, in their order.
    pub(super) const ALL: [Self; 13] = [
        Self::Identity,
        Self::Transformation,
        Self::Aggregation,
        Self::Window,
        Self::Conditional,
        Self::Filter,
        Self::Join,
        Self::GroupBy,
        Self::Sort,
        Self::Unnest,
        Self::Rule,
        Self::Error,
        Self::Unknown,
    ];

    /// The type and the subtype of a transformation, as OpenLineage names them.
    pub(crate) fn transformation(self) -> (&'static str, &'static str) {
        match self {
            Self::Identity => ("DIRECT", "IDENTITY"),
            Self::Transformation | Self::Unknown => ("DIRECT", "TRANSFORMATION"),
            Self::Aggregation => ("DIRECT", "AGGREGATION"),
            Self::Window => ("INDIRECT", "WINDOW"),
            Self::Conditional => ("INDIRECT", "CONDITIONAL"),
            Self::Join => ("INDIRECT", "JOIN"),
            Self::GroupBy => ("INDIRECT", "GROUP_BY"),
            Self::Sort => ("INDIRECT", "SORT"),
            Self::Filter | Self::Unnest | Self::Rule | Self::Error => ("INDIRECT", "FILTER"),
        }
    }

    /// The name for people.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Transformation => "transformation",
            Self::Aggregation => "aggregation",
            Self::Window => "window",
            Self::Conditional => "condition",
            Self::Filter => "filter",
            Self::Join => "join",
            Self::GroupBy => "group",
            Self::Sort => "order",
            Self::Unnest => "unnest",
            Self::Rule => "rule",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// A column of a table that is scanned, by its number.
pub(super) type Origin = u32;

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) fn of(kind: DependencyKind) -> Self {
        Self(1 << kind as u16)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = DependencyKind> {
        DependencyKind::ALL.into_iter().filter(move |kind| self.0 & Self::of(*kind).0 != 0)
    }

    /// None of the kinds is below this one: a lower one becomes it.
    fn at_least(self, kind: DependencyKind) -> Self {
        let Self(bit) = Self::of(kind);
        let below = self.0 & (bit - 1);
        Self(self.0 & !(bit - 1) | if below == 0 { 0 } else { bit })
    }
}

/// Columns that something depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origins(BTreeMap<Origin, Kinds>);

impl Origins {
    pub(super) fn of(origin: Origin, kind: DependencyKind) -> Self {
        Self(BTreeMap::from([(origin, Kinds::of(kind))]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Origin, Kinds)> {
        self.0.iter().map(|(origin, kinds)| (*origin, *kinds))
    }

    /// Adds others as they are.
    pub(super) fn add(&mut self, others: &Self) {
        others.iter().for_each(|(origin, kinds)| self.insert(origin, kinds));
    }

    /// Adds others, each of which is of this kind now.
    pub(super) fn add_as(&mut self, others: &Self, kind: DependencyKind) {
        others.iter().for_each(|(origin, _)| self.insert(origin, Kinds::of(kind)));
    }

    /// Adds those that a value is computed from.
    pub(super) fn add_computed(&mut self, others: &Self, kind: DependencyKind) {
        others.iter().for_each(|(origin, kinds)| self.insert(origin, kinds.at_least(kind)));
    }

    fn insert(&mut self, origin: Origin, Kinds(kinds): Kinds) {
        self.0.entry(origin).or_default().0 |= kinds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_values_rise() {
        let all = |kinds: Kinds| kinds.iter().collect::<Vec<_>>();
        let identity = Kinds::of(DependencyKind::Identity);
        assert_eq!(all(identity.at_least(DependencyKind::Identity)), [DependencyKind::Identity]);
        assert_eq!(all(identity.at_least(DependencyKind::Aggregation)), [DependencyKind::Aggregation]);
        let both = Kinds(identity.0 | Kinds::of(DependencyKind::Conditional).0);
        let kinds = [DependencyKind::Transformation, DependencyKind::Conditional];
        assert_eq!(all(both.at_least(DependencyKind::Transformation)), kinds);
        assert_eq!(all(Kinds::of(DependencyKind::Unknown).at_least(DependencyKind::Window)), [DependencyKind::Unknown]);
        for (number, kind) in DependencyKind::ALL.into_iter().enumerate() {
            assert_eq!(number, kind as usize);
        }
    }
}
