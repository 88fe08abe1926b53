//! Compressed files compared with plain ones, and files that change while they are read.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::blocks::{Cursor, Text, TextPlace};
use super::unpack::Codec;
use crate::format::csv::Csv;
use crate::format::jsonl::Jsonl;
use crate::format::testing::{Reading, plain};
use crate::place::FoundFile;

/// Compresses a text as several consecutive members, or frames.
fn compressed(parts: &[&[u8]], codec: Codec) -> Vec<u8> {
    let compress = |part: &&[u8]| match codec {
        Codec::Plain => part.to_vec(),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Xz => {
            let mut encoder = lzma_rust2::XzWriter::new(vec![], lzma_rust2::XzOptions::with_preset(0)).unwrap();
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Member(_) => unreachable!("an archive has its own test"),
    };
    parts.iter().flat_map(compress).collect()
}

fn extension(codec: Codec) -> &'static str {
    match codec {
        Codec::Plain => "",
        Codec::Gzip => ".csv.gz",
        Codec::Zstd => ".CSV.ZST",
        Codec::Bzip2 => ".csv.BZ2",
        Codec::Xz => ".csv.xz",
        Codec::Member(_) => ".zip",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_compressed_file_is_read_as_the_plain_one(lines in proptest::collection::vec("[a,\"]{0,6}", 0..40), cut in 0usize..100, block_bytes in 1usize..200, partitions in 1usize..4) {
        let text = format!("c0,c1\n{}", lines.join("\n"));
        let plain = Reading::texts(2).cut(block_bytes, partitions).read::<Csv>(text.as_bytes()).unwrap().sorted();
        let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
        for codec in [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz] {
            let reading = Reading { extension: extension(codec), ..Reading::texts(2).cut(block_bytes, partitions) };
            let outcome = reading.read::<Csv>(&compressed(&[first, second], codec)).unwrap().sorted();
            prop_assert_eq!(&outcome, &plain);
        }
    }
}

#[test]
fn compressed_json_is_read_too() {
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz] {
        let reading = Reading { extension: extension(codec), ..Reading::texts(1) };
        let outcome = reading.read::<Jsonl>(&compressed(&[b"{\"c0\":1}\n{\"c", b"0\":2}"], codec)).unwrap();
        assert_eq!(plain(&outcome.rows), [["1"], ["2"]]);
    }
}

#[test]
fn a_compressed_file_that_is_cut_short_or_damaged_is_an_error_that_names_it() {
    let text: String = (0..40_000).map(|i| format!("{i},{}\n", i * 7919 % 10_007)).collect();
    let text = format!("c0,c1\n{text}");
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz] {
        let reading = Reading { extension: extension(codec), ..Reading::texts(2) };
        let whole = compressed(&[text.as_bytes()], codec);
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x55;
        damaged[whole.len() / 2 + 1] ^= 0x55;
        for wrong in [&whole[..whole.len() / 2], &whole[..whole.len() - 1], &damaged, b"", b"c0,c1\n1,2\n"] {
            let error = reading.read::<Csv>(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("0{}: ", extension(codec))), "{error}");
        }
    }
}

#[test]
fn a_compressed_file_without_its_suffix_is_detected() {
    for (codec, name) in [(Codec::Gzip, "gzip"), (Codec::Zstd, "zstd"), (Codec::Bzip2, "bzip2"), (Codec::Xz, "xz")] {
        let error = Reading::texts(1).read::<Csv>(&compressed(&[b"c0\n"], codec)).unwrap_err();
        assert_eq!(error.to_string(), format!("0: is compressed with {name}"));
    }
}

/// An archive of files with these names and texts.
fn archive(members: &[(&str, &str)], is_packed: bool) -> Vec<u8> {
    let method = if is_packed { rawzip::CompressionMethod::DEFLATE } else { rawzip::CompressionMethod::STORE };
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for (name, text) in members {
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        let packed: Box<dyn Write> = match is_packed {
            true => Box::new(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default())),
            false => Box::new(&mut entry),
        };
        let mut writer = config.wrap(packed);
        writer.write_all(text.as_bytes()).unwrap();
        let (packed, descriptor) = writer.finish().unwrap();
        drop(packed);
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

#[test]
fn each_member_of_an_archive_is_a_file() {
    let reading = Reading { extension: ".ZIP", ..Reading::texts(1) };
    for method in [false, true] {
        let members = [("b/2.csv", "c0\n2\n\"\n"), ("1.csv", "c0\n1\n"), ("__MACOSX/._1.csv", "x"), (".hidden", "x")];
        let whole = archive(&members, method);
        let outcome = reading.read::<Csv>(&whole).unwrap();
        assert_eq!(plain(&outcome.rows), [["1"], ["2"]]);
        assert_eq!(outcome.rejected.len(), 1);
        let error =
            reading.read::<Csv>(&archive(&[("1.csv", "c0\n1\n"), ("readme.txt", "hello\n")], method)).unwrap_err();
        assert!(error.to_string().starts_with("0.ZIP/readme.txt: "), "{error}");
        let mut damaged = archive(&[("1.csv", "c0\n1111111111\n")], method);
        damaged[40] ^= 1;
        let error = reading.read::<Csv>(&damaged).unwrap_err().to_string();
        assert!(error.starts_with("0.ZIP") && error.contains("damaged"), "{error}");
        let error = reading.read::<Csv>(&whole[..whole.len() / 2]).unwrap_err().to_string();
        assert!(error.starts_with("0.ZIP: its zip archive is damaged or truncated"), "{error}");
    }
    let error = reading.read::<Csv>(&archive(&[], false)).unwrap_err();
    assert!(error.to_string().contains("is an archive without files"), "{error}");
}

#[test]
fn blocks_of_a_decompression_bomb_are_bounded() {
    let bomb = compressed(&[b"c0\n", &vec![b'x'; 64 << 20]], Codec::Zstd);
    assert!(bomb.len() < 1 << 20);
    let reading = Reading { extension: ".zst", ..Reading::texts(1) };
    let outcome = reading.read::<Csv>(&bomb).unwrap();
    let (line, raw, reason) = &outcome.rejected[0];
    assert_eq!((outcome.rows.len(), *line, reason.as_str()), (0, 2, "record_too_long"));
    assert_eq!(raw.len(), super::MAX_RECORD_BYTES + 1);
}

/// A cursor over a local file, which has returned one block.
fn begun(folder: &std::path::Path, content: &[u8], codec: Codec) -> (std::path::PathBuf, Cursor) {
    let path = folder.join("in.csv");
    std::fs::write(&path, content).unwrap();
    let mut file = FoundFile::at(&path);
    file.name = "in.csv".into();
    let place = TextPlace::File { file: Box::new(file), codec, charset: None };
    let file = Text { name: "in.csv".into(), place, data_start: 0, end: None, header_lines: 0, estimated_rows: 0 };
    let mut cursor = Cursor::new([file].into(), Arc::new(Jsonl::default()), 64, 1000);
    assert!(cursor.next().unwrap().is_some());
    (path, cursor)
}

fn changed_while_read(change: impl Fn(&std::path::Path, &[u8]) + Send + Sync + Copy + 'static) {
    let text: String = (0..100_000).map(|i| format!("line {i}\n")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for codec in [Codec::Plain, Codec::Gzip] {
        let content = compressed(&[text.as_bytes()], codec);
        let read = runtime.spawn_blocking(move || {
            let folder = tempfile::tempdir().unwrap();
            let (path, mut cursor) = begun(folder.path(), &content, codec);
            change(&path, &content);
            loop {
                match cursor.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break "read to its end".to_owned(),
                    Err(error) => break error.to_string(),
                }
            }
        });
        let said = runtime.block_on(read).unwrap();
        assert_eq!(said, "in.csv: changed or vanished while it was being read", "{codec:?}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    changed_while_read(|path, content| {
        std::fs::File::options().write(true).open(path).unwrap().set_len(content.len() as u64 / 2).unwrap();
    });
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error() {
    changed_while_read(|path, _| {
        std::fs::File::options().append(true).open(path).unwrap().write_all(b"more\n").unwrap();
    });
}

#[test]
fn a_file_that_vanishes_while_it_is_read_is_an_error() {
    changed_while_read(|path, _| std::fs::remove_file(path).unwrap());
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_an_error() {
    changed_while_read(|path, content| {
        let other = path.with_extension("other");
        std::fs::write(&other, content).unwrap();
        std::fs::rename(other, path).unwrap();
    });
}

#[test]
fn a_file_of_an_object_store_that_vanishes_is_an_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let at = Path::from("in.csv");
    runtime.block_on(store.put(&at, Bytes::from_static(b"c0\n1\n").into())).unwrap();
    let found = FoundFile::of(store.clone(), "in.csv".into(), "in.csv".into(), &at);
    let file = runtime.block_on(found).unwrap();
    runtime.block_on(store.delete(&at)).unwrap();
    let read = runtime.spawn_blocking(move || file.open().unwrap().read(0, 5).unwrap_err().to_string());
    assert_eq!(runtime.block_on(read).unwrap(), "in.csv: changed or vanished while it was being read");
}
