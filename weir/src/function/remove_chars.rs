//! `remove_chars(text, characters)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, StringViewArray, make_view};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::view;

/// `remove_chars('9123-4567', ' -')` is `91234567`: the text without the given ASCII characters.
/// Null stays null. A text without any of them is passed on without a copy.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RemoveChars {
    signature: Signature,
}

impl RemoveChars {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8View, DataType::Utf8View], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RemoveChars {
    fn name(&self) -> &str {
        "remove_chars"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, ColumnarValue::Scalar(ScalarValue::Utf8View(Some(chars)))] = args.args.as_slice() else {
            return exec_err!("the second argument of remove_chars must be a constant text");
        };
        if !chars.is_ascii() {
            return exec_err!("remove_chars removes ASCII characters only, not `{chars}`");
        }
        let is_scalar = matches!(text, ColumnarValue::Scalar(_));
        let text = text.to_array(args.number_rows)?;
        let removed = Arc::new(remove(text.as_string_view(), chars));
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(removed.as_ref(), 0)?));
        }
        Ok(ColumnarValue::Array(removed))
    }
}

fn remove(text: &StringViewArray, chars: &str) -> StringViewArray {
    let mut set = [false; 256];
    chars.bytes().for_each(|byte| set[byte as usize] = true);
    let own = text.data_buffers().len() as u32;
    let mut views = Vec::with_capacity(text.len());
    let mut kept = Vec::new();
    for (row, view) in text.views().iter().enumerate() {
        // A null row's view may be anything valid, not only the empty text.
        let value = text.value(row).as_bytes();
        if !value.iter().any(|byte| set[*byte as usize]) {
            views.push(*view);
            continue;
        }
        let start = kept.len();
        kept.extend(value.iter().filter(|byte| !set[**byte as usize]));
        views.push(make_view(&kept[start..], own, start as u32));
        if kept.len() - start <= view::INLINED {
            kept.truncate(start); // it is inlined in the view
        }
    }
    let mut buffers = text.data_buffers().to_vec();
    if !kept.is_empty() {
        buffers.push(Buffer::from_vec(kept));
    }
    // SAFETY: a view is either the input's own or made of a range of `kept`, the last buffer; removing ASCII
    // bytes from UTF-8 leaves UTF-8.
    unsafe { view::array(views, buffers, text.nulls().cloned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_removed_at_every_position() {
        let long = "9 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5";
        let text = StringViewArray::from_iter([
            Some("9123-4567"),
            None,
            Some("91234567"),
            Some(long),
            Some(" -"),
            Some("é -é"),
        ]);
        let removed = remove(&text, " -");
        removed.to_data().validate_full().unwrap();
        let expected = [Some("91234567"), None, Some("91234567"), Some("9123456789012345"), Some(""), Some("éé")];
        assert_eq!(removed, StringViewArray::from_iter(expected));
    }
}
