//! A file as a reader of the Parquet library.

use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::place::RangeReader;

/// An open file. Its own errors are kept, to be reported instead of the library's.
#[derive(Debug, Clone)]
pub(crate) struct Chunks(Arc<(RangeReader, Mutex<Option<Error>>)>);

impl Chunks {
    pub(crate) fn new(reader: RangeReader) -> Self {
        Self(Arc::new((reader, Mutex::default())))
    }

    /// Fails if the file is not the version that it was when the run began.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.0.0.check_unchanged()
    }

    /// An error of the library, or the file's own error that caused it.
    pub(crate) fn failed(&self, error: impl std::fmt::Display) -> Error {
        let cause = self.0.1.lock().unwrap_or_else(PoisonError::into_inner).take();
        cause.unwrap_or_else(|| {
            let message = format!("is not a Parquet file, or is damaged: {error}");
            Error::input(self.0.0.name(), message, "write the complete file again")
        })
    }

    fn read(&self, start: u64, length: u64) -> Result<Bytes, ParquetError> {
        self.0.0.read(start, length).map_err(|error| {
            let general = ParquetError::General(error.to_string());
            *self.0.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            general
        })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(From { chunks: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.read(start, length as u64)?;
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond the end of the file"))),
        }
    }
}

/// The file from a position on.
#[derive(Debug)]
pub(crate) struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.chunks.read(self.at, into.len() as u64).map_err(std::io::Error::other)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}
