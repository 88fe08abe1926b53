//! `to_char` and `to_date` with formats as PostgreSQL writes them: `YYYY-MM-DD`, next to `%Y-%m-%d`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [datetime::to_char(), datetime::to_date()].map(|inner| ScalarUDF::from(WithFormats { inner })).into()
}

/// A function of the engine whose constant formats are translated.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WithFormats {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for WithFormats {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for arg in args.args.iter_mut().skip(1) {
            let ColumnarValue::Scalar(value) = &*arg else { continue };
            let Some(Some(format)) = value.try_as_str().filter(|_| value.data_type().is_string()) else { continue };
            if !format.contains('%') {
                let format = translated(format).map_err(|part| {
                    exec_datafusion_err!(
                        "`{part}` in the format `{format}` is not known: write it as in %Y-%m-%d %H:%M:%S, %B for a month's name"
                    )
                })?;
                *arg = ColumnarValue::Scalar(ScalarValue::from(format.as_str()).cast_to(&value.data_type())?);
            }
        }
        self.inner.inner().invoke_with_args(args)
    }
}

/// Patterns of PostgreSQL, longer ones before those that they begin with.
const PATTERNS: [(&str, &str); 23] = [
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("FMDD", "%-d"),
    ("FMMM", "%-m"),
    ("FMHH24", "%-H"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("DDD", "%j"),
    ("Mon", "%b"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("IW", "%V"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
];

/// The same format in strftime notation; or the part that has no translation.
fn translated(format: &str) -> Result<String, String> {
    let mut rest = format;
    let mut strftime = String::with_capacity(format.len() + 8);
    while let Some(first) = rest.chars().next() {
        // PostgreSQL pads these with blanks to nine characters.
        let padded = ["month", "day"]
            .into_iter()
            .find(|name| rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)));
        if let Some(padded) = padded {
            return Err(rest[..padded.len()].to_owned());
        }
        let pattern = PATTERNS.iter().find(|(pattern, _)| {
            let found = rest.get(..pattern.len());
            // In lower case, too, but for months and minutes: elsewhere mm are minutes.
            let is_plain = pattern.chars().all(|c| !c.is_ascii_lowercase()) && *pattern != "MM";
            found == Some(pattern) || is_plain && found.is_some_and(|found| found == pattern.to_ascii_lowercase())
        });
        if let Some((pattern, by)) = pattern {
            strftime.push_str(by);
            rest = &rest[pattern.len()..];
        } else if first == '"' {
            let (text, after) = rest[1..].split_once('"').ok_or_else(|| rest.to_owned())?;
            strftime.push_str(text);
            rest = after;
        } else if first.is_alphanumeric() {
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            // `T` between date and time is a letter of ISO 8601.
            if first != 'T' || rest[1..].chars().next().is_some_and(|c| !matches!(c, 'H' | 'h')) {
                return Err(rest[..end].to_owned());
            }
            strftime.push('T');
            rest = &rest[1..];
        } else {
            strftime.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(strftime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_of_postgresql_becomes_one_of_strftime() {
        for (format, expected) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", Ok("%Y-%m-%d %H:%M:%S.%3f")),
            ("YYYY-MM-DDTHH24:MI", Ok("%Y-%m-%dT%H:%M")),
            ("yyyymm", Err("mm")),
            ("dd.MM.yyyy", Ok("%d.%m.%Y")),
            ("FMDD. FMMonth YYYY", Ok("%-d. %B %Y")),
            ("IYYY\"-W\"IW", Ok("%G-W%V")),
            ("Month", Err("Month")),
            ("HH:mm", Err("mm")),
            ("", Ok("")),
        ] {
            assert_eq!(translated(format), expected.map(str::to_owned).map_err(str::to_owned), "{format}");
        }
    }
}
