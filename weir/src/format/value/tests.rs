//! The forms by default against the engine's cast, and what differs from it by intention.

use datafusion::arrow::array::Array;
use datafusion::arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use super::*;
use crate::task::SqlType;

/// Whether a text is in the form of a type that the engine's cast is more lenient about: it reads `ye` as true, rounds
/// 1.005 to two digits, and knows names of time zones.
fn has_form(kind: &DataType, text: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        DataType::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        // Year 0 is none of those that files can have.
        DataType::Date32 => {
            text.len() == 10 && text.split('-').map(str::len).eq([4, 2, 2]) && !text.starts_with("0000")
        }
        DataType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        DataType::Timestamp(..) => {
            let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
            let fraction = time.split_once('.').map_or("", |(_, fraction)| fraction);
            let is_clock = |byte: u8| byte.is_ascii_digit() || b"T :.+-Zz".contains(&byte);
            has_form(&DataType::Date32, date)
                && time.bytes().all(is_clock)
                && time.get(7..9) != Some("60")
                // An offset has no minute 60.
                && !text.ends_with("60")
                && fraction.bytes().take_while(u8::is_ascii_digit).count() <= 6
        }
        DataType::Decimal128(_, scale) => match text.split_once('.') {
            None => text.trim() == text,
            Some((whole, fraction)) => {
                whole.trim() == whole
                    && is_digits(fraction)
                    && fraction.trim_end_matches('0').len() <= usize::from(scale.unsigned_abs())
            }
        },
        _ => true,
    }
}

/// The value that the engine's cast gives, if the text is in the form of the type.
fn by_engine(text: &str, kind: &DataType) -> Option<String> {
    let array: ArrayRef = Arc::new(StringViewArray::from_iter_values([text]));
    let values = cast(&array, kind).ok()?;
    (values.is_valid(0) && has_form(kind, text)).then(|| array_value_to_string(&values, 0).unwrap())
}

fn parsed(text: &str, form: &Form) -> Option<String> {
    let value = value(text, form)?;
    Some(array_value_to_string(&value.to_array().unwrap(), 0).unwrap())
}

fn kinds() -> impl Iterator<Item = DataType> {
    ["boolean", "integer", "bigint", "double", "decimal(12,2)", "decimal(38,0)", "date", "timestamp"]
        .into_iter()
        .map(|name| name.parse::<SqlType>().unwrap().arrow())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_the_engine_reads_exactly_is_read_alike(
        text in prop_oneof![
            "[-+]?[0-9]{0,12}\\.?[0-9]{0,4}",
            "[-+]?[0-9]{1,40}",
            "[-+]?[0-9]{1,3}(\\.[0-9]{1,3})?[eE][-+]?[0-9]{1,3}",
            "(true|false|TRUE|False|yes|t|1|nan|inf|-inf|)",
            "[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]",
            "[12][0-9]{3}-(0[1-9]|1[0-2])-[0-2][0-9][T t][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?",
            "[12][0-9]{3}-01-[0-2][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?( ?[-+][0-2][0-9](:?[0-5][0-9])?|Z)",
            "[-0-9T:. +Z]{1,20}",
        ],
    ) {
        for kind in kinds() {
            let read = parsed(&text, &Form::of(&kind));
            // Blanks around a value belong to no form.
            if let Some(expected) = by_engine(&text, &kind).filter(|_| text.trim() == text) {
                prop_assert_eq!(read.as_deref(), Some(expected.as_str()), "{} as {}", text, kind);
            } else if let Some(read) = read {
                // What is read beyond that has another form of the same value.
                let is_more = match &kind {
                    DataType::Int32 | DataType::Int64 => text.contains(['.', 'e', 'E']),
                    DataType::Decimal128(..) => text.contains(['e', 'E']) || text.contains('.'),
                    DataType::Timestamp(..) => text.len() >= 16,
                    _ => false,
                };
                prop_assert!(is_more, "{} as {} is read as {}", text, kind, read);
                let again = parsed(&read, &Form::of(&kind));
                prop_assert_eq!(again, Some(read));
            }
        }
    }
}

#[test]
fn an_empty_text_is_null_except_in_a_column_of_text() {
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some(""), None, Some("?")]));
    let types = kinds().map(|kind| Form::of(&kind)).chain([Form::Uuid, Form::Json, Form::Binary(Encoding::Hex)]);
    for form in types.chain([Form::Date(vec![form::TimeForm::Iso]), Form::Time(vec![])]) {
        let typed = form.parse(&texts).unwrap();
        assert_eq!(typed.invalid, [2], "{form:?}");
        assert!(typed.values.is_null(0) && typed.values.is_null(1), "{form:?}");
    }
    let kept = Form::Text { empty_as_null: false }.parse(&texts).unwrap();
    assert!(kept.values.is_valid(0) && kept.values.is_null(1) && kept.invalid.is_empty());
    let nulled = Form::Text { empty_as_null: true }.parse(&texts).unwrap();
    assert!(nulled.values.is_null(0) && nulled.values.is_null(1) && nulled.values.is_valid(2));
}

#[test]
fn bytes_uuids_and_documents_have_their_own_forms() {
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    for text in [id, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"] {
        assert_eq!(parsed(text, &Form::Uuid).as_deref(), Some(id), "{text}");
    }
    assert_eq!(parsed("a0eebc99-9c0b-4ef8-bb6d", &Form::Uuid), None);
    for (text, encoding) in
        [("\\x48692021", Encoding::Hex), ("48692021", Encoding::Hex), ("SGkgIQ==", Encoding::Base64)]
    {
        assert_eq!(parsed(text, &Form::Binary(encoding)).as_deref(), Some("48692021"), "{text}");
    }
    assert_eq!(
        (parsed("\\x4", &Form::Binary(Encoding::Hex)), parsed("SGk", &Form::Binary(Encoding::Base64))),
        (None, None)
    );
    let document = "{\"a\": [1.10, 12345678901234567890]}";
    assert_eq!(parsed(document, &Form::Json).as_deref(), Some(document));
    assert_eq!((parsed("{'a': 1}", &Form::Json), parsed("[1", &Form::Json)), (None, None));
}
