//! Definition of a table, and the DDL that creates it.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::session::Product;
use crate::sql::{list, quoted};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its database; by default that of the connection.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the loaded rows. An existing table may have more.
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
    /// The type of its values in the rows.
    pub kind: Kind,
    /// Its comment in the database.
    pub comment: Option<String>,
    /// The definition of the existing column, without `not null`: see [`Existing::columns`](super::Existing::columns).
    #[serde(default)]
    pub existing: Option<ExistingType>,
    /// Whether the existing table lacks it, and gets it with the rows.
    #[serde(default)]
    pub is_new: bool,
}

/// The type of an existing column, as its rows are staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistingType {
    /// In a definition: `varchar(20) character set latin1 collate latin1_swedish_ci`.
    pub definition: String,
    /// Whether it is text, which a collation may hold equal although its bytes differ.
    pub is_text: bool,
}

impl Column {
    /// A column of a table that does not exist.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, comment: None, existing: None, is_new: false }
    }

    pub(super) fn is_text(&self) -> bool {
        self.existing.as_ref().map_or(self.kind == Kind::Text, |existing| existing.is_text)
    }
}

/// Bytes of the columns of a key together, and of a character.
const MAX_KEY: usize = 3072;
const MAX_CHARACTER: usize = 4;

impl Table {
    /// The quoted name, with the database.
    pub(super) fn name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }

    /// The human-readable name, with the database if one is given.
    pub fn shown(&self) -> String {
        self.schema.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(".")
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The names of the columns outside the primary key.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.columns().filter(|name| !self.primary_key.iter().any(|key| key == name))
    }

    /// The characters that a text column of a created table holds at most; none if it has no limit. A column of a key or an
    /// index needs one.
    pub(super) fn characters(&self, column: &Column) -> Option<usize> {
        if column.kind != Kind::Text {
            return None;
        }
        let is_text = |name: &&String| self.columns.iter().any(|of| of.name == **name && of.kind == Kind::Text);
        let keys = std::iter::once(&self.primary_key).chain(&self.indexes).filter(|key| key.contains(&column.name));
        let texts = keys.map(|key| key.iter().filter(is_text).count()).max()?;
        // Other columns of a key take at most 32 bytes each.
        Some(((MAX_KEY - 512) / MAX_CHARACTER / texts).min(255))
    }

    /// The type of a column of a created table.
    pub(super) fn type_of(&self, column: &Column) -> String {
        match self.characters(column) {
            Some(characters) => format!("varchar({characters})"),
            None => column.kind.to_string(),
        }
    }

    /// The definition of a column of a created table.
    pub(super) fn definition(&self, column: &Column) -> String {
        let must = if self.primary_key.contains(&column.name) { " not null" } else { "" };
        let comment = column.comment.iter().map(|comment| format!(" comment {}", text(comment)));
        format!("{} {}{must}{}", quoted(&column.name), self.type_of(column), comment.collect::<String>())
    }

    /// The DDL that creates it, with further columns, and a key other than the primary key if one is given.
    pub(super) fn create(&self, product: Product, more: &[String], key: &[String]) -> String {
        let mut parts: Vec<_> = self.columns.iter().map(|column| self.definition(column)).collect();
        parts.extend_from_slice(more);
        if !key.is_empty() {
            parts.push(format!("primary key ({})", list(key)));
        }
        parts.extend(self.indexes.iter().map(|columns| format!("index ({})", list(columns))));
        let comment = self.comment.iter().map(|comment| format!(" comment = {}", text(comment)));
        format!(
            "create table if not exists {} ({}) engine = InnoDB {}{}",
            self.name(),
            parts.join(", "),
            exact_text(product),
            comment.collect::<String>()
        )
    }
}

/// The character set and the collation under which texts are equal only if their bytes are.
pub(super) fn exact_text(product: Product) -> &'static str {
    match product {
        Product::MariaDb => "character set utf8mb4 collate utf8mb4_nopad_bin",
        Product::MySql => "character set utf8mb4 collate utf8mb4_0900_bin",
    }
}

/// A text in a definition, which takes no other form of it; under the SQL mode of loads a backslash escapes.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
