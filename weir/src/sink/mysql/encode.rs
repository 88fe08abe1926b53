//! Rows in the form in which `LOAD DATA` takes them: values separated by tabs, null as `\N`, and a backslash before what has
//! a meaning. <https://dev.mysql.com/doc/refman/8.4/en/load-data.html>

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::server::MySql;
use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::function::encode::{Column, InvalidValue, invalid_value, push_plain};
use crate::sink::reject_them;
use crate::sink::table::{Buffer, Encode, Server as _};

/// The form of `LOAD DATA`.
#[derive(Debug, Clone)]
pub(super) struct LoadData;

impl Encode for LoadData {
    const KEY: &'static str = MySql::KEY;

    fn check(
        &self,
        columns: &[OutputColumn],
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
    ) -> Result<(), (String, String)> {
        for OutputColumn { name, index, .. } in columns {
            let (problem, rule) = match invalid_value(batch.column(*index), chosen, true) {
                Some(InvalidValue::Year) => {
                    ("a date outside the years 1 to 9999", format!("date_part('year', {name}) between 1 and 9999"))
                }
                Some(InvalidValue::NotFinite) => ("a number that is not finite", format!("abs({name}) <= 1.7e308")),
                _ => continue,
            };
            return Err((format!("column `{name}` has {problem}"), reject_them(batch, &rule)));
        }
        Ok(())
    }

    fn rows(&self, columns: &[&ArrayRef], rows: usize, chosen: Option<&BooleanBuffer>, out: &mut Buffer) -> Result<()> {
        let written = encode(columns.iter().copied(), rows, chosen, &mut out.bytes);
        out.rows += written.map_err(|error| out.wrong(&error))?;
        Ok(())
    }
}

/// Encodes rows into nothing.
pub(super) fn try_out<'a>(columns: impl Iterator<Item = &'a ArrayRef>, rows: usize) -> Result<(), DataFusionError> {
    encode(columns, rows, None, &mut vec![])?;
    Ok(())
}

/// Appends the chosen rows, or all; returns how many.
fn encode<'a>(
    columns: impl Iterator<Item = &'a ArrayRef>,
    rows: usize,
    chosen: Option<&BooleanBuffer>,
    out: &mut Vec<u8>,
) -> Result<u64, ArrowError> {
    let columns = columns.map(|column| Column::new(&without_zone(column)?)).collect::<Result<Vec<_>, ArrowError>>()?;
    let mut written = 0;
    let mut row = |row: usize| {
        for (number, column) in columns.iter().enumerate() {
            if number > 0 {
                out.push(b'\t');
            }
            value(column, row, out);
        }
        out.push(b'\n');
        written += 1;
    };
    match chosen {
        Some(chosen) => chosen.set_indices().for_each(&mut row),
        None => (0..rows).for_each(&mut row),
    }
    Ok(written)
}

/// Instants in UTC, without saying so: the session's time zone is UTC, and servers take no `Z`.
fn without_zone(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(_, Some(_)) => {
            let in_utc = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
            let values = datafusion::arrow::array::AsArray::as_primitive::<
                datafusion::arrow::datatypes::TimestampMicrosecondType,
            >(&in_utc);
            Ok(Arc::new(values.clone().with_timezone_opt(None::<Arc<str>>)))
        }
        _ => Ok(column.clone()),
    }
}

#[inline]
fn value(column: &Column, row: usize, out: &mut Vec<u8>) {
    const NULL: &[u8] = b"\\N";
    match column {
        Column::Text(values) if values.is_valid(row) => escaped(values.value(row).as_bytes(), out),
        Column::Number(values) | Column::Time(values) if values.is_valid(row) => push_plain(values, row, out),
        Column::Boolean(values) if values.is_valid(row) => out.push(b'0' + u8::from(values.value(row))),
        _ => out.extend_from_slice(NULL),
    }
}

/// Appends a text, with a backslash before what has a meaning.
#[inline]
fn escaped(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr3(b'\\', b'\t', b'\n', text) {
        out.extend_from_slice(&text[..at]);
        out.extend_from_slice(&[b'\\', text[at]]);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryViewArray, BooleanArray, Float64Array, StringViewArray, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn rows_are_lines() {
        let columns: [ArrayRef; 6] = [
            Arc::new(StringViewArray::from(vec![Some("a\tb\\c\nd\0e"), Some(""), None])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), Some(-1), None]).with_timezone("Asia/Singapore")),
            Arc::new(BinaryViewArray::from(vec![Some(&b"\0\xff"[..]), Some(b""), None])),
            Arc::new(Float64Array::from(vec![Some(0.1), Some(-1e300), None])),
        ];
        let mut out = Vec::new();
        assert_eq!(encode(columns.iter(), 3, None, &mut out).unwrap(), 3);
        let expected = "a\\\tb\\\\c\\\nd\0e\t1\t18446744073709551615\t1970-01-01T00:00:00.000001\t\\\\x00ff\t0.1\n\
                        \t0\t0\t1969-12-31T23:59:59.999999\t\\\\x\t-1e300\n\
                        \\N\t\\N\t\\N\t\\N\t\\N\t\\N\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let chosen = BooleanBuffer::from(vec![false, false, true]);
        let mut out = Vec::new();
        assert_eq!(encode(columns.iter().take(1), 3, Some(&chosen), &mut out).unwrap(), 1);
        assert_eq!(out, b"\\N\n");
    }
}
