//! One rule, bound to a table's columns.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use datafusion::physical_expr::PhysicalExpr;
use serde_saphyr::Spanned;

use super::pattern::Pattern;
use crate::engine::{self, Pieces, in_pieces};
use crate::error::{Result, plain};
use crate::model;
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
}

#[derive(Debug, Clone)]
enum Test {
    Condition(Arc<dyn PhysicalExpr>),
    NotNull(Vec<usize>),
    Finite(Vec<usize>),
    Matches { column: usize, pattern: Pattern },
    Column { column: usize, test: Arc<dyn ColumnTest> },
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
        Self { name, effect: Effect::Reject, max: None, test: Test::Column { column, test } }
    }
}

/// The table and task that a rule is bound to.
pub(super) struct Scope<'a> {
    pub(super) task: &'a Task,
    pub(super) session: &'a SessionState,
    pub(super) table: &'a str,
    pub(super) schema: &'a SchemaRef,
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
    /// Binds a rule to the columns of a table. A `unique` rule is not of this kind: it compares rows.
    pub(super) fn bind(scope: &Scope<'_>, name: &str, effect: Effect, spec: &Spanned<RuleSpec>) -> Result<Self> {
        let error = |message: String| Box::new(scope.error(spec, name, message));
        let condition = |expr| physical(scope, spec, name, expr).map(Test::Condition);
        let test = match &spec.value.requirement {
            Requirement::Condition(sql) => {
                condition(model::condition(scope.task, scope.session, scope.schema, sql).map_err(error)?)?
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
                let index = scope.column(spec, name, column)?;
                let kind = scope.schema.field(index).data_type();
                if !kind.is_string() {
                    return Err(error(format!("`matches` is for text, but `{column}` is {}", type_name(kind))).into());
                }
                let pattern = Pattern::new(pattern).map_err(error)?;
                Test::Matches { column: index, pattern }
            }
            Requirement::Unique(_) => {
                let error = error(
                    "`unique` can warn or fail, not reject: which of the duplicates to reject is not defined"
                        .to_owned(),
                );
                return Err(Box::new(error.with_help("move it to warn_unless or fail_unless")).into());
            }
        };
        let rule = Self { name: name.to_owned(), effect, max: spec.value.max, test };
        engine::try_out(scope.schema, |batch| rule.holds(batch)).map_err(|e| error(plain(&e)))?;
        Ok(rule)
    }

    /// Whether each row fulfils the rule; null does not.
    pub(super) fn holds(&self, batch: &RecordBatch) -> Result<BooleanBuffer, DataFusionError> {
        match &self.test {
            Test::Condition(expr) => {
                let ask = |batch: &RecordBatch| is_true(expr, batch);
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

fn is_true(condition: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanBuffer, DataFusionError> {
    let answer = condition.evaluate(batch)?.into_array(batch.num_rows())?;
    let answer = answer.as_boolean();
    Ok(match answer.nulls() {
        Some(valid) if valid.null_count() > 0 => answer.values() & valid.inner(),
        _ => answer.values().clone(),
    })
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

fn physical(scope: &Scope<'_>, spec: &Spanned<RuleSpec>, name: &str, expr: Expr) -> Result<Arc<dyn PhysicalExpr>> {
    let error = |message: String| Box::new(scope.error(spec, name, message));
    let schema = DFSchema::try_from(scope.schema.as_ref().clone()).map_err(|e| error(plain(&e)))?;
    let kind = expr.get_type(&schema).map_err(|e| error(plain(&e)))?;
    if kind != DataType::Boolean {
        return Err(error(format!("a condition must be true or false, but this is {}", type_name(&kind))).into());
    }
    let expr = engine::checked(scope.session, expr, &schema).map_err(|e| error(plain(&e)))?;
    Ok(scope.session.create_physical_expr(expr, &schema).map_err(|e| error(plain(&e)))?)
}
