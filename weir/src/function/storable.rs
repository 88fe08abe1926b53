//! `storable(text, most)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// `storable(name, 50)`: whether a database can store a text in a column of at most this many characters. It cannot if
/// the text is longer or contains a NUL character. Null can be stored.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Storable {
    signature: Signature,
}

impl Storable {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8View, DataType::Int64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Storable {
    fn name(&self) -> &str {
        "storable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, ColumnarValue::Scalar(ScalarValue::Int64(Some(most)))] = args.args.as_slice() else {
            return exec_err!("the second argument of storable must be a constant number of characters");
        };
        let is_scalar = matches!(text, ColumnarValue::Scalar(_));
        let text = text.to_array(args.number_rows)?;
        let storable = storable(text.as_string_view(), *most);
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(storable.value(0)))));
        }
        Ok(ColumnarValue::Array(Arc::new(storable)))
    }
}

fn storable(texts: &StringViewArray, most: i64) -> BooleanArray {
    let most = usize::try_from(most).unwrap_or(0);
    let fits = |row: usize| {
        let text = texts.value(row);
        memchr::memchr(0, text.as_bytes()).is_none() && (text.len() <= most || text.chars().count() <= most)
    };
    BooleanArray::new(BooleanBuffer::collect_bool(texts.len(), |row| texts.is_null(row) || fits(row)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_storable_if_it_is_short_enough_and_has_no_nul() {
        let texts = [Some("abc"), Some("äöü"), Some("abcd"), Some("a\0"), None, Some(""), Some("abcdefghijklmno\0")];
        let texts = StringViewArray::from_iter(texts);
        let fits = |most| storable(&texts, most).values().iter().collect::<Vec<_>>();
        assert_eq!(fits(3), [true, true, false, false, true, true, false]);
        assert_eq!(fits(i64::MAX), [true, true, true, false, true, true, false]);
    }
}
