//! Where the bytes of a text file go: to the disk as they are, or compressed on their way.

use std::io::{Result, Write};
use std::path::Path;

use flate2::write::GzEncoder;

use super::synced::SyncedFile;
use crate::task::Compression;

/// So much is compressed at once.
const CHUNK_BYTES: usize = 128 << 10;

/// The tools' own defaults.
pub(super) const GZIP_LEVEL: u32 = 6;
pub(super) const ZSTD_LEVEL: i32 = 3;

/// A new file of text, with a buffer in front of it.
pub(super) enum TextFile {
    Plain(SyncedFile),
    Compressed { buffer: Vec<u8>, encoder: Box<Encoder> },
}

/// What compresses. The file is complete only when it is finished.
pub(super) enum Encoder {
    Gzip(GzEncoder<SyncedFile>),
    Zstd(zstd::Encoder<'static, SyncedFile>),
}

impl TextFile {
    /// Makes the file, which must not be there.
    pub(super) fn create(path: &Path, compression: Compression) -> Result<Self> {
        let file = SyncedFile::create(path)?;
        let encoder = match compression {
            Compression::None | Compression::Snappy => return Ok(Self::Plain(file)),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self::Compressed { buffer: Vec::new(), encoder: Box::new(encoder) })
    }

    /// The buffer, to be appended to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(file) => file.buffer(),
            Self::Compressed { buffer, .. } => buffer,
        }
    }

    /// Writes if there is enough.
    pub(super) fn settle(&mut self) -> Result<()> {
        match self {
            Self::Plain(file) => file.settle(),
            Self::Compressed { buffer, .. } if buffer.len() < CHUNK_BYTES => Ok(()),
            Self::Compressed { buffer, encoder } => encoder.take(buffer),
        }
    }

    /// Writes what is left and waits until all is on disk; gives the file's size.
    pub(super) fn finish(self) -> Result<u64> {
        match self {
            Self::Plain(file) => file.finish(),
            Self::Compressed { mut buffer, mut encoder } => {
                encoder.take(&mut buffer)?;
                match *encoder {
                    Encoder::Gzip(encoder) => encoder.finish()?.finish(),
                    Encoder::Zstd(encoder) => encoder.finish()?.finish(),
                }
            }
        }
    }
}

impl Encoder {
    fn take(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(buffer)?,
            Self::Zstd(encoder) => encoder.write_all(buffer)?,
        }
        buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn written(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let mut file = TextFile::create(&path, compression).unwrap();
        for piece in pieces {
            file.buffer().extend_from_slice(piece);
            file.settle().unwrap();
        }
        let size = file.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len() as u64, size);
        bytes
    }

    #[test]
    fn what_is_compressed_is_read_back_to_its_checked_end() {
        let (small, large) = (vec![b'x'; 1000], (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        for pieces in [&[][..], &[&small[..]], &[&small, &large, &small]] {
            let whole = pieces.concat();
            assert_eq!(written(Compression::None, pieces), whole);

            let gzip = written(Compression::Gzip, pieces);
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut text).unwrap();
            assert!(text == whole);
            assert!(flate2::read::GzDecoder::new(&gzip[..gzip.len() - 1]).read_to_end(&mut text).is_err());

            let mut zstd = written(Compression::Zstd, pieces);
            assert!(zstd::decode_all(&zstd[..]).unwrap() == whole);
            *zstd.last_mut().unwrap() ^= 1;
            assert!(zstd::decode_all(&zstd[..]).is_err(), "the checksum at its end is looked at");
        }
    }
}
