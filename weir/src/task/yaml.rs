//! YAML, parsed with limits, and the parser's errors in the terms of a task file.

use serde::de::DeserializeOwned;
use serde_saphyr::budget::BudgetBreach;

use super::{MAX_NAME, misplaced};
use crate::error::{Place, Result, SourceText, TaskError};

/// A task file that is nested deeper, or has more values, is rejected.
const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 100_000;

/// Parses a YAML file with the limits and checks of a task file.
pub(crate) fn parse_yaml<T: DeserializeOwned>(source: &SourceText) -> Result<T> {
    let parsed = serde_saphyr::from_str_with_options(source.text(), options());
    Ok(parsed.map_err(|error| Box::new(yaml_error(source, &error)))?)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: 2 * MAX_DEPTH,
            max_nodes: MAX_VALUES,
            max_documents: 2,
            max_aliases: 1_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: MAX_VALUES,
        },
    }
}

/// The parser's error in the terms of a task file; it never names a Rust type.
fn yaml_error(source: &SourceText, error: &serde_saphyr::Error) -> TaskError {
    use serde_saphyr::Error as Yaml;
    let place = error.without_snippet().location().and_then(Place::of);
    let at = |message: String| TaskError::new(source, place, message);
    match root(error) {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            let error = at(format!("unknown key `{field}`"));
            match misplaced::advice(field, expected) {
                Some(advice) => error.with_help(format!("{advice} Known here: {}", expected.join(", "))),
                None => error.nearest(field, expected.iter().copied()),
            }
        }
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            at(format!("unknown value `{variant}`")).nearest(variant, expected.iter().copied())
        }
        Yaml::SerdeMissingField { field, .. } => at(format!("the key `{field}` is missing")),
        Yaml::DuplicateMappingKey { key: Some(key), .. } => {
            at(format!("duplicate key `{key}`")).with_help("remove one of the two")
        }
        Yaml::DuplicateMappingKey { key: None, .. } => at("duplicate key".to_owned()),
        Yaml::Eof { .. } => at("unexpected end of the file".to_owned()).with_help("a task file begins with `name:`"),
        Yaml::MultipleDocuments { .. } => at("a second YAML document begins here".to_owned())
            .with_help("write one task per file, without `---` in it"),
        Yaml::Unexpected { expected: "mapping start", .. } => {
            let written = place.and_then(|place| key_and_value(source, place));
            let help = written.and_then(|(key, value)| misplaced::as_mapping(key, value));
            let help = help.unwrap_or_else(|| "write `key: value`, one per line".to_owned());
            at("a mapping is expected here".to_owned()).with_help(help)
        }
        Yaml::Unexpected { expected: "string scalar" | "scalar", .. } => {
            at("a single value is expected here, not a list or a mapping".to_owned())
        }
        Yaml::Unexpected { expected, .. } => at(format!("{} is expected here", described(expected))),
        Yaml::InvalidScalar { ty, .. } => at(format!("{} is expected here", described(ty))),
        Yaml::InvalidBooleanStrict { .. } => at("true or false is expected here".to_owned()),
        Yaml::NonFiniteFloat { .. } => at("a finite number is expected here".to_owned()),
        Yaml::NullIntoString { .. } => at("a value is expected here, not null".to_owned()),
        Yaml::SerdeInvalidType { unexpected, expected, .. } | Yaml::SerdeInvalidValue { unexpected, expected, .. } => {
            at(format!("{} is expected here, not {}", described(expected), shortened(found(unexpected))))
        }
        Yaml::SerdeInvalidLength { len, expected, .. } => {
            at(format!("{} is expected here, not one of length {len}", described(expected)))
        }
        Yaml::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Yaml::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Yaml::UnexpectedValueForUnitEnumVariant { .. }
        | Yaml::ExpectedMappingEndAfterEnumVariantValue { .. }
        | Yaml::UnexpectedValueForUnit { .. }
        | Yaml::ExpectedEmptyMappingForUnitStruct { .. }
        | Yaml::InvalidCharNull { .. }
        | Yaml::InvalidCharNotSingleScalar { .. } => at("a single value is expected here".to_owned()),
        Yaml::TaggedEnumMismatch { tagged, .. } => at(format!("the tag `{tagged}` is not valid here")),
        Yaml::UnsupportedTag { tag, .. } => at(format!("the tag `{tag}` is not supported")),
        Yaml::TaggedScalarCannotDeserializeIntoString { .. }
        | Yaml::BytesNotSupportedMissingBinaryTag { .. }
        | Yaml::InvalidBinaryBase64 { .. }
        | Yaml::BinaryNotUtf8 { .. } => at("the value does not fit its tag".to_owned()),
        Yaml::CannotBorrowTransformedString { .. } => at("a plain text is expected here".to_owned()),
        Yaml::QuotingRequired { value, .. } => at(format!("the text `{value}` must be in quotes")),
        Yaml::RecursiveReferencesRequireWeakTypes { .. } => at("the alias refers to itself".to_owned()),
        Yaml::Budget { breach: BudgetBreach::Depth { .. }, .. } => at(too_deep()),
        // The scanner detects this before the budget does.
        Yaml::ExternalMessage { msg, .. } if msg.contains("recursion limit") => at(too_deep()),
        Yaml::Budget { breach: BudgetBreach::Nodes { .. }, .. } => {
            at(format!("the file has more than {MAX_VALUES} values"))
        }
        Yaml::Budget { .. }
        | Yaml::AliasReplayCounterOverflow { .. }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. } => at("the file has too many aliases and merge keys".to_owned())
            .with_help("write out the values instead of `*alias` and `<<`"),
        other => {
            let message = other.to_string();
            let location = other.location().map(|l| format!(" at line {}, column {}", l.line(), l.column()));
            at(location.and_then(|l| message.strip_suffix(&l).map(str::to_owned)).unwrap_or(message))
        }
    }
}

/// The key before a place, and the single value there, if both are on its line.
fn key_and_value(source: &SourceText, place: Place) -> Option<(&str, &str)> {
    let line = source.text().lines().nth(place.line.checked_sub(1)?)?;
    let at = line.char_indices().nth(place.column.checked_sub(1)?).map(|(at, _)| at)?;
    let (before, value) = line.split_at(at);
    let key = before.trim_end().strip_suffix(':')?.rsplit([' ', '{', ',']).next()?;
    let value = value.split([',', '}', '#']).next()?.trim();
    // A URL may have a password.
    let is_plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "_-./*\"'".contains(c));
    (is_plain && !key.is_empty()).then_some((key, value))
}

/// The error itself, without the wrappers for its snippet and for the alias that it was reached by.
fn root(error: &serde_saphyr::Error) -> &serde_saphyr::Error {
    match error {
        serde_saphyr::Error::WithSnippet { error, .. } | serde_saphyr::Error::AliasError { error, .. } => root(error),
        other => other,
    }
}

/// What the parser expected, in the terms of a task file.
fn described(expected: &str) -> String {
    if let Some(size) = expected.strip_prefix("a tuple of size ") {
        return format!("a list of {size} values");
    }
    let (kind, rest) = expected.split_once(' ').unwrap_or((expected, ""));
    let text = match (kind, rest) {
        ("u8" | "u16" | "u32" | "u64" | "u128" | "usize", _) => "a whole number of 0 or more",
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", _) => "a whole number",
        ("f32" | "f64" | "floating", _) => "a number",
        ("bool" | "boolean", _) | ("a", "boolean") => "true or false",
        ("struct" | "map" | "mapping" | "empty", _) | ("a", "map") => "a mapping",
        ("sequence" | "tuple", _) | ("a", "sequence" | "tuple") => "a list",
        ("field" | "identifier", _) | ("a", "string key") => "a key",
        ("enum" | "variant" | "unit" | "newtype" | "option" | "consumed" | "tagged" | "binary", _)
        | ("string" | "scalar" | "value" | "single", _)
        | ("a", "string" | "borrowed string" | "character" | "span-aware newtype wrapper") => "a single value",
        // One of the descriptions that the task's own types give.
        _ => expected,
    };
    text.to_owned()
}

/// What the parser found, in the terms of a task file.
fn found(unexpected: &str) -> &str {
    match unexpected {
        "map" => "a mapping",
        "sequence" => "a list",
        "unit value" | "Option value" => "null",
        "newtype struct" | "enum" | "unit variant" | "newtype variant" | "tuple variant" | "struct variant" => {
            "a value of this kind"
        }
        other => other,
    }
}

fn too_deep() -> String {
    format!("the file is nested deeper than {MAX_DEPTH} levels")
}

/// A name, shortened for an error message.
pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        name.to_owned()
    } else {
        name.chars().take(MAX_NAME).chain(['…']).collect()
    }
}
