//! The container of an Avro file: a header with the schema, then blocks of records, each with their number, their length
//! and a marker.
//!
//! The library decodes records. It takes a file that ends within a block for a complete one, does not look at the markers,
//! and never ends if a block has more data than its records. So the blocks are found here, and the library gets one at a time,
//! to be asked for its records once.

use std::fmt::Display;
use std::io::Read;
use std::sync::Arc;

use arrow_avro::compression::CompressionCodec;
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use bytes::{Buf, Bytes};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::error::{Error, Result};
use crate::format::text::HEAD_BYTES;
use crate::place::RangeReader;

/// With what every Avro file begins.
const MAGIC: &[u8] = b"Obj\x01";

/// The length of the marker after each block.
const MARKER_BYTES: usize = 16;

/// The maximum length of a header in bytes.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Bytes of blocks that are read at a time; a longer block is read whole.
const READ_BYTES: u64 = 1 << 20;

/// The header of a file.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    header: Bytes,
    marker: [u8; MARKER_BYTES],
    /// The least length of the data of a block: the checksum of snappy.
    least: usize,
    schema: SchemaRef,
}

/// Blocks of a file, one after the other.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) blocks: Vec<Block>,
    /// The index in the file after them.
    pub(crate) end: u64,
}

/// A block.
#[derive(Debug)]
pub(crate) struct Block {
    /// With the numbers before its data, and the marker.
    bytes: Bytes,
    pub(crate) rows: usize,
}

impl Blocks {
    /// The number of records.
    pub(crate) fn rows(&self) -> u64 {
        self.blocks.iter().map(|block| block.rows as u64).sum()
    }
}

impl Container {
    /// Reads the header of a file.
    pub(crate) fn open(reader: &RangeReader) -> Result<Self> {
        let name = reader.name();
        let mut length = HEAD_BYTES as u64;
        loop {
            let head = reader.read(0, length)?;
            if !head.starts_with(MAGIC) {
                return Err(Error::input(name, "is not an Avro file", "specify its `format`, or write it again"));
            }
            match read_header_info(&head[..]) {
                Err(_) if length < reader.size().min(MAX_HEADER_BYTES) => length *= 16,
                Err(error) => return Err(damaged(name, error)),
                Ok(info) => {
                    let least = match info.compression() {
                        Ok(Some(CompressionCodec::Xz)) => {
                            return Err(unknown_codec(name, "its blocks are compressed with xz"));
                        }
                        Ok(Some(CompressionCodec::Snappy)) => 4,
                        Ok(_) => 0,
                        Err(error) => return Err(unknown_codec(name, error)),
                    };
                    let header = head.slice(..info.header_len() as usize);
                    let rows = ReaderBuilder::new().build(&header[..]).map_err(|error| {
                        let help = "weir reads files whose schema is a record; write it so";
                        Error::input(name, format!("has a schema that cannot be read: {error}"), help)
                    })?;
                    let schema = Arc::new(read_schema(&rows.schema()));
                    return Ok(Self { header, marker: info.sync(), least, schema });
                }
            }
        }
    }

    /// The columns of the records.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The index of the first block in the file.
    pub(crate) fn start(&self) -> u64 {
        self.header.len() as u64
    }

    /// The blocks from an index on; none at the end of the file.
    pub(crate) fn blocks(&self, reader: &RangeReader, start: u64) -> Result<Option<Blocks>> {
        let name = reader.name();
        let cut_off = || damaged(name, "it ends within a block");
        if start >= reader.size() {
            return Ok(None);
        }
        let mut bytes = reader.read(start, READ_BYTES)?;
        let (mut end, mut blocks) = (0, Vec::new());
        while end < bytes.len() {
            let block = Frame::read(&bytes[end..]).map_err(|what| damaged(name, what))?;
            let after = block.as_ref().and_then(|block| end.checked_add(block.length));
            let (block, after) = match block.zip(after) {
                Some((block, after)) if after <= bytes.len() => (block, after),
                _ if end > 0 => break, // the next blocks begin with it
                Some((block, _)) if block.length as u64 <= reader.size() - start => {
                    bytes = reader.read(start, block.length as u64)?;
                    continue;
                }
                _ => return Err(cut_off()),
            };
            if bytes[after - MARKER_BYTES..after] != self.marker {
                return Err(damaged(name, "a block does not end with the marker of the file"));
            }
            if block.data < self.least {
                return Err(damaged(name, "a block has no checksum"));
            }
            blocks.push(Block { bytes: bytes.slice(end..after), rows: block.rows });
            end = after;
        }
        Ok(Some(Blocks { blocks, end: start + end as u64 }))
    }

    /// The file up to the end of its first block.
    pub(crate) fn beginning(&self, reader: &RangeReader) -> Result<Vec<u8>> {
        let frame = Frame::read(&reader.read(self.start(), 20)?).map_err(|what| damaged(reader.name(), what))?;
        Ok(reader.read(0, self.start() + frame.map_or(0, |frame| frame.length) as u64)?.to_vec())
    }

    /// The records of a block that has some.
    pub(crate) fn decode(&self, block: &Block) -> Result<RecordBatch, ArrowError> {
        let reader = ReaderBuilder::new().with_batch_size(block.rows);
        let mut reader = reader.build(self.header.clone().reader().chain(block.bytes.clone().reader()))?;
        let rows = reader.next().transpose()?;
        match rows.filter(|rows| rows.num_rows() == block.rows) {
            Some(rows) => as_texts(&self.schema, &rows),
            None => Err(ArrowError::AvroError("a block has fewer records than it says".to_owned())),
        }
    }
}

/// The number and the length of a block's records.
struct Frame {
    rows: usize,
    /// The length of the data.
    data: usize,
    /// With everything that belongs to the block.
    length: usize,
}

impl Frame {
    /// Reads what a block begins with; `None` if more is needed for that.
    fn read(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some((rows, first)) = long(bytes)? else { return Ok(None) };
        let Some((data, second)) = long(&bytes[first..])? else { return Ok(None) };
        let length = data.checked_add(first + second + MARKER_BYTES).ok_or("a block is longer than any file")?;
        Ok(Some(Self { rows, data, length }))
    }
}

/// A number of Avro that is not negative, and its length; `None` if it does not end in these bytes.
fn long(bytes: &[u8]) -> Result<Option<(usize, usize)>, &'static str> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // The last bit is the sign.
            return if value & 1 == 0 {
                Ok(Some(((value >> 1) as usize, at + 1)))
            } else {
                Err("a block has a negative length")
            };
        }
    }
    if bytes.len() < 10 { Ok(None) } else { Err("a block has no length") }
}

/// The type as which a column is read: texts without copying, and the symbols of an enumeration as such. The library's own
/// views of texts would have no nulls: it makes empty texts of them.
fn read_type(kind: &DataType) -> &DataType {
    if matches!(kind, DataType::Utf8 | DataType::Dictionary(..)) { &DataType::Utf8View } else { kind }
}

fn read_schema(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| Field::clone(field).with_data_type(read_type(field.data_type()).clone());
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

fn as_texts(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |values: &ArrayRef| cast(values, read_type(values.data_type()));
    RecordBatch::try_new(schema.clone(), rows.columns().iter().map(column).collect::<Result<_, _>>()?)
}

/// The error of a file that is not whole.
pub(super) fn damaged(name: &str, what: impl Display) -> Error {
    Error::input(name, format!("is not an Avro file, or is damaged: {what}"), "write the complete file again")
}

fn unknown_codec(name: &str, what: impl Display) -> Error {
    let help = "compress its blocks with deflate, snappy, zstandard or bzip2";
    Error::input(name, format!("cannot be read: {what}"), help)
}
