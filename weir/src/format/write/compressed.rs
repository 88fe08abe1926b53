//! The bytes of a text file, plain or compressed.

use std::io::{ErrorKind, Result, Write};

use flate2::write::GzEncoder;

use super::Output;
use crate::task::Compression;

/// Bytes per call of the compressor.
const CHUNK_BYTES: usize = 128 << 10;

/// The default levels of the command-line tools.
pub(crate) const GZIP_LEVEL: u32 = 6;
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// A new text file with a buffer.
pub(crate) enum TextFile {
    Plain(Box<dyn Output>),
    Compressed { buffer: Vec<u8>, encoder: Box<Encoder> },
}

/// The encoder. The file is complete only when it is finished.
pub(crate) enum Encoder {
    Gzip(GzEncoder<Box<dyn Output>>),
    Zstd(zstd::Encoder<'static, Box<dyn Output>>),
}

impl TextFile {
    /// Begins a file.
    pub(crate) fn new(file: Box<dyn Output>, compression: Compression, level: Option<u8>) -> Result<Self> {
        let encoder = match compression {
            Compression::None => return Ok(Self::Plain(file)),
            Compression::Snappy | Compression::Bzip2 | Compression::Xz | Compression::Zip => {
                return Err(ErrorKind::Unsupported.into());
            }
            Compression::Gzip => {
                let level = level.map_or(GZIP_LEVEL, u32::from);
                Encoder::Gzip(GzEncoder::new(file, flate2::Compression::new(level)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(file, level.map_or(ZSTD_LEVEL, i32::from))?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self::Compressed { buffer: Vec::new(), encoder: Box::new(encoder) })
    }

    /// The buffer, to append to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(file) => file.buffer(),
            Self::Compressed { buffer, .. } => buffer,
        }
    }

    /// Writes the buffer if it is full.
    pub(crate) fn write_full(&mut self) -> Result<()> {
        match self {
            Self::Plain(file) => file.write_full(),
            Self::Compressed { buffer, .. } if buffer.len() < CHUNK_BYTES => Ok(()),
            Self::Compressed { buffer, encoder } => encoder.take(buffer),
        }
    }

    /// Writes the rest and waits until all of it is durable; returns the bytes of the file.
    pub(crate) fn finish(self) -> Result<u64> {
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
        let out = crate::format::write::SyncedFile::create(&path).unwrap();
        let mut file = TextFile::new(Box::new(out), compression, None).unwrap();
        for piece in pieces {
            file.buffer().extend_from_slice(piece);
            file.write_full().unwrap();
        }
        let size = file.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len() as u64, size);
        bytes
    }

    #[test]
    fn a_compressed_file_is_read_back_to_its_checksum() {
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
            assert!(zstd::decode_all(&zstd[..]).is_err(), "the checksum at its end is verified");
        }
    }
}
