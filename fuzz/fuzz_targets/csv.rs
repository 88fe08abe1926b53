//! The CSV reader against a plain reading of the rules, and against the `csv` crate where that holds the same rules:
//! the same rows and the same rejected lines, whatever the blocks and the readers.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    block_bytes: u8,
    readers: u8,
    text: Text,
}

#[derive(Debug, Arbitrary)]
enum Text {
    /// Any text behind a header of two columns.
    Any(String),
    /// Any bytes, which only have to be read the same way in blocks as in one.
    Bytes(Vec<u8>),
    /// Records of any values, as the `csv` crate writes them.
    Written(Vec<[String; 2]>),
}

fuzz_target!(|input: Input| {
    let (block_bytes, readers) = (usize::from(input.block_bytes) + 1, usize::from(input.readers % 4) + 1);
    let read = |text: &[u8], block_bytes, readers| {
        weir::fuzzing::csv(&[b"c0,c1\n", text].concat(), 2, block_bytes, readers).expect("the header is right")
    };
    match input.text {
        Text::Any(text) => {
            assert_eq!(read(text.as_bytes(), block_bytes, readers), weir::fuzzing::csv_by_the_rules(&text, 2));
        }
        Text::Bytes(bytes) => {
            assert_eq!(read(&bytes, block_bytes, readers), read(&bytes, 1 << 20, 1));
        }
        Text::Written(records) => {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(vec![]);
            records.iter().for_each(|record| writer.write_record(record).expect("memory takes it"));
            let text = writer.into_inner().expect("memory takes it");
            let outcome = read(&text, block_bytes, readers);
            let mut expected: Vec<Vec<_>> =
                records.into_iter().map(|record| record.into_iter().map(Some).collect()).collect();
            expected.sort();
            assert_eq!((outcome.rows, outcome.rejected), (expected, vec![]));
        }
    }
});
