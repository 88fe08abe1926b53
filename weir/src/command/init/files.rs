//! The files of a new task: short, with explanatory comments.

use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};

use super::sample::{Column, ROWS, Sample};
use crate::error::{Error, Result};
use crate::format::csv::write::file as csv_file;
use crate::task::SqlType;

/// The maximum length of a task's name: suffixes are added to it for sources and sinks.
pub(super) const LONGEST_NAME: usize = 40;

/// The number of rows in the sample file.
const SAMPLE_ROWS: usize = 10;

/// A new task.
pub(super) struct Project<'a> {
    pub(super) program: &'a str,
    pub(super) name: &'a str,
    /// The file that the task is created from.
    pub(super) origin: &'a Path,
    pub(super) sample: &'a Sample,
}

impl Project<'_> {
    /// The files, by path in the task's folder.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let Self { name, .. } = self;
        Ok(vec![
            (format!("{name}.yaml"), self.task().into_bytes()),
            (format!("sql/{name}.sql"), self.model().into_bytes()),
            (format!("sql/{name}.test.yaml"), self.cases().into_bytes()),
            (format!("sample/{name}.csv"), self.sample_file()?),
        ])
    }

    /// The next steps, as text for the user.
    pub(super) fn next_steps(&self, folder: &Path) -> Result<String> {
        let Self { program, name, .. } = self;
        let origin = std::path::absolute(self.origin)
            .map_err(|error| Error::usage(format!("{}: {error}", self.origin.display()), "check the path"))?;
        let cd = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", shell(folder)) };
        Ok(format!(
            "wrote {name}.yaml, sql/{name}.sql, sql/{name}.test.yaml and sample/{name}.csv\n\n\
             next:\n{cd}\
             \x20 {program} validate {name}.yaml   # check the task\n\
             \x20 {program} test {name}.yaml       # run the test cases of the SQL\n\
             \x20 {program} run {name}.yaml        # run it on the sample; then on the whole file:\n\
             \x20 {program} run {name}.yaml --param input={}\n\n\
             then write quality rules in {name}.yaml, and transformations in sql/{name}.sql",
            shell(&origin),
        ))
    }

    fn task(&self) -> String {
        let Self { program, name, sample, .. } = self;
        let columns: String = sample.columns.iter().map(declaration).collect();
        let (rule, requirement) = self.rule();
        format!(
            r#"# Source `raw_{name}` has the rows of the CSV file; model sql/{name}.sql transforms them to `{name}`. Each row is
# accepted or rejected, and each route has a sink. `{program} schema --markdown` lists all keys of this file.
name: {name}
description: {description}

params:                               # another value: --param input=FILE
  input: {{type: string, default: sample/{name}.csv, description: "The CSV file, relative to this file."}}
  output: {{type: string, default: out, description: The output folder.}}

sources:
  raw_{name}:
    files: {{path: "${{input}}", format: csv}}
    columns:                          # matched by name, not by position; types are guessed from the first {ROWS} rows
{columns}
models:
  {name}: sql/{name}.sql

quality:
  {name}:
    reject_unless:                    # reason: requirement; a rejected row has all its reasons
      {rule}: {requirement}
    # warn_unless: {{repeated: {{unique: {first}}}}}     # counted and sampled, and kept
    gate: {{max_rejected: 10%, min_rows: 1}}      # publish nothing if too many rows are rejected, or there are none

sinks:                                # published atomically: all folders or none
  {name}:
    from: {name}
    mode: overwrite
    files: {{path: "${{output}}/{name}", format: csv}}

  {name}_rejected:                    # rows that failed a rule, with reasons
    from: {name}.rejected
    mode: overwrite
    publish: always
    files: {{path: "${{output}}/{name}_rejected", format: csv}}

  {name}_unreadable:                  # records that could not be parsed, with reasons
    from: raw_{name}.rejected
    mode: overwrite
    publish: always
    files: {{path: "${{output}}/{name}_unreadable", format: csv}}
"#,
            description = yaml(&format!("Sort the rows of {}.", self.origin.file_name().unwrap_or_default().display())),
            first = sample.columns[0].name,
        )
    }

    /// A rule that all rows of the sample pass.
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

    /// The first column without empty values.
    fn key(&self) -> Option<&Column> {
        self.sample.columns.iter().find(|column| column.is_full)
    }

    fn model(&self) -> String {
        let names: Vec<_> = self.sample.columns.iter().map(|column| format!("    {}", column.name)).collect();
        format!(
            "-- One row per row of the file. Clean and compute here: trim(name) as name, lower(email) as email, …\n\
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
            "# Test cases: `{program} test` runs sql/{name}.sql and its rules on given rows.\n\n\
             a_row_is_kept_unchanged:\n  given:\n    raw_{name}:\n{}  expect:\n    {name}:\n{}    {name}.rejected: []\n\n\
             an_empty_row_is_rejected:\n  given:\n    raw_{name}:\n      - {{{}}}\n  expect:\n    {name}: []\n    \
             {name}.rejected:\n      - {{reasons: {rule}}}\n",
            cells("      "),
            cells("      "),
            nothing.join(", "),
        )
    }

    /// The values of the row with the fewest nulls.
    fn typical_row(&self) -> Vec<Option<String>> {
        let rows = &self.sample.rows;
        let columns: Vec<_> = rows.columns().iter().map(|column| column.as_string_view()).collect();
        let filled = |row: usize| columns.iter().filter(|column| column.is_valid(row)).count();
        // The first of the most complete rows.
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

/// Text in quotes: JSON strings are YAML strings, too.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_word = text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if is_word { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
