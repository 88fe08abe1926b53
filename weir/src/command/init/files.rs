//! The files of a new task: short, with explanatory comments.

use std::path::Path;

use super::beginning::beginning;
use super::sample::{Column, Sample};
use crate::error::{Error, Result};
use crate::task::SqlType;

/// The maximum length of a table's name: suffixes are added to it for sources and sinks.
pub(super) const LONGEST_NAME: usize = 40;

/// A new task.
pub(super) struct Project<'a> {
    pub(super) program: &'a str,
    pub(super) name: &'a str,
    pub(super) tables: &'a [Table],
}

/// A table of the task: a source, a model and the sinks of its rows.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) sample: Sample,
}

impl Project<'_> {
    /// The files, by path in the task's folder.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = vec![(format!("{}.yaml", self.name), self.task().into_bytes())];
        for table in self.tables {
            files.push((format!("sql/{}.sql", table.name), table.model().into_bytes()));
            files.push((format!("sql/{}.test.yaml", table.name), table.cases(self.program).into_bytes()));
            files.push((table.sample_path(), beginning(&table.sample.input)?));
        }
        Ok(files)
    }

    /// The next steps, as text for the user.
    pub(super) fn next_steps(&self, folder: &Path, files: &[(String, Vec<u8>)]) -> Result<String> {
        let Self { program, name, .. } = self;
        let mut inputs = String::new();
        for table in self.tables {
            let given = &table.sample.input.given;
            let given = std::path::absolute(given)
                .map_err(|error| Error::usage(format!("{}: {error}", given.display()), "check the path"))?;
            inputs.push_str(&format!(" --param {}={}", self.input(table), shell(&given)));
        }
        let cd = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", shell(folder)) };
        let (last, others) = files.split_last().map_or(("", vec![]), |((last, _), others)| {
            (last.as_str(), others.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>())
        });
        let notes = self.tables.iter().flat_map(|table| {
            table.sample.notes().into_iter().map(|note| format!("{}: {note}\n", table.sample.input.first.display()))
        });
        let notes: String = notes.collect();
        let notes = if notes.is_empty() { notes } else { format!("{notes}\n") };
        let whole = if self.tables.len() > 1 { "all of the files" } else { "the whole file" };
        Ok(format!(
            "wrote {} and {last}\n\n{notes}\
             next:\n{cd}\
             \x20 {program} validate {name}.yaml   # check the task\n\
             \x20 {program} test {name}.yaml       # run the test cases of the SQL\n\
             \x20 {program} run {name}.yaml        # run it on the sample; then on {whole}:\n\
             \x20 {program} run {name}.yaml{inputs}\n\n\
             then write quality rules in {name}.yaml, and transformations in {}",
            others.join(", "),
            self.tables.iter().map(|table| format!("sql/{}.sql", table.name)).collect::<Vec<_>>().join(" and "),
        ))
    }

    /// The parameter with the files of a table.
    fn input(&self, table: &Table) -> String {
        if self.tables.len() == 1 { "input".to_owned() } else { format!("{}_input", table.name) }
    }

    fn task(&self) -> String {
        let Self { program, name, tables } = self;
        let all = |part: &dyn Fn(&Table) -> String| tables.iter().map(part).collect::<Vec<_>>();
        let given =
            all(&|table| table.sample.input.given.file_name().unwrap_or_default().to_string_lossy().into_owned());
        format!(
            r#"# Each source `raw_…` has the rows of the files; the model sql/….sql transforms them. Each row is accepted or rejected,
# and each route has a sink. `{program} schema --markdown` lists all keys of this file.
name: {name}
description: {description}

params:                               # another value: --param {first}=FILE
{params}  output: {{type: string, default: out, description: The output folder.}}

sources:
{sources}
models:
{models}
quality:
{quality}
sinks:                                # published atomically: all folders or none
{sinks}"#,
            description = yaml(&format!("Sort the rows of {}.", given.join(" and "))),
            first = self.tables.first().map_or("input".to_owned(), |table| self.input(table)),
            params = all(&|table| self.param(table)).concat(),
            sources = all(&|table| self.source(table)).concat(),
            models = all(&|table| format!("  {0}: sql/{0}.sql\n", table.name)).concat(),
            quality = all(&Table::quality).concat(),
            sinks = all(&Table::sinks).join("\n"),
        )
    }

    fn param(&self, table: &Table) -> String {
        let input = self.input(table);
        let path = table.sample_input();
        let what = if table.sample.input.within.is_empty() { "file" } else { "folder" };
        let description = format!("The {what}; in this task relative to its file.");
        format!("  {input}: {{type: string, default: {path}, description: {}}}\n", yaml(&description))
    }

    fn source(&self, table: &Table) -> String {
        let Table { name, sample } = table;
        let by = match sample.dialect() {
            Some(dialect) if dialect.header.is_none() => "by position: the file has no header line",
            _ => "matched by name",
        };
        let types = sample
            .guessed_from
            .map_or("types are those of the file".to_owned(), |rows| format!("types are guessed from all {rows} rows"));
        let notes: String = sample.notes().iter().map(|note| format!("    # {note}\n")).collect();
        format!(
            "  raw_{name}:\n{notes}    files: {{{keys}}}\n    columns:                          # {by}; {types}\n{columns}",
            keys = mapping(sample.input.keys(&self.input(table)).into_iter()),
            columns = sample.columns.iter().map(declaration).collect::<String>(),
        )
    }
}

impl Table {
    /// The sample as the input of the task: a file, or a folder with it.
    fn sample_input(&self) -> String {
        match self.sample.input.within.is_empty() {
            true => self.sample_path(),
            false => format!("sample/{}", self.name),
        }
    }

    fn sample_path(&self) -> String {
        let Self { name, sample } = self;
        let folder = if sample.input.within.is_empty() { String::new() } else { format!("{name}/") };
        format!("sample/{folder}{name}.{}", sample.input.extension())
    }

    fn quality(&self) -> String {
        let (rule, requirement) = self.rule();
        format!(
            r#"  {name}:
    reject_unless:                    # reason: requirement; a rejected row has all its reasons
      {rule}: {requirement}
    # warn_unless: {{repeated: {{unique: {first}}}}}     # counted and sampled, and kept
    gate: {{max_rejected: 10%, min_rows: 1}}      # publish nothing if too many rows are rejected, or there are none
"#,
            name = self.name,
            first = self.sample.columns[0].name,
        )
    }

    fn sinks(&self) -> String {
        format!(
            r#"  {name}:
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
            name = self.name,
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
            "-- One row per row of the files. Clean and compute here: trim(name) as name, lower(email) as email, …\n\
             select\n{}\nfrom raw_{}\n",
            names.join(",\n"),
            self.name
        )
    }

    fn cases(&self, program: &str) -> String {
        let Self { name, sample } = self;
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

    /// The values of the row with the fewest nulls: the first of the most complete ones.
    fn typical_row(&self) -> Vec<Option<String>> {
        let filled = |row: &&Vec<Option<String>>| row.iter().flatten().count();
        let best = self.sample.first.iter().rev().max_by_key(filled);
        best.cloned().unwrap_or_else(|| self.sample.columns.iter().map(example).collect())
    }
}

/// A value of a column of a file without rows.
fn example(column: &Column) -> Option<String> {
    let is_text = column.guessed.sql_type == SqlType::String;
    is_text.then(|| "text".to_owned())
}

/// Keys with their values in YAML, as the inside of a mapping.
pub(super) fn mapping<'a>(keys: impl Iterator<Item = (&'a str, String)>) -> String {
    keys.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
}

/// A column's line under `columns`.
pub(super) fn declaration(column: &Column) -> String {
    let Column { name, found, guessed, .. } = column;
    let is_own_name = |(key, value): &&(&str, String)| !(*key == "header" && *value == yaml(name));
    let keys: Vec<_> = found.keys.iter().filter(is_own_name).chain(&guessed.options).cloned().collect();
    let comment = guessed.comment.as_ref().map_or(String::new(), |comment| format!("   # {comment}"));
    let sql_type = guessed.sql_type.to_string();
    if keys.is_empty() {
        return format!("      {name}: {sql_type}{comment}\n");
    }
    let sql_type = if sql_type.contains(',') { yaml(&sql_type) } else { sql_type };
    let keys = std::iter::once(("type", sql_type)).chain(keys);
    format!("      {name}: {{{}}}{comment}\n", mapping(keys))
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
