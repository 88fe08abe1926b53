//! Hashes of the content of files.

use memchr::memchr_iter;

use super::FoundFile;
use super::store::FormerEnd;
use super::store::map;
use crate::error::{Error, Result};

const READ_BYTES: u64 = 1 << 20;

/// BLAKE3 hashes of the content of files, in hex, several files at a time, each in the version that was found. Must be
/// called on a thread of the runtime.
pub(crate) fn hashes(files: &[&FoundFile], stopped: &(dyn Fn() -> bool + Sync)) -> Result<Vec<String>> {
    map(files, |file| hash(file, file.size(), stopped))
}

/// The end that a file had with the content of a hash, if it is longer now and still begins with it.
pub(crate) fn former_end(
    file: &FoundFile,
    bytes: u64,
    before: &str,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<FormerEnd>> {
    if file.size() <= bytes {
        return Ok(None);
    }
    let mut end = FormerEnd { bytes, lines: 0, ends_line: false };
    let hash = hash_of(file, bytes, stopped, |piece| {
        end.lines += memchr_iter(b'\n', piece).count() as u64;
        end.ends_line = piece.ends_with(b"\n");
    })?;
    Ok((hash == before).then_some(end))
}

/// The hash of the first bytes of a file.
fn hash(file: &FoundFile, bytes: u64, stopped: &dyn Fn() -> bool) -> Result<String> {
    hash_of(file, bytes, stopped, |_| {})
}

/// The hash of the first bytes of a file, which are seen piece by piece.
fn hash_of(file: &FoundFile, bytes: u64, stopped: &dyn Fn() -> bool, mut see: impl FnMut(&[u8])) -> Result<String> {
    let content = file.open()?;
    let mut hasher = blake3::Hasher::new();
    let mut read = 0;
    while read < bytes {
        if stopped() {
            return Err(Error::Interrupted);
        }
        let piece = content.read(read, READ_BYTES.min(bytes - read))?;
        hasher.update(&piece);
        see(&piece);
        read += piece.len() as u64;
    }
    content.check_unchanged()?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn each_file_has_the_hash_of_its_own_content() {
        let root = tempfile::tempdir().unwrap();
        let contents: Vec<Vec<u8>> = (0..20).map(|i| vec![i; (READ_BYTES as usize / 7) * usize::from(i)]).collect();
        let files: Vec<FoundFile> = contents
            .iter()
            .enumerate()
            .map(|(i, content)| {
                let path = root.path().join(i.to_string());
                std::fs::write(&path, content).unwrap();
                FoundFile::at(&path)
            })
            .collect();
        let expected: Vec<String> = contents.iter().map(|content| blake3::hash(content).to_hex().to_string()).collect();
        let files: Vec<&FoundFile> = files.iter().collect();
        assert_eq!(hashes(&files, &|| false).unwrap(), expected);
        assert!(matches!(hashes(&files, &|| true), Err(Error::Interrupted)));
        assert_eq!(hashes(&[], &|| false).unwrap(), [""; 0]);
    }
}
