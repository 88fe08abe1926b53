//! Tokens: keyed hashes, and values that are encrypted.
//!
//! An encrypted value is `weir:KEY:ID:BASE64`: the name and the id of the key, then the nonce and the ciphertext. The nonce is
//! made of the value (AES-GCM-SIV bears equal nonces): the same value with the same key has the same token, so that a row that
//! did not change is not written again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use aes_gcm_siv::aead::{Aead as _, KeyInit as _};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use regex_automata::meta::Regex;
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::task::Project;

/// Bytes of a nonce.
const NONCE: usize = 12;

/// A key with its id: what it hashes and encrypts with.
#[derive(Clone)]
pub(crate) struct Key {
    name: String,
    id: String,
    hash: Hmac<Sha256>,
    nonce: Hmac<Sha256>,
    cipher: Aes256GcmSiv,
}

/// The keys of `weir.yaml`, those that were asked for.
#[derive(Default)]
pub(crate) struct KeyRing(HashMap<String, Vec<Key>>);

impl Key {
    fn new(name: &str, id: &str, secret: &[u8]) -> Result<Self> {
        // Each use has a key of its own.
        let derived = |of: &str| mac(secret).map(|mac| mac.chain_update(of.as_bytes()).finalize().into_bytes());
        let cipher = Aes256GcmSiv::new_from_slice(&derived("weir encrypt")?);
        Ok(Self {
            name: name.to_owned(),
            id: id.to_owned(),
            hash: mac(&derived("weir hash")?)?,
            nonce: mac(&derived("weir nonce")?)?,
            cipher: cipher.map_err(|_| unusable())?,
        })
    }

    /// The keyed hash of a text.
    pub(crate) fn hash(&self, text: &str) -> [u8; 32] {
        self.hash.clone().chain_update(text.as_bytes()).finalize().into_bytes().into()
    }

    /// A text, encrypted.
    pub(crate) fn encrypt(&self, text: &str) -> Result<String> {
        let mac = self.nonce.clone().chain_update(text.as_bytes()).finalize().into_bytes();
        let mut nonce = [0; NONCE];
        nonce.iter_mut().zip(mac).for_each(|(to, byte)| *to = byte);
        let mut bytes = nonce.to_vec();
        bytes.extend(self.cipher.encrypt(&Nonce::from(nonce), text.as_bytes()).map_err(|_| unusable())?);
        Ok(format!("weir:{}:{}:{}", self.name, self.id, BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn decrypt(&self, token: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE>()?;
        String::from_utf8(self.cipher.decrypt(&Nonce::from(*nonce), text).ok()?).ok()
    }
}

impl KeyRing {
    /// The keys of a project with these names.
    pub(crate) fn of<'a>(project: &Project, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut ring = Self::default();
        for name in names {
            if ring.0.contains_key(name) {
                continue;
            }
            let missing = || Error::Usage {
                message: format!("there is no key `{name}` under `keys` in weir.yaml"),
                help: format!("add it: `keys: {{{name}: {{id: \"1\", secret: \"${{env:WEIR_KEY}}\"}}}}`"),
            };
            let keys = project.key(name).ok_or_else(missing)??;
            let keys = keys.iter().map(|(id, secret)| Key::new(name, id, secret)).collect::<Result<_>>()?;
            ring.0.insert(name.to_owned(), keys);
        }
        Ok(ring)
    }

    /// The key that is in use under a name.
    pub(crate) fn current(&self, name: &str) -> Option<&Key> {
        self.0.get(name)?.first()
    }

    fn find(&self, name: &str, id: &str) -> Option<&Key> {
        self.0.get(name)?.iter().find(|key| key.id == id)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// An encrypted value.
static TOKEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"weir:([A-Za-z0-9._-]+):([A-Za-z0-9._-]+):([A-Za-z0-9_-]+)").ok());

/// The text with each encrypted value in it decrypted, and how many there were. `written` is how a value stands in the text,
/// where it stands in quotes and where not.
pub(crate) fn decrypted<'t>(
    text: &'t str,
    keys: &KeyRing,
    written: impl Fn(&str, bool) -> String,
) -> Result<(Cow<'t, str>, u64)> {
    replaced(text, |token, is_quoted| Ok(written(&token.read(keys)?, is_quoted)))
}

/// The text with each value encrypted with the key in use, and how many of them were not.
pub(crate) fn encrypted_again<'t>(text: &'t str, keys: &KeyRing) -> Result<(Cow<'t, str>, u64)> {
    replaced(text, |token, _| match keys.current(token.name).filter(|key| key.id != token.id) {
        None => Ok(token.whole.to_owned()),
        Some(key) => key.encrypt(&token.read(keys)?),
    })
}

/// An encrypted value in a text.
struct Token<'t> {
    whole: &'t str,
    name: &'t str,
    id: &'t str,
    encrypted: &'t str,
}

impl Token<'_> {
    fn read(&self, keys: &KeyRing) -> Result<String> {
        let Self { name, id, .. } = self;
        let Some(key) = keys.find(name, id) else {
            let message = format!("a value is encrypted with `{id}` of key `{name}`, which weir.yaml does not have");
            return Err(Error::usage(message, "add it under `keys`, as the key itself or under `former`"));
        };
        key.decrypt(self.encrypted).ok_or_else(|| {
            let message = format!("a value that names `{id}` of key `{name}` cannot be decrypted with it");
            Error::usage(message, "the key is another one, or the value was changed or cut off")
        })
    }
}

fn replaced<'t>(text: &'t str, replace: impl Fn(&Token<'_>, bool) -> Result<String>) -> Result<(Cow<'t, str>, u64)> {
    let pattern = TOKEN.as_ref().ok_or_else(|| Error::internal("the pattern of encrypted values is wrong"))?;
    let (mut out, mut rest, mut changed) = (String::new(), 0, 0);
    for found in pattern.captures_iter(text) {
        let part = |number: usize| found.get_group(number).map_or("", |span| &text[span.range()]);
        let Some(at) = found.get_match().map(|all| all.range()) else { continue };
        let token = Token { whole: &text[at.clone()], name: part(1), id: part(2), encrypted: part(3) };
        let is_quoted = text[..at.start].ends_with('"') && text[at.end..].starts_with('"');
        let by = replace(&token, is_quoted)?;
        if by != token.whole {
            out.push_str(&text[rest..at.start]);
            out.push_str(&by);
            rest = at.end;
            changed += 1;
        }
    }
    if changed == 0 {
        return Ok((Cow::Borrowed(text), 0));
    }
    out.push_str(&text[rest..]);
    Ok((Cow::Owned(out), changed))
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>> {
    Hmac::new_from_slice(key).map_err(|_| unusable())
}

fn unusable() -> Error {
    Error::internal("a key cannot be used")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[(&str, u8)]) -> KeyRing {
        let keys = ids.iter().map(|(id, byte)| Key::new("k", id, &[*byte; 32]).unwrap()).collect();
        KeyRing(HashMap::from([("k".to_owned(), keys)]))
    }

    #[test]
    fn what_is_encrypted_is_read_with_the_key_of_its_id_alone() {
        let (old, both) = (ring(&[("1", 7)]), ring(&[("2", 8), ("1", 7)]));
        let token = old.current("k").unwrap().encrypt("Ann Lee, née Ø").unwrap();
        assert!(!token.contains("Ann"));
        assert_eq!(token, old.current("k").unwrap().encrypt("Ann Lee, née Ø").unwrap());
        let line = format!("1,{token},x");
        let plain = |keys: &KeyRing| {
            decrypted(&line, keys, |value, _| format!("\"{value}\"")).map(|(text, _)| text.into_owned())
        };
        assert_eq!(plain(&old).unwrap(), "1,\"Ann Lee, née Ø\",x");
        assert_eq!(plain(&both).unwrap(), plain(&old).unwrap());
        assert!(plain(&ring(&[("2", 8)])).unwrap_err().to_string().contains("`1` of key `k`"));
        assert!(plain(&ring(&[("1", 9)])).unwrap_err().to_string().contains("cannot be decrypted"));
        let cut = decrypted(&line[..line.len() - 4], &old, |value, _| value.to_owned());
        assert!(cut.unwrap_err().to_string().contains("cannot be decrypted"));
    }

    #[test]
    fn values_are_encrypted_again_with_the_key_in_use() {
        let (old, both) = (ring(&[("1", 7)]), ring(&[("2", 8), ("1", 7)]));
        let token = old.current("k").unwrap().encrypt("Ann").unwrap();
        let text = format!("{token} and {}", both.current("k").unwrap().encrypt("Bob").unwrap());
        let (again, changed) = encrypted_again(&text, &both).unwrap();
        assert_eq!(changed, 1);
        assert!(!again.contains(":1:"), "{again}");
        assert_eq!(decrypted(&again, &both, |value, _| value.to_owned()).unwrap().0, "Ann and Bob");
        assert_eq!(encrypted_again(&again, &both).unwrap(), (Cow::Borrowed(&*again), 0));
    }

    #[test]
    fn a_hash_is_the_hmac_of_the_value_with_a_key_derived_from_the_secret() {
        let key = Key::new("k", "1", &[7; 32]).unwrap();
        assert_eq!(key.hash("Ann"), key.hash("Ann"));
        assert_ne!(key.hash("Ann"), key.hash("ann"));
        assert_ne!(key.hash("Ann"), Key::new("k", "1", &[8; 32]).unwrap().hash("Ann"));
    }
}
