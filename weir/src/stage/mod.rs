//! Computes the stages of a plan: one pass over each table, in which its rows are judged and written.
//!
//! `execute` is the pass; `guard` finds the rows that cannot be computed, `failed` rejects them.

mod execute;
mod failed;
mod guard;

pub(crate) use execute::{Pass, execute};
