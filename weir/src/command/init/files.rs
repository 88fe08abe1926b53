//! The files of a new task: short, with explanatory comments.

use std::path::Path;

use super::beginning::beginning;
use super::database::{Connections, DatabaseTable};
use super::sample::{Column, Sample};
use crate::error::{Error, Result};
use crate::task::{SqlType, is_object_url};

/// The maximum length of a table's name: suffixes are added to it for sources and sinks.
pub(super) const LONGEST_NAME: usize = 40;

/// A new task.
pub(super) struct Project<'a> {
    pub(super) program: &'a str,
    pub(super) name: &'a str,
    pub(super) tables: &'a [Table],
    pub(super) connections: &'a Connections,
}

/// A table of the task: a source, a model and the sinks of its rows.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) origin: Origin,
}

/// Where its rows are.
pub(super) enum Origin {
    Files(Sample),
    Database(DatabaseTable),
}

impl Project<'_> {
    /// The files, by path in the task's folder.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = vec![(format!("{}.yaml", self.name), self.task().into_bytes())];
        for table in self.tables {
            files.push((format!("sql/{}.sql", table.name), table.model().into_bytes()));
            files.push((format!("sql/{}.test.yaml", table.name), table.cases(self.program).into_bytes()));
            if let Origin::Files(sample) = &table.origin {
                files.push((table.sample_path(sample), beginning(&sample.input)?));
            }
        }
        files.extend(self.connections.file());
        Ok(files)
    }

    /// The next steps, as text for the user.
    pub(super) fn next_steps(&self, folder: &Path, files: &[(String, Vec<u8>)]) -> Result<String> {
        let Self { program, name, .. } = self;
        let mut inputs = String::new();
        let (mut samples, mut databases) = (0, vec![]);
        for table in self.tables {
            match &table.origin {
                Origin::Files(sample) => {
                    let given = &sample.input.given;
                    let given = match given.to_str().is_some_and(is_object_url) {
                        true => given.clone(),
                        false => std::path::absolute(given)
                            .map_err(|error| Error::usage(format!("{}: {error}", given.display()), "check the path"))?,
                    };
                    inputs.push_str(&format!(" --param {}={}", self.input(table), shell(&given)));
                    samples += 1;
                }
                Origin::Database(table) => databases.push(table.shown()),
            }
        }
        let cd = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", shell(folder)) };
        let (last, others) = files.split_last().map_or(("", vec![]), |((last, _), others)| {
            (last.as_str(), others.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>())
        });
        let notes = self
            .tables
            .iter()
            .flat_map(|table| table.notes().into_iter().map(|note| format!("{}: {note}\n", table.shown())));
        let notes: String = notes.collect();
        let notes = if notes.is_empty() { notes } else { format!("{notes}\n") };
        let whole = if samples > 1 { "all of the files" } else { "the whole file" };
        let (lines, exports) = self.connections.steps();
        let run = match (samples, databases.join(" and ")) {
            (0, databases) => format!("# run it on {databases}\n\n"),
            (_, databases) => {
                let and = if databases.is_empty() { databases } else { format!(" and on {databases}") };
                format!("# run it on the sample{and}; then on {whole}:\n  {program} run {name}.yaml{inputs}\n\n")
            }
        };
        Ok(format!(
            "wrote {} and {last}\n\n{notes}{lines}\
             next:\n{cd}{exports}\
             \x20 {program} validate {name}.yaml   # check the task\n\
             \x20 {program} test {name}.yaml       # run the test cases of the SQL\n\
             \x20 {program} run {name}.yaml        {run}\
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
        let Self { program, name, tables, .. } = self;
        let all = |part: &dyn Fn(&Table) -> String| tables.iter().map(part).collect::<Vec<_>>();
        let of_files = tables.iter().find(|table| matches!(table.origin, Origin::Files(_)));
        let has_tables = tables.iter().any(|table| matches!(table.origin, Origin::Database(_)));
        format!(
            r#"# Each source `raw_…` has the rows of the {inputs}; the model sql/….sql transforms them. Each row is accepted or rejected,
# and each route has a sink. `{program} schema --markdown` lists all keys of this file.
name: {name}
description: {description}

params:                               # another value: --param {first}
{params}  output: {{type: string, default: out, description: The output folder.}}

sources:
{sources}
models:
{models}
quality:
{quality}
sinks:                                # published atomically: all folders or none
{sinks}"#,
            description = yaml(&format!("Sort the rows of {}.", all(&Table::given).join(" and "))),
            inputs = match (of_files, has_tables) {
                (Some(_), false) => "files",
                (None, _) => "tables",
                (Some(_), true) => "files and tables",
            },
            first = of_files.map_or("output=DIR".to_owned(), |table| format!("{}=FILE", self.input(table))),
            params = all(&|table| self.param(table)).concat(),
            sources = all(&|table| self.source(table)).concat(),
            models = all(&|table| format!("  {0}: sql/{0}.sql\n", table.name)).concat(),
            quality = all(&Table::quality).concat(),
            sinks = all(&Table::sinks).join("\n"),
        )
    }

    fn param(&self, table: &Table) -> String {
        let Origin::Files(sample) = &table.origin else { return String::new() };
        let input = self.input(table);
        let path = table.sample_input(sample);
        let what = if sample.input.within.is_empty() { "file" } else { "folder" };
        let description = format!("The {what}; in this task relative to its file.");
        format!("  {input}: {{type: string, default: {path}, description: {}}}\n", yaml(&description))
    }

    fn source(&self, table: &Table) -> String {
        let (origin, by) = match &table.origin {
            Origin::Files(sample) => {
                let by = match sample.dialect() {
                    Some(dialect) if dialect.header.is_none() => "by position: the file has no header line",
                    _ => "matched by name",
                };
                let types = sample.guessed_from.map_or("types are those of the file".to_owned(), |rows| {
                    format!("types are guessed from all {rows} rows")
                });
                let keys = mapping(sample.input.keys(&self.input(table)).into_iter());
                (format!("    files: {{{keys}}}\n"), format!("{by}; {types}"))
            }
            Origin::Database(table) => {
                (table.origin(), "matched by name; each type represents any value of the column".to_owned())
            }
        };
        let notes: String = table.notes().iter().map(|note| format!("    # {note}\n")).collect();
        format!(
            "  raw_{name}:\n{notes}{origin}    columns:                          # {by}\n{columns}",
            name = table.name,
            columns = table.columns().iter().map(declaration).collect::<String>(),
        )
    }
}

impl Table {
    fn columns(&self) -> &[Column] {
        match &self.origin {
            Origin::Files(sample) => &sample.columns,
            Origin::Database(table) => &table.columns,
        }
    }

    /// What the author of the task should know about how it is read.
    fn notes(&self) -> Vec<String> {
        match &self.origin {
            Origin::Files(sample) => sample.notes(),
            Origin::Database(table) => table.notes(),
        }
    }

    /// What was looked into.
    fn shown(&self) -> String {
        match &self.origin {
            Origin::Files(sample) if sample.input.within.is_empty() => sample.input.given.display().to_string(),
            Origin::Files(sample) => sample.input.first.display().to_string(),
            Origin::Database(table) => table.shown(),
        }
    }

    /// What the user named, in short.
    fn given(&self) -> String {
        match &self.origin {
            Origin::Files(sample) => sample.input.given.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Origin::Database(table) => table.table().to_owned(),
        }
    }

    /// The sample as the input of the task: a file, or a folder with it.
    fn sample_input(&self, sample: &Sample) -> String {
        match sample.input.within.is_empty() {
            true => self.sample_path(sample),
            false => format!("sample/{}", self.name),
        }
    }

    fn sample_path(&self, sample: &Sample) -> String {
        let name = &self.name;
        let folder = if sample.input.within.is_empty() { String::new() } else { format!("{name}/") };
        format!("sample/{folder}{name}.{}", sample.input.extension())
    }

    fn quality(&self) -> String {
        let (rule, requirement) = self.rule();
        format!(
            r#"  {name}:
    reject_unless:                    # reason: requirement; a rejected row has all its reasons
      {rule}: {requirement}
    # warn_unless: {{repeated: {{unique: {unique}}}}}     # counted and sampled, and kept
    gate: {{max_rejected: 10%, min_rows: 1}}      # publish nothing if too many rows are rejected, or there are none
"#,
            name = self.name,
            unique = match self.primary_key().as_slice() {
                [] => self.columns()[0].name.clone(),
                [one] => one.name.clone(),
                more => format!("[{}]", more.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")),
            },
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
                let some: Vec<_> = self.columns().iter().map(|column| format!("{} is not null", column.name)).collect();
                ("empty_row".to_owned(), some.join(" or "))
            }
        }
    }

    /// A column without empty values: the first one of the key, or of all.
    fn key(&self) -> Option<&Column> {
        let key = self.primary_key();
        key.into_iter().chain(self.columns()).find(|column| column.is_full)
    }

    fn primary_key(&self) -> Vec<&Column> {
        match &self.origin {
            Origin::Files(_) => vec![],
            Origin::Database(table) => table.key(),
        }
    }

    fn model(&self) -> String {
        let names: Vec<_> = self.columns().iter().map(|column| format!("    {}", column.name)).collect();
        format!(
            "-- One row per row of the {}. Clean and compute here: trim(name) as name, lower(email) as email, …\n\
             select\n{}\nfrom raw_{}\n",
            if matches!(self.origin, Origin::Files(_)) { "files" } else { "table" },
            names.join(",\n"),
            self.name
        )
    }

    fn cases(&self, program: &str) -> String {
        let Self { name, .. } = self;
        let row = self.typical_row();
        let cells = |indent: &str| -> String {
            let cells = self.columns().iter().zip(&row);
            let cells: Vec<_> = cells
                .map(|(column, value)| format!("{}: {}", column.name, value.as_deref().map_or("null".into(), yaml)))
                .collect();
            format!("{indent}- {{{}}}\n", cells.join(", "))
        };
        let nothing: Vec<_> = self.columns().iter().map(|column| format!("{}: null", column.name)).collect();
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

    /// The values of the row with the fewest nulls: the first of the most complete ones. The rows of a table stay in its
    /// database.
    fn typical_row(&self) -> Vec<Option<String>> {
        let filled = |row: &&Vec<Option<String>>| row.iter().flatten().count();
        let best = match &self.origin {
            Origin::Files(sample) => sample.first.iter().rev().max_by_key(filled),
            Origin::Database(_) => None,
        };
        best.cloned().unwrap_or_else(|| self.columns().iter().map(|column| Some(example(column).to_owned())).collect())
    }
}

/// A value of the column's type.
fn example(column: &Column) -> &'static str {
    match column.guessed.sql_type {
        SqlType::String => "text",
        SqlType::Boolean => "true",
        SqlType::Integer | SqlType::Bigint => "1",
        SqlType::Double => "1.5",
        // It has a digit before the point only if the precision allows one.
        SqlType::Decimal(..) => "0",
        SqlType::Date => "2024-01-31",
        SqlType::Time => "12:30:00",
        SqlType::Timestamp => "2024-01-31 12:30:00",
        SqlType::TimestampTz => "2024-01-31 12:30:00Z",
        SqlType::Uuid => "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        SqlType::Json => "{}",
        SqlType::Binary => "\\x00",
    }
}

/// Keys with their values in YAML, as the inside of a mapping.
pub(super) fn mapping<'a>(keys: impl Iterator<Item = (&'a str, String)>) -> String {
    keys.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
}

/// A column's line under `columns`.
pub(in crate::command) fn declaration(column: &Column) -> String {
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
pub(super) fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_word = text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if is_word { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
