//! Small files of a sink become one.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{FileLayout, FileWriter, Output, OutputColumn, WriteError};

/// Bytes that are copied at once.
const CHUNK: usize = 128 << 10;

/// Writes the rows of files of a layout into one file; returns its bytes.
pub(crate) fn merge<'a>(
    out: Box<dyn Output>,
    layout: &FileLayout,
    files: impl Iterator<Item = &'a Path>,
) -> Result<u64, WriteError> {
    // A column is where it is in the files, not where it is in the route.
    let columns = layout.columns.iter().enumerate();
    let columns = columns.map(|(index, column)| OutputColumn { index, ..column.clone() }).collect();
    let layout = FileLayout { columns, ..layout.clone() };
    let mut writer = FileWriter::begin(out, &layout)?;
    for file in files {
        match &mut writer {
            FileWriter::Csv(csv) => {
                let beginning = csv.beginning()?;
                copy_text(file, &beginning, csv.text())?;
            }
            FileWriter::Jsonl(out, ..) => copy_text(file, b"", out)?,
            FileWriter::Parquet(out) => {
                for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()? {
                    out.write(&batch?, None)?;
                }
            }
        }
    }
    writer.finish()
}

/// Copies the text behind the header.
fn copy_text(path: &Path, header: &[u8], out: &mut super::TextFile) -> Result<(), Error> {
    let file = BufReader::new(File::open(path)?);
    let mut text: Box<dyn Read> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    };
    let mut first = vec![0; header.len()];
    text.read_exact(&mut first)?;
    if first != header {
        return Err(Error::new(ErrorKind::InvalidData, "has another header line than the run has written"));
    }
    loop {
        let buffer = out.buffer();
        let copied = text.by_ref().take(CHUNK as u64).read_to_end(buffer)?;
        if copied == 0 {
            return Ok(());
        }
        out.write_full()?;
    }
}
