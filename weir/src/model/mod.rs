//! SQL files as tables, in dependency order.

mod bind;
mod condition;
mod depth;
mod help;
mod ignored;
mod json_casts;
mod json_operators;
mod json_pairs;
mod names;
mod order;
mod places;
mod series;
mod time_zones;

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{self, Spanned as _, visit_relations};
use datafusion::sql::sqlparser::tokenizer::Span;

pub(crate) use condition::{WrongCondition, condition};

use crate::error::{Error, Result, plain, plain_message};
use crate::function::mistaken_json;
use crate::route::REASONS;
use crate::task::{Place, SourceText, Task, TaskError, read_text};

/// Of a chain of terms that is too long.
const TOO_MANY_TERMS: &str = "the limit is 10,000";

/// A model: one `select`, its parameters bound.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// The table's name.
    pub(crate) name: String,
    source: SourceText,
    statement: Statement,
    /// The sources and models that it reads.
    pub(crate) reads: Vec<String>,
}

/// Reads a task's SQL files. Each model comes after the models that it reads.
pub(crate) fn load(task: &Task) -> Result<Vec<Model>> {
    let mut models = Vec::with_capacity(task.spec.models.len());
    for (name, path) in &task.spec.models {
        let file = task.folder.join(&path.value);
        let text = read_text(&file).map_err(|what| {
            let error = task.error(path, format!("model `{name}`: {}: {what}", file.display()));
            Box::new(error.with_help("the path is relative to the task file"))
        })?;
        let mut model = parse(task, name, SourceText::new(&file, text))?;
        let quality = task.spec.quality.get(name);
        for table in quality.iter().flat_map(|quality| quality.value.tables()) {
            if table == name {
                let error = task.error(path, format!("a rule of `{name}` looks into `{name}` itself"));
                let help = "write `in` with a source or model that it reads";
                return Err(Box::new(error.with_help(help)).into());
            }
            if !model.reads.iter().any(|read| read == table) {
                model.reads.push(table.to_owned());
            }
        }
        models.push(model);
    }
    order::by_dependency(task, models)
}

fn parse(task: &Task, name: &str, source: SourceText) -> Result<Model> {
    let text = source.text();
    if let Some(at) = text.find("${") {
        let error = TaskError::new(&source, Some(place_of(text, at)), "`${…}` is not filled in here")
            .with_help("write $name: SQL takes parameters as typed values, never as text");
        return Err(Box::new(error).into());
    }
    let columns: Vec<String> =
        task.spec.sources.values().flat_map(|source| source.value.columns.keys().cloned()).collect();
    let mut statements = DFParser::parse_sql(text).map_err(|error| Box::new(sql_error(&source, &error, &columns)))?;
    let only = if statements.len() == 1 { statements.pop_front() } else { None };
    let Some(Statement::Statement(mut statement)) = only else {
        return Err(not_a_select(&source, places::second_statement(text).or_else(|| places::first(text))));
    };
    if !matches!(*statement, ast::Statement::Query(_)) {
        return Err(not_a_select(&source, places::first(text)));
    }
    let depth = depth::depth(&statement);
    if depth > depth::MAX_DEPTH {
        let error =
            TaskError::new(&source, None, format!("the statement has a chain of {depth} terms: {TOO_MANY_TERMS}"));
        let help = "write `column in (…)`, read the values as a source and join it, or split the model in two";
        return Err(Box::new(error.with_help(help)).into());
    }
    if let Some((clause, help)) = ignored::clause(&statement) {
        let place = places::clause(text, clause.split(' ').next().unwrap_or_default());
        let error = TaskError::new(&source, place, format!("`{clause}` has no effect here"));
        return Err(Box::new(error.with_help(help)).into());
    }
    json_operators::bind_tightly(&mut statement);
    json_pairs::separate(&mut statement);
    json_casts::call_function(&mut statement);
    time_zones::call_function(&mut statement);
    bind::bind(&mut statement, &task.params).map_err(|unknown| {
        let error = TaskError::new(&source, place(unknown.span), format!("unknown parameter `${}`", unknown.name));
        Box::new(error.nearest(&unknown.name, task.params.names()))
    })?;
    let series = series::functions(&mut statement);
    let statement = Statement::Statement(statement);
    if let Some((column, span)) = names::unnamed(&statement) {
        let error = TaskError::new(&source, place(span), format!("the column `{column}` has no name"));
        let help = help::of_expression(&column, &columns);
        return Err(Box::new(error.with_help(help.unwrap_or_else(|| format!("write `{column} as name`")))).into());
    }
    let reads = reads(task, &source, &statement, &series)?;
    Ok(Model { name: name.to_owned(), source, statement, reads })
}

fn not_a_select(source: &SourceText, place: Option<Place>) -> Error {
    let error = TaskError::new(source, place, "a model is one select statement");
    Box::new(error.with_help("write one `select` (it may begin with `with`), and one model per file")).into()
}

/// The tables that a statement reads; each must be a source or a model.
fn reads(task: &Task, source: &SourceText, statement: &Statement, series: &[String]) -> Result<Vec<String>> {
    let (tables, _) = datafusion::sql::resolve::resolve_table_references(statement, true)
        .map_err(|error| Box::new(sql_error(source, &error, &[])))?;
    let known = || task.spec.sources.keys().chain(task.spec.models.keys()).map(String::as_str);
    let mut reads = Vec::new();
    for table in tables {
        let name = table.to_string();
        if series.contains(&name) {
            continue;
        }
        if !known().any(|known| known == name) {
            let place = relation_place(statement, &name);
            let error = TaskError::new(source, place, format!("`{name}` is neither a source nor a model"));
            let error = match name.strip_suffix(".rejected") {
                Some(_) => error.with_help("rejected rows are read by sinks: `from: table.rejected`"),
                None => error.nearest(&name, known()),
            };
            return Err(Box::new(error).into());
        }
        reads.push(name);
    }
    Ok(reads)
}

fn relation_place(statement: &Statement, name: &str) -> Option<Place> {
    let Statement::Statement(statement) = statement else { return None };
    let found = visit_relations(statement, |relation| match relation.to_string().eq_ignore_ascii_case(name) {
        true => ControlFlow::Break(relation.span()),
        false => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(span) => place(span),
        ControlFlow::Continue(()) => None,
    }
}

impl Model {
    /// Plans the model over the session's tables.
    pub(crate) async fn plan(&self, session: &SessionState) -> Result<LogicalPlan> {
        let plan = match session.statement_to_plan(self.statement.clone()).await {
            Ok(plan) => plan,
            Err(error) => {
                let (message, _) = message_and_span(&error);
                return Err(match places::repeated(&message) {
                    Some(column) => self.repeated(column),
                    None => self.error(session, &error).await,
                });
            }
        };
        if matches!(plan, LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_)) {
            // `select … into table` is parsed as a select.
            return Err(not_a_select(&self.source, places::clause(self.source.text(), "into")));
        }
        if let Some(mistake) = mistaken_json(&plan).map_err(|error| Error::query(&self.name, error))? {
            let error = TaskError::new(&self.source, None, mistake);
            return Err(Box::new(error.with_help("write `cast(… as json)` where it is text")).into());
        }
        let schema = plan.schema();
        if schema.fields().iter().any(|field| names::is_made_up(field.name())) {
            let error = TaskError::new(&self.source, None, "a column of a select inside has no name");
            return Err(Box::new(error.with_help("name it with `as`, where it is computed")).into());
        }
        if schema.fields().iter().any(|field| field.name() == REASONS) {
            let message = format!("a model cannot have a column `{REASONS}`: it is added to rejected rows");
            let place = places::last_named(&self.statement, REASONS);
            return Err(Box::new(
                TaskError::new(&self.source, place, message).with_help("give it another name with `as`"),
            )
            .into());
        }
        let mut names = std::collections::HashSet::new();
        if let Some(field) = schema.fields().iter().find(|field| !names.insert(field.name())) {
            return Err(self.repeated(field.name()));
        }
        Ok(plan)
    }

    /// The error of two columns of one name.
    fn repeated(&self, column: &str) -> Error {
        let place = places::last_named(&self.statement, column);
        let error = TaskError::new(&self.source, place, format!("duplicate column `{column}`"));
        Box::new(error.with_help("rename one of them with `as`; instead of `*`, name the columns")).into()
    }

    /// The columns of the tables that it reads.
    async fn columns(&self, session: &SessionState) -> Vec<String> {
        let mut columns = Vec::new();
        for table in &self.reads {
            let Ok(schema) = session.schema_for_ref(TableReference::bare(table.as_str())) else { continue };
            if let Ok(Some(table)) = schema.table(table).await {
                columns.extend(table.schema().fields().iter().map(|field| field.name().clone()));
            }
        }
        columns
    }

    /// The error of a statement that cannot be computed, whatever the rows are.
    pub(crate) async fn wrong(&self, session: &SessionState, message: &str) -> Error {
        let columns = self.columns(session).await;
        let place = places::of(self.source.text(), message, &columns);
        Box::new(with_help(TaskError::new(&self.source, place, message), message, &columns)).into()
    }

    /// The query engine's error about the model.
    pub(crate) async fn error(&self, session: &SessionState, error: &DataFusionError) -> Error {
        Box::new(sql_error(&self.source, error, &self.columns(session).await)).into()
    }
}

/// The query engine's error about a SQL file over columns, with its position if known.
fn sql_error(source: &SourceText, error: &DataFusionError, columns: &[String]) -> TaskError {
    let (message, place) = message_and_span(error);
    let place = place.or_else(|| places::of(source.text(), &message, columns));
    with_help(TaskError::new(source, place, &message), &message, columns)
}

fn with_help(error: TaskError, message: &str, columns: &[String]) -> TaskError {
    match help::of(message, columns) {
        Some(help) => error.with_help(help),
        None => error,
    }
}

fn message_and_span(error: &DataFusionError) -> (String, Option<Place>) {
    if let Some(diagnostic) = error.diagnostic() {
        let notes = diagnostic.notes.iter().map(|note| note.message.as_str());
        let help = diagnostic.helps.iter().map(|help| help.message.as_str()).chain(notes);
        let message = std::iter::once(diagnostic.message.as_str()).chain(help).collect::<Vec<_>>().join("; ");
        let message = plain_message(&message);
        let place =
            diagnostic.span.map(|span| Place { line: span.start.line as usize, column: span.start.column as usize });
        return (message, place);
    }
    let message = plain(error);
    let message = message.strip_prefix("sql parser error: ").unwrap_or(&message).to_owned();
    // The SQL parser reports the position in the text only: `… at Line: 3, Column: 7`.
    match message.rsplit_once(" at Line: ") {
        Some((what, numbers)) => {
            let place = numbers.split_once(", Column: ").and_then(|(line, column)| {
                Some(Place { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
            });
            (what.to_owned(), place)
        }
        None => (message, None),
    }
}

fn place(span: Span) -> Option<Place> {
    (span.start.line > 0).then_some(Place { line: span.start.line as usize, column: span.start.column as usize })
}

fn place_of(text: &str, at: usize) -> Place {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}
