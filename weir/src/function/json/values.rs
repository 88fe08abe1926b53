//! What JSON is made of: which types it can hold, and which values it cannot.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Field;
use datafusion::common::{Result, exec_err, plan_err};

use crate::function::encode::json::{Value, can_hold};
use crate::function::encode::{Column, InvalidValue, invalid_value};
use crate::task::{is_json, type_of};

/// Fails if JSON cannot hold values of a column.
pub(super) fn check_value(function: &str, field: &Field) -> Result<()> {
    if can_hold(field.data_type()) {
        return Ok(());
    }
    plan_err!("{function} cannot hold {}: make a text of it", type_of(field))
}

/// Fails if values of a column cannot be keys of an object.
pub(super) fn check_key(function: &str, field: &Field) -> Result<()> {
    if field.data_type().is_null() {
        return plan_err!("a key of {function} is null");
    }
    if Column::takes(field.data_type()) && !is_json(field) {
        return Ok(());
    }
    plan_err!("a key of {function} is a text, not {}", type_of(field))
}

/// The values of a column, to be written. A value that JSON cannot hold is an error of its row.
pub(super) fn value_of(values: &ArrayRef, are_documents: bool, function: &str) -> Result<Value> {
    match invalid_value(values, None, true) {
        None => Ok(Value::new(values, are_documents)?),
        Some(invalid) => exec_err!("{}", what(function, invalid)),
    }
}

/// Why a function cannot hold a value.
pub(super) fn what(function: &str, invalid: InvalidValue) -> String {
    match invalid {
        InvalidValue::NotFinite => format!("{function} cannot hold NaN or an infinity, which JSON has not"),
        InvalidValue::Year => format!("{function} cannot hold a date outside the years 1 to 9999"),
        InvalidValue::Nanoseconds => format!("{function} cannot hold a time with a fraction of a microsecond"),
    }
}
