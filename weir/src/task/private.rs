//! Private columns: what is written in place of their values, and the keys for it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_saphyr::Spanned;

use super::text::{ShortOrLong, short_or_long};

/// The key of `weir.yaml` that is taken where none is named.
const DEFAULT_KEY: &str = "default";

/// What sinks write in place of the values of a private column: a word, or a mapping with a key or a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateSpec {
    /// The HMAC-SHA-256 of the value, with the key of this name: the same value has the same token.
    Hash {
        /// The name of the key in `weir.yaml`.
        key: String,
    },
    /// `[redacted]` in place of a text, null in place of any other value.
    Redact,
    /// The parts of the text that the groups of this regular expression match; `*` for each other character.
    Partial {
        /// The regular expression.
        pattern: String,
    },
    /// The value, encrypted with the key of this name.
    Encrypt {
        /// The name of the key in `weir.yaml`.
        key: String,
    },
    /// Nothing: sinks do not have the column.
    Drop,
}

/// What sinks write in place of a private value, with its key or pattern.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum LongPrivate {
    Hash(String),
    Partial(String),
    Encrypt(String),
}

impl<'de> ShortOrLong<'de> for PrivateSpec {
    type Long = LongPrivate;

    fn short(text: &str) -> Result<Self, String> {
        let key = || DEFAULT_KEY.to_owned();
        match text {
            "hash" => Ok(Self::Hash { key: key() }),
            "redact" => Ok(Self::Redact),
            "encrypt" => Ok(Self::Encrypt { key: key() }),
            "drop" => Ok(Self::Drop),
            "partial" => Err("`partial` needs a pattern that says what stays: {partial: '^.*(.{4})$'}".to_owned()),
            other => Err(format!("`{other}` is none of hash, redact, partial, encrypt and drop")),
        }
    }

    fn long(long: LongPrivate) -> Result<Self, String> {
        Ok(match long {
            LongPrivate::Hash(key) => Self::Hash { key },
            LongPrivate::Partial(pattern) => Self::Partial { pattern },
            LongPrivate::Encrypt(key) => Self::Encrypt { key },
        })
    }
}

impl<'de> Deserialize<'de> for PrivateSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "`hash`, `redact`, `encrypt`, `drop`, or a mapping with a key or a pattern")
    }
}

/// A key: one entry under `keys` in `weir.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Key")]
pub struct KeySpec {
    /// The id of the key, which is written with each encrypted value. A new key needs a new one.
    #[schemars(example = &"2026-11")]
    pub id: String,
    /// The key: 32 bytes or more in base64, as `openssl rand -base64 32` makes them. It is a reference: `${env:NAME}` or `${file:PATH}`.
    #[schemars(with = "String", example = &"${env:WEIR_KEY}")]
    pub secret: Spanned<String>,
    /// Earlier keys by their ids: what they have encrypted can be read, and nothing new is encrypted with them.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>", example = json!({"2025-01": "${env:WEIR_KEY_2025}"}))]
    pub former: IndexMap<String, Spanned<String>>,
}
