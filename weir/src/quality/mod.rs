//! Quality rules of a table's rows, and the quality gate.
//!
//! Rules are evaluated as physical expressions on the batches of a model, not as SQL filters: a
//! filter may be merged, reordered or evaluated twice, and a row that it drops is lost without a reason.

mod condition;
mod equal_rows;
mod gate;
mod judge;
mod order;
mod pattern;
mod related;
mod rule;
mod unique;

pub(crate) use condition::Condition;
pub(crate) use gate::{breaches, of_table};
pub(crate) use judge::{Judge, Judging, Tally};
pub(crate) use rule::{ColumnRule, ColumnTest, Effect, Scope};
pub(crate) use unique::Keys;
