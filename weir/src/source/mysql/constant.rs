//! Constants with which columns are compared on the server.

use datafusion::scalar::ScalarValue;
use weir_mysql::sql::literal;

use crate::source::table::{Compared, date, digits, time};

/// A constant in SQL, if a column can be compared with it on the server. It is not null.
pub(super) fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
    let kind = value.data_type();
    match (compared, value) {
        (Compared::Boolean, ScalarValue::Boolean(Some(value))) => Some(u8::from(*value).to_string()),
        // A number with a decimal fraction is exact, one with an exponent a double.
        (Compared::Double, ScalarValue::Float64(Some(value))) => value.is_finite().then(|| format!("{value:e}")),
        (Compared::Number, _) if kind.is_integer() || kind.is_decimal() => digits(value),
        (Compared::Text, _) => value.try_as_str()?.filter(|text| !text.contains('\0')).map(literal),
        (Compared::Date, _) => Some(format!("date '{}'", date(value)?)),
        (Compared::Time, _) => Some(format!("timestamp '{}'", time(value)?)),
        // Others than those that the column can have become zero in a comparison by an index.
        (Compared::Moment, _) => {
            let text = time(value)?;
            ("1971".."2038").contains(&&text[..4]).then(|| format!("timestamp '{text}'"))
        }
        _ => None,
    }
}
