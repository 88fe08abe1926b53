//! The elements, the keys and the type of a JSON value.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int32Builder, ListBuilder, StringViewArray, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::parse::{elements, keys, locate, text, type_of};
use super::{check_text, not_json, texts};
use crate::task::SqlType;

/// What is asked of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Elements,
    ElementsAsText,
    Length,
    Keys,
    TypeOf,
}

/// `unnest(json_array_elements(json))` and the like. Null stays null; a value of another kind is an error of its row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OfArray {
    question: Question,
    signature: Signature,
}

impl OfArray {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        use Question::{Elements, ElementsAsText, Keys, Length, TypeOf};
        let questions = [Elements, ElementsAsText, Length, Keys, TypeOf].into_iter();
        questions.map(|question| Self { question, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn answer(&self, json: &StringViewArray) -> Result<ArrayRef> {
        let part = |row: usize| -> Result<Option<&str>> {
            let part = json.is_valid(row).then(|| locate(json.value(row), &[])).transpose();
            Ok(part.map_err(|error| not_json(&error))?.flatten())
        };
        Ok(match self.question {
            Question::Length => {
                let mut lengths = Int32Builder::with_capacity(json.len());
                for row in 0..json.len() {
                    let length = part(row)?.map(|part| self.elements(part).map(|all| all.len() as i32)).transpose()?;
                    lengths.append_option(length);
                }
                Arc::new(lengths.finish())
            }
            Question::TypeOf => {
                let mut types = StringViewBuilder::with_capacity(json.len());
                for row in 0..json.len() {
                    types.append_option(part(row)?.map(type_of));
                }
                Arc::new(types.finish())
            }
            _ => {
                let mut lists = ListBuilder::new(StringViewBuilder::new()).with_field(self.item());
                for row in 0..json.len() {
                    let Some(part) = part(row)? else {
                        lists.append_null();
                        continue;
                    };
                    self.list(part, lists.values())?;
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
        })
    }

    /// Appends the texts of one list.
    fn list(&self, part: &str, texts: &mut StringViewBuilder) -> Result<()> {
        if self.question == Question::Keys {
            let keys = keys(part).map_err(|error| not_json(&error))?.ok_or_else(|| self.wrong_kind(part))?;
            keys.iter().for_each(|key| texts.append_value(key));
            return Ok(());
        }
        for element in self.elements(part)? {
            match self.question {
                Question::ElementsAsText => texts.append_option(text(element).map_err(|error| not_json(&error))?),
                _ => texts.append_value(element),
            }
        }
        Ok(())
    }

    fn elements<'a>(&self, part: &'a str) -> Result<Vec<&'a str>> {
        elements(part).map_err(|error| not_json(&error))?.ok_or_else(|| self.wrong_kind(part))
    }

    /// The items of its lists.
    fn item(&self) -> FieldRef {
        let kind = if self.question == Question::Elements { SqlType::Json } else { SqlType::String };
        Arc::new(kind.field(Field::LIST_FIELD_DEFAULT_NAME))
    }

    fn wrong_kind(&self, part: &str) -> DataFusionError {
        let wanted = if self.question == Question::Keys { "an object" } else { "an array" };
        exec_datafusion_err!("{} needs {wanted}, and this JSON value is of type {}", self.name(), type_of(part))
    }
}

impl ScalarUDFImpl for OfArray {
    fn name(&self) -> &str {
        match self.question {
            Question::Elements => "json_array_elements",
            Question::ElementsAsText => "json_array_elements_text",
            Question::Length => "json_array_length",
            Question::Keys => "json_object_keys",
            Question::TypeOf => "json_typeof",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [json] = types else { return plan_err!("{} takes one JSON text", self.name()) };
        check_text(self.name(), json)?;
        Ok(match self.question {
            Question::Length => DataType::Int32,
            Question::TypeOf => DataType::Utf8View,
            _ => DataType::List(self.item()),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Scalar(value) => {
                let answer = self.answer(&texts(&value.to_array()?)?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?))
            }
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(self.answer(&texts(values)?)?)),
        }
    }
}
