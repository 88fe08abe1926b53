//! The document that an aggregate has computed, or the error of its row.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::task::mark_json;

/// Takes the document out of the result of an aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Finish {
    signature: Signature,
}

impl Default for Finish {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Finish {
    fn name(&self) -> &str {
        "json_of_group"
    }

    /// The name of the call.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(mark_json(Field::new(self.name(), DataType::Utf8View, true)).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let results = args.args[0].to_array(args.number_rows)?;
        let results = results.as_struct();
        let problems = results.column(1).as_string_view();
        if let Some(problem) =
            (0..results.len()).filter(|row| results.is_valid(*row)).find(|row| problems.is_valid(*row))
        {
            return exec_err!("{}", problems.value(problem));
        }
        let documents = results.column(0).clone();
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&documents, 0)?),
            false => ColumnarValue::Array(documents),
        })
    }
}
