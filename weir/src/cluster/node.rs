//! The nodes of weir as bytes.

use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::host::Host;
use super::pass::{AwayPassExec, PassSpec};
use super::scan::{ScanExec, ScanSpec};
use crate::function::{aggregate_of_told, of_told, told, told_of_aggregate};

#[derive(Debug, Serialize, Deserialize)]
enum Node {
    /// With its schema, in Arrow's stream format.
    Scan(ScanSpec, String),
    Pass(PassSpec),
}

/// A node of weir as bytes; none for a node of anybody else.
///
/// # Errors
/// If the node cannot be written.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> QueryResult<Option<Vec<u8>>> {
    let own = if let Some(scan) = node.downcast_ref::<ScanExec>() {
        Node::Scan(scan.spec.clone(), schema_text(&scan.schema())?)
    } else if let Some(pass) = node.downcast_ref::<AwayPassExec>() {
        Node::Pass(pass.spec.clone())
    } else {
        return Ok(None);
    };
    serde_json::to_vec(&own).map(Some).map_err(|error| internal_datafusion_err!("a node as JSON: {error}"))
}

/// What is to be told of a function besides its name; none if that says all.
pub fn encode_function(function: &ScalarUDF) -> Option<Vec<u8>> {
    told(function)
}

/// The same of an aggregate.
pub fn encode_aggregate(function: &AggregateUDF) -> Option<Vec<u8>> {
    told_of_aggregate(function)
}

/// The function that [`encode_function`] was told of.
///
/// # Errors
/// If weir has no such function.
pub fn decode_function(name: &str, bytes: &[u8]) -> QueryResult<ScalarUDF> {
    of_told(name, bytes)
}

/// The aggregate that [`encode_aggregate`] was told of.
///
/// # Errors
/// If weir has no such aggregate.
pub fn decode_aggregate(name: &str, bytes: &[u8]) -> QueryResult<AggregateUDF> {
    aggregate_of_told(name, bytes)
}

/// Reads a node that [`encode`] has written.
pub(super) fn decode(
    bytes: &[u8],
    inputs: &[Arc<dyn ExecutionPlan>],
    host: &Host,
) -> QueryResult<Arc<dyn ExecutionPlan>> {
    let node = serde_json::from_slice(bytes).map_err(|error| internal_datafusion_err!("a node of weir: {error}"))?;
    let [input] = inputs else { return Err(internal_datafusion_err!("a node of weir has one input")) };
    Ok(match node {
        Node::Scan(spec, schema) => {
            Arc::new(ScanExec::new(spec, schema_of(&schema)?, Some(host.clone()), input.clone()))
        }
        Node::Pass(spec) => Arc::new(AwayPassExec::new(spec, Some(host.clone()), input.clone())),
    })
}

fn schema_text(schema: &SchemaRef) -> Result<String, ArrowError> {
    let mut bytes = Vec::new();
    StreamWriter::try_new(&mut bytes, schema)?.finish()?;
    Ok(BASE64_STANDARD.encode(bytes))
}

fn schema_of(text: &str) -> QueryResult<SchemaRef> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|error| internal_datafusion_err!("a schema: {error}"))?;
    Ok(StreamReader::try_new(Cursor::new(bytes), None)?.schema())
}
