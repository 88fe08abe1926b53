//! Columns of texts that point into their block: no value is copied.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, BooleanBufferBuilder, StringViewArray, make_view, new_null_array};
use datafusion::arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::DataType;

/// The views of one column.
#[derive(Default)]
pub(crate) struct Views {
    views: Vec<u128>,
    nulls: Vec<u32>,
}

impl Views {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { views: Vec::with_capacity(rows), nulls: Vec::new() }
    }

    /// Sets the value of row `row`.
    #[inline(always)]
    pub(crate) fn push(&mut self, row: usize, view: u128, is_null: bool) {
        if is_null {
            self.nulls.push(row as u32);
        }
        self.views.push(view);
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.views.len()
    }

    /// Removes the rows after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.views.truncate(rows);
        while self.nulls.last().is_some_and(|row| *row as usize >= rows) {
            self.nulls.pop();
        }
    }

    fn finish(self, rows: usize, buffers: Arc<[Buffer]>) -> ArrayRef {
        if self.views.is_empty() {
            return new_null_array(&DataType::Utf8View, rows); // the records of the file do not have the column
        }
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = BooleanBufferBuilder::new(rows);
            valid.append_n(rows, true);
            self.nulls.iter().for_each(|row| valid.set_bit(*row as usize, false));
            NullBuffer::new(valid.finish())
        });
        // SAFETY: every view was made by `view` from a range of the block or of `extra`, the buffers 0 and 1; both
        // are valid UTF-8 there, and the ranges begin and end next to ASCII bytes.
        Arc::new(unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(self.views), buffers, nulls) })
    }
}

/// Builds arrays from the columns of a block. `extra` has the unescaped texts.
pub(crate) fn finish(columns: Vec<Views>, rows: usize, block: &Bytes, extra: Vec<u8>) -> Vec<ArrayRef> {
    let buffers: Arc<[Buffer]> = match extra.is_empty() {
        true => Arc::new([Buffer::from(block.clone())]),
        false => Arc::new([Buffer::from(block.clone()), Buffer::from_vec(extra)]),
    };
    columns.into_iter().map(|column| column.finish(rows, buffers.clone())).collect()
}

/// The view of a range of a buffer in Arrow's layout: texts of up to 12 bytes are inlined.
#[inline(always)]
pub(crate) fn view(data: &[u8], start: usize, end: usize, buffer: u32) -> u128 {
    let length = end - start;
    let Some(head) = data.get(start..start + 16) else {
        return make_view(&data[start..end], buffer, start as u32);
    };
    // The 16 bytes from `start` are loaded whatever the length is, and the excess is masked out.
    let head = u128::from_le_bytes(head.try_into().unwrap_or_default());
    if length <= 12 {
        (length as u128) | ((head & ((1 << (length * 8)) - 1)) << 32)
    } else {
        (length as u128) | ((head & 0xffff_ffff) << 32) | (u128::from(buffer) << 64) | ((start as u128) << 96)
    }
}
