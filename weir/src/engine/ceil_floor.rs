//! `ceil` and `floor` of decimals, as PostgreSQL has them: the result has no digits after the point, so that it always fits.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::functions::math;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::numbers::{whole, whole_type};
use super::per_array;

/// A function that replaces the built-in one of the same name, and uses it for all other types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CeilFloor {
    built_in: Arc<ScalarUDF>,
    is_up: bool,
}

impl CeilFloor {
    pub(super) fn ceil() -> Self {
        Self { built_in: math::ceil(), is_up: true }
    }

    pub(super) fn floor() -> Self {
        Self { built_in: math::floor(), is_up: false }
    }
}

fn up(value: i128, one: i128) -> i128 {
    -(-value).div_euclid(one)
}

fn down(value: i128, one: i128) -> i128 {
    value.div_euclid(one)
}

impl ScalarUDFImpl for CeilFloor {
    fn name(&self) -> &str {
        self.built_in.name()
    }

    fn aliases(&self) -> &[String] {
        self.built_in.aliases()
    }

    fn signature(&self) -> &Signature {
        self.built_in.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(whole_type) {
            Some((precision, _)) => Ok(DataType::Decimal128(precision, 0)),
            None => self.built_in.return_type(types),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if whole_type(&args.args[0].data_type()).is_none() {
            return self.built_in.inner().invoke_with_args(args);
        }
        per_array(&args.args[0], |values| match whole(values, if self.is_up { up } else { down })? {
            Some(whole) => Ok(Arc::new(whole)),
            None => Ok(values.clone()),
        })
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.built_in.output_ordering(input)
    }
}
