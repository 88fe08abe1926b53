//! What must hold of a table's rows: judging them, and the gate.
//!
//! Rules are evaluated as physical expressions on the batches that a model gives, not as SQL filters: a
//! filter may be merged, reordered or evaluated twice, and a row that it drops is gone without a reason.

mod gate;
mod judge;
mod pattern;
mod rule;
mod unique;

pub(crate) use gate::{breaches, of_table};
pub(crate) use judge::{Judge, Tally};
pub(crate) use rule::Effect;
