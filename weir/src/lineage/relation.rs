//! What the columns and the rows of a table depend on.

use super::kind::{DependencyKind, Origin, Origins};

/// What a column depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Column {
    /// What its value is computed from.
    pub(super) value: Origins,
    /// What else decides about its value: whether rows are there that a subquery in its place counts, or looks for.
    pub(super) presence: Origins,
}

impl Column {
    /// Adds what a value is computed from.
    pub(super) fn add_computed(&mut self, other: &Self, kind: DependencyKind) {
        self.value.add_computed(&other.value, kind);
        self.presence.add(&other.presence);
    }

    fn add(&mut self, other: &Self) {
        self.value.add(&other.value);
        self.presence.add(&other.presence);
    }
}

/// What a table depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Relation {
    pub(super) columns: Vec<Column>,
    /// What decides which rows are there, and how often.
    pub(super) rows: Origins,
    /// What orders the rows. It matters if only some of them are taken.
    pub(super) order: Origins,
}

impl Relation {
    /// A table whose columns are traced no further.
    pub(super) fn of_origins(origins: impl Iterator<Item = Origin>) -> Self {
        let column =
            |origin| Column { value: Origins::of(origin, DependencyKind::Identity), presence: Origins::default() };
        Self { columns: origins.map(column).collect(), ..Self::default() }
    }

    /// A table that depends on nothing.
    pub(super) fn constant(columns: usize) -> Self {
        Self { columns: vec![Column::default(); columns], ..Self::default() }
    }

    /// The rows depend on a value.
    pub(super) fn depend_on(&mut self, column: &Column, kind: DependencyKind) {
        self.rows.add_as(&column.value, kind);
        self.rows.add(&column.presence);
    }

    /// The values are null unless the row has a partner by the conditions of a join.
    pub(super) fn become_optional(&mut self, conditions: &Column) {
        for column in &mut self.columns {
            column.presence.add_as(&conditions.value, DependencyKind::Join);
            column.presence.add(&conditions.presence);
            column.presence.add(&self.rows);
        }
    }

    /// Only some of the rows are taken, the first ones or one of each group.
    pub(super) fn cut(&mut self) {
        self.rows.add(&self.order);
    }

    /// Rows that are equal become one.
    pub(super) fn distinct(mut self) -> Self {
        for column in &self.columns {
            self.rows.add_as(&column.value, DependencyKind::GroupBy);
            self.rows.add(&column.presence);
        }
        self
    }

    /// Adds the rows of another table with the same columns.
    pub(super) fn union(mut self, other: &Self) -> Self {
        self.columns.iter_mut().zip(&other.columns).for_each(|(column, other)| column.add(other));
        self.add_rows(other);
        self
    }

    /// Adds what the rows of another table depend on.
    pub(super) fn add_rows(&mut self, other: &Self) {
        self.rows.add(&other.rows);
        self.order.add(&other.order);
    }

    /// All that the table depends on, as one column.
    pub(super) fn all(&self) -> Column {
        let mut all = Column::default();
        self.columns.iter().for_each(|column| all.add_computed(column, DependencyKind::Unknown));
        all.presence.add(&self.rows);
        all.presence.add(&self.order);
        all
    }
}
