//! Finds bytes of a text that a format has to quote or escape, sixteen at a time.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m128i, _mm_movemask_epi8, _mm_set_epi64x};

/// The bytes that a format has to quote or escape.
pub(crate) trait Special {
    /// Whether a byte is one of them.
    fn has(byte: u8) -> bool;

    /// All bits of the special bytes are set.
    #[cfg(target_arch = "x86_64")]
    fn find(bytes: __m128i) -> __m128i;
}

/// A bit for each of the sixteen bytes that is special, the first one's lowest.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn mask<S: Special>(bytes: u128) -> u32 {
    // SAFETY: SSE2 is part of x86_64.
    unsafe { _mm_movemask_epi8(S::find(_mm_set_epi64x((bytes >> 64) as i64, bytes as i64))) as u32 }
}

/// A bit for each of the sixteen bytes that is special, the first one's lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn mask<S: Special>(bytes: u128) -> u32 {
    bytes.to_le_bytes().into_iter().rev().fold(0, |mask, byte| mask << 1 | u32::from(S::has(byte)))
}

/// Whether a text has a special byte.
#[inline(always)]
pub(crate) fn has_any<S: Special>(value: &[u8]) -> bool {
    let load = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
    match (value.last_chunk::<16>(), value.first_chunk::<8>(), value.last_chunk::<8>()) {
        // The last sixteen bytes may overlap those before them.
        (Some(last), ..) => value.as_chunks::<16>().0.iter().chain([last]).any(|chunk| mask::<S>(load(chunk)) != 0),
        (None, Some(first), Some(last)) => {
            mask::<S>(u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << 64) != 0
        }
        _ => value.iter().copied().any(S::has),
    }
}
