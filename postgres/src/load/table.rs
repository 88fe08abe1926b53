//! A table as it should be, and the statements that make it.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::sql::{list, literal, quoted};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema; the first of the session's search path if it is not said.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns, in the order in which rows have them. A table that is there may have others.
    pub columns: Vec<Column>,
    /// The columns that tell its rows apart, if any do.
    pub primary_key: Vec<String>,
    /// The columns of each further index.
    pub indexes: Vec<Vec<String>>,
    /// What it is, for those who look at the database.
    pub comment: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether it must have a value.
    pub not_null: bool,
    /// What it is.
    pub comment: Option<String>,
}

impl Column {
    /// A column that may be null.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, not_null: false, comment: None }
    }
}

impl Table {
    /// Its name for SQL.
    pub(super) fn name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }

    /// Its name for people: with its schema, if that is said.
    pub fn shown(&self) -> String {
        self.schema.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(".")
    }

    pub(super) fn column_definitions(&self) -> String {
        let definition = |column: &Column| {
            let must = if column.not_null || self.primary_key.contains(&column.name) { " not null" } else { "" };
            format!("{} {}{must}", quoted(&column.name), column.kind)
        };
        self.columns.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The names of the columns that the key does not have.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.columns().filter(|name| !self.primary_key.iter().any(|key| key == name))
    }

    /// The statement that gives a table of these columns the key, if there is one.
    pub(super) fn key(&self, table: &str) -> Option<String> {
        (!self.primary_key.is_empty())
            .then(|| format!("alter table {table} add primary key ({})", list(&self.primary_key)))
    }

    /// What a table has beside its columns and its key.
    pub(super) fn furnishings(&self) -> Vec<String> {
        let table = self.name();
        let mut all = Vec::new();
        all.extend(self.indexes.iter().map(|columns| format!("create index on {table} ({})", list(columns))));
        if let Some(comment) = &self.comment {
            all.push(format!("comment on table {table} is {}", literal(comment)));
        }
        for column in &self.columns {
            if let Some(comment) = &column.comment {
                all.push(format!("comment on column {table}.{} is {}", quoted(&column.name), literal(comment)));
            }
        }
        all
    }
}
