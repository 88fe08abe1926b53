//! Computes the stages of a plan: one pass over each table, in which its rows are judged and written.
//!
//! `pass` is the pass as a node of the query plan, and `consumer` what consumes the rows in it; each partition returns a
//! `receipt`. `execute` runs it and adds up the receipts. `guard` finds the rows that cannot be computed, `failed` rejects
//! them.

mod consumer;
mod execute;
mod failed;
mod guard;
mod pass;
mod receipt;

pub(crate) use execute::execute;
pub(crate) use receipt::Pass;
