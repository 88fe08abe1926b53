//! Zip archives in which something is changed.

use std::io::{Read, Write};

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveWriter};

/// An archive in which a text of one member is another.
pub(crate) fn replaced(bytes: &[u8], member: &str, from: &str, to: &str) -> Vec<u8> {
    let read = ZipArchive::from_slice(bytes).unwrap();
    let (mut members, mut found) = (Vec::new(), false);
    for entry in read.entries() {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.file_path().as_bytes().to_vec()).unwrap();
        let data = read.get_entry(entry.wayfinder()).unwrap().data();
        let mut content = Vec::new();
        match entry.compression_method() {
            CompressionMethod::DEFLATE => DeflateDecoder::new(data).read_to_end(&mut content).map(|_| ()).unwrap(),
            _ => content.extend_from_slice(data),
        }
        if name == member {
            let text = String::from_utf8(content).unwrap();
            found = text.contains(from);
            content = text.replace(from, to).into_bytes();
        }
        members.push((name, content));
    }
    assert!(found, "{from} is not in {member}");
    archive(&members.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>())
}

/// An archive of these members.
pub(crate) fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut written = ZipArchiveWriter::new(&mut out);
    for (name, content) in members {
        let (mut file, config) = written.new_file(name).compression_method(CompressionMethod::STORE).start().unwrap();
        let mut writer = config.wrap(&mut file);
        writer.write_all(content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        file.finish(descriptor).unwrap();
    }
    written.finish().unwrap();
    out
}
