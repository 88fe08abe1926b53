//! Columns of texts that are written one after the other into few buffers.

use std::ops::Range;

use datafusion::arrow::array::{ByteView, NullBufferBuilder, StringViewArray};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::error::ArrowError;

use crate::function::view;

/// Bytes after which a buffer is closed.
const FULL: usize = 1 << 30;

/// A column of texts that is being written.
pub(crate) struct Texts {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    closed: Vec<Buffer>,
    open: Vec<u8>,
    problem: Option<&'static str>,
}

impl Texts {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            views: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
            closed: Vec::new(),
            open: Vec::new(),
            problem: None,
        }
    }

    /// Makes room for texts of that many bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.open.reserve(bytes);
    }

    /// Adds the text that `write` appends.
    #[inline(always)]
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.open.len() >= FULL {
            self.close();
        }
        let start = self.open.len();
        write(&mut self.open);
        self.add(start..self.open.len());
    }

    /// Adds a null.
    pub(crate) fn push_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    fn add(&mut self, text: Range<usize>) {
        let bytes = &self.open[text.clone()];
        if bytes.len() > view::BUFFER {
            self.problem = Some("a text has more than 2 GiB");
        }
        self.views.push(match bytes.first_chunk::<4>() {
            Some(first) if bytes.len() > view::INLINED => ByteView::new(bytes.len() as u32, first)
                .with_buffer_index(self.closed.len() as u32)
                .with_offset(text.start as u32)
                .as_u128(),
            _ => view::inline_bytes(bytes),
        });
        self.nulls.append_non_null();
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if simdutf8::basic::from_utf8(&open).is_err() {
            self.problem = Some("a text is not UTF-8");
        }
        self.closed.push(Buffer::from_vec(open));
    }

    /// The column. Fails if a text is too long, or is not UTF-8.
    pub(crate) fn finish(mut self) -> Result<StringViewArray, ArrowError> {
        self.close();
        let is_start = |view: &u128| (view >> 32) as u8 & 0xc0 != 0x80;
        if !self.views.iter().all(is_start) {
            self.problem = Some("a text is not UTF-8");
        }
        if let Some(problem) = self.problem {
            return Err(ArrowError::InvalidArgumentError(problem.to_owned()));
        }
        // SAFETY: the views are made of the buffers above; all of these is UTF-8, and each text begins at a character, thereby
        // ends at one. The views of nulls are empty.
        Ok(unsafe { view::array(self.views, self.closed, self.nulls.finish()) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_texts_are_those_that_were_written(texts in prop::collection::vec(prop::option::of("\\PC{0,20}"), 0..40)) {
            let mut column = Texts::with_capacity(texts.len());
            for text in &texts {
                match text {
                    Some(text) => column.push(|out| out.extend_from_slice(text.as_bytes())),
                    None => column.push_null(),
                }
            }
            let column = column.finish().unwrap();
            prop_assert!(column.iter().eq(texts.iter().map(Option::as_deref)));
        }
    }

    #[test]
    fn half_a_character_is_refused() {
        let mut column = Texts::with_capacity(2);
        column.push(|out| out.push(0xc3));
        column.push(|out| out.extend_from_slice(b"\xa9, and this is long enough"));
        assert!(column.finish().is_err());
        let mut column = Texts::with_capacity(1);
        column.push(|out| out.push(0xff));
        assert!(column.finish().is_err());
    }
}
