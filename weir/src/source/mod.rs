//! Declared sources: their origins and their columns.
//!
//! `declared` is a source as the task declares it. An `origin` is where its rows come from; each kind of origin is a
//! module of its own, and a line in `KINDS` of `origin`: `files`, `postgres`, `mysql`, `fetch`; `table` has what the
//! databases share. `described` is a table of a database as `init` writes it into a task.

mod declared;
mod described;
pub(crate) mod fetch;
mod files;
mod mysql;
mod origin;
mod postgres;
mod table;

pub(crate) use declared::Source;
pub(crate) use described::{Described, describe};
pub(crate) use fetch::Fetchers;
pub(crate) use origin::Opening;
