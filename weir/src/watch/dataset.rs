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
    /// For each column of an output the columns of inputs that it depends on.
    pub lineage: Vec<(String, Vec<InputColumn>)>,
    /// The columns of inputs that decide which rows an output has.
    pub rows_from: Vec<InputColumn>,
}

/// A column of an input that an output depends on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InputColumn {
    /// Where the input is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// The column.
    pub column: String,
    /// In which ways, by the types and subtypes of OpenLineage: `DIRECT` and `IDENTITY`.
    pub ways: Vec<(&'static str, &'static str)>,
    /// Whether the sink writes something else in place of the values.
    pub is_masked: bool,
}
