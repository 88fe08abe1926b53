//! One step into a JSON text: the value of a key or of an index, as a part of the text.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A step from a value to a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// The key, if the value is an object.
    pub(super) key: Option<String>,
    /// The index, if the value is an array; a negative one counts from the end.
    pub(super) index: Option<i64>,
}

/// The part of a JSON text behind a path; `None` if there is none. All of the text is checked.
pub(super) fn locate<'a>(json: &'a str, path: &[Step]) -> serde_json::Result<Option<&'a str>> {
    let mut part = Some(serde_json::from_str::<&RawValue>(json)?.get());
    for step in path {
        let Some(value) = part else { break };
        part = one(value, step)?;
    }
    Ok(part)
}

/// A part as text: a string without its quotes, null as nothing, anything else as it is written.
pub(super) fn text(part: &str) -> serde_json::Result<Option<String>> {
    match part.as_bytes().first() {
        Some(b'"') => serde_json::from_str(part).map(Some),
        Some(b'n') => Ok(None),
        _ => Ok(Some(part.to_owned())),
    }
}

/// The elements of an array; `None` if the value is something else.
pub(super) fn elements(part: &str) -> serde_json::Result<Option<Vec<&str>>> {
    if !part.starts_with('[') {
        return Ok(None);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(part)?;
    Ok(Some(elements.into_iter().map(RawValue::get).collect()))
}

/// The keys of an object and their values, each key once, in their order; `None` if the value is something else. Of a repeated
/// key the last value counts.
pub(super) fn entries(part: &str) -> serde_json::Result<Option<IndexMap<String, &str>>> {
    if !part.starts_with('{') {
        return Ok(None);
    }
    let entries: IndexMap<String, &RawValue> = serde_json::from_str(part)?;
    Ok(Some(entries.into_iter().map(|(key, value)| (key, value.get())).collect()))
}

/// The keys of an object, each once, in their order; `None` if the value is something else.
pub(super) fn keys(part: &str) -> serde_json::Result<Option<Vec<String>>> {
    if !part.starts_with('{') {
        return Ok(None);
    }
    let entries: IndexMap<String, IgnoredAny> = serde_json::from_str(part)?;
    Ok(Some(entries.into_keys().collect()))
}

/// The name that PostgreSQL gives to the type of a value.
pub(super) fn type_of(part: &str) -> &'static str {
    match part.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

fn one<'a>(value: &'a str, step: &Step) -> serde_json::Result<Option<&'a str>> {
    let found = match (value.as_bytes().first(), step) {
        (Some(b'{'), Step { key: Some(key), .. }) => {
            serde_json::Deserializer::from_str(value).deserialize_map(OfKey(key))?
        }
        (Some(b'['), Step { index: Some(index), .. }) => {
            serde_json::Deserializer::from_str(value).deserialize_seq(OfIndex(*index))?
        }
        _ => None,
    };
    Ok(found.map(RawValue::get))
}

/// Picks the value of a key. Of a repeated key the last value counts.
struct OfKey<'k>(&'k str);

impl<'de> Visitor<'de> for OfKey<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = entries.next_key_seed(IsKey(self.0))? {
            if is_it {
                found = Some(entries.next_value()?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is the one that is looked for.
struct IsKey<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Picks the value at an index.
struct OfIndex(i64);

impl<'de> Visitor<'de> for OfIndex {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut all: Vec<&'de RawValue> = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        let index = if self.0 < 0 { self.0 + all.len() as i64 } else { self.0 };
        Ok(usize::try_from(index).ok().and_then(|index| all.get(index).copied()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn step(key: &str, index: i64) -> Step {
        Step { key: Some(key.to_owned()), index: Some(index) }
    }

    #[test]
    fn a_path_leads_to_a_part_of_the_text_as_it_is_written() {
        let json = r#" {"a": [1.50, {"b": "x\ny"}, null], "a b": true, "c": 1, "c": 123456789012345678901234567890} "#;
        let at = |path: &[Step]| locate(json, path).unwrap();
        assert_eq!(at(&[step("a", 0), step("0", 0)]), Some("1.50"));
        assert_eq!(at(&[step("a", 0), step("", -2), step("b", 0)]), Some(r#""x\ny""#));
        assert_eq!(at(&[step("a", 0), step("", 3)]), None);
        assert_eq!(at(&[step("a", 0), step("", -4)]), None);
        assert_eq!(at(&[step("a b", 0), step("b", 0)]), None, "a boolean has no parts");
        assert_eq!(at(&[step("c", 0)]), Some("123456789012345678901234567890"), "the last of a repeated key");
        assert_eq!(text(r#""x\ny""#).unwrap().as_deref(), Some("x\ny"));
        assert_eq!(text("null").unwrap(), None);
        assert_eq!(text("1e999").unwrap().as_deref(), Some("1e999"));
        let repeated = r#"{"b": 1, "a": 2, "b": 3}"#;
        assert_eq!(keys(repeated).unwrap().unwrap(), ["b", "a"]);
        let entries: Vec<_> = entries(repeated).unwrap().unwrap().into_iter().collect();
        assert_eq!(entries, [("b".to_owned(), "3"), ("a".to_owned(), "2")]);
    }

    #[test]
    fn all_of_the_text_is_checked() {
        for wrong in ["", "{", r#"{"a": 1} x"#, r#"{"a": 1, b: 2}"#, "nul", "'a'"] {
            assert!(locate(wrong, &[step("a", 0)]).is_err(), "{wrong}");
        }
    }

    /// Any JSON value of some depth.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\\n]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_step_finds_what_a_parsed_value_has(json in value(), path in prop::collection::vec(("[a-c\"]{0,2}", -3..4i64), 0..4), pretty: bool) {
            let written = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
            let steps: Vec<Step> = path.iter().map(|(key, index)| step(key, *index)).collect();
            let expected = path.iter().try_fold(&json, |value, (key, index)| match value {
                Value::Object(map) => map.get(key),
                Value::Array(all) => usize::try_from(if *index < 0 { index + all.len() as i64 } else { *index }).ok().and_then(|i| all.get(i)),
                _ => None,
            });
            let found = locate(&written, &steps).unwrap();
            prop_assert_eq!(found.map(|part| serde_json::from_str::<Value>(part).unwrap()), expected.cloned());
        }
    }
}
