//! Maps a table's columns to the declared ones: without loss, or not at all.

use datafusion::arrow::datatypes::DataType;

use super::snapshot::{Found, FoundColumn, Snapshot};
use crate::error::nearest;
use crate::format::columns::Declared;
use crate::task::type_name;

/// How a column is read.
#[derive(Debug)]
pub(in crate::source) struct Reading {
    /// Its name in SQL.
    pub(in crate::source) name: String,
    /// The selected expression: its value in the text form of the declared type.
    pub(in crate::source) selected: String,
    /// Whether a value may be invalid for the declared type.
    pub(in crate::source) may_be_invalid: bool,
    /// How it can be compared on the server.
    pub(in crate::source) compared: Option<Compared>,
    /// Whether values become null that are not null in the table.
    pub(in crate::source) sets_null: bool,
}

/// How a column can be compared on the server without missing a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Compared {
    Boolean,
    /// A number in binary floating point.
    Double,
    /// Any other number.
    Number,
    /// For equality only: order and inequality depend on the collation.
    Text,
    /// The same, with texts in ASCII.
    AsciiText,
    Date,
    /// A time without time zone.
    Time,
    /// A time with time zone, which is read in UTC.
    Moment,
}

/// Why columns cannot be read.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The column that the table does not have.
    pub(super) missing: Option<String>,
    pub(super) message: String,
    pub(super) help: String,
}

/// How each declared column is read.
pub(super) fn of_columns<S: Snapshot>(
    declared: &Declared,
    found: &Found<S::Column>,
    options: &S::Options,
) -> Result<Vec<Reading>, Wrong> {
    let names = || found.columns.iter().map(FoundColumn::name).collect::<Vec<_>>();
    let mut readings = Vec::new();
    for column in &declared.columns {
        let exact = found.columns.iter().find(|there| there.name() == column.header);
        let same = || found.columns.iter().find(|there| S::is_same_name(there.name(), &column.header));
        let Some(there) = exact.or_else(same) else {
            let help = match nearest(&column.header, &names()) {
                Some(near) => format!("is it `{near}`? The table has: {}", names().join(", ")),
                None => format!("correct the `columns` of the source; the table has: {}", names().join(", ")),
            };
            let message = format!("column `{}` is missing", column.header);
            return Err(Wrong { missing: Some(column.header.clone()), message, help });
        };
        readings.push(S::reading(column, there, options).ok_or_else(|| Wrong {
            missing: None,
            message: format!(
                "column `{}` is {}, which cannot be read as {} without loss",
                column.header,
                there.kind(),
                type_name(&column.kind)
            ),
            help: there.help(),
        })?);
    }
    Ok(readings)
}

/// Whether the values of a declared type are numbers that the server and the engine compare alike.
pub(in crate::source) fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_decimal() || *kind == DataType::Float64
}
