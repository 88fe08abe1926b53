//! Rules that compare a row with other rows: `unique` with `keep`, and `in`.
//!
//! The query engine computes them, as columns that come after those of the table: a window function, a join. Such a column
//! is true or false for each row, and does not leave the pass over the table.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as QueryResult;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, WindowFunctionDefinition, lit, not,
};
use serde_saphyr::Spanned;

use super::rule::{Effect, Rule, Scope};
use crate::error::Result;
use crate::task::{Keep, Requirement, RuleSpec, type_name};

/// The column of a rule about related rows.
#[derive(Debug, Clone)]
pub(super) enum Related {
    /// Whether the row is the one that stays of those with the same values in these columns.
    Kept { columns: Vec<usize>, keep: KeepBy },
    /// Whether the value is one of a column of another table.
    Found { column: usize, table: String, key: String },
}

/// Which row stays: by the first or the last value of a column, or none if there are several.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeepBy {
    First(usize),
    Last(usize),
    None,
}

impl Related {
    /// Binds the rule to the table's columns; `None` if it is of another kind.
    pub(super) fn bind(
        scope: &Scope<'_>,
        name: &str,
        effect: Effect,
        rule: &Spanned<RuleSpec>,
    ) -> Result<Option<Self>> {
        match &rule.value.requirement {
            Requirement::Unique(columns, keep) if effect == Effect::Reject => {
                let Some(keep) = keep else {
                    let error =
                        scope.error(rule, name, "`unique` that rejects needs to know which of the duplicates stays");
                    let help = "add `keep: first by COLUMN`, `keep: last by COLUMN` or `keep: none`, or move the rule to \
                                warn_unless or fail_unless";
                    return Err(Box::new(error.with_help(help)).into());
                };
                let columns = columns.iter().map(|column| scope.column(rule, name, column)).collect::<Result<_>>()?;
                let keep = match keep {
                    Keep::First(by) => KeepBy::First(scope.column(rule, name, by)?),
                    Keep::Last(by) => KeepBy::Last(scope.column(rule, name, by)?),
                    Keep::None => KeepBy::None,
                };
                Ok(Some(Self::Kept { columns, keep }))
            }
            Requirement::Unique(_, Some(_)) => {
                let error = scope.error(rule, name, "`keep` is for rules that reject: this one rejects no row");
                Err(Box::new(error.with_help("move the rule to reject_unless, or remove `keep`")).into())
            }
            Requirement::In { column, table, key } => {
                let index = scope.column(rule, name, column)?;
                let kind = scope.schema.field(index).data_type();
                let Some(schema) = scope.schemas.get(table) else {
                    let error = scope.error(rule, name, format!("`{table}` is neither a source nor a model"));
                    return Err(Box::new(error.nearest(table, scope.schemas.keys().map(String::as_str))).into());
                };
                let Ok(field) = schema.field_with_name(key) else {
                    let error = scope.error(rule, name, format!("`{table}` has no column `{key}`"));
                    return Err(Box::new(error.nearest(key, schema.fields().iter().map(|f| f.name().as_str()))).into());
                };
                let other = field.data_type();
                let are_alike =
                    kind == other || kind.is_string() && other.is_string() || kind.is_integer() && other.is_integer();
                if !are_alike {
                    let (kind, other) = (type_name(kind), type_name(other));
                    let message = format!("`{column}` is {kind}, and `{table}.{key}` is {other}");
                    let error = scope.error(rule, name, message).with_help("cast one of them in its model");
                    return Err(Box::new(error).into());
                }
                Ok(Some(Self::Found { column: index, table: table.clone(), key: key.clone() }))
            }
            _ => Ok(None),
        }
    }

    /// The positions of the columns that it reads of a table of so many columns.
    pub(super) fn columns(&self, width: usize) -> BTreeSet<usize> {
        match self {
            Self::Found { column, .. } => BTreeSet::from([*column]),
            Self::Kept { columns, keep: KeepBy::None } => columns.iter().copied().collect(),
            // Where rows are equal in the column that decides, the others do.
            Self::Kept { .. } => (0..width).collect(),
        }
    }

    /// The table and its column that values are looked up in.
    pub(super) fn lookup(&self) -> Option<(String, String)> {
        match self {
            Self::Found { table, key, .. } => Some((table.clone(), key.clone())),
            Self::Kept { .. } => None,
        }
    }

    /// The table that is looked into.
    pub(super) fn table(&self) -> Option<&str> {
        match self {
            Self::Found { table, .. } => Some(table),
            Self::Kept { .. } => None,
        }
    }

    /// Adds the column to a plan. `width` columns are those of the table; `passes` is true for rows that no other rule
    /// rejects: others are no duplicates of anything.
    pub(super) fn add(
        &self,
        plan: LogicalPlan,
        number: usize,
        width: usize,
        passes: Option<&ScalarUDF>,
        tables: &HashMap<String, LogicalPlan>,
    ) -> QueryResult<LogicalPlan> {
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let name = format!("__rule_{number}");
        match self {
            Self::Found { column, table, key } => {
                let other = Column::new(Some(name.clone()), "key");
                let key = Expr::Column(Column::new_unqualified(key));
                let keys = LogicalPlanBuilder::from(tables[table].clone())
                    .project([unqualified(&tables[table], &key).alias("key")])?
                    .filter(Expr::Column(Column::new_unqualified("key")).is_not_null())?
                    .distinct()?
                    .alias(name.clone())?
                    .build()?;
                let is_equal = columns[*column].clone().eq(Expr::Column(other.clone()));
                let found = Expr::Column(other).is_not_null().alias(name);
                LogicalPlanBuilder::from(plan)
                    .join_on(keys, JoinType::Left, [is_equal])?
                    .project(columns.into_iter().chain([found]))?
                    .build()
            }
            Self::Kept { columns: keys, keep } => {
                let passing = passes.map(|passes| passes.call(columns.clone()));
                let passing = passing.unwrap_or_else(|| lit(true)).alias("__passes");
                let plan = LogicalPlanBuilder::from(plan).project(columns.iter().cloned().chain([passing]))?.build()?;
                let passing = Expr::Column(Column::new_unqualified("__passes"));
                let group: Vec<Expr> = keys.iter().map(|key| columns[*key].clone()).chain([passing.clone()]).collect();
                let (by, is_first) = match keep {
                    KeepBy::First(by) => (Some(*by), true),
                    KeepBy::Last(by) => (Some(*by), false),
                    KeepBy::None => (None, true),
                };
                let count = || {
                    let count = WindowFunctionDefinition::AggregateUDF(count_udaf());
                    Expr::from(WindowFunction::new(count, vec![lit(1)]))
                };
                let number = match by {
                    None => count().partition_by(group).build()?,
                    Some(by) => {
                        // Where rows are equal in that column, the others decide, so that every run keeps the same row.
                        let is_sortable = |at: &usize| *at != by && !plan.schema().field(*at).data_type().is_nested();
                        let others = (0..width).filter(is_sortable).map(|at| columns[at].clone().sort(true, false));
                        let order = [columns[by].clone().sort(is_first, false)].into_iter().chain(others).collect();
                        row_number().partition_by(group).order_by(order).build()?
                    }
                };
                let plan = LogicalPlanBuilder::from(plan).window([number.alias("__number")])?.build()?;
                let number = plan.schema().columns().pop().map_or(lit(ScalarValue::Null), Expr::Column);
                let is_known = keys.iter().map(|key| columns[*key].clone().is_not_null());
                let is_known = is_known.fold(lit(true), Expr::and);
                let kept = not(passing).or(is_known.and(number.eq(lit(1)))).alias(name);
                LogicalPlanBuilder::from(plan).project(columns.into_iter().chain([kept]))?.build()
            }
        }
    }
}

/// A column of a plan by its name alone.
fn unqualified(plan: &LogicalPlan, column: &Expr) -> Expr {
    let Expr::Column(column) = column else { return column.clone() };
    let all = plan.schema().columns().into_iter();
    all.into_iter().find(|other| other.name == column.name).map_or_else(|| Expr::Column(column.clone()), Expr::Column)
}

/// Whether no rule of a table rejects a row, as a function of its columns.
#[derive(Debug)]
pub(super) struct Passes {
    rules: Arc<[Rule]>,
    signature: Signature,
}

impl Passes {
    /// Of these rules; `None` if there are none.
    pub(super) fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Option<ScalarUDF> {
        let rules: Arc<[Rule]> = rules.cloned().collect();
        let function = Self { rules, signature: Signature::variadic_any(Volatility::Immutable) };
        (!function.rules.is_empty()).then(|| ScalarUDF::from(function))
    }
}

impl PartialEq for Passes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }
}

impl Eq for Passes {}

impl Hash for Passes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rules.as_ptr().hash(state);
    }
}

impl ScalarUDFImpl for Passes {
    fn name(&self) -> &str {
        "passes_rules"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> QueryResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> QueryResult<ColumnarValue> {
        let columns = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<QueryResult<Vec<_>>>()?;
        let fields = columns.iter().zip(&args.arg_fields);
        let fields = fields.map(|(column, field)| Field::new(field.name(), column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let mut all = datafusion::arrow::buffer::BooleanBuffer::new_set(batch.num_rows());
        for rule in &*self.rules {
            all = &all & &rule.holds(&batch)?;
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(all, None))))
    }
}
