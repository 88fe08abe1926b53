//! The error about a table that does not exist, with the nearest ones.

use super::snapshot::Snapshot;
use crate::error::{Error, Result, nearest};

/// The number of tables that an error lists.
const LISTED: usize = 12;

pub(in crate::source) async fn missing<S: Snapshot>(
    snapshot: &S,
    shown: &str,
    schema: Option<&str>,
    table: &str,
) -> Result<Error> {
    let known = snapshot.tables().await?;
    let full: Vec<String> = known.iter().map(|(schema, table)| format!("{schema}.{table}")).collect();
    let names: Vec<&str> = full.iter().map(String::as_str).collect();
    let tables: Vec<&str> = known.iter().map(|(_, table)| table.as_str()).collect();
    let of_table = |near: &str| names.iter().zip(&tables).find(|(_, table)| **table == near).map(|(name, _)| *name);
    let near = match schema {
        // The schema may be the wrong part.
        Some(schema) => of_table(table).or_else(|| nearest(&format!("{schema}.{table}"), &names)),
        None => nearest(table, &tables).and_then(of_table),
    };
    let listed = match names.len() {
        0 => "this user sees no tables there: check the database, and the rights on its schemas".to_owned(),
        count if count <= LISTED => format!("there are: {}", names.join(", ")),
        count => format!("there are {count} tables, the first ones are: {}", names[..LISTED].join(", ")),
    };
    let help = near.map_or(listed.clone(), |near| format!("is it `{near}`? {listed}"));
    Ok(Error::input(shown, format!("no such table or view in {}", snapshot.database()), help))
}
