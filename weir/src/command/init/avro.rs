//! The columns and the sample of an Avro file.

use std::path::Path;

use super::input::{Found, found_file};
use crate::error::Result;
use crate::format::avro::Container;
use crate::task::SqlType;

/// The columns of a file.
pub(super) fn columns(path: &Path) -> Result<Vec<Found>> {
    let container = Container::open(&found_file(path)?.open()?)?;
    let columns = container.schema().fields().iter();
    Ok(columns.map(|field| Found::named(field.name(), Some(SqlType::of_arrow(field.data_type())))).collect())
}

/// The file up to the end of its first block.
pub(super) fn sample(path: &Path) -> Result<Vec<u8>> {
    let reader = found_file(path)?.open()?;
    Container::open(&reader)?.beginning(&reader)
}
