//! Files of the other formats: whatever the blocks and the readers, the same rows and the same rejected lines, or an error.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use weir::fuzzing::Format;

#[derive(Debug, Arbitrary)]
struct Input {
    format: u8,
    block_bytes: u8,
    readers: u8,
    file: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let (block_bytes, readers) = (usize::from(input.block_bytes) + 1, usize::from(input.readers % 4) + 1);
    let format = Format::ALL[usize::from(input.format) % Format::ALL.len()];
    let read = |block_bytes, readers| weir::fuzzing::file(format, &input.file, block_bytes, readers).ok();
    assert_eq!(read(block_bytes, readers), read(1 << 20, 1));
});
