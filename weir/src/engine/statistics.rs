//! What the planner knows of a table before it is read.

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;

/// The statistics of a table of so many rows, by which a join is built on its smaller side.
pub(crate) fn statistics_of_rows(schema: &Schema, rows: Precision<usize>) -> Statistics {
    let width = 16 * schema.fields().len().max(1);
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = rows;
    statistics.total_byte_size = rows.map(|rows| rows.saturating_mul(width)).to_inexact();
    statistics
}
