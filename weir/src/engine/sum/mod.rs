//! `sum` that fails where the engine's own would wrap around.
//!
//! Integers are added up in 128 bits, in which no number of rows can overflow: whether a sum is an error depends
//! on the rows alone, not on the order in which threads add them up.

mod summand;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::prep_null_mask_filter;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, FieldRef,
    Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimeUnit,
    UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::functions_aggregate::sum::Sum as BuiltIn;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
};
use datafusion::physical_expr::NullState;
use datafusion::physical_expr::aggregate::utils::Hashable;

use summand::{StateOf, Summand};

/// Replaces the built-in `sum`.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CheckedSum {
    built_in: BuiltIn,
}

/// Calls the macro with the type of a sum; floating-point numbers do not wrap, and use the built-in.
macro_rules! for_summand {
    ($result:expr, $then:ident, $otherwise:expr) => {
        match $result {
            DataType::Int64 => $then!(Int64Type),
            DataType::UInt64 => $then!(UInt64Type),
            DataType::Decimal32(..) => $then!(Decimal32Type),
            DataType::Decimal64(..) => $then!(Decimal64Type),
            DataType::Decimal128(..) => $then!(Decimal128Type),
            DataType::Decimal256(..) => $then!(Decimal256Type),
            DataType::Duration(TimeUnit::Second) => $then!(DurationSecondType),
            DataType::Duration(TimeUnit::Millisecond) => $then!(DurationMillisecondType),
            DataType::Duration(TimeUnit::Microsecond) => $then!(DurationMicrosecondType),
            DataType::Duration(TimeUnit::Nanosecond) => $then!(DurationNanosecondType),
            DataType::Interval(IntervalUnit::YearMonth) => $then!(IntervalYearMonthType),
            DataType::Interval(IntervalUnit::DayTime) => $then!(IntervalDayTimeType),
            DataType::Interval(IntervalUnit::MonthDayNano) => $then!(IntervalMonthDayNanoType),
            _ => $otherwise,
        }
    };
}

fn overflow(result: &DataType) -> DataFusionError {
    ArrowError::ArithmeticOverflow(format!("the sum does not fit {result}")).into()
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.built_in.signature()
    }

    fn return_type(&self, types: &[DataType]) -> QueryResult<DataType> {
        self.built_in.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> QueryResult<Vec<FieldRef>> {
        if args.is_distinct {
            return self.built_in.state_fields(args);
        }
        macro_rules! state_type {
            ($kind:ty) => {
                <$kind>::state_type(args.return_type())
            };
        }
        let kind = for_summand!(args.return_type(), state_type, args.return_type().clone());
        Ok(vec![Field::new(format_state_name(args.name, "sum"), kind, true).into()])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        macro_rules! accumulator {
            ($kind:ty) => {
                match args.is_distinct {
                    true => {
                        Ok(Box::new(DistinctSum::<$kind> { counts: HashMap::default(), sum: Running::new(result) }))
                    }
                    false => Ok(Box::new(Running::<$kind>::new(result))),
                }
            };
        }
        for_summand!(&result, accumulator, self.built_in.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn Accumulator>> {
        match args.return_type() {
            DataType::Float64 => self.built_in.create_sliding_accumulator(args),
            _ => self.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> QueryResult<Box<dyn GroupsAccumulator>> {
        let result = args.return_type().clone();
        macro_rules! accumulator {
            ($kind:ty) => {
                Ok(Box::new(GroupSums::<$kind> { sums: Vec::new(), nulls: NullState::new(), result }))
            };
        }
        for_summand!(&result, accumulator, self.built_in.create_groups_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        self.built_in.set_monotonicity(kind)
    }
}

/// One sum, from which values can be subtracted again.
struct Running<T: Summand> {
    sum: StateOf<T>,
    values: u64,
    result: DataType,
}

impl<T: Summand> Running<T> {
    fn new(result: DataType) -> Self {
        Self { sum: T::State::default_value(), values: 0, result }
    }

    fn add(&mut self, value: StateOf<T>) -> QueryResult<()> {
        self.sum = self.sum.add_checked(value).map_err(|_| overflow(&self.result))?;
        self.values += 1;
        Ok(())
    }

    fn subtract(&mut self, value: StateOf<T>) -> QueryResult<()> {
        self.sum = self.sum.sub_checked(value).map_err(|_| overflow(&self.result))?;
        self.values -= 1;
        Ok(())
    }
}

impl<T: Summand> Accumulator for Running<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        let values = values[0].as_primitive::<T>();
        match values.null_count() {
            0 => values.values().iter().try_for_each(|value| self.add(T::widen(*value))),
            _ => values.iter().flatten().try_for_each(|value| self.add(T::widen(value))),
        }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        values[0].as_primitive::<T>().iter().flatten().try_for_each(|value| self.subtract(T::widen(value)))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> QueryResult<()> {
        states[0].as_primitive::<T::State>().iter().flatten().try_for_each(|sum| self.add(sum))
    }

    fn state(&mut self) -> QueryResult<Vec<ScalarValue>> {
        let sum = (self.values > 0).then_some(self.sum);
        Ok(vec![ScalarValue::new_primitive::<T::State>(sum, &T::state_type(&self.result))?])
    }

    fn evaluate(&mut self) -> QueryResult<ScalarValue> {
        let sum = match self.values {
            0 => None,
            _ => Some(T::result(self.sum, &self.result).ok_or_else(|| overflow(&self.result))?),
        };
        ScalarValue::new_primitive::<T>(sum, &self.result)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

impl<T: Summand> fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.result)
    }
}

/// The sum of the distinct values, each with the number of rows of the window that have it.
struct DistinctSum<T: Summand> {
    counts: HashMap<Hashable<T::Native>, u64, ahash::RandomState>,
    sum: Running<T>,
}

impl<T: Summand> DistinctSum<T> {
    fn add(&mut self, values: &dyn Array) -> QueryResult<()> {
        for value in values.as_primitive::<T>().iter().flatten() {
            let count = self.counts.entry(Hashable(value)).or_default();
            *count += 1;
            if *count == 1 {
                self.sum.add(T::widen(value))?;
            }
        }
        Ok(())
    }
}

impl<T: Summand> Accumulator for DistinctSum<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        self.add(&values[0])
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> QueryResult<()> {
        for value in values[0].as_primitive::<T>().iter().flatten() {
            if let Some(count) = self.counts.get_mut(&Hashable(value)) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&Hashable(value));
                    self.sum.subtract(T::widen(value))?;
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> QueryResult<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.add(&values))
    }

    fn state(&mut self) -> QueryResult<Vec<ScalarValue>> {
        let values = PrimitiveArray::<T>::from_iter_values(self.counts.keys().map(|value| value.0));
        let values = values.with_data_type(self.sum.result.clone());
        Ok(vec![SingleRowListArrayBuilder::new(Arc::new(values)).build_list_scalar()])
    }

    fn evaluate(&mut self) -> QueryResult<ScalarValue> {
        self.sum.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * (size_of::<T::Native>() + size_of::<u64>() + 1)
    }
}

impl<T: Summand> fmt::Debug for DistinctSum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinctSum({})", self.sum.result)
    }
}

/// A sum for each group.
struct GroupSums<T: Summand> {
    sums: Vec<StateOf<T>>,
    nulls: NullState,
    result: DataType,
}

impl<T: Summand> GroupSums<T> {
    fn add<V: ArrowPrimitiveType + Send>(
        &mut self,
        values: &PrimitiveArray<V>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
        widen: impl Fn(V::Native) -> StateOf<T> + Send + Sync,
    ) -> QueryResult<()> {
        self.sums.resize(total, T::State::default_value());
        let (sums, mut fits) = (&mut self.sums, true);
        self.nulls.accumulate(groups, values, filter, total, |group, value| {
            match sums[group].add_checked(widen(value)) {
                Ok(sum) => sums[group] = sum,
                Err(_) => fits = false,
            }
        });
        fits.then_some(()).ok_or_else(|| overflow(&self.result))
    }
}

impl<T: Summand> GroupsAccumulator for GroupSums<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> QueryResult<()> {
        self.add(values[0].as_primitive::<T>(), groups, filter, total, T::widen)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> QueryResult<()> {
        self.add(states[0].as_primitive::<T::State>(), groups, None, total, |sum| sum)
    }

    fn state(&mut self, emit: EmitTo) -> QueryResult<Vec<ArrayRef>> {
        let sums = emit.take_needed(&mut self.sums);
        let sums = PrimitiveArray::<T::State>::new(sums.into(), self.nulls.build(emit));
        Ok(vec![Arc::new(sums.with_data_type(T::state_type(&self.result)))])
    }

    fn evaluate(&mut self, emit: EmitTo) -> QueryResult<ArrayRef> {
        let sums = emit.take_needed(&mut self.sums);
        let results: Option<Vec<T::Native>> = sums.into_iter().map(|sum| T::result(sum, &self.result)).collect();
        let results = results.ok_or_else(|| overflow(&self.result))?;
        let results = PrimitiveArray::<T>::new(results.into(), self.nulls.build(emit));
        Ok(Arc::new(results.with_data_type(self.result.clone())))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> QueryResult<Vec<ArrayRef>> {
        let values = values[0].as_primitive::<T>();
        let chosen = filter.map(|filter| NullBuffer::new(prep_null_mask_filter(filter).values().clone()));
        let widened: Vec<_> = values.values().iter().map(|value| T::widen(*value)).collect();
        let nulls = NullBuffer::union(values.nulls(), chosen.as_ref());
        let sums = PrimitiveArray::<T::State>::new(widened.into(), nulls);
        Ok(vec![Arc::new(sums.with_data_type(T::state_type(&self.result)))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<StateOf<T>>() + self.nulls.size()
    }
}
