//! Computes the stages of a plan: one pass over each table, in which its rows are judged and written.
//!
//! `reader` judges the rows of a partition and passes them to its consumers (`consumer`); each partition returns a
//! `receipt`. `pass` is this as the top node of a stage's query plan. `streamed` is it as a leaf of the plan of another stage,
//! the only one that reads the rows. `execute` runs both and adds up the receipts. `guard` finds the rows that cannot be
//! computed, `failed` rejects them.

mod consumer;
mod execute;
mod failed;
mod guard;
mod pass;
mod reader;
mod receipt;
mod streamed;

pub(crate) use consumer::{Outputs, Shared};
pub(crate) use execute::{Broken, Computed, Execution, execute, over};
pub(crate) use guard::{guard, is_guarded_below_exchange, unordered};
pub(crate) use pass::PassExec;
pub(crate) use reader::broken_off;
pub(crate) use receipt::{BrokenPartition, Pass, receipt_schema};
