//! One rule, bound to a table's columns.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::functions::unicode::expr_fn::character_length;
use datafusion::logical_expr::{Expr, lit};
use serde_saphyr::Spanned;

use super::condition::{Condition, true_of};
use super::pattern::Pattern;
use crate::engine::{self, Pieces, in_pieces};
use crate::error::{Error, Result, plain};
use crate::model::{self, WrongCondition};
use crate::task::{Limit, Requirement, RuleSpec, Task, TaskError, type_name};

/// What happens to a row that fails a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It goes to the rejected route.
    Reject,
    /// It is counted and sampled.
    Warn,
    /// It ends the run.
    Fail,
}

impl Effect {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A rule, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(crate) max: Option<Limit>,
    test: Test,
    /// The column whose null passes, too.
    nullable: Option<usize>,
}

#[derive(Debug, Clone)]
enum Test {
    Condition(Condition),
    NotNull(Vec<usize>),
    Finite(Vec<usize>),
    Matches {
        column: usize,
        pattern: Pattern,
    },
    /// The query has computed it as a column.
    Computed(usize),
    Column {
        column: usize,
        test: Arc<dyn ColumnTest>,
    },
}

/// A test of the values of one column that is not written in a task: what a target can hold.
pub(crate) trait ColumnTest: Debug + Send + Sync {
    /// Whether each value fulfils it.
    fn holds(&self, values: &ArrayRef) -> Result<BooleanBuffer, DataFusionError>;
}

/// A rule of one column, which rejects.
#[derive(Debug, Clone)]
pub(crate) struct ColumnRule {
    pub(crate) name: String,
    /// The position of the column.
    pub(crate) column: usize,
    pub(crate) test: Arc<dyn ColumnTest>,
}

impl From<ColumnRule> for Rule {
    fn from(rule: ColumnRule) -> Self {
        let ColumnRule { name, column, test } = rule;
        Self { name, effect: Effect::Reject, max: None, nullable: None, test: Test::Column { column, test } }
    }
}

/// The form of an address as browsers check it (HTML, `<input type=email>`), with a dot in the domain.
const EMAIL: &str = "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)+$";

/// The table and task that a rule is bound to.
pub(crate) struct Scope<'a> {
    pub(crate) task: &'a Task,
    pub(crate) session: &'a SessionState,
    pub(crate) table: &'a str,
    /// The columns of the table.
    pub(crate) schema: &'a SchemaRef,
    /// The columns of all tables of the task.
    pub(crate) schemas: &'a HashMap<String, SchemaRef>,
}

impl Scope<'_> {
    pub(super) fn error(&self, rule: &Spanned<RuleSpec>, name: &str, message: impl std::fmt::Display) -> TaskError {
        self.task.error(rule, format!("rule `{name}` of `{}`: {message}", self.table))
    }

    /// The index of a column that a rule names.
    pub(super) fn column(&self, rule: &Spanned<RuleSpec>, name: &str, column: &str) -> Result<usize> {
        self.schema.index_of(column).map_err(|_| {
            let error = self.error(rule, name, format!("the table has no column `{column}`"));
            Box::new(error.nearest(column, self.schema.fields().iter().map(|f| f.name().as_str()))).into()
        })
    }

    /// The index of a column of text.
    fn text(&self, rule: &Spanned<RuleSpec>, name: &str, requirement: &str, column: &str) -> Result<usize> {
        let index = self.column(rule, name, column)?;
        let kind = self.schema.field(index).data_type();
        if kind.is_string() {
            return Ok(index);
        }
        let message = format!("`{requirement}` is for text, but `{column}` is {}", type_name(kind));
        Err(Box::new(self.error(rule, name, message)).into())
    }

    /// A value of a column's type, parsed from a rule's text.
    fn value(&self, rule: &Spanned<RuleSpec>, name: &str, column: &str, text: &str) -> Result<Expr> {
        let kind = self.schema.field(self.column(rule, name, column)?).data_type();
        let value = ScalarValue::try_from_string(text.to_owned(), kind);
        let value = value.map_err(|_| {
            Box::new(self.error(
                rule,
                name,
                format!("`{text}` is not a value of the column's type {}", type_name(kind)),
            ))
        })?;
        Ok(lit(value))
    }
}

impl Rule {
    /// Binds a rule about one row to the columns of a table.
    pub(super) fn bind(scope: &Scope<'_>, name: &str, effect: Effect, spec: &Spanned<RuleSpec>) -> Result<Self> {
        let error = |message: String| Box::new(scope.error(spec, name, message));
        let wrong = |wrong: WrongCondition| Box::new(wrong.help(scope.error(spec, name, &wrong)));
        let condition = |expr| Condition::of(scope.session, scope.schema, expr).map(Test::Condition).map_err(error);
        let test = match &spec.value.requirement {
            Requirement::Condition(sql) => {
                condition(model::condition(scope.task, scope.session, scope.schema, sql).map_err(wrong)?)?
            }
            Requirement::NotNull(names) => {
                let columns = names.iter().map(|column| scope.column(spec, name, column)).collect::<Result<_>>()?;
                Test::NotNull(columns)
            }
            Requirement::Finite(names) => {
                let columns =
                    names.iter().map(|column| scope.column(spec, name, column)).collect::<Result<Vec<_>>>()?;
                let no_number = columns.iter().find(|column| !scope.schema.field(**column).data_type().is_numeric());
                if let Some(column) = no_number {
                    let field = scope.schema.field(*column);
                    let message =
                        format!("`finite` is for numbers, but `{}` is {}", field.name(), type_name(field.data_type()));
                    return Err(error(message).into());
                }
                Test::Finite(columns)
            }
            Requirement::AcceptedValues(_, values) if values.is_empty() => {
                return Err(error("the list of accepted values is empty".to_owned()).into());
            }
            Requirement::AcceptedValues(column, values) => {
                let values = values.iter().map(|value| scope.value(spec, name, column, value));
                condition(ident(column).in_list(values.collect::<Result<_>>()?, false))?
            }
            Requirement::Between(column, low, high) => {
                let (low, high) = (scope.value(spec, name, column, low)?, scope.value(spec, name, column, high)?);
                if let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&low, &high)
                    && low > high
                {
                    return Err(
                        error(format!("no value is between {low} and {high}: write the smaller one first")).into()
                    );
                }
                condition(ident(column).between(low, high))?
            }
            Requirement::Matches(column, pattern) => {
                let column = scope.text(spec, name, "matches", column)?;
                Test::Matches { column, pattern: Pattern::new(pattern).map_err(error)? }
            }
            Requirement::Email(column) => {
                let column = scope.text(spec, name, "email", column)?;
                Test::Matches { column, pattern: Pattern::new(EMAIL).map_err(error)? }
            }
            Requirement::Length { column, min, max } => {
                scope.text(spec, name, "length", column)?;
                let (min, max) = (i64::from(*min), max.map_or(i64::MAX, i64::from));
                condition(character_length(ident(column)).between(lit(min), lit(max)))?
            }
            Requirement::Unique(..) | Requirement::In { .. } | Requirement::EqualRows(_) => {
                return Err(Error::internal("a rule about other rows is bound to one row"));
            }
        };
        let nullable = nullable(scope, name, spec)?;
        let rule = Self { name: name.to_owned(), effect, max: spec.value.max, test, nullable };
        engine::try_out(scope.schema, |batch| rule.holds(batch)).map_err(|e| error(plain(&e)))?;
        Ok(rule)
    }

    /// A rule whose result is a column of the query.
    pub(super) fn computed(
        scope: &Scope<'_>,
        name: &str,
        effect: Effect,
        spec: &Spanned<RuleSpec>,
        column: usize,
    ) -> Result<Self> {
        let nullable = nullable(scope, name, spec)?;
        Ok(Self { name: name.to_owned(), effect, max: spec.value.max, test: Test::Computed(column), nullable })
    }

    /// The positions of the columns of the table that it reads; of a computed rule only the one that allows nulls.
    pub(super) fn columns(&self) -> BTreeSet<usize> {
        let mut columns: BTreeSet<usize> = match &self.test {
            Test::Condition(condition) => condition.columns(),
            Test::NotNull(columns) | Test::Finite(columns) => columns.iter().copied().collect(),
            Test::Matches { column, .. } | Test::Column { column, .. } => BTreeSet::from([*column]),
            Test::Computed(_) => BTreeSet::new(),
        };
        columns.extend(self.nullable);
        columns
    }

    /// The position of the column in which the query computes it, if it does.
    pub(super) fn computed_column(&self) -> Option<usize> {
        match self.test {
            Test::Computed(column) => Some(column),
            _ => None,
        }
    }

    /// Whether each row fulfils the rule; null does not, unless the rule says so.
    pub(super) fn holds(&self, batch: &RecordBatch) -> Result<BooleanBuffer, DataFusionError> {
        let holds = self.tested(batch)?;
        let nulls = self.nullable.and_then(|column| batch.column(column).logical_nulls());
        Ok(nulls.map_or(holds.clone(), |valid| &holds | &!valid.inner()))
    }

    fn tested(&self, batch: &RecordBatch) -> Result<BooleanBuffer, DataFusionError> {
        match &self.test {
            Test::Computed(column) => Ok(true_of(batch.column(*column).as_boolean())),
            Test::Condition(condition) => {
                let ask = |batch: &RecordBatch| condition.is_true(batch);
                ask(batch).or_else(|error| without_failing(batch, error, ask))
            }
            Test::NotNull(columns) => Ok(not_null(batch, columns)),
            Test::Finite(columns) => {
                let mut finite = columns.iter().map(|column| finite(batch.column(*column)));
                finite.try_fold(not_null(batch, columns), |all, finite| Ok(&all & &finite?))
            }
            Test::Matches { column, pattern } => {
                let text = as_text(batch.column(*column))?;
                Ok(pattern.matches(text.as_string_view()))
            }
            Test::Column { column, test } => test.holds(batch.column(*column)),
        }
    }
}

fn not_null(batch: &RecordBatch, columns: &[usize]) -> BooleanBuffer {
    let all = BooleanBuffer::new_set(batch.num_rows());
    let valid = columns.iter().filter_map(|column| batch.column(*column).logical_nulls());
    valid.fold(all, |all, valid| &all & valid.inner())
}

/// Whether each value is finite; integers and decimals always are.
fn finite(column: &ArrayRef) -> Result<BooleanBuffer, DataFusionError> {
    if !column.data_type().is_floating() {
        return Ok(BooleanBuffer::new_set(column.len()));
    }
    let numbers = cast(column, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>().values();
    Ok(numbers.iter().map(|number| number.is_finite()).collect())
}

/// The column whose null passes a rule, too.
fn nullable(scope: &Scope<'_>, name: &str, spec: &Spanned<RuleSpec>) -> Result<Option<usize>> {
    let column = match &spec.value.requirement {
        Requirement::AcceptedValues(column, _)
        | Requirement::Matches(column, _)
        | Requirement::Between(column, ..)
        | Requirement::Email(column)
        | Requirement::Length { column, .. }
        | Requirement::In { column, .. } => column,
        _ => return Ok(None),
    };
    if !spec.value.allow_null {
        return Ok(None);
    }
    scope.column(spec, name, column).map(Some)
}

/// The results of a condition that cannot be computed for some rows: those fail it.
fn without_failing(
    batch: &RecordBatch,
    error: DataFusionError,
    ask: impl Fn(&RecordBatch) -> Result<BooleanBuffer, DataFusionError>,
) -> Result<BooleanBuffer, DataFusionError> {
    let Pieces { computed, failing } = in_pieces(batch, error, &ask)?;
    let mut known = vec![true; batch.num_rows()];
    failing.iter().for_each(|(row, _)| known[*row] = false);
    let mut answers = computed.iter().flat_map(|answers| answers.iter());
    Ok(known.into_iter().map(|known| known && answers.next() == Some(true)).collect())
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
    match column.data_type() {
        DataType::Utf8View => Ok(column.clone()),
        _ => Ok(cast(column, &DataType::Utf8View)?),
    }
}

/// The column with exactly this name: `col` would split the name at dots and lower its case.
fn ident(column: &str) -> Expr {
    Expr::Column(Column::new_unqualified(column))
}
