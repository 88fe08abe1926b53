//! The keys and values of an object: `unnest(json_each(json))`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ListArray, NullBufferBuilder, StringViewBuilder, StructArray};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::parse::{entries, locate, text, type_of};
use super::{check_text, not_json, texts};
use crate::task::SqlType;

/// A list of structs with `key` and `value`. Null stays null; a value of another kind is an error of its row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Each {
    as_text: bool,
    signature: Signature,
}

impl Each {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().map(|as_text| Self { as_text, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn fields(&self) -> Fields {
        let value = if self.as_text { SqlType::String } else { SqlType::Json };
        Fields::from(vec![SqlType::String.field("key"), value.field("value")])
    }

    fn item(&self) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(self.fields()), true))
    }

    fn entries(&self, json: &ArrayRef) -> Result<ArrayRef> {
        let json = texts(json)?;
        let (mut keys, mut values) = (StringViewBuilder::new(), StringViewBuilder::new());
        let (mut ends, mut nulls) = (vec![0], NullBufferBuilder::new(json.len()));
        let mut end = 0;
        for document in &json {
            let part = document.map(|json| locate(json, &[])).transpose().map_err(|error| not_json(&error))?.flatten();
            nulls.append(part.is_some());
            if let Some(part) = part {
                let Some(found) = entries(part).map_err(|error| not_json(&error))? else {
                    return exec_err!(
                        "{} needs an object, and this JSON value is of type {}",
                        self.name(),
                        type_of(part)
                    );
                };
                end += found.len() as i32;
                for (key, value) in found {
                    keys.append_value(key);
                    match self.as_text {
                        true => values.append_option(text(value).map_err(|error| not_json(&error))?),
                        false => values.append_value(value),
                    }
                }
            }
            ends.push(end);
        }
        let entries = StructArray::new(self.fields(), vec![Arc::new(keys.finish()), Arc::new(values.finish())], None);
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(ListArray::new(self.item(), ends, Arc::new(entries), nulls.finish())))
    }
}

impl ScalarUDFImpl for Each {
    fn name(&self) -> &str {
        if self.as_text { "json_each_text" } else { "json_each" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [json] = types else { return plan_err!("{} takes one JSON text", self.name()) };
        check_text(self.name(), json)?;
        Ok(DataType::List(self.item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Scalar(value) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&self.entries(&value.to_array()?)?, 0)?)
            }
            ColumnarValue::Array(values) => ColumnarValue::Array(self.entries(values)?),
        })
    }
}
