//! Draws the entity-relationship diagram of a database from its catalogue: as Mermaid text, which Git forges render in
//! Markdown, and as an SVG for everything else.

mod catalogue;
mod crow_foot;
mod mermaid;
mod placement;
mod svg;

pub use mermaid::mermaid;
pub use svg::svg;

use weir_postgres::Database;
use weir_postgres::tokio_postgres::Client;

use crate::{Error, Result};

/// Tables, sorted so that each comes after those that it refers to, and their relations.
#[derive(Debug)]
pub struct Entities {
    tables: Vec<Table>,
    relations: Vec<Relation>,
}

#[derive(Debug)]
struct Table {
    name: String,
    comment: Option<String>,
    columns: Vec<Column>,
    /// Number of tables above it on the longest path along foreign keys.
    depth: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Its type.
    of: String,
    is_not_null: bool,
    /// In the primary key, possibly together with other columns; the same applies to the next two.
    is_primary: bool,
    is_foreign: bool,
    is_unique: bool,
    comment: Option<String>,
}

/// A foreign key. Tables and columns are indices.
#[derive(Debug)]
struct Relation {
    child: usize,
    parent: usize,
    /// The columns of the child that refer to the parent.
    columns: Vec<usize>,
    /// Whether a referenced row has at most one row of the child.
    is_one: bool,
}

impl Entities {
    /// Reads the tables of the schema `public` and their relations.
    pub async fn read(database: &Database, client: &mut Client) -> Result<Self> {
        let mut entities = catalogue::read(database, client).await?;
        if entities.tables.is_empty() {
            return Err(Error::Schema {
                database: database.to_string(),
                message: "there are no tables to draw".to_owned(),
                help: "run `section2 migrate`".to_owned(),
            });
        }
        entities.sort();
        Ok(entities)
    }

    /// Sorts tables after those that they refer to; tables of equal depth are sorted by name.
    fn sort(&mut self) {
        let mut depths: Vec<Option<usize>> = vec![None; self.tables.len()];
        while let Some(first) = depths.iter().position(Option::is_none) {
            let parents = |child| {
                let of_child = self.relations.iter().filter(move |relation| relation.child == child);
                of_child.map(|relation| relation.parent).filter(move |&parent| parent != child)
            };
            let is_next =
                |&table: &usize| depths[table].is_none() && parents(table).all(|parent| depths[parent].is_some());
            // Tables that refer to each other in a cycle are sorted by name only.
            let next = (first..depths.len()).find(is_next).unwrap_or(first);
            depths[next] =
                Some(parents(next).filter_map(|parent| depths[parent]).map(|depth| depth + 1).max().unwrap_or(0));
        }
        for (table, depth) in self.tables.iter_mut().zip(depths) {
            table.depth = depth.unwrap_or(0);
        }
        let mut order: Vec<usize> = (0..self.tables.len()).collect();
        order.sort_by_key(|&table| self.tables[table].depth);
        let mut positions = vec![0; order.len()];
        for (position, &table) in order.iter().enumerate() {
            positions[table] = position;
        }
        for relation in &mut self.relations {
            relation.child = positions[relation.child];
            relation.parent = positions[relation.parent];
        }
        self.tables.sort_by_key(|table| table.depth);
        self.relations.sort_by_key(|relation| (relation.parent, relation.child));
    }
}

impl Column {
    /// Its key marks. There is no mark for keys of several columns, so each of their columns has it.
    fn marks(&self) -> Vec<&'static str> {
        let marks = [(self.is_primary, "PK"), (self.is_foreign, "FK"), (self.is_unique, "UK")];
        marks.into_iter().filter_map(|(is_in, mark)| is_in.then_some(mark)).collect()
    }
}

impl Relation {
    /// Whether a table refers to itself.
    fn is_loop(&self) -> bool {
        self.child == self.parent
    }

    /// The table that is drawn above the other one: the earlier one.
    fn upper(&self) -> usize {
        self.parent.min(self.child)
    }

    fn lower(&self) -> usize {
        self.parent.max(self.child)
    }

    /// Whether the reference may be null.
    fn is_optional(&self, entities: &Entities) -> bool {
        let columns = &entities.tables[self.child].columns;
        self.columns.iter().any(|&column| !columns[column].is_not_null)
    }
}
