//! The lineage of a task, in a form that is shown and stored.

use serde::{Deserialize, Serialize};

use super::kind::DependencyKind;

/// On which columns each column of a task depends. Everything is in the order of the task file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lineage {
    /// The version of this form.
    pub version: u32,
    /// The task's name.
    pub task: String,
    /// The environment, whose parameters the models were planned with.
    pub environment: String,
    /// The sources with their columns.
    pub sources: Vec<SourceColumns>,
    /// The models in the order in which they are computed, and the rejected routes that sinks read.
    pub tables: Vec<TableLineage>,
    /// The sinks.
    pub sinks: Vec<SinkLineage>,
}

/// A source, where the lineage begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceColumns {
    /// The source's name.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// What a table of the task depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableLineage {
    /// `model`, `model.rejected` or `source.rejected`.
    pub table: String,
    /// The tables that its query and its rules read.
    pub reads: Vec<String>,
    /// The sources that it is computed from.
    pub sources: Vec<String>,
    /// On which columns of the tables that it reads its columns depend.
    pub from_tables: Dependencies,
    /// The same, traced to columns of sources.
    pub from_sources: Dependencies,
    /// What could not be traced: its columns count as depending on everything below it.
    pub untraced: Vec<String>,
}

/// What a sink writes depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SinkLineage {
    /// The sink's name.
    pub sink: String,
    /// The route that it reads.
    pub table: String,
    /// Its target.
    pub target: String,
    /// The columns that it writes.
    pub columns: Vec<SinkColumn>,
    /// On which columns of sources they depend.
    pub from_sources: Dependencies,
}

/// A column that a sink writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SinkColumn {
    /// Its name in the target.
    pub column: String,
    /// Its name in the route.
    pub of: String,
}

/// On which columns the columns of a table depend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dependencies {
    /// What decides which rows the table has: the presence of every column's values depends on it.
    pub presence: Vec<Dependency>,
    /// The columns, in their order.
    pub columns: Vec<ColumnLineage>,
}

/// On which columns one column depends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ColumnLineage {
    /// The column's name.
    pub column: String,
    /// What its values are computed from.
    pub values: Vec<Dependency>,
    /// What else decides about its values, beyond the presence of the table's rows: the rows of a subquery in its place.
    pub presence: Vec<Dependency>,
}

/// A column that is depended on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dependency {
    /// Its table.
    pub table: String,
    /// Its name.
    pub column: String,
    /// In which ways, in the order of the kinds.
    pub kinds: Vec<DependencyKind>,
}

impl Lineage {
    /// The table or rejected route of a name.
    pub fn table(&self, name: &str) -> Option<&TableLineage> {
        self.tables.iter().find(|table| table.table == name)
    }
}

impl Dependencies {
    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&ColumnLineage> {
        self.columns.iter().find(|column| column.column == name)
    }

    /// All columns that the values of a column depend on, or their presence; each of them may come twice.
    pub fn of_column(&self, name: &str) -> impl Iterator<Item = &Dependency> {
        let own = self.column(name).into_iter();
        own.flat_map(|column| column.values.iter().chain(&column.presence)).chain(&self.presence)
    }
}
