//! What a sink writes, a source with the same types reads back: all types in all formats.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringViewArray, Time32SecondArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type};
use proptest::option;
use proptest::prelude::*;

use super::columns::Column;
use super::csv::Csv;
use super::jsonl::Jsonl;
use super::testing::{Outcome, Reading, Row, rows};
use super::write::{FileLayout, FileWriter, OutputColumn, SyncedFile};
use crate::task::{Compression, OutputFormat, SqlType};

/// A column: its type in the task, and its values as the engine has them.
type Written = (&'static str, ArrayRef);

fn sql_type(name: &str) -> SqlType {
    name.parse().unwrap()
}

/// Writes the columns and reads them back.
fn read_back(format: OutputFormat, columns: &[Written]) -> Outcome {
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let named = names.iter().zip(columns).map(|(name, (_, values))| (name.as_str(), values.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    let outputs = names.iter().zip(columns).enumerate().map(|(index, (name, (of, values)))| OutputColumn {
        name: name.clone(),
        of_route: name.clone(),
        index,
        kind: values.data_type().clone(),
        is_json: *of == "json",
    });
    let layout = FileLayout {
        format,
        compression: Compression::None,
        level: None,
        row_groups: Default::default(),
        columns: outputs.collect(),
        csv: Default::default(),
        must_be_finite: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let mut writer = FileWriter::begin(Box::new(SyncedFile::create(&path).unwrap()), &layout).unwrap();
    writer.write(&batch, None).unwrap();
    writer.finish().unwrap();
    let file = std::fs::read(&path).unwrap();
    let mut reading = Reading::of(&[]);
    let typed = names.iter().zip(columns).map(|(name, (of, _))| Arc::new(Column::typed(name, sql_type(of))));
    reading.columns = typed.collect();
    match format {
        OutputFormat::Csv => reading.query::<Csv>(&[&file], "select * from t"),
        OutputFormat::Jsonl => reading.query::<Jsonl>(&[&file], "select * from t"),
        _ => reading.query_parquet(&[&file], "select * from t"),
    }
    .unwrap()
}

/// The rows as a source with these types should have them.
fn expected(columns: &[Written]) -> Vec<Row> {
    let typed = columns.iter().enumerate().map(|(i, (of, values))| {
        let of = sql_type(of);
        // Times of a task are in UTC; those of the engine may be in any zone.
        (format!("c{i}"), cast(values, &of.arrow()).unwrap(), true)
    });
    rows(&RecordBatch::try_from_iter_with_nullable(typed).unwrap())
}

const FORMATS: [OutputFormat; 3] = [OutputFormat::Csv, OutputFormat::Jsonl, OutputFormat::Parquet];

/// 0001-01-01 to 9999-12-31, in microseconds since 1970.
const MICROS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;
const DAY: i64 = 86_400_000_000;

prop_compose! {
    /// A row of all types.
    fn row()(
        text in option::of(prop_oneof![Just(String::new()), "\\PC{0,20}", "[\"\\\\,\r\n\t \u{a0}\u{feff}~NA-]{0,6}"]),
        boolean: Option<bool>,
        integer: Option<i32>,
        bigint: Option<i64>,
        double in option::of(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO),
        decimal in option::of(-10_i128.pow(38) + 1..10_i128.pow(38)),
        micros in option::of(prop_oneof![MICROS, Just(MICROS.start), Just(MICROS.end - 1)]),
        uuid in option::of(any::<u128>()),
        bytes in option::of(prop::collection::vec(any::<u8>(), 0..20)),
        document in option::of("(\\{\"a\": \\[-?[1-9][0-9]{0,30}\\.[0-9]{1,20}, \"[a-zé😀 ,]{0,9}\"\\]\\}|\\[null,true\\]|\"x\"|0)"),
    ) -> (Option<String>, Option<bool>, Option<i32>, Option<i64>, Option<f64>, Option<i128>, Option<i64>, Option<u128>, Option<Vec<u8>>, Option<String>) {
        (text, boolean, integer, bigint, double, decimal, micros, uuid, bytes, document)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_type_comes_back_equal_from_every_format(given in prop::collection::vec(row(), 1..12)) {
        let micros = || given.iter().map(|row| row.6);
        let decimals = |precision: u8, scale: i8| {
            let limit = 10_i128.pow(precision.into());
            let values = given.iter().map(|row| row.5.map(|digits| digits % limit));
            Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale).unwrap()
        };
        let columns: Vec<Written> = vec![
            ("string", Arc::new(StringViewArray::from_iter(given.iter().map(|row| row.0.as_deref())))),
            ("boolean", Arc::new(BooleanArray::from_iter(given.iter().map(|row| row.1)))),
            ("integer", Arc::new(Int32Array::from_iter(given.iter().map(|row| row.2)))),
            ("bigint", Arc::new(Int64Array::from_iter(given.iter().map(|row| row.3)))),
            ("double", Arc::new(Float64Array::from_iter(given.iter().map(|row| row.4)))),
            ("decimal(38,0)", Arc::new(decimals(38, 0))),
            ("decimal(38,38)", Arc::new(decimals(38, 38))),
            ("decimal(12,2)", Arc::new(decimals(12, 2))),
            ("date", Arc::new(Date32Array::from_iter(micros().map(|time| Some(time?.div_euclid(DAY) as i32))))),
            ("time", Arc::new(Time64MicrosecondArray::from_iter(micros().map(|time| Some(time?.rem_euclid(DAY)))))),
            ("timestamp", Arc::new(TimestampMicrosecondArray::from_iter(micros()))),
            ("timestamptz", Arc::new(TimestampMicrosecondArray::from_iter(micros()).with_timezone("UTC"))),
            ("uuid", Arc::new(StringViewArray::from_iter(given.iter().map(|row| {
                Some(uuid::Uuid::from_u128(row.7?).to_string())
            })))),
            ("binary", Arc::new(BinaryArray::from_iter(given.iter().map(|row| row.8.as_deref())))),
            ("json", Arc::new(StringViewArray::from_iter(given.iter().map(|row| row.9.as_deref())))),
        ];
        let expected = expected(&columns);
        for format in FORMATS {
            let Outcome { rows, rejected } = read_back(format, &columns);
            prop_assert_eq!(&rejected, &vec![], "{:?}", format);
            prop_assert_eq!(&rows, &expected, "{:?}", format);
        }
    }
}

#[test]
fn types_that_only_the_engine_has_come_back_as_those_of_a_task() {
    let times = [Some(1_643_673_599_123_456_000), None, Some(0)];
    let nanos = || TimestampNanosecondArray::from(times.to_vec());
    let micros = || TimestampMicrosecondArray::from(times.map(|time: Option<i64>| Some(time? / 1000)).to_vec());
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("")].into_iter().collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"ab"[..]), None, Some(b"\0\xff")]));
    let tenths: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-65504.0)]));
    let columns: Vec<Written> = vec![
        ("timestamp", Arc::new(nanos())),
        ("timestamptz", Arc::new(nanos().with_timezone("UTC"))),
        ("timestamptz", Arc::new(micros().with_timezone("Asia/Singapore"))),
        ("timestamptz", Arc::new(micros().with_timezone("-09:30"))),
        ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![Some(i64::from(i32::MIN) * 1000), None, Some(1)]))),
        ("date", Arc::new(Date64Array::from(vec![Some(19_023 * 86_400_000), None, Some(0)]))),
        ("time", Arc::new(Time32SecondArray::from(vec![Some(86_399), None, Some(0)]))),
        ("integer", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("decimal(20,0)", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)]))),
        ("double", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MIN_POSITIVE)]))),
        ("double", cast(&tenths, &DataType::Float16).unwrap()),
        ("string", Arc::new(LargeStringArray::from(vec![Some(""), None, Some("NA")]))),
        ("string", Arc::new(dictionary)),
        ("binary", cast(&bytes, &DataType::FixedSizeBinary(2)).unwrap()),
    ];
    let expected = expected(&columns);
    for format in FORMATS {
        let Outcome { rows, rejected } = read_back(format, &columns);
        assert_eq!((rows, rejected), (expected.clone(), vec![]), "{format:?}");
    }
}
