//! Texts that become JSON: `parse_json(text)`, which is what `cast(text as json)` means, and `try_parse_json`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::value::RawValue;

use super::{not_json, texts};
use crate::task::{mark_json, type_of};

/// The function that marks texts as JSON; a text that is not JSON is an error of its row.
pub(crate) const PARSE: &str = "parse_json";
/// The same, but a text that is not JSON becomes null.
pub(crate) const TRY_PARSE: &str = "try_parse_json";

/// Marks texts as JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    or_null: bool,
    signature: Signature,
}

impl Mark {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().map(|or_null| Self { or_null, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn marked(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let documents = texts(values)?;
        if !self.or_null {
            documents.iter().flatten().try_for_each(|json| check(json).map_err(|error| not_json(&error)))?;
            return Ok(Arc::new(documents));
        }
        let is_wrong = |row: usize| documents.is_valid(row) && check(documents.value(row)).is_err();
        let is_wrong = BooleanArray::new(BooleanBuffer::collect_bool(documents.len(), is_wrong), None);
        Ok(nullif(&documents as &dyn Array, &is_wrong)?)
    }
}

/// Fails if a text is not JSON.
fn check(json: &str) -> serde_json::Result<()> {
    serde_json::from_str::<&RawValue>(json).map(|_| ())
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        if self.or_null { TRY_PARSE } else { PARSE }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [text] = args.arg_fields else { return plan_err!("{} takes one JSON text", self.name()) };
        let kind = text.data_type();
        if !(kind.is_string() || kind.is_null()) {
            return plan_err!(
                "{} reads JSON from a text, and this is {}: write to_json(…)",
                self.name(),
                type_of(text)
            );
        }
        let is_nullable = text.is_nullable() || self.or_null;
        Ok(Arc::new(mark_json(Field::new(self.name(), DataType::Utf8View, is_nullable))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Scalar(value) => {
                let marked = self.marked(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&marked, 0)?))
            }
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(self.marked(values)?)),
        }
    }
}
