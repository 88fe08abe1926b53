//! Functions in the place of a table: numbers, days or times in a row.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, TableFactor, VisitMut, VisitorMut};

/// Those of the query engine.
const SERIES: [&str; 2] = ["generate_series", "range"];

/// The names of such functions that a statement reads from: they are no sources and no models. The query engine knows them in
/// small letters only, and so they are written.
pub(super) fn functions(statement: &mut ast::Statement) -> Vec<String> {
    let mut found = Series(Vec::new());
    let _: ControlFlow<()> = statement.visit(&mut found);
    found.0
}

struct Series(Vec<String>);

impl VisitorMut for Series {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } = table {
            let small = name.to_string().to_lowercase();
            if SERIES.contains(&small.as_str()) {
                *name = ObjectName::from(vec![Ident::new(&small)]);
                self.0.push(small);
            }
        }
        ControlFlow::Continue(())
    }
}
