//! The part of a JSON text behind a path, as JSON or as text.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::parse::{Step, locate, text};
use super::{check_text, not_json, texts};
use crate::task::mark_json;

/// `json_extract_path(json, 'user', 'name')` and the operators: the part of the text, or its value as text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Extract {
    as_text: bool,
    /// Of a path a number in a text, such as '0', is an index of an array as well.
    is_path: bool,
    signature: Signature,
}

impl Extract {
    /// For any number of steps.
    pub(super) fn path(as_text: bool) -> Self {
        Self { as_text, is_path: true, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    /// For one step: a text is a key, a number an index.
    pub(super) fn operator(as_text: bool) -> Self {
        Self { is_path: false, ..Self::path(as_text) }
    }
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        match (self.is_path, self.as_text) {
            (true, false) => "json_extract_path",
            (true, true) => "json_extract_path_text",
            (false, false) => "json_part",
            (false, true) => "json_part_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let Some((json, path)) = types.split_first() else {
            return plan_err!("{} takes a JSON text and a path", self.name());
        };
        check_text(self.name(), json)?;
        if let Some(wrong) = path.iter().find(|kind| !(kind.is_string() || kind.is_integer() || kind.is_null())) {
            return plan_err!("a step into JSON is the text of a key or the number of an element, not {wrong}");
        }
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let found = Field::new(self.name(), self.return_type(&types)?, true);
        Ok(Arc::new(if self.as_text { found } else { mark_json(found) }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let json = texts(&args.args[0].to_array(rows)?)?;
        let steps = args.args[1..].iter().map(|arg| Steps::of(arg, rows, self.is_path)).collect::<Result<Vec<_>>>()?;
        let mut found = StringViewBuilder::with_capacity(rows);
        let mut path = Vec::with_capacity(steps.len());
        for row in 0..rows {
            path.clear();
            path.extend(steps.iter().map_while(|step| step.at(row)));
            // A null among the steps leads nowhere.
            if json.is_null(row) || path.len() < steps.len() {
                found.append_null();
                continue;
            }
            let part = locate(json.value(row), &path).map_err(|error| not_json(&error))?;
            match part {
                Some(part) if self.as_text => found.append_option(text(part).map_err(|error| not_json(&error))?),
                part => found.append_option(part),
            }
        }
        let found: ArrayRef = Arc::new(found.finish());
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// One step of each row.
enum Steps {
    Same(Option<Step>),
    Keys(StringViewArray, bool),
    Indexes(Int64Array),
}

impl Steps {
    fn of(arg: &ColumnarValue, rows: usize, is_path: bool) -> Result<Self> {
        if let ColumnarValue::Scalar(value) = arg {
            let one = Self::of_array(&value.to_array()?, is_path)?;
            return Ok(Self::Same(one.at(0)));
        }
        Self::of_array(&arg.to_array(rows)?, is_path)
    }

    fn of_array(values: &ArrayRef, is_path: bool) -> Result<Self> {
        Ok(match values.data_type().is_integer() {
            true => Self::Indexes(cast(values, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            false => Self::Keys(texts(values)?, is_path),
        })
    }

    fn at(&self, row: usize) -> Option<Step> {
        match self {
            Self::Same(step) => step.clone(),
            Self::Keys(keys, is_path) => keys.is_valid(row).then(|| {
                let key = keys.value(row);
                let index = if *is_path { key.parse().ok() } else { None };
                Step { key: Some(key.to_owned()), index }
            }),
            Self::Indexes(indexes) => {
                indexes.is_valid(row).then(|| Step { key: None, index: Some(indexes.value(row)) })
            }
        }
    }
}
