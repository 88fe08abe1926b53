//! What loads into tables have in common: modes, rows that say that a row is gone, and counts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a load does with the existing rows of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Keeps them and adds the run's rows.
    Append,
    /// Replaces them with the run's rows. With a primary key, rows that stay the same are not rewritten.
    Overwrite,
    /// Upserts by primary key: updates the rows with the same key and inserts the others.
    Merge {
        /// The column that orders rows of the same key: an older row never replaces a newer one.
        update_key: Option<String>,
    },
    /// Keeps them and inserts the run's rows whose primary key is new.
    Insert,
    /// Replaces those of the partitions that the run has rows of; the others stay. With a primary key, rows that stay the
    /// same are not rewritten.
    Replace {
        /// The columns whose values make a partition.
        partition_by: Vec<String>,
    },
    /// Keeps every version of a row: a changed row ends the version before it and begins a new one.
    History {
        /// The column that is the time of a version; by default the time of the run.
        update_key: Option<String>,
        /// The columns that say when a version began and ended.
        columns: HistoryColumns,
    },
}

/// The columns that say when a version of a row began and ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryColumns {
    /// When it began.
    pub valid_from: String,
    /// When it ended; null while it is the current one.
    pub valid_to: String,
    /// The time of versions without one of their own, RFC 3339.
    pub at: String,
}

/// How a load treats rows that say that the row of their key is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The last column of the copied rows, a boolean: whether a row is such a row. No column of the table.
    pub marker: String,
    /// The column of the table that says that a row is deleted; if none, the row is deleted from the table.
    pub mark: Option<Mark>,
}

/// A column that says that a row is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its name.
    pub column: String,
    /// Whether it is a boolean; otherwise it is the time of the deletion.
    pub is_boolean: bool,
}

/// Size of the staging table after deduplication. The unit is rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Remaining rows.
    pub rows: u64,
    /// Rows dropped in favour of a newer one of the same key.
    pub superseded: u64,
}

/// Result of a load. The unit is rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New rows in the table.
    pub inserted: u64,
    /// Existing rows that were changed.
    pub updated: u64,
    /// Existing rows that were already the same.
    pub unchanged: u64,
    /// Rows dropped in favour of a newer one of the same key, from the table or from the same run.
    pub superseded: u64,
    /// Rows deleted from the table.
    pub deleted: u64,
}

/// A load that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Id of the run.
    pub run: String,
    /// Name of the sink.
    pub sink: String,
    /// The task; none if it was not recorded.
    pub task: Option<String>,
}

/// What is handed to the session that fills a staging table.
#[derive(Debug)]
pub enum Piece {
    /// Some rows, and how many they are.
    Rows(Bytes, u64),
    /// There are no more rows. Without it, the rows before it count for nothing.
    End,
}

/// Whether a column can store the values of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// All of them, unchanged.
    All,
    /// Only those that are short or small enough; others abort the load.
    Some,
    /// None, or only changed ones.
    None,
}

/// A name that no column has: the base, or the base with underscores.
pub fn free_name<'a>(base: &str, columns: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut name = base.to_owned();
    // Some servers hold names equal that differ by case.
    while columns.clone().any(|column| column.eq_ignore_ascii_case(&name)) {
        name.push('_');
    }
    name
}
