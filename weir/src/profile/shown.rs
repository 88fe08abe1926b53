//! Which columns show values.

use std::collections::HashSet;

/// Decides whether a column shows values: the only place that does. Without them a profile has counts and measures, no
/// value that a row has, and no extremes of texts.
#[derive(Debug, Clone)]
pub(crate) struct ShownValues {
    all: bool,
    private: HashSet<String>,
}

impl ShownValues {
    /// All columns show values, or none does.
    pub(crate) fn all(all: bool) -> Self {
        Self { all, private: HashSet::new() }
    }

    /// These columns show none.
    #[must_use]
    pub(crate) fn without(self, private: HashSet<String>) -> Self {
        Self { private, ..self }
    }

    /// Whether a column shows values.
    pub(crate) fn of(&self, column: &str) -> bool {
        self.all && !self.private.contains(column)
    }
}
