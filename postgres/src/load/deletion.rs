//! Rows that say that a row is gone.

use serde::{Deserialize, Serialize};

use crate::sql::quoted;

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

impl Mark {
    /// What it is of a row that is not deleted.
    pub(super) fn none(&self) -> &'static str {
        if self.is_boolean { "false" } else { "null" }
    }

    pub(super) fn set(&self, is_deleted: bool) -> String {
        let value = match (is_deleted, self.is_boolean) {
            (false, _) => self.none(),
            (true, true) => "true",
            (true, false) => "now()",
        };
        format!("{} = {value}", quoted(&self.column))
    }

    /// Whether a row is not deleted.
    pub(super) fn is_not_set(&self, table: &str) -> String {
        let column = quoted(&self.column);
        match self.is_boolean {
            true => format!("{table}.{column} is not true"),
            false => format!("{table}.{column} is null"),
        }
    }

    pub(super) fn definition(&self) -> String {
        format!(
            "{} {}",
            quoted(&self.column),
            if self.is_boolean { "boolean not null default false" } else { "timestamptz" }
        )
    }
}
