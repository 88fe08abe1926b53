//! `sign(number)`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// `sign(-8.4)` is -1, `sign(0)` 0 and `sign(3)` 1: an integer, or a double for a double. Null stays null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sign {
    signature: Signature,
}

impl Sign {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Sign {
    fn name(&self) -> &str {
        "sign"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [kind] if kind.is_floating() => Ok(DataType::Float64),
            [kind] if kind.is_integer() || kind.is_null() || matches!(kind, DataType::Decimal128(..)) => {
                Ok(DataType::Int32)
            }
            _ => plan_err!("sign takes a number"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Scalar(value)] => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&sign(&value.to_array()?)?, 0)?))
            }
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(sign(values)?)),
            _ => exec_err!("sign takes a number"),
        }
    }
}

fn sign(numbers: &ArrayRef) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        kind if kind.is_floating() => {
            let numbers = cast(numbers, &DataType::Float64)?;
            // Zero and NaN are what they are.
            let of = |number: f64| if number == 0.0 || number.is_nan() { number } else { number.signum() };
            Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(of))
        }
        DataType::Decimal128(..) => {
            let of = |number: i128| number.signum() as i32;
            Arc::new(numbers.as_primitive::<Decimal128Type>().unary::<_, Int32Type>(of))
        }
        _ => {
            let numbers = cast(numbers, &DataType::Int64)?;
            Arc::new(numbers.as_primitive::<Int64Type>().unary::<_, Int32Type>(|number| number.signum() as i32))
        }
    })
}
