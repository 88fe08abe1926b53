//! `avg` of decimals: the exact sum divided by the number of values, with the digits and the rounding of a quotient.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as QueryResult;
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::count::Count;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};

use super::quotient::QuotientType;
use super::sum::CheckedSum;

/// Replaces the built-in `avg`, which is used for all other types.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ExactAvg {
    built_in: Avg,
    sum: CheckedSum,
    count: Count,
}

/// The type of an average, if the values are decimals.
fn average_type(of: &DataType) -> Option<QuotientType> {
    match of {
        DataType::Decimal128(precision, scale) => Some(QuotientType::new((*precision, *scale), (1, 0))),
        _ => None,
    }
}

/// The field of a sum of decimals: no number of rows makes it overflow while the values have a few digits to spare.
fn sum_field(of: &DataType) -> FieldRef {
    let scale = if let DataType::Decimal128(_, scale) = of { *scale } else { 0 };
    Arc::new(Field::new("sum", DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale), true))
}

fn count_field() -> FieldRef {
    Arc::new(Field::new("count", DataType::Int64, false))
}

fn of_sum<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    AccumulatorArgs { return_field: sum_field(args.expr_fields[0].data_type()), ..args.clone() }
}

fn of_count<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    AccumulatorArgs { return_field: count_field(), ..args.clone() }
}

impl AggregateUDFImpl for ExactAvg {
    fn name(&self) -> &str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        self.built_in.aliases()
    }

    fn signature(&self) -> &Signature {
        self.built_in.signature()
    }

    fn return_type(&self, types: &[DataType]) -> QueryResult<DataType> {
        match types.first().and_then(average_type) {
            Some(kind) => Ok(kind.data_type()),
            None => self.built_in.return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> QueryResult<Vec<FieldRef>> {
        let of = args.input_fields[0].data_type();
        if average_type(of).is_none() {
            return self.built_in.state_fields(args);
        }
        let part = |return_field| StateFieldsArgs {
            name: args.name,
            input_fields: args.input_fields,
            return_field,
            ordering_fields: args.ordering_fields,
            is_distinct: args.is_distinct,
        };
        let mut fields = self.sum.state_fields(part(sum_field(of)))?;
        fields.extend(self.count.state_fields(part(count_field()))?);
        Ok(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn Accumulator>> {
        match average_type(args.expr_fields[0].data_type()) {
            None => self.built_in.accumulator(args),
            Some(kind) => {
                let (sum, count) = (self.sum.accumulator(of_sum(&args))?, self.count.accumulator(of_count(&args))?);
                Ok(Box::new(Average { sum, count, kind }))
            }
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn Accumulator>> {
        match average_type(args.expr_fields[0].data_type()) {
            None => self.built_in.create_sliding_accumulator(args),
            Some(kind) => {
                let sum = self.sum.create_sliding_accumulator(of_sum(&args))?;
                let count = self.count.create_sliding_accumulator(of_count(&args))?;
                Ok(Box::new(Average { sum, count, kind }))
            }
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match average_type(args.expr_fields[0].data_type()) {
            None => self.built_in.groups_accumulator_supported(args),
            Some(_) => !args.is_distinct,
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn GroupsAccumulator>> {
        match average_type(args.expr_fields[0].data_type()) {
            None => self.built_in.create_groups_accumulator(args),
            Some(kind) => {
                let sums = self.sum.create_groups_accumulator(of_sum(&args))?;
                let counts = self.count.create_groups_accumulator(of_count(&args))?;
                Ok(Box::new(GroupAverages { sums, counts, kind }))
            }
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The quotients of sums and counts; null where there is no value.
fn averages(kind: QuotientType, sums: &ArrayRef, counts: &ArrayRef) -> QueryResult<ArrayRef> {
    let counts = counts.as_primitive::<Int64Type>();
    let divisors: Decimal128Array = counts.iter().map(|count| Some(i128::from(count?)).filter(|n| *n > 0)).collect();
    kind.divide(sums.as_primitive(), &divisors)
}

/// One average.
#[derive(Debug)]
struct Average {
    sum: Box<dyn Accumulator>,
    count: Box<dyn Accumulator>,
    kind: QuotientType,
}

impl Accumulator for Average {
    fn update_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        self.sum.update_batch(values)?;
        self.count.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        self.sum.retract_batch(values)?;
        self.count.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.sum.supports_retract_batch() && self.count.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> QueryResult<()> {
        let (sum, count) = states.split_at(1);
        self.sum.merge_batch(sum)?;
        self.count.merge_batch(count)
    }

    fn state(&mut self) -> QueryResult<Vec<ScalarValue>> {
        let mut state = self.sum.state()?;
        state.extend(self.count.state()?);
        Ok(state)
    }

    fn evaluate(&mut self) -> QueryResult<ScalarValue> {
        let (sum, count) = (self.sum.evaluate()?.to_array()?, self.count.evaluate()?.to_array()?);
        ScalarValue::try_from_array(&averages(self.kind, &sum, &count)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.size() + self.count.size()
    }
}

/// An average for each group.
struct GroupAverages {
    sums: Box<dyn GroupsAccumulator>,
    counts: Box<dyn GroupsAccumulator>,
    kind: QuotientType,
}

impl GroupsAccumulator for GroupAverages {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> QueryResult<()> {
        self.sums.update_batch(values, groups, filter, total)?;
        self.counts.update_batch(values, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> QueryResult<()> {
        let (sums, counts) = states.split_at(1);
        self.sums.merge_batch(sums, groups, total)?;
        self.counts.merge_batch(counts, groups, total)
    }

    fn state(&mut self, emit: EmitTo) -> QueryResult<Vec<ArrayRef>> {
        let mut state = self.sums.state(emit)?;
        state.extend(self.counts.state(emit)?);
        Ok(state)
    }

    fn evaluate(&mut self, emit: EmitTo) -> QueryResult<ArrayRef> {
        averages(self.kind, &self.sums.evaluate(emit)?, &self.counts.evaluate(emit)?)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> QueryResult<Vec<ArrayRef>> {
        let mut state = self.sums.convert_to_state(values, filter)?;
        state.extend(self.counts.convert_to_state(values, filter)?);
        Ok(state)
    }

    fn size(&self) -> usize {
        self.sums.size() + self.counts.size()
    }
}
