//! String views in Arrow's format: cut from other views and assembled without a builder.
//!
//! A view is 16 bytes: the length in the lowest four, then either the string itself (at most 12
//! bytes, the rest zero) or its first four bytes, its buffer's number and its offset there. So a
//! slice of a long string takes a few additions, and a slice of at most 12 bytes must be inlined,
//! whatever its source.

use std::ops::Range;

use datafusion::arrow::array::{ByteView, MAX_INLINE_VIEW_LEN, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer};

/// The longest string that a view can inline, in bytes.
pub const INLINED: usize = MAX_INLINE_VIEW_LEN as usize;

/// The maximum size of a buffer in bytes: the format has signed 32-bit offsets.
pub const BUFFER: usize = i32::MAX as usize;

/// The view of the bytes `range` of the string at `row`, in the array's own buffers.
///
/// # Panics
/// If `row` or `range` is outside of the array or the string.
#[inline(always)]
pub fn cut(array: &StringViewArray, row: usize, range: Range<usize>) -> u128 {
    let view = array.views()[row];
    let (start, length) = (range.start, range.len());
    assert!(range.start <= range.end && range.end <= view as u32 as usize);
    debug_assert!(array.value(row).get(range.clone()).is_some());
    if view as u32 <= MAX_INLINE_VIEW_LEN {
        return inline(characters(view) >> (8 * start), length);
    }
    let source = ByteView::from(view);
    let buffer = &array.data_buffers()[source.buffer_index as usize];
    let offset = source.offset as usize + start;
    if length <= INLINED {
        return match buffer.get(offset..offset + 16) {
            Some(bytes) => inline(load(bytes), length),
            None => inline_bytes(&buffer[offset..offset + length]),
        };
    }
    ByteView::new(length as u32, &buffer[offset..offset + 4])
        .with_buffer_index(source.buffer_index)
        .with_offset(offset as u32)
        .as_u128()
}

/// The view that inlines the lowest `length` bytes of `characters`; bytes above them are
/// ignored.
#[inline]
pub fn inline(characters: u128, length: usize) -> u128 {
    debug_assert!(length <= INLINED);
    /// All bits of the first 0 to 12 bytes.
    const MASKS: [u128; INLINED + 1] = {
        let mut masks = [0; INLINED + 1];
        let mut length = 0;
        while length <= INLINED {
            masks[length] = (1 << (8 * length)) - 1;
            length += 1;
        }
        masks
    };
    ((characters & MASKS[length]) << 32) | length as u128
}

/// The view that inlines `bytes`, at most 12.
pub fn inline_bytes(bytes: &[u8]) -> u128 {
    let mut characters = [0; 16];
    characters[..bytes.len()].copy_from_slice(bytes);
    inline(u128::from_le_bytes(characters), bytes.len())
}

/// The bytes of an inlined view in the lowest 12 bytes, the first one lowest, zero after the last
/// one.
#[inline]
pub fn characters(view: u128) -> u128 {
    view >> 32
}

/// The array of `views`, `buffers` and `nulls`; a debug build checks them.
///
/// # Safety
/// Every view, those of null rows too, is of valid UTF-8 and either inlined with zeros after its
/// last byte, or inside one of `buffers` and with that string's first four bytes. `nulls` is
/// as long as `views`.
pub unsafe fn array(views: Vec<u128>, buffers: Vec<Buffer>, nulls: Option<NullBuffer>) -> StringViewArray {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    if cfg!(debug_assertions) {
        return StringViewArray::new(views.into(), buffers, nulls);
    }
    // SAFETY: the caller upholds the constructor's requirements.
    unsafe { StringViewArray::new_unchecked(views.into(), buffers, nulls) }
}

fn load(bytes: &[u8]) -> u128 {
    u128::from_le_bytes(bytes.try_into().expect("the caller takes 16 bytes"))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Array;
    use proptest::prelude::*;

    use super::*;

    /// The strings of `texts` in an array of their own.
    fn cut_all(texts: &StringViewArray, range: impl Fn(usize) -> Range<usize>) -> StringViewArray {
        let views = (0..texts.len()).map(|row| cut(texts, row, range(row))).collect::<Vec<_>>();
        StringViewArray::try_new(views.into(), texts.data_buffers().to_vec(), None).unwrap()
    }

    /// The position of `text` at `number`, or the nearest one before it, that is between characters.
    fn place(text: &str, number: usize) -> usize {
        text.floor_char_boundary(number % (text.len() + 1))
    }

    proptest! {
        #[test]
        fn a_slice_is_the_same_part_of_the_string(
            texts in prop::collection::vec(("\\PC{0,40}", 0usize..160, 0usize..160), 0..20),
        ) {
            let range = |row: usize| {
                let (text, a, b) = &texts[row];
                let (a, b) = (place(text, *a), place(text, *b));
                a.min(b)..a.max(b)
            };
            let array = StringViewArray::from_iter_values(texts.iter().map(|(text, _, _)| text));
            let cuts = cut_all(&array, range);
            for (row, (text, _, _)) in texts.iter().enumerate() {
                prop_assert_eq!(cuts.value(row), &text[range(row)]);
            }
        }
    }

    #[test]
    fn a_short_slice_of_a_long_string_is_inlined() {
        let texts = StringViewArray::from_iter_values(["Bartholomew Featherstone"]);
        let cuts = cut_all(&texts, |_| 0..11);
        assert_eq!(cuts.value(0), "Bartholomew");
        assert_eq!(cuts.views()[0], inline_bytes(b"Bartholomew"));
    }

    #[test]
    fn a_long_slice_stays_in_the_buffer_of_its_source() {
        let texts = StringViewArray::from_iter_values(["Bartholomew Featherstone"]);
        let cuts = cut_all(&texts, |_| 2..24);
        assert_eq!(cuts.value(0).as_ptr(), texts.value(0)[2..].as_ptr());
    }

    #[test]
    #[should_panic]
    fn a_slice_past_the_end_of_the_string_panics() {
        cut_all(&StringViewArray::from_iter_values(["Ann"]), |_| 0..4);
    }
}
