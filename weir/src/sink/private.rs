//! Sinks of private columns: what they can be used for, and the parts that write what stands in place of their values.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::{Part, Parts, Written};
use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::protect::{Protection, TokenCache};
use crate::task::{SinkSpec, Task};

/// Fails if the sink needs a value of a column that is protected: for its order, its partitions, its names, or to know which
/// rows are gone (`deleted_by`, the columns of the route that say so).
pub(super) fn check(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    columns: &[OutputColumn],
    deleted_by: &BTreeSet<usize>,
    protection: &Protection,
) -> Result<()> {
    let in_name = |column: &OutputColumn| {
        let name = spec.documents.as_ref().map_or("", |documents| documents.name.value.as_str());
        name.contains(&format!("${{{}}}", column.of_route))
    };
    let use_of = |column: &OutputColumn| {
        if spec.update_key.as_ref() == Some(&column.name) {
            Some("`update_key`: its order is lost")
        } else if spec.partition_by.iter().any(|by| by.value == column.name) {
            Some("`partition_by`: the names of folders would tell its values")
        } else if in_name(column) {
            Some("the `name` of documents, which would tell its values")
        } else if spec.primary_key.contains(&column.name) && !protection.keeps_values_apart(column.index) {
            Some("`primary_key`: only `hash` and `encrypt` keep values apart")
        } else {
            None
        }
    };
    let used = columns.iter().filter(|column| protection.covers(column.index));
    let mut used = used.filter_map(|column| Some((column.name.as_str(), use_of(column)?)));
    let deleting = deleted_by.iter().find(|column| protection.covers(**column));
    let deleting = deleting.map(|column| {
        (protection.schema().field(*column).name().as_str(), "`deleted_when`, which is asked of what is written")
    });
    let Some((column, use_)) = used.next().or(deleting) else { return Ok(()) };
    let message = format!("sink `{name}`: column `{column}` is computed from a private one and cannot be in {use_}");
    let help = "take another column, or list it under `public` to write its values as they are";
    Err(Box::new(task.error(&spec.from, message).with_help(help)).into())
}

/// Creates parts that write protected rows.
#[derive(Debug)]
struct ProtectedParts {
    protection: Arc<Protection>,
    parts: Arc<dyn Parts>,
}

/// The parts of a sink, whose private columns are protected.
pub(crate) fn protected(parts: Arc<dyn Parts>, protection: Option<&Arc<Protection>>) -> Arc<dyn Parts> {
    match protection {
        None => parts,
        Some(protection) => Arc::new(ProtectedParts { protection: protection.clone(), parts }),
    }
}

impl Parts for ProtectedParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        let (protection, known) = (self.protection.clone(), self.protection.caches());
        Ok(Box::new(ProtectedPart { protection, known, part: self.parts.part()? }))
    }
}

struct ProtectedPart {
    protection: Arc<Protection>,
    known: Vec<TokenCache>,
    part: Box<dyn Part>,
}

impl Part for ProtectedPart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        self.part.write(&self.protection.apply(batch, chosen, &mut self.known)?, None)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        self.part.finish()
    }
}
