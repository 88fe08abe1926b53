//! Rows become the binary format of `COPY`: for each row the number of its fields, for each field its length and bytes,
//! all in network order. <https://www.postgresql.org/docs/current/sql-copy.html>

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;

use super::fields::Field;

/// What stands before the rows.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands behind them.
pub(super) const TRAILER: &[u8] = b"\xff\xff";

/// Days from 1970-01-01 to 2000-01-01, from which the server counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// The length of a null.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Appends the chosen rows, or all; gives how many.
pub(super) fn rows<'a>(
    columns: impl Iterator<Item = &'a ArrayRef>,
    rows: usize,
    chosen: Option<&BooleanBuffer>,
    out: &mut Vec<u8>,
) -> Result<u64, ArrowError> {
    let fields = columns.map(Field::new).collect::<Result<Vec<_>, _>>()?;
    let number = (fields.len() as i16).to_be_bytes();
    let mut written = 0;
    let mut row = |row: usize| {
        out.extend_from_slice(&number);
        for field in &fields {
            if field.nulls().is_some_and(|nulls| nulls.is_null(row)) {
                out.extend_from_slice(&NULL);
            } else {
                value(field, row, out);
            }
        }
        written += 1;
    };
    match chosen {
        Some(chosen) => chosen.set_indices().for_each(&mut row),
        None => (0..rows).for_each(&mut row),
    }
    Ok(written)
}

/// Appends a value with its length.
#[inline]
fn value(field: &Field, row: usize, out: &mut Vec<u8>) {
    match field {
        Field::Boolean(values) => sized(&[u8::from(values.value(row))], out),
        Field::Small(values) => sized(&values.value(row).to_be_bytes(), out),
        Field::Integer(values) => sized(&values.value(row).to_be_bytes(), out),
        Field::Big(values) => sized(&values.value(row).to_be_bytes(), out),
        Field::Real(values) => sized(&values.value(row).to_be_bytes(), out),
        Field::Double(values) => sized(&values.value(row).to_be_bytes(), out),
        Field::Numeric(values, scale) => numeric(values.value(row), *scale, out),
        Field::Text(values) => sized(values.value(row).as_bytes(), out),
        // The years 1 to 9999, which were looked for, are far from the ends of these numbers.
        Field::Date(values) => sized(&values.value(row).wrapping_sub(EPOCH_DAYS).to_be_bytes(), out),
        Field::Time(values) => sized(&values.value(row).wrapping_sub(EPOCH_MICROSECONDS).to_be_bytes(), out),
        Field::Bytes(values) => sized(values.value(row), out),
    }
}

#[inline]
fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a decimal number: its digits in groups of four, from the first that is not zero to the last.
fn numeric(value: i128, scale: u8, out: &mut Vec<u8>) {
    const NEGATIVE: u16 = 0x4000;
    let unit = 10_u128.pow(u32::from(scale));
    let (mut whole, mut fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    // 38 digits are ten groups before the point at most, or behind it.
    let mut groups = [0_u16; 20];
    let mut before = 0;
    let mut reversed = [0_u16; 10];
    while whole > 0 {
        reversed[before] = (whole % 10_000) as u16;
        whole /= 10_000;
        before += 1;
    }
    for group in 0..before {
        groups[group] = reversed[before - 1 - group];
    }
    let mut length = before;
    let mut digits = scale;
    while digits > 0 {
        let (group, rest) = if digits >= 4 {
            let unit = 10_u128.pow(u32::from(digits - 4));
            (fraction / unit, fraction % unit)
        } else {
            (fraction * 10_u128.pow(u32::from(4 - digits)), 0)
        };
        groups[length] = group as u16;
        length += 1;
        fraction = rest;
        digits = digits.saturating_sub(4);
    }
    let first = groups[..length].iter().position(|group| *group != 0).unwrap_or(length);
    let last = groups[..length].iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let sent = &groups[first..last];
    let weight = if sent.is_empty() { 0 } else { before as i16 - 1 - first as i16 };
    let sign = if value < 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&(8 + 2 * sent.len() as i32).to_be_bytes());
    for part in [sent.len() as u16, weight as u16, sign, u16::from(scale)] {
        out.extend_from_slice(&part.to_be_bytes());
    }
    sent.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}
