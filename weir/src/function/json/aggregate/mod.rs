//! JSON made of the rows of a group: `json_array_agg(value order by at)` and `json_object_agg(key, value)`.
//!
//! The aggregate computes a struct of the document and of what is wrong with it, and a function takes the document out: what
//! cannot be built is an error of the group's row.

mod finish;
mod groups;
mod items;

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::planner::RawAggregateExpr;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, ScalarUDF, Signature, Volatility,
};

use super::values::{check_key, check_value};
use crate::task::{SqlType, is_json};
use finish::Finish;
use groups::{Groups, OneGroup};

/// An aggregate that makes a document of each group. A group without rows gives null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonAggregate {
    is_object: bool,
    /// Whether its values are JSON, once it is known: see [`super::marks`].
    documents: Option<bool>,
    aliases: Vec<String>,
    signature: Signature,
}

impl JsonAggregate {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let aggregate = |is_object, aliases: &[&str]| Self {
            is_object,
            documents: None,
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            signature: Signature::any(if is_object { 2 } else { 1 }, Volatility::Immutable),
        };
        [aggregate(false, &["json_agg", "jsonb_agg"]), aggregate(true, &["jsonb_object_agg", "json_objectagg"])]
            .into_iter()
    }

    /// The aggregate, if a function is one of these.
    pub(super) fn of(function: &AggregateUDF) -> Option<&Self> {
        let function: &dyn Any = function.inner().as_ref();
        function.downcast_ref()
    }

    /// Whether its values are JSON, if that is known.
    pub(in crate::function::json) fn documents(&self) -> Option<bool> {
        self.documents
    }

    /// The same aggregate of values that are JSON or not; none if that is known already.
    pub(super) fn of_documents(&self, documents: bool) -> Option<Self> {
        let (is_object, aliases, signature) = (self.is_object, self.aliases.clone(), self.signature.clone());
        self.documents.is_none().then_some(Self { is_object, documents: Some(documents), aliases, signature })
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<Groups> {
        let documents = || args.expr_fields.last().is_some_and(|field| is_json(field));
        Groups::new(self.name().to_owned(), self.is_object, self.documents.unwrap_or_else(documents), args)
    }
}

/// The function that takes the document out of what an aggregate computes.
pub(super) fn finish() -> ScalarUDF {
    ScalarUDF::from(Finish::default())
}

/// Plans a call: the document of what the aggregate computes.
pub(super) fn planned(call: RawAggregateExpr) -> Result<Expr> {
    let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = call;
    if distinct && args.len() != 1 {
        return plan_err!("{} takes no `distinct`: choose the rows in a subquery", func.name());
    }
    if distinct && order_by.iter().any(|sort| !args.contains(&sort.expr)) {
        return plan_err!("{} with `distinct` can be ordered by its value alone", func.name());
    }
    let call = AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment);
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(finish()), vec![Expr::AggregateFunction(call)])))
}

/// The document of a group, and what is wrong with it.
fn result_fields() -> Fields {
    Fields::from(vec![SqlType::Json.field("document"), SqlType::String.field("problem")])
}

impl AggregateUDFImpl for JsonAggregate {
    fn name(&self) -> &str {
        if self.is_object { "json_object_agg" } else { "json_array_agg" }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(result_fields()))
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        if let [key, _] = fields {
            check_key(self.name(), key)?;
        }
        fields.last().map_or(Ok(()), |value| check_value(self.name(), value))?;
        Ok(Arc::new(Field::new(self.name(), DataType::Struct(result_fields()), true)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Field::new(format_state_name(args.name, "items"), DataType::LargeBinary, true).into()])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }

    /// Rows need not come in the order of the call: each group is put in order when it is complete.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Beneficial
    }

    fn with_beneficial_ordering(self: Arc<Self>, _: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }
}
