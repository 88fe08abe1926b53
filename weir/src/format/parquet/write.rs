//! Writes rows as a Parquet file, in row groups small enough to be built in memory.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{BatchCoalescer, can_cast_types, cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression as Codec, GzipLevel, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::format::write::{GZIP_LEVEL, Output, OutputColumn, ZSTD_LEVEL};
use crate::task::Compression;

/// The limits at which a row group is closed. Until then it is in memory, one for each part that is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowGroups {
    pub(crate) rows: usize,
    /// Estimated bytes in the file.
    pub(crate) bytes: usize,
}

impl Default for RowGroups {
    fn default() -> Self {
        Self { rows: 1 << 20, bytes: 16 << 20 }
    }
}

/// Bytes of a page before compression: small enough for a processor's cache.
const PAGE_BYTES: usize = 128 << 10;

/// Maximum bytes of a column's dictionary. Columns of more distinct values are written without one from then on:
/// a lookup costs more than writing the value.
const DICTIONARY_BYTES: usize = 256 << 10;

/// Batches with fewer than half as many rows are combined first.
const BATCH_ROWS: usize = 8 << 10;

/// A Parquet file that is being written.
pub(crate) struct ParquetFile {
    schema: SchemaRef,
    columns: Vec<usize>,
    /// Rows of batches of which few were chosen, combined so that their batches need not be kept.
    few: Option<BatchCoalescer>,
    writer: ArrowWriter<Box<dyn Output>>,
}

impl ParquetFile {
    /// Begins a file.
    pub(crate) fn new(out: Box<dyn Output>, properties: WriterProperties, columns: &[OutputColumn]) -> Result<Self> {
        let kind = |column: &OutputColumn| stored(&column.kind).unwrap_or_else(|| column.kind.clone());
        let fields = columns.iter().map(|column| Field::new(&column.name, kind(column), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        // Without the Arrow schema in addition to Parquet's own, a text is a text in whatever layout the engine had it.
        let mut options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        if columns.iter().any(|column| column.is_json) {
            options = options.with_parquet_schema(with_json(&schema, columns)?);
        }
        let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
        let is_flat = schema.fields().iter().all(|field| !field.data_type().is_nested());
        let few = is_flat.then(|| BatchCoalescer::new(schema.clone(), BATCH_ROWS));
        Ok(Self { schema, columns: columns.iter().map(|column| column.index).collect(), few, writer })
    }

    /// Adds the chosen rows, or all; returns their number.
    pub(crate) fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<u64> {
        let columns = self.columns.iter().zip(self.schema.fields()).map(|(column, field)| {
            let column = batch.column(*column);
            if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) }
        });
        let batch = RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_, _>>()?)?;
        let rows = chosen.map_or(batch.num_rows(), BooleanBuffer::count_set_bits);
        let chosen = chosen.map(|chosen| BooleanArray::new(chosen.clone(), None));
        match (&mut self.few, chosen) {
            (Some(few), None) if rows < BATCH_ROWS / 2 => few.push_batch(batch)?,
            (Some(few), Some(chosen)) if rows < BATCH_ROWS / 2 => few.push_batch_with_filter(batch, &chosen)?,
            (_, chosen) => {
                self.encode_few(true)?; // what came before stays before
                match chosen {
                    None => self.writer.write(&batch)?,
                    Some(chosen) => self.writer.write(&filter_record_batch(&batch, &chosen)?)?,
                }
            }
        }
        self.encode_few(false)?;
        Ok(rows as u64)
    }

    /// Writes the rest and waits until all of it is durable; returns the file's size in bytes.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.encode_few(true)?;
        Ok(self.writer.into_inner()?.finish()?)
    }

    /// Writes the combined rows, once there are enough of them or if there will be no more.
    fn encode_few(&mut self, all: bool) -> Result<()> {
        let Some(few) = &mut self.few else { return Ok(()) };
        if all {
            few.finish_buffered_batch()?;
        }
        while let Some(batch) = few.next_completed_batch() {
            self.writer.write(&batch)?;
        }
        Ok(())
    }
}

/// The types of a file whose documents have Parquet's type for JSON.
fn with_json(schema: &Schema, columns: &[OutputColumn]) -> Result<SchemaDescriptor> {
    let plain = ArrowSchemaConverter::new().convert(schema)?;
    let fields = plain.root_schema().get_fields().iter().zip(columns).map(|(field, column)| match column.is_json {
        false => Ok(field.clone()),
        true => Type::primitive_type_builder(field.name(), Physical::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::Json))
            .build()
            .map(Arc::new),
    });
    let fields = fields.collect::<Result<_>>()?;
    let root = Type::group_type_builder(plain.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// How a file is compressed and cut into row groups.
pub(crate) fn properties(
    compression: Compression,
    level: Option<u8>,
    row_groups: RowGroups,
) -> Result<WriterProperties> {
    let codec = match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Bzip2 | Compression::Xz | Compression::Zip => {
            return Err(ParquetError::General("a Parquet file cannot have this compression".to_owned()));
        }
        Compression::Gzip => Codec::GZIP(GzipLevel::try_new(level.map_or(GZIP_LEVEL, u32::from))?),
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(level.map_or(ZSTD_LEVEL, i32::from))?),
    };
    Ok(WriterProperties::builder()
        .set_created_by(concat!("weir version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec)
        .set_max_row_group_row_count(Some(row_groups.rows))
        .set_max_row_group_bytes(Some(row_groups.bytes))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .build())
}

/// Whether values of a type can be written as Parquet and read again.
pub(crate) fn can_hold(kind: &DataType) -> bool {
    stored(kind).is_some_and(|stored| stored == *kind || can_cast_types(kind, &stored))
}

/// The type of a column's values in the file, if Parquet has a type with that meaning.
fn stored(kind: &DataType) -> Option<DataType> {
    let inside = |field: &FieldRef| Some(Arc::new(field.as_ref().clone().with_data_type(stored(field.data_type())?)));
    Some(match kind {
        DataType::Null => DataType::Utf8View,
        DataType::Dictionary(_, values) => stored(values)?,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::List(item) => DataType::List(inside(item)?),
        DataType::LargeList(item) => DataType::LargeList(inside(item)?),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(inside(item)?, *length),
        DataType::ListView(item) => DataType::ListView(inside(item)?),
        DataType::LargeListView(item) => DataType::LargeListView(inside(item)?),
        DataType::Map(entry, sorted) => DataType::Map(inside(entry)?, *sorted),
        DataType::Struct(fields) if !fields.is_empty() => {
            DataType::Struct(fields.iter().map(inside).collect::<Option<_>>()?)
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            return None;
        }
        DataType::Struct(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..) => return None,
        kind => kind.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    use datafusion::arrow::array::{
        Array, ArrayRef, AsArray, Date32Array, Date64Array, Decimal128Array, Int64Array, ListArray, NullArray,
        StringArray, StringViewArray, TimestampMicrosecondArray, TimestampSecondArray,
    };
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::ParquetMetaData;
    use proptest::prelude::*;

    use crate::task::{SqlType, is_json};

    type Batches<'a> = &'a [(RecordBatch, Option<BooleanBuffer>)];

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
    }

    fn written(compression: Compression, batches: Batches) -> (RecordBatch, Arc<ParquetMetaData>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let schema = batches[0].0.schema();
        let columns = schema.fields().iter().enumerate().map(|(index, field)| OutputColumn {
            name: field.name().clone(),
            of_route: field.name().clone(),
            index,
            kind: field.data_type().clone(),
            is_json: is_json(field),
        });
        let mut file = ParquetFile::new(
            Box::new(crate::format::write::SyncedFile::create(&path).unwrap()),
            properties(compression, None, RowGroups::default()).unwrap(),
            &columns.collect::<Vec<_>>(),
        )
        .unwrap();
        let rows: u64 = batches.iter().map(|(batch, chosen)| file.write(batch, chosen.as_ref()).unwrap()).sum();
        assert_eq!(file.finish().unwrap(), std::fs::metadata(&path).unwrap().len());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let (schema, metadata) = (reader.schema().clone(), reader.metadata().clone());
        let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let read = concat_batches(&schema, &read).unwrap();
        assert_eq!(rows as usize, read.num_rows());
        (read, metadata)
    }

    #[test]
    fn types_survive_a_round_trip_without_the_arrow_schema() {
        let decimal = Decimal128Array::from(vec![Some(-1230), None]).with_precision_and_scale(12, 2).unwrap();
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from(vec![Some(""), None])),
            Arc::new(decimal),
            Arc::new(Date32Array::from(vec![Some(19_023), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_643_673_599_123_456), None])),
            Arc::new(list),
            Arc::new(TimestampSecondArray::from(vec![Some(1_643_673_599), None])),
            Arc::new(Date64Array::from(vec![Some(19_023 * 86_400_000), None])),
            Arc::new(NullArray::new(2)),
        ];
        assert!(columns.iter().all(|column| can_hold(column.data_type())));
        let (read, metadata) = written(Compression::Snappy, &[(batch(columns.clone()), None)]);
        assert_eq!(read.column(0).as_ref(), &StringArray::from(vec![Some(""), None]) as &dyn Array);
        assert_eq!(&read.columns()[1..4], &columns[1..4]);
        assert_eq!(read.column(4).as_list::<i32>().value(0).as_ref(), columns[4].as_list::<i32>().value(0).as_ref());
        assert_eq!(read.column(5).as_primitive::<TimestampMillisecondType>().value(0), 1_643_673_599_000);
        assert_eq!(read.column(6), &columns[2]);
        assert_eq!(read.column(7).null_count(), 2);
        let file = metadata.file_metadata();
        assert!(file.created_by().unwrap().starts_with("weir version "));
        let statistics = metadata.row_group(0).column(0).statistics().unwrap();
        assert_eq!((statistics.null_count_opt(), statistics.min_bytes_opt()), (Some(1), Some(&b""[..])));
    }

    #[test]
    fn documents_have_the_type_of_parquet_for_json() {
        let schema = Schema::new(vec![SqlType::Json.field("body"), SqlType::String.field("name")]);
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some(r#"{"a":1}"#), None]));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![texts.clone(), texts]).unwrap();
        let (read, metadata) = written(Compression::None, &[(batch, None)]);
        let fields = metadata.file_metadata().schema_descr().root_schema().get_fields();
        let kind = |at: usize| fields[at].get_basic_info().logical_type_ref().cloned();
        assert_eq!((kind(0), kind(1)), (Some(LogicalType::Json), Some(LogicalType::String)));
        assert_eq!(read.column(0).as_string::<i32>().value(0), r#"{"a":1}"#);
    }

    #[test]
    fn durations_and_empty_structs_are_refused() {
        for kind in
            [DataType::Duration(TimeUnit::Second), DataType::Struct(Default::default()), DataType::Decimal128(5, -2)]
        {
            assert!(!can_hold(&kind), "{kind}");
            assert!(!can_hold(&DataType::List(Arc::new(Field::new("item", kind, true)))));
        }
        assert!(can_hold(&DataType::Binary));
    }

    #[test]
    fn row_groups_are_bounded_by_their_bytes() {
        // Numbers that neither repeat nor compress.
        let number = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i << 17) as i64;
        let many =
            |from: u64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((from..from + 500_000).map(number))) };
        let batches: Vec<_> = (0..5).map(|i| (batch(vec![many(i * 500_000)]), None)).collect();
        let (read, metadata) = written(Compression::Zstd, &batches);
        assert!(metadata.num_row_groups() >= 2);
        for group in metadata.row_groups() {
            assert!(group.compressed_size() < 20 << 20, "{} bytes", group.compressed_size());
        }
        assert_eq!(read.column(0).as_primitive::<Int64Type>().value(2_499_999), number(2_499_999));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_chosen_rows_are_read_back_in_order(
            texts in proptest::collection::vec((proptest::option::of("[a-zé\"]{0,20}"), any::<bool>()), 1..40),
            codec in 0usize..4,
            repeats in 1usize..400,
            is_nested: bool,
        ) {
            let codec = [Compression::None, Compression::Snappy, Compression::Gzip, Compression::Zstd][codec];
            let rows = |texts: &[(Option<String>, bool)]| {
                let column: ArrayRef = Arc::new(StringViewArray::from_iter(texts.iter().map(|(text, _)| text.as_deref())));
                let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..texts.len()).map(|_| Some([])));
                batch(if is_nested { vec![column, Arc::new(list)] } else { vec![column] })
            };
            let chosen = BooleanBuffer::from_iter(texts.iter().map(|(_, chosen)| *chosen));
            let many: Vec<_> = texts.iter().cycle().take(BATCH_ROWS).cloned().collect();
            // Few rows that are combined, then many, and few again.
            let mut batches = vec![(rows(&texts), Some(chosen)); repeats];
            batches.extend([(rows(&many), None), (rows(&texts), None)]);
            let chosen = texts.iter().filter(|(_, chosen)| *chosen);
            let all = std::iter::repeat_n(chosen, repeats).flatten().chain(&many).chain(&texts);
            let (read, _) = written(codec, &batches);
            prop_assert!(read.column(0).as_string::<i32>().iter().eq(all.map(|(text, _)| text.as_deref())));
        }
    }
}
