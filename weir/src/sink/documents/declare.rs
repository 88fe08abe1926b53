//! Documents as the task declares them.

use datafusion::arrow::datatypes::DataType;

use super::DocumentLayout;
use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::function::DocumentName;
use crate::sink::local::refuse_what_tables_have;
use crate::task::{DocumentsSpec, Mode, SinkSpec, Task, TaskError, type_name};

impl DocumentLayout {
    /// Binds the name and the content to the columns of a route. Fails if the task specifies what documents do not have.
    pub(in crate::sink) fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        documents: &DocumentsSpec,
        columns: Vec<OutputColumn>,
    ) -> Result<Self> {
        refuse_what_documents_lack(task, name, spec)?;
        let route = Route { task, sink: name, columns: &columns };
        let (of_name, texts) = route.named(documents).map_err(Box::new)?;
        let document_name = DocumentName::new(texts);
        let document_name = document_name.map_err(|message| {
            let error = task.error(&documents.name, format!("sink `{name}`: {message}"));
            Box::new(error.with_help("write a column as `${column}`, as in `${customer_no}.json`"))
        })?;
        let body = route.body(documents).map_err(Box::new)?;
        let mut chosen: Vec<usize> = vec![];
        let mut take = |column: usize| {
            chosen.iter().position(|other| *other == column).unwrap_or_else(|| {
                chosen.push(column);
                chosen.len() - 1
            })
        };
        let of_name = of_name.into_iter().map(&mut take).collect();
        let body = take(body);
        let columns: Vec<OutputColumn> = chosen.iter().map(|column| columns[*column].clone()).collect();
        let required = columns.iter().map(|column| column.name.clone()).collect();
        Ok(Self { name: document_name, columns, required, of_name, body })
    }
}

/// The columns of a route, for messages.
struct Route<'a> {
    task: &'a Task,
    sink: &'a str,
    columns: &'a [OutputColumn],
}

impl Route<'_> {
    fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The columns of the name, and the texts before, between and behind them, with the values of parameters.
    fn named(&self, documents: &DocumentsSpec) -> Result<(Vec<usize>, Vec<String>), TaskError> {
        let error = |message: String| self.task.error(&documents.name, format!("sink `{}`: {message}", self.sink));
        let (mut columns, mut texts, mut text) = (vec![], vec![], String::new());
        let mut rest = documents.name.value.as_str();
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, behind)) = behind.split_once('}') else {
                return Err(error(format!("`${{{behind}` is not closed")).with_help("write ${column}"));
            };
            text.push_str(before);
            match (self.position(name), self.task.params.get(name)) {
                (Some(_), Some(_)) => {
                    let message = format!("`${{{name}}}` is a column of the route and a parameter");
                    return Err(error(message).with_help("rename one of the two"));
                }
                (Some(column), None) => {
                    self.check_key(&self.columns[column], error)?;
                    columns.push(column);
                    texts.push(std::mem::take(&mut text));
                }
                (None, Some(param)) => text.push_str(&param.text),
                (None, None) => {
                    let known: Vec<&str> = self.names().chain(self.task.params.names()).collect();
                    let message = format!("`${{{name}}}` is neither a column of the route nor a parameter");
                    return Err(error(message).nearest(name, known));
                }
            }
            rest = behind;
        }
        text.push_str(rest);
        texts.push(text);
        Ok((columns, texts))
    }

    /// Fails if files cannot be named by the values of a column.
    fn check_key(&self, column: &OutputColumn, error: impl Fn(String) -> TaskError) -> Result<(), TaskError> {
        let is_key = |kind: &DataType| kind.is_string() || kind.is_integer() || *kind == DataType::Date32;
        match &column.kind {
            DataType::Dictionary(_, kind) if is_key(kind) => Ok(()),
            kind if is_key(kind) => Ok(()),
            kind => {
                let message = format!("column `{}` is {}, by which no file can be named", column.name, type_name(kind));
                let help = "name files by a text, a whole number or a date; convert the column in the model";
                Err(error(message).with_help(help))
            }
        }
    }

    /// The column of the content.
    fn body(&self, documents: &DocumentsSpec) -> Result<usize, TaskError> {
        let (sink, body) = (self.sink, &documents.body);
        let Some(at) = self.position(&body.value) else {
            let error = self.task.error(body, format!("sink `{sink}`: the route has no column `{}`", body.value));
            return Err(error.nearest(&body.value, self.names()));
        };
        let kind = &self.columns[at].kind;
        let is_text = match kind {
            DataType::Dictionary(_, kind) => kind.is_string(),
            kind => kind.is_string(),
        };
        if is_text {
            return Ok(at);
        }
        let message =
            format!("sink `{sink}`: column `{}` is {}, and a document is a text", body.value, type_name(kind));
        Err(self.task.error(body, message).with_help("make it a text in the model"))
    }
}

/// Fails if the task asks for what documents do not have.
fn refuse_what_documents_lack(task: &Task, name: &str, spec: &SinkSpec) -> Result<()> {
    let refused = |message: &str, help: &str| {
        let error = task.error(&spec.from, format!("sink `{name}` is a folder of documents, {message}"));
        Err(Box::new(error.with_help(help)).into())
    };
    if let mode @ (Mode::Append | Mode::Replace) = spec.mode {
        let message = format!("which is replaced as a whole, and `mode: {}` would keep some of them", mode.name());
        let help = "specify `mode: overwrite`; for deliveries that come one after the other, keep their rows in a table or in a \
                    folder of files with `mode: append`, and let another task write the documents of all of them";
        return refused(&message, help);
    }
    refuse_what_tables_have(task, name, spec, "folder of documents", &[Mode::Overwrite])?;
    if !spec.partition_by.is_empty() {
        return refused("which has no partitions", "remove `partition_by`");
    }
    if spec.compact.is_some() {
        return refused("and `compact` merges files of rows", "remove it");
    }
    if spec.escape_formulas {
        return refused("and `escape_formulas` is for CSV files", "remove it");
    }
    if spec.columns.is_some() {
        return refused("which have no columns", "remove `columns`: `name` and `body` name columns of the route");
    }
    Ok(())
}
