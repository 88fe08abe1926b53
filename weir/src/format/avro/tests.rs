//! Avro files as other programs write them, encoded here by the specification.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;

use crate::format::testing::{Outcome, Reading, plain};

const MARKER: &[u8] = b"sixteen bytes...";

/// A number.
fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = vec![];
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.into()].concat()
}

/// A text or null, of a union in which null is the first type.
fn optional(value: Option<&str>) -> Vec<u8> {
    value.map_or_else(|| long(0), |value| [long(1), text(value)].concat())
}

fn header(fields: &str, codec: &str) -> Vec<u8> {
    let schema = format!(r#"{{"type": "record", "name": "row", "fields": [{fields}]}}"#);
    let metadata = [long(2), text("avro.schema"), text(&schema), text("avro.codec"), text(codec), long(0)].concat();
    [b"Obj\x01", &metadata[..], MARKER].concat()
}

fn block(records: &[Vec<u8>]) -> Vec<u8> {
    let data = records.concat();
    [long(records.len() as i64), long(data.len() as i64), data, MARKER.into()].concat()
}

/// The rows of a file with one column.
fn column(schema: &str, kind: DataType, records: &[Vec<u8>]) -> Vec<String> {
    let file = [header(&format!(r#"{{"name": "v", "type": {schema}}}"#), "null"), block(records)].concat();
    let outcome = Reading::of(&[("v", kind)]).read_avro(&file).unwrap();
    assert_eq!(outcome.rejected, []);
    plain(&outcome.rows).concat()
}

const LETTERS: &str =
    r#"{"name": "id", "type": "long"}, {"name": "letter", "type": ["null", "string"], "default": null}"#;

fn letters() -> Reading {
    Reading::of(&[("id", DataType::Int64), ("letter", DataType::Utf8View)])
}

#[test]
fn values_of_every_type_are_read() {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let bytes = |bytes: &[u8]| [long(bytes.len() as i64), bytes.into()].concat();
    assert_eq!(column(r#""boolean""#, DataType::Boolean, &[vec![1], vec![0]]), ["true", "false"]);
    assert_eq!(column(r#"["int", "null"]"#, DataType::Int64, &[[long(0), long(-7)].concat(), long(1)]), ["-7", ""]);
    assert_eq!(column(r#""double""#, DataType::Float64, &[0.1_f64.to_le_bytes().into()]), ["0.1"]);
    assert_eq!(column(r#""string""#, DataType::Int32, &[text("12")]), ["12"]);
    assert_eq!(column(r#""bytes""#, DataType::Binary, &[bytes(b"\x00\xff")]), ["\\x00ff"]);
    let enumeration = r#"{"type": "enum", "name": "k", "symbols": ["A", "B"]}"#;
    assert_eq!(column(enumeration, DataType::Utf8View, &[long(1), long(0)]), ["B", "A"]);
    let date = r#"{"type": "int", "logicalType": "date"}"#;
    assert_eq!(column(date, DataType::Date32, &[long(18_993)]), ["2022-01-01"]);
    let instant = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;
    assert_eq!(column(instant, micros(Some("UTC")), &[long(1_500)]), ["1970-01-01T00:00:01.500Z"]);
    let local = r#"{"type": "long", "logicalType": "local-timestamp-micros"}"#;
    assert_eq!(column(local, micros(None), &[long(1_500_000)]), ["1970-01-01T00:00:01.500"]);
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    assert_eq!(column(decimal, DataType::Decimal128(9, 2), &[bytes(&[0x01, 0x00]), bytes(&[0xff])]), ["2.56", "-0.01"]);
}

#[test]
fn null_is_not_the_empty_text() {
    let rows = [Some("a"), None, Some("")].map(|letter| [long(1), optional(letter)].concat());
    let file = [header(LETTERS, "null"), block(&rows)].concat();
    let outcome = letters().read_avro(&file).unwrap();
    let read: Vec<_> = outcome.rows.iter().map(|row| row[1].as_deref()).collect();
    assert_eq!(read, [Some("a"), None, Some("")]);
}

#[test]
fn rows_that_do_not_fit_are_rejected_with_their_number() {
    let rows = |ids: &[i64]| ids.iter().map(|id| [long(*id), optional(Some("x"))].concat()).collect::<Vec<_>>();
    let file = [header(LETTERS, "null"), block(&rows(&[1, 1 << 40])), block(&rows(&[3, 1 << 50]))].concat();
    let reading = Reading::of(&[("id", DataType::Int32), ("letter", DataType::Utf8View)]);
    let outcome = reading.read_avro(&file).unwrap();
    assert_eq!(plain(&outcome.rows), [["1", "x"], ["3", "x"]]);
    let raw = |id: i64| format!(r#"{{"id":{id},"letter":"x"}}"#);
    let rejected = [(2, raw(1 << 40), "invalid_id".to_owned()), (4, raw(1 << 50), "invalid_id".to_owned())];
    assert_eq!(outcome.rejected, rejected);
}

#[test]
fn the_blocks_may_be_compressed_in_a_way_that_is_known() {
    let mut deflate = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::fast());
    std::io::Write::write_all(&mut deflate, &[long(7), optional(None)].concat()).unwrap();
    let data = deflate.finish().unwrap();
    let block = [long(1), long(data.len() as i64), data, MARKER.into()].concat();
    let outcome = letters().read_avro(&[header(LETTERS, "deflate"), block.clone()].concat()).unwrap();
    assert_eq!(outcome.rows, [[Some("7".to_owned()), None]]);
    for codec in ["xz", "lzma"] {
        let error = letters().read_avro(&[header(LETTERS, codec), block.clone()].concat()).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_whole_is_an_error_wherever_it_ends() {
    let rows: Vec<_> = (0..3).map(|id| [long(id), optional(Some("letter"))].concat()).collect();
    let (header, block) = (header(LETTERS, "null"), block(&rows));
    let whole = [&header[..], &block, &block].concat();
    for length in 1..whole.len() {
        let is_whole = [header.len(), header.len() + block.len()].contains(&length);
        assert_eq!(letters().read_avro(&whole[..length]).is_ok(), is_whole, "{length}");
    }
    let mut other = whole.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(letters().read_avro(&other).unwrap_err().to_string().contains("damaged"));
    let mut fewer = whole;
    let at = header.len();
    fewer[at] = long(4)[0];
    assert!(letters().read_avro(&fewer).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn a_block_that_is_too_short_to_be_compressed_is_an_error() {
    let empty = [long(1), long(3), b"abc".to_vec(), MARKER.into()].concat();
    let error = letters().read_avro(&[header(LETTERS, "snappy"), empty].concat()).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_schema_that_is_no_record_is_an_error() {
    let metadata = [long(1), text("avro.schema"), text(r#""long""#), long(0)].concat();
    let error = letters().read_avro(&[b"Obj\x01", &metadata[..], MARKER].concat()).unwrap_err().to_string();
    assert!(error.contains("has a schema that cannot be read"), "{error}");
}

proptest! {
    #[test]
    fn all_records_of_all_blocks_are_read_once(
        blocks in proptest::collection::vec(proptest::collection::vec((any::<i64>(), proptest::option::of("[a-zé]{0,20}")), 0..40), 0..9),
        partitions in 1usize..4,
    ) {
        let mut file = header(LETTERS, "null");
        for rows in &blocks {
            let rows: Vec<_> = rows.iter().map(|(id, letter)| [long(*id), optional(letter.as_deref())].concat()).collect();
            file.extend(block(&rows));
        }
        let rows = blocks.concat().into_iter().map(|(id, letter)| vec![Some(id.to_string()), letter]).collect();
        let reading = Reading { partitions, ..letters() };
        prop_assert_eq!(reading.read_avro(&file).unwrap().sorted(), Outcome { rows, rejected: vec![] }.sorted());
    }

    #[test]
    fn a_damaged_file_ends_with_an_error_or_rows(at in 0usize..300, with in any::<u8>()) {
        let rows: Vec<_> = (0..9).map(|id| [long(id), optional(Some("letter"))].concat()).collect();
        let mut file = [header(LETTERS, "null"), block(&rows)].concat();
        if let Some(byte) = file.get_mut(at) {
            *byte = with;
        }
        let _ = letters().read_avro(&file);
    }
}
