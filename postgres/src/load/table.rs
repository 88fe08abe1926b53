//! Definition of a table, and the DDL that creates it.

use serde::{Deserialize, Serialize};

use super::Cast;
use super::kind::Kind;
use crate::sql::{list, literal, quoted};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema; by default the first one of the session's search path.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the copied rows. An existing table may have more.
    pub columns: Vec<Column>,
    /// The columns of the primary key; empty if there is none.
    pub primary_key: Vec<String>,
    /// The columns of each additional index.
    pub indexes: Vec<Vec<String>>,
    /// Its comment in the database.
    pub comment: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether it is `not null`.
    pub not_null: bool,
    /// Its comment in the database.
    pub comment: Option<String>,
    /// How its values become those of the target's column, if that is of another type: see [`Existing::casts`](super::Existing).
    #[serde(default)]
    pub cast: Option<Cast>,
    /// Whether the existing table lacks it, and gets it with the rows.
    #[serde(default)]
    pub is_new: bool,
}

impl Column {
    /// A nullable column.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, not_null: false, comment: None, cast: None, is_new: false }
    }

    /// Its type in a target that is created.
    pub(super) fn created_type(&self) -> String {
        self.cast.as_ref().map_or_else(|| self.kind.to_string(), |cast| cast.to.clone())
    }

    fn definition(&self, table: &Table, kind: &str) -> String {
        let must = if self.not_null || table.primary_key.contains(&self.name) { " not null" } else { "" };
        format!("{} {kind}{must}", quoted(&self.name))
    }
}

impl Table {
    /// The quoted name, with the schema.
    pub(super) fn name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }

    /// The human-readable name, with the schema if one is given.
    pub fn shown(&self) -> String {
        self.schema.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(".")
    }

    /// The columns as rows are copied into them.
    pub(super) fn staged_columns(&self) -> String {
        let definition = |column: &Column| column.definition(self, &column.kind.to_string());
        self.columns.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// The columns of a target that is created.
    pub(super) fn created_columns(&self) -> String {
        let definition = |column: &Column| column.definition(self, &column.created_type());
        self.columns.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The names of the columns outside the primary key.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.columns().filter(|name| !self.primary_key.iter().any(|key| key == name))
    }

    /// The DDL that adds the primary key to a table with these columns, if there is one.
    pub(super) fn key(&self, table: &str) -> Option<String> {
        (!self.primary_key.is_empty())
            .then(|| format!("alter table {table} add primary key ({})", list(&self.primary_key)))
    }

    /// DDL to run after `create table`: indexes and comments.
    pub(super) fn post_create_ddl(&self) -> Vec<String> {
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
