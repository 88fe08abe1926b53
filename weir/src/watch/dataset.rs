//! What a run reads and writes, as systems of lineage name it.

/// The datasets of a run that is planned.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Planned {
    /// One for each source.
    pub inputs: Vec<Dataset>,
    /// One for each sink.
    pub outputs: Vec<Dataset>,
}

/// A dataset, by the naming of OpenLineage.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Dataset {
    /// The table of the task: a source, or what a sink reads.
    pub table: String,
    /// The sink; empty for an input.
    pub sink: String,
    /// Where it is: `file`, `s3://BUCKET`, `postgres://HOST:PORT`.
    pub namespace: String,
    /// Its name there: a path, or `database.schema.table`.
    pub name: String,
    /// Both as a URI, without users and passwords.
    pub uri: String,
    /// Its columns, with their types.
    pub columns: Vec<(String, String)>,
    /// The rules that judge the rows of the table.
    pub rules: Vec<String>,
}
