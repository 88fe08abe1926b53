//! Which columns show values.

/// Decides whether a column shows values: the only place that does. Without them a profile has counts and measures, no
/// value that a row has, and no extremes of texts.
#[derive(Debug, Clone)]
pub(crate) struct ShownValues {
    all: bool,
}

impl ShownValues {
    /// All columns show values, or none does.
    pub(crate) fn all(all: bool) -> Self {
        Self { all }
    }

    /// Whether a column shows values.
    pub(crate) fn of(&self, _column: &str) -> bool {
        self.all
    }
}
