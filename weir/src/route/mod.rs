//! Rejected rows: records that cannot be read, rows that cannot be computed, rows that a rule rejects.
//!
//! [`Counted`] is the one count of them, by reason. [`Shown`] is the one form in which a value of a row leaves the engine
//! other than through a sink: whatever has to be withheld is withheld there.

mod counted;
mod rejected;
mod schema;
mod shown;
mod unread;

pub(crate) use counted::{Counted, Reasons};
pub(crate) use rejected::{
    FailedRecord, Findings, NulledValues, RejectedRecord, RejectedRoute, RejectedRows, RouteCounts, RowSink,
};
pub(crate) use schema::{REASONS, rejected_records, rejected_rows};
pub(crate) use shown::Shown;
pub(crate) use unread::{Advise, Unread, UnreadTexts};

/// How many rows are shown for each reason.
pub(crate) const SAMPLES: usize = 3;
