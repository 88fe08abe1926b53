//! The files of a new task: short, and with comments that teach.

use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};

use super::sample::{Column, ROWS, Sample};
use crate::error::{Error, Result};
use crate::format::csv::write::file as csv_file;
use crate::task::SqlType;

/// A task's name has words put to it for its sources and sinks.
pub(super) const LONGEST_NAME: usize = 40;

/// So many rows go into the sample file.
const SAMPLE_ROWS: usize = 10;

/// A new task.
pub(super) struct Project<'a> {
    pub(super) program: &'a str,
    pub(super) name: &'a str,
    /// The file that it is made from.
    pub(super) origin: &'a Path,
    pub(super) sample: &'a Sample,
}

impl Project<'_> {
    /// The files by their paths in the task's folder.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let Self { name, .. } = self;
        Ok(vec![
            (format!("{name}.yaml"), self.task().into_bytes()),
            (format!("sql/{name}.sql"), self.model().into_bytes()),
            (format!("sql/{name}.test.yaml"), self.cases().into_bytes()),
            (format!("sample/{name}.csv"), self.sample_file()?),
        ])
    }

    /// What to do next.
    pub(super) fn next_steps(&self, folder: &Path) -> Result<String> {
        let Self { program, name, .. } = self;
        let origin = std::path::absolute(self.origin)
            .map_err(|error| Error::usage(format!("{}: {error}", self.origin.display()), "check the path"))?;
        let cd = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", shell(folder)) };
        Ok(format!(
            "wrote {name}.yaml, sql/{name}.sql, sql/{name}.test.yaml and sample/{name}.csv\n\n\
             next:\n{cd}\
             \x20 {program} validate --task-config {name}.yaml   # check the task\n\
             \x20 {program} test --task-config {name}.yaml       # hold the SQL against its cases\n\
             \x20 {program} run --task-config {name}.yaml        # run it on the sample, and on the whole file:\n\
             \x20 {program} run --task-config {name}.yaml --param input={}\n\n\
             then say in {name}.yaml what must hold of a row, and in sql/{name}.sql what a row is",
            shell(&origin),
        ))
    }

    fn task(&self) -> String {
        let Self { program, name, sample, .. } = self;
        let columns: String = sample.columns.iter().map(declaration).collect();
        let (rule, requirement) = self.rule();
        format!(
            r#"# A row of the CSV file is a row of `raw_{name}`; sql/{name}.sql makes a row of `{name}` of it, which is accepted or
# rejected, and each goes to a folder of its own. `{program} schema --markdown` lists every key that can stand here.
name: {name}
description: {description}

params:                               # another value: --param input=FILE
  input: {{type: string, default: sample/{name}.csv, description: "The CSV file, relative to the working directory."}}
  output: {{type: string, default: out, description: The folder that takes the outputs.}}

sources:
  raw_{name}:
    files: {{path: "${{input}}", format: csv}}
    columns:                          # go by name, not by place; the types are guessed from the first {ROWS} rows
{columns}
models:
  {name}: sql/{name}.sql

quality:
  {name}:
    reject_unless:                    # reason: what must hold; a rejected row has all its reasons
      {rule}: {requirement}
    # warn_unless: {{repeated: {{unique: {first}}}}}     # counted and shown, and kept
    # gate: {{max_rejected: 5%, min_rows: 1}}     # publish nothing when too many rows are bad

sinks:                                # all of a run's folders are replaced together, or none is
  {name}:
    from: {name}
    mode: overwrite
    files: {{path: "${{output}}/{name}", format: csv}}

  {name}_rejected:                    # rows that miss a rule, and why
    from: {name}.rejected
    mode: overwrite
    publish: always
    files: {{path: "${{output}}/{name}_rejected", format: csv}}

  {name}_unreadable:                  # lines that do not fit `columns`, and why
    from: raw_{name}.rejected
    mode: overwrite
    publish: always
    files: {{path: "${{output}}/{name}_unreadable", format: csv}}
"#,
            description = yaml(&format!("Sort the rows of {}.", self.origin.file_name().unwrap_or_default().display())),
            first = sample.columns[0].name,
        )
    }

    /// A rule that the rows of the sample pass.
    fn rule(&self) -> (String, String) {
        match self.key() {
            Some(Column { name, .. }) => (format!("missing_{name}"), format!("{{not_null: {name}}}")),
            None => {
                let some: Vec<_> =
                    self.sample.columns.iter().map(|column| format!("{} is not null", column.name)).collect();
                ("empty_row".to_owned(), some.join(" or "))
            }
        }
    }

    /// The first column that is never empty.
    fn key(&self) -> Option<&Column> {
        self.sample.columns.iter().find(|column| column.is_full)
    }

    fn model(&self) -> String {
        let names: Vec<_> = self.sample.columns.iter().map(|column| format!("    {}", column.name)).collect();
        format!(
            "-- One row a row of the file. Clean and compute here: trim(name) as name, lower(email) as email, …\n\
             select\n{}\nfrom raw_{}\n",
            names.join(",\n"),
            self.name
        )
    }

    fn cases(&self) -> String {
        let Self { program, name, sample, .. } = self;
        let row = self.typical_row();
        let cells = |indent: &str| -> String {
            let cells = sample.columns.iter().zip(&row);
            let cells: Vec<_> = cells
                .map(|(column, value)| format!("{}: {}", column.name, value.as_deref().map_or("null".into(), yaml)))
                .collect();
            format!("{indent}- {{{}}}\n", cells.join(", "))
        };
        let nothing: Vec<_> = sample.columns.iter().map(|column| format!("{}: null", column.name)).collect();
        let (rule, _) = self.rule();
        format!(
            "# What must come of a row: `{program} test` runs sql/{name}.sql and its rules on the rows that are given.\n\n\
             a_row_is_kept_as_it_came:\n  given:\n    raw_{name}:\n{}  expect:\n    {name}:\n{}    {name}.rejected: []\n\n\
             an_empty_row_is_rejected:\n  given:\n    raw_{name}:\n      - {{{}}}\n  expect:\n    {name}: []\n    \
             {name}.rejected:\n      - {{reasons: {rule}}}\n",
            cells("      "),
            cells("      "),
            nothing.join(", "),
        )
    }

    /// The values of a row that has most of them.
    fn typical_row(&self) -> Vec<Option<String>> {
        let rows = &self.sample.rows;
        let columns: Vec<_> = rows.columns().iter().map(|column| column.as_string_view()).collect();
        let filled = |row: usize| columns.iter().filter(|column| column.is_valid(row)).count();
        // The first of the fullest.
        let Some(best) = (0..rows.num_rows()).rev().max_by_key(|row| filled(*row)) else {
            return columns.iter().map(|_| Some("text".to_owned())).collect();
        };
        columns.iter().map(|column| column.is_valid(best).then(|| column.value(best).to_owned())).collect()
    }

    fn sample_file(&self) -> Result<Vec<u8>> {
        let headers: Vec<&str> = self.sample.columns.iter().map(|column| column.header.as_str()).collect();
        let rows = self.sample.rows.slice(0, self.sample.rows.num_rows().min(SAMPLE_ROWS));
        csv_file(&headers, &rows).map_err(|error| Error::query("sample", error.into()))
    }
}

/// A column's line under `columns`.
fn declaration(Column { name, header, sql_type, .. }: &Column) -> String {
    let sql_type = match sql_type {
        SqlType::Decimal(..) => yaml(&sql_type.to_string()),
        other => other.to_string(),
    };
    if name == header {
        format!("      {name}: {}\n", sql_type.trim_matches('"'))
    } else {
        format!("      {name}: {{type: {sql_type}, header: {}}}\n", yaml(header))
    }
}

/// Text in quotes: JSON's are YAML's too.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A path as a shell takes it for one word.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_word = text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if is_word { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
