//! Parquet files as other programs write them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, Int64Builder, ListArray, MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::format::columns::Column;
use crate::format::testing::{Outcome, Reading, plain};
use crate::task::SqlType;

fn file(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// One column, read as a type: its values, and the lines that were rejected.
fn read(values: impl datafusion::arrow::array::Array + 'static, kind: DataType) -> (Vec<String>, Vec<u64>) {
    let file = file(vec![("v", Arc::new(values))], WriterProperties::default());
    let outcome = Reading::of(&[("v", kind)]).query_parquet(&[&file], "select * from t").unwrap();
    assert!(outcome.rejected.iter().all(|(_, _, reason)| reason == "invalid_v"), "{outcome:?}");
    let rejected = outcome.rejected.iter().map(|(line, ..)| *line).collect();
    (plain(&outcome.rows).concat(), rejected)
}

const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

#[test]
fn a_value_is_converted_to_the_declared_type_or_its_row_is_rejected() {
    let big = i64::from(i32::MAX) + 1;
    assert_eq!(
        read(Int64Array::from(vec![Some(7), None, Some(big)]), DataType::Int32),
        (vec!["7".into(), String::new()], vec![3])
    );
    assert_eq!(read(UInt64Array::from(vec![7, u64::MAX]), DataType::Int64), (vec!["7".into()], vec![2]));
    let doubles = Float64Array::from(vec![Some(1.5), Some(2.0), Some(f64::NAN), None, Some(f64::INFINITY), Some(1e19)]);
    assert_eq!(read(doubles.clone(), DataType::Int64), (vec!["2".into(), String::new()], vec![1, 3, 5, 6]));
    assert_eq!(read(doubles, DataType::Float64).1, [3, 5]);
    assert_eq!(read(Int64Array::from(vec![1 << 53, (1 << 53) + 1]), DataType::Float64).1, [2]);
    let amounts = Decimal128Array::from(vec![150, 155, 99_999]).with_precision_and_scale(12, 2).unwrap();
    assert_eq!(read(amounts, DataType::Decimal128(4, 1)), (vec!["1.5".into()], vec![2, 3]));
    assert_eq!(read(Float64Array::from(vec![1.1, 1.005]), DataType::Decimal128(12, 2)), (vec!["1.10".into()], vec![2]));
    assert_eq!(read(BooleanArray::from(vec![true]), DataType::Utf8View).0, ["true"]);
    assert_eq!(read(Date32Array::from(vec![18_993]), DataType::Utf8View).0, ["2022-01-01"]);
    assert_eq!(read(BinaryArray::from(vec![&b"ok"[..], b"\xff"]), DataType::Utf8View), (vec!["ok".into()], vec![2]));
}

#[test]
fn texts_are_parsed_by_the_rules_of_csv_in_any_encoding() {
    let words: DictionaryArray<Int32Type> =
        vec!["12", "x", "12", "a text of more than twelve bytes"].into_iter().collect();
    assert_eq!(read(words.clone(), DataType::Utf8View).0.len(), 4);
    assert_eq!(read(words, DataType::Int32), (vec!["12".into(), "12".into()], vec![2, 4]));
    assert_eq!(read(StringArray::from(vec!["true", "ye"]), DataType::Boolean), (vec!["true".into()], vec![2]));
}

#[test]
fn times_are_in_utc_and_none_is_truncated() {
    let second = 1_643_630_399_i64; // 2022-01-31 11:59:59
    let zoned = TimestampMillisecondArray::from(vec![second * 1000 + 5]).with_timezone("+08:00");
    assert_eq!(read(zoned, MICROS).0, ["2022-01-31T11:59:59.005"]);
    let micros = TimestampMicrosecondArray::from(vec![second * 1_000_000]).with_timezone("UTC");
    assert_eq!(read(micros, MICROS).0, ["2022-01-31T11:59:59"]);
    let nanos = TimestampNanosecondArray::from(vec![second * 1_000_000_000 + 1000, second * 1_000_000_000 + 1]);
    assert_eq!(read(nanos, MICROS), (vec!["2022-01-31T11:59:59.000001".into()], vec![2]));
    assert_eq!(read(TimestampMillisecondArray::from(vec![i64::MAX]), MICROS).1, [1]);
    let midnight = TimestampMicrosecondArray::from(vec![18_993 * 86_400_000_000, 18_993 * 86_400_000_000 + 1]);
    assert_eq!(read(midnight, DataType::Date32), (vec!["2022-01-01".into()], vec![2]));
    assert_eq!(read(Date32Array::from(vec![18_993]), MICROS).0, ["2022-01-01T00:00:00"]);
}

/// One column, read as JSON: its documents, and the lines that were rejected.
fn read_json(values: impl datafusion::arrow::array::Array + 'static) -> (Vec<String>, Vec<u64>) {
    let file = file(vec![("v", Arc::new(values))], WriterProperties::default());
    let reading = Reading { columns: vec![Arc::new(Column::typed("v", SqlType::Json))], ..Reading::of(&[]) };
    let outcome = reading.query_parquet(&[&file], "select * from t").unwrap();
    let rejected = outcome.rejected.iter().map(|(line, ..)| *line).collect();
    (plain(&outcome.rows).concat(), rejected)
}

#[test]
fn nested_columns_are_exact_json_documents() {
    let field = |name: &str, values: &ArrayRef| Arc::new(Field::new(name, values.data_type().clone(), true));
    let of = |columns: Vec<(&str, ArrayRef)>| {
        StructArray::from(columns.into_iter().map(|(name, values)| (field(name, &values), values)).collect::<Vec<_>>())
    };
    let amounts = Decimal128Array::from(vec![12_345_678_901_234_567_890]).with_precision_and_scale(38, 2).unwrap();
    let micros = TimestampMicrosecondArray::from(vec![1_643_673_599_123_456]);
    let all = of(vec![
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("amount", Arc::new(amounts)),
        ("at", Arc::new(micros.clone().with_timezone("UTC"))),
        ("local", Arc::new(micros)),
        ("day", Arc::new(Date32Array::from(vec![18_993]))),
        ("tenth", Arc::new(Float32Array::from(vec![0.1]))),
        ("text", Arc::new(StringArray::from(vec!["\"é"]))),
        ("none", Arc::new(StringArray::from(vec![None::<&str>]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\xff"[..]]))),
    ]);
    let expected = "{\"big\":18446744073709551615,\"amount\":123456789012345678.90,\"at\":\"2022-01-31T23:59:59.123456Z\",\
                    \"local\":\"2022-01-31T23:59:59.123456\",\"day\":\"2022-01-01\",\"tenth\":0.10000000149011612,\
                    \"text\":\"\\\"é\",\"none\":null,\"bytes\":\"\\\\xff\"}";
    assert_eq!(read_json(all), (vec![expected.to_owned()], vec![]));

    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let (documents, rejected) = read_json(list);
    assert_eq!((documents, rejected), (vec!["[1,null]".into(), String::new(), "[]".into()], vec![]));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a\nb");
    map.values().append_value(i64::MIN);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let (documents, rejected) = read_json(map.finish());
    assert_eq!((documents, rejected), (vec!["{\"a\\nb\":-9223372036854775808}".into(), String::new()], vec![]));

    // What JSON cannot hold rejects its row.
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]));
    assert_eq!(read_json(of(vec![("n", doubles)])), (vec!["{\"n\":1.5}".into(), "{\"n\":null}".into()], vec![2]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, 0]));
    assert_eq!(read_json(of(vec![("d", days)])), (vec!["{\"d\":\"1970-01-01\"}".into()], vec![1]));
    // So are single values; a text is a document already.
    assert_eq!(read_json(Int64Array::from(vec![i64::MAX])).0, ["9223372036854775807"]);
    assert_eq!(read_json(StringArray::from(vec!["{\"a\": 1}", "{"])), (vec!["{\"a\": 1}".into()], vec![2]));
}

#[test]
fn a_column_of_nulls_is_null_in_every_type() {
    for of in ["string", "boolean", "integer", "bigint", "double", "decimal(12,2)", "date", "time", "timestamp", "json"]
        .into_iter()
        .chain(["timestamptz", "uuid", "binary"])
    {
        let file = file(vec![("v", Arc::new(NullArray::new(2)))], WriterProperties::default());
        let column = Arc::new(Column::typed("v", of.parse().unwrap()));
        let reading = Reading { columns: vec![column], ..Reading::of(&[]) };
        let outcome = reading.query_parquet(&[&file], "select * from t where v is null").unwrap();
        assert_eq!((outcome.rows.len(), outcome.rejected.len()), (2, 0), "{of}");
    }
}

#[test]
fn int96_is_a_timestamp_of_any_year() {
    let file = |message: &str, values: &[Int96], levels: &[i16]| {
        let schema = parquet::schema::parser::parse_message_type(message).unwrap();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema.into(), Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int96Type>().write_batch(values, Some(levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.into_inner().unwrap()
    };
    let time = |nanos: u64, julian_day: u32| {
        let mut value = Int96::new();
        value.set_data(nanos as u32, (nanos >> 32) as u32, julian_day);
        value
    };
    let values = [time(3_600_000_000_000, 2_440_588), time(0, 5_373_484)];
    let nested = file("message m { required group g { optional int96 v; } }", &values[1..], &[1]);
    let file = file("message m { optional int96 v; }", &values, &[1, 0, 1]);
    let outcome = Reading::of(&[("v", MICROS)]).query_parquet(&[&file], "select * from t").unwrap();
    assert_eq!(plain(&outcome.rows).concat(), ["1970-01-01T01:00:00", "", "9999-12-31T00:00:00"]);
    let column = Arc::new(Column::typed("g", SqlType::Json));
    let reading = Reading { columns: vec![column], ..Reading::of(&[]) };
    let outcome = reading.query_parquet(&[&nested], "select * from t").unwrap();
    assert_eq!(plain(&outcome.rows).concat(), ["{\"v\":\"9999-12-31T00:00:00\"}"]);
}

/// 20,000 rows in row groups of 3,000, every seventh with a number that is too large.
fn many(compression: Compression) -> Vec<u8> {
    let properties =
        WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(3000)).build();
    let ids = Int64Array::from_iter_values(0..20_000);
    let names = StringArray::from_iter_values((0..20_000).map(|i| format!("name {}", i % 100)));
    let numbers = Int64Array::from_iter_values((0..20_000).map(|i| if i % 7 == 6 { i64::MAX } else { i }));
    file(vec![("id", Arc::new(ids)), ("name", Arc::new(names)), ("n", Arc::new(numbers))], properties)
}

fn reading(partitions: usize) -> Reading {
    let columns = [("n", DataType::Int32), ("id", DataType::Int64), ("name", DataType::Utf8View)];
    Reading { partitions, ..Reading::of(&columns) }
}

#[test]
fn row_groups_are_read_whole_by_any_number_of_readers_and_rows_numbered_through() {
    let file = many(Compression::SNAPPY);
    let alone = reading(1).query_parquet(&[&file, &file], "select * from t").unwrap().sorted();
    assert_eq!((alone.rows.len(), alone.rejected.len()), (2 * 17_143, 2 * 2857));
    let (line, raw, reason) = &alone.rejected[0];
    assert_eq!((*line, reason.as_str()), (7, "invalid_n"));
    assert_eq!(raw, r#"{"id":6,"name":"name 6","n":9223372036854775807}"#);
    assert!(alone.rejected.iter().all(|(line, raw, _)| raw.starts_with(&format!("{{\"id\":{},", line - 1))));
    assert_eq!(reading(4).query_parquet(&[&file, &file], "select * from t").unwrap().sorted(), alone);
}

#[test]
fn whether_a_row_can_be_read_does_not_depend_on_the_query() {
    let file = many(Compression::SNAPPY);
    let rejected = |outcome: Outcome| outcome.sorted().rejected;
    let all = rejected(reading(2).query_parquet(&[&file], "select * from t").unwrap());
    for sql in
        ["select name from t", "select count(*) from t", "select id from t limit 3", "select * from t where 1 = 0"]
    {
        assert_eq!(rejected(reading(2).query_parquet(&[&file], sql).unwrap()), all, "{sql}");
    }
    assert_eq!(plain(&reading(2).query_parquet(&[&file], "select count(*) from t").unwrap().rows), [["17143"]]);
    let texts = Reading { ignore_unknown: true, ..Reading::of(&[("name", DataType::Utf8View)]) };
    assert_eq!(plain(&texts.query_parquet(&[&file], "select count(*) from t").unwrap().rows), [["20000"]]);
}

#[test]
fn the_common_codecs_are_read() {
    let plain = reading(1).query_parquet(&[&many(Compression::UNCOMPRESSED)], "select * from t").unwrap();
    for codec in [
        Compression::SNAPPY,
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let outcome = reading(1).query_parquet(&[&many(codec)], "select * from t").unwrap();
        assert!(outcome == plain, "{codec}");
    }
}

#[test]
fn columns_are_matched_by_name_and_wrong_ones_are_errors_that_name_the_file() {
    let small = |name: &str| file(vec![(name, Arc::new(Int32Array::from(vec![1])))], WriterProperties::default());
    let error = |file: &[u8], kind| {
        let reading = Reading::of(&[("n", kind)]);
        reading.query_parquet(&[file], "select * from t").unwrap_err().to_string()
    };
    assert_eq!(error(&small("m"), DataType::Int32), "0: column `n` is missing");
    let two = file(
        vec![("n", Arc::new(Int32Array::from(vec![1]))), ("m", Arc::new(Int32Array::from(vec![1])))],
        WriterProperties::default(),
    );
    assert_eq!(error(&two, DataType::Int32), "0: column `m` is not declared");
    assert_eq!(
        error(&small("n"), DataType::Date32),
        "0: column `n` is integer in the file, which cannot be read as date"
    );
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Int32, true)),
        Arc::new(Int32Array::from(vec![1])) as ArrayRef,
    )]);
    let nested = file(vec![("n", Arc::new(nested))], WriterProperties::default());
    assert!(error(&nested, DataType::Int32).contains("is struct in the file, which cannot be read as integer"));
    let reading = Reading::of(&[("n", DataType::Int32)]);
    let error = reading.query_parquet(&[&nested], "select * from t").unwrap_err();
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert!(help.starts_with("declare it as json"), "{help}");
}

#[test]
fn a_file_that_is_cut_short_or_damaged_is_an_error_that_names_it_and_never_a_wrong_count() {
    let whole = many(Compression::SNAPPY);
    for wrong in [&whole[..whole.len() / 2], &whole[..whole.len() - 1], b"PAR1", b"id,name,n\n1,x,2\n"] {
        let error = reading(1).query_parquet(&[wrong], "select * from t").unwrap_err().to_string();
        assert!(error.starts_with("0: is not a Parquet file, or is damaged: "), "{error}");
    }
    // A page in the middle that is overwritten.
    let mut damaged = whole.clone();
    let middle = damaged.len() / 3;
    damaged[middle..middle + 400].fill(0xff);
    let error = reading(1).query_parquet(&[&damaged], "select * from t").unwrap_err().to_string();
    assert!(error.starts_with("0: is not a Parquet file, or is damaged: "), "{error}");
}
