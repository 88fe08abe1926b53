//! Private columns: what sinks write in place of values that are computed from private columns of sources.
//!
//! SQL and rules see the values. What leaves the run does not have them: `method` is what is written in place of a value,
//! `columns` decides by the lineage which columns of a route need it, `token` is the form of encrypted values, and
//! `cache` keeps tokens.

mod cache;
mod columns;
mod method;
mod token;

pub(crate) use cache::TokenCache;
pub(crate) use columns::{PrivateColumns, Protection};
pub(crate) use token::{KeyRing, decrypted, encrypted_again};

/// What is written or shown in place of a private text.
pub(crate) const REDACTED: &str = "[redacted]";
