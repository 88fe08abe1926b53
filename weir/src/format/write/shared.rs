//! One file that several threads write: each encodes rows into a buffer of its own, and adds it to the file when it is full.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::{FileLayout, FileWriter, Output, TextFile, WriteError};
use crate::task::{Compression, OutputFormat};

/// Bytes of encoded rows that are added to the file at once.
const PIECE_BYTES: usize = 256 << 10;

/// A file that several threads write.
pub(crate) struct SharedFile {
    layout: FileLayout,
    /// Until it is complete.
    file: Mutex<Option<FileWriter>>,
}

/// What one thread writes to it.
pub(crate) enum SharedWriter {
    /// Rows of a text format, encoded by this thread.
    Text(FileWriter),
    /// Rows of a format whose rows cannot be encoded apart from the file.
    Whole(Arc<SharedFile>),
}

impl SharedFile {
    /// Begins the file.
    pub(crate) fn begin(out: Box<dyn Output>, layout: &FileLayout) -> Result<Self, WriteError> {
        let file = FileWriter::begin(out, layout)?;
        Ok(Self { layout: layout.clone(), file: Mutex::new(Some(file)) })
    }

    /// A writer for one thread.
    pub(crate) fn writer(self: &Arc<Self>) -> Result<SharedWriter, WriteError> {
        if self.layout.format == OutputFormat::Parquet {
            return Ok(SharedWriter::Whole(self.clone()));
        }
        let piece = Box::new(Piece { file: self.clone(), buffer: Vec::new() });
        let layout = FileLayout { compression: Compression::None, ..self.layout.clone() };
        Ok(SharedWriter::Text(FileWriter::continued(piece, &layout)?))
    }

    /// Completes the file and waits until it is durable; returns its bytes. All writers must have finished.
    pub(crate) fn finish(&self) -> Result<u64, WriteError> {
        match self.lock().take() {
            Some(file) => file.finish(),
            None => Err(ended().into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<FileWriter>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, text: &mut Vec<u8>) -> io::Result<()> {
        let mut file = self.lock();
        let out: &mut TextFile = file.as_mut().and_then(FileWriter::text).ok_or_else(ended)?;
        out.buffer().append(text);
        out.write_full()
    }
}

fn ended() -> io::Error {
    io::Error::other("the file is complete, and takes no more rows")
}

impl SharedWriter {
    /// Writes the chosen rows, or all; returns their number.
    pub(crate) fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<u64, WriteError> {
        match self {
            Self::Text(writer) => writer.write(batch, chosen),
            Self::Whole(file) => file.lock().as_mut().ok_or_else(ended)?.write(batch, chosen),
        }
    }

    /// Adds the rest to the file.
    pub(crate) fn finish(self) -> Result<(), WriteError> {
        match self {
            Self::Text(writer) => writer.finish().map(drop),
            Self::Whole(_) => Ok(()),
        }
    }
}

impl fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFile").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Encoded rows that are not in the file yet.
#[derive(Debug)]
struct Piece {
    file: Arc<SharedFile>,
    buffer: Vec<u8>,
}

impl Output for Piece {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < PIECE_BYTES { Ok(()) } else { self.file.add(&mut self.buffer) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<u64> {
        self.file.add(&mut self.buffer)?;
        Ok(0)
    }
}

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.write_full()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use datafusion::arrow::array::{Int64Array, StringViewArray};
    use datafusion::arrow::datatypes::DataType;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::format::write::{OutputColumn, RowGroups, SyncedFile};

    const ROWS: i64 = 20_000;

    fn batch(from: i64) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(from..from + ROWS);
        let texts = StringViewArray::from_iter_values((from..from + ROWS).map(|i| format!("row \"{i}\"")));
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("t", Arc::new(texts) as _)]).unwrap()
    }

    /// Three threads write two batches each.
    fn written(format: OutputFormat, compression: Compression) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let column = |name: &str, index, kind| OutputColumn {
            name: name.into(),
            of_route: name.into(),
            index,
            kind,
            is_json: false,
        };
        let columns = vec![column("n", 0, DataType::Int64), column("t", 1, DataType::Utf8View)];
        let layout = FileLayout {
            format,
            compression,
            level: None,
            row_groups: RowGroups::default(),
            columns,
            csv: Default::default(),
            must_be_finite: true,
        };
        let file = Arc::new(SharedFile::begin(Box::new(SyncedFile::create(&path).unwrap()), &layout).unwrap());
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let mut writer = file.writer().unwrap();
                scope.spawn(move || {
                    for part in 0..2 {
                        assert_eq!(writer.write(&batch((2 * thread + part) * ROWS), None).unwrap(), ROWS as u64);
                    }
                    writer.finish().unwrap();
                });
            }
        });
        assert_eq!(file.finish().unwrap(), fs::metadata(&path).unwrap().len());
        assert!(file.finish().is_err());
        (folder, path)
    }

    #[test]
    fn a_text_has_one_header_and_every_row_of_every_thread_once() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let (_folder, path) = written(OutputFormat::Csv, compression);
            let bytes = fs::read(path).unwrap();
            let text = match compression {
                Compression::Gzip => {
                    let mut text = String::new();
                    io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
                    text
                }
                Compression::Zstd => String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
                _ => String::from_utf8(bytes).unwrap(),
            };
            let (header, rows) = text.split_once('\n').unwrap();
            assert_eq!(header, "n,t");
            let mut rows: Vec<(i64, &str)> =
                rows.lines().map(|row| row.split_once(',').unwrap()).map(|(n, t)| (n.parse().unwrap(), t)).collect();
            rows.sort_unstable();
            assert!(rows.iter().map(|(n, _)| *n).eq(0..6 * ROWS), "{} rows", rows.len());
            assert!(rows.iter().all(|(n, t)| *t == format!("\"row \"\"{n}\"\"\"")));
        }
    }

    #[test]
    fn a_parquet_file_has_the_rows_of_every_thread() {
        let (_folder, path) = written(OutputFormat::Parquet, Compression::Zstd);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 6 * ROWS);
    }
}
