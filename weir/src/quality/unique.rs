//! `unique`: exact for any number of rows, in bounded memory.
//!
//! Keys are distributed over buckets by their hash, so that equal keys are in the same bucket. Each reader writes its keys
//! to a scratch file; at the end the buckets of all files are counted one after the other.

use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;
use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::rule::{Effect, Scope};
use crate::error::{Error, Result, number_of, state_io};
use crate::route::{Counted, SAMPLES, Shown};
use crate::system::unique;
use crate::task::{Limit, RuleSpec};

const BUCKETS: usize = 64;
/// The bytes of keys that a reader keeps before it writes them, and the bytes of distinct keys counted at once.
const MEMORY_BYTES: usize = 4 << 20;
/// Bytes of a bucket that are read at once.
const READ_BYTES: usize = 256 << 10;
/// Bytes of memory for a distinct key, in addition to its own, while it is counted.
const ENTRY_BYTES: usize = 48;
/// The same in every reader, on every machine: equal keys must have equal hashes.
const HASH: FixedState = FixedState::with_seed(1);

/// A `unique` rule, bound to a table's columns.
#[derive(Debug)]
pub(crate) struct UniqueRule {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(crate) max: Option<Limit>,
    columns: Vec<usize>,
    kinds: Vec<DataType>,
}

/// The keys that one reader has seen.
#[derive(Debug)]
pub(crate) struct KeyWriter {
    /// In each bucket key after key: its length, then its bytes.
    buckets: Vec<Vec<u8>>,
    bytes: usize,
    folder: PathBuf,
    file: Option<File>,
    keys: Keys,
}

/// The keys of one reader in a scratch file, once all are there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Rows with a null in their key, which is never unique.
    nulls: u64,
    /// The name of the file in the scratch folder; none if there is no key.
    file: Option<String>,
    length: u64,
    /// The position and length of each piece of each bucket in the file, in bytes.
    extents: Vec<Vec<(u64, usize)>>,
}

impl UniqueRule {
    pub(super) fn bind(
        scope: &Scope<'_>,
        name: &str,
        effect: Effect,
        spec: &Spanned<RuleSpec>,
        columns: &[String],
    ) -> Result<Self> {
        let columns: Vec<usize> =
            columns.iter().map(|column| scope.column(spec, name, column)).collect::<Result<_>>()?;
        let kinds: Vec<_> = columns.iter().map(|column| scope.schema.field(*column).data_type().clone()).collect();
        if let Err(error) = converter(&kinds) {
            return Err(Box::new(scope.error(spec, name, error)).into());
        }
        Ok(Self { name: name.to_owned(), effect, max: spec.value.max, columns, kinds })
    }

    /// An empty set of keys, which writes to the folder.
    pub(super) fn writer(&self, folder: &Path) -> KeyWriter {
        KeyWriter {
            buckets: vec![Vec::new(); BUCKETS],
            bytes: 0,
            folder: folder.to_path_buf(),
            file: None,
            keys: Keys { nulls: 0, file: None, length: 0, extents: vec![Vec::new(); BUCKETS] },
        }
    }

    /// A key as the text of a sample.
    fn show(&self, keys: &[Vec<u8>]) -> Result<Vec<Shown>, DataFusionError> {
        let converter = converter(&self.kinds)?;
        let parser = converter.parser();
        let columns = converter.convert_rows(keys.iter().map(|key| parser.parse(key)))?;
        Ok((0..keys.len()).map(|row| Shown::key(&columns, row)).collect::<Result<_, _>>()?)
    }
}

fn converter(kinds: &[DataType]) -> Result<RowConverter, DataFusionError> {
    Ok(RowConverter::new(kinds.iter().cloned().map(SortField::new).collect())?)
}

impl KeyWriter {
    /// Adds the keys of the chosen rows.
    pub(super) fn add(
        &mut self,
        rule: &UniqueRule,
        batch: &RecordBatch,
        chosen: &BooleanBuffer,
    ) -> Result<(), DataFusionError> {
        let mut known = chosen.clone();
        for column in &rule.columns {
            if let Some(valid) = batch.column(*column).logical_nulls() {
                known = &known & valid.inner();
            }
        }
        self.keys.nulls += (chosen.count_set_bits() - known.count_set_bits()) as u64;
        let keys = filter_record_batch(&batch.project(&rule.columns)?, &BooleanArray::new(known, None))?;
        let rows = converter(&rule.kinds)?.convert_columns(keys.columns())?;
        for row in &rows {
            let key = row.as_ref();
            let bucket = &mut self.buckets[(HASH.hash_one(key) >> 40) as usize % BUCKETS];
            bucket.extend_from_slice(&(key.len() as u32).to_le_bytes());
            bucket.extend_from_slice(key);
            self.bytes += key.len() + 4;
        }
        if self.bytes > MEMORY_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let (name, file) = create_file(&self.folder)?;
                self.keys.file = Some(name);
                none.insert(file)
            }
        };
        for (bucket, extents) in self.buckets.iter_mut().zip(&mut self.keys.extents) {
            if !bucket.is_empty() {
                file.write_all(bucket)?;
                extents.push((self.keys.length, bucket.len()));
                self.keys.length += bucket.len() as u64;
                bucket.clear();
            }
        }
        self.bytes = 0;
        Ok(())
    }

    /// Writes what is left. What another process reads must have arrived where it looks.
    pub(super) fn finish(mut self, is_shared: bool) -> Result<Keys> {
        if self.bytes > 0 {
            self.spill().map_err(state_io(&self.folder))?;
        }
        if let (Some(file), true) = (&self.file, is_shared) {
            file.sync_all().map_err(state_io(&self.folder))?;
        }
        Ok(self.keys)
    }
}

impl UniqueRule {
    /// Counts the rows whose keys are not unique, over all readers.
    pub(crate) fn count(&self, table: &str, folder: &Path, keys: &[Keys]) -> Result<Counted> {
        let nulls = keys.iter().map(|keys| keys.nulls).sum();
        let files = keys.iter().filter_map(|keys| KeyFile::open(folder, keys)).collect::<Result<Vec<_>>>()?;
        let mut rows = nulls;
        let mut repeated: Vec<Vec<u8>> = Vec::new();
        for bucket in 0..BUCKETS {
            let mut ranges = vec![0..=u64::MAX];
            while let Some(mut range) = ranges.pop() {
                let counts = count_range(&files, bucket, &mut range, &mut ranges)?;
                for (key, count) in counts.into_iter().filter(|(_, count)| *count > 1) {
                    rows += count;
                    // The smallest keys are shown, so that every run shows the same ones.
                    let at = repeated.partition_point(|other| other.as_slice() < &*key);
                    if at < SAMPLES {
                        repeated.insert(at, key.into_vec());
                        repeated.truncate(SAMPLES);
                    }
                }
            }
        }
        let mut samples = self.show(&repeated).map_err(|error| Error::query(table, error))?;
        if nulls > 0 {
            samples.push(Shown::message(&format!("{} with a null in the key", number_of(nulls, "row"))));
        }
        Ok(Counted { rows, samples })
    }
}

type Counts = HashMap<Box<[u8]>, u64, ahash::RandomState>;

/// Counts the keys of a bucket whose hashes are in the range. With too many distinct ones the range is halved, and the
/// other half is counted later.
fn count_range(
    files: &[KeyFile<'_>],
    bucket: usize,
    range: &mut RangeInclusive<u64>,
    aside: &mut Vec<RangeInclusive<u64>>,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut bytes = 0;
    let mut add = |keys_of: &[u8]| {
        for key in keys(keys_of) {
            let hash = HASH.hash_one(key);
            if !range.contains(&hash) {
                continue;
            }
            if let Some(count) = counts.get_mut(key) {
                *count += 1;
                continue;
            }
            while bytes > MEMORY_BYTES && range.start() < range.end() {
                let middle = range.start() + (range.end() - range.start()) / 2;
                aside.push(middle + 1..=*range.end());
                *range = *range.start()..=middle;
                counts.retain(|key, _| range.contains(&HASH.hash_one(&**key)));
                bytes = counts.keys().map(|key| key.len() + ENTRY_BYTES).sum();
            }
            if range.contains(&hash) {
                bytes += key.len() + ENTRY_BYTES;
                counts.insert(key.into(), 1);
            }
        }
    };
    for file in files {
        file.read(bucket, &mut add).map_err(state_io(&file.path))?;
    }
    Ok(counts)
}

/// An open file of keys.
struct KeyFile<'a> {
    path: PathBuf,
    file: File,
    extents: &'a [Vec<(u64, usize)>],
}

impl<'a> KeyFile<'a> {
    fn open(folder: &Path, keys: &'a Keys) -> Option<Result<Self>> {
        let path = folder.join(keys.file.as_ref()?);
        let file = File::open(&path).map_err(state_io(&path));
        Some(file.map(|file| Self { path, file, extents: &keys.extents }))
    }

    /// Passes on the keys of a bucket, one piece at a time.
    fn read(&self, bucket: usize, add: &mut impl FnMut(&[u8])) -> std::io::Result<()> {
        let mut piece = Vec::new();
        for (offset, length) in &self.extents[bucket] {
            let start = piece.len();
            piece.resize(start + length, 0);
            self.file.read_exact_at(&mut piece[start..], *offset)?;
            // An extent consists of whole keys.
            if piece.len() >= READ_BYTES {
                add(&piece);
                piece.clear();
            }
        }
        add(&piece);
        Ok(())
    }
}

/// The keys of a bucket.
fn keys(mut bucket: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bucket.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bucket = rest;
        Some(key)
    })
}

/// A new file in the scratch folder, which is removed when the run ends.
fn create_file(folder: &Path) -> std::io::Result<(String, File)> {
    let name = format!("keys-{}", unique());
    let file = File::create_new(folder.join(&name))?;
    Ok((name, file))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Schema};

    use super::*;

    fn counted(rows: u64, samples: &[&str]) -> Counted {
        Counted { rows, samples: samples.iter().map(|sample| Shown::message(sample)).collect() }
    }

    fn rule(kinds: &[DataType]) -> UniqueRule {
        UniqueRule {
            name: "twice".into(),
            effect: Effect::Warn,
            max: None,
            columns: (0..kinds.len()).collect(),
            kinds: kinds.to_vec(),
        }
    }

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let fields = columns.iter().map(|column| Field::new("c", column.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
    }

    /// Counts batches that two readers read in turns.
    fn count(rule: &UniqueRule, batches: &[RecordBatch]) -> Counted {
        let scratch = tempfile::tempdir().unwrap();
        let mut readers = [rule.writer(scratch.path()), rule.writer(scratch.path())];
        for (i, batch) in batches.iter().enumerate() {
            readers[i % 2].add(rule, batch, &BooleanBuffer::new_set(batch.num_rows())).unwrap();
        }
        let keys = readers.map(|reader| reader.finish(true).unwrap());
        // As they travel in a receipt.
        let keys: Vec<Keys> = serde_json::from_value(serde_json::to_value(keys).unwrap()).unwrap();
        rule.count("t", scratch.path(), &keys).unwrap()
    }

    #[test]
    fn equal_keys_of_different_readers_are_counted_together() {
        let text = |values: Vec<Option<&str>>| batch(vec![Arc::new(StringViewArray::from(values))]);
        let batches = [text(vec![Some("a"), Some("b"), None]), text(vec![Some("b"), Some("c")]), text(vec![Some("b")])];
        let expected = counted(4, &["b", "1 row with a null in the key"]);
        assert_eq!(count(&rule(&[DataType::Utf8View]), &batches), expected, "three times b, and null is never unique");
    }

    #[test]
    fn a_key_of_two_columns_is_a_duplicate_only_if_both_are_equal() {
        let pair =
            |a: Vec<i64>, b: Vec<&str>| batch(vec![Arc::new(Int64Array::from(a)), Arc::new(StringViewArray::from(b))]);
        let batches = [pair(vec![1, 1, 11], vec!["1", "2", ""]), pair(vec![1, 2], vec!["2", "1"])];
        let expected = counted(2, &["1, 2"]);
        assert_eq!(count(&rule(&[DataType::Int64, DataType::Utf8View]), &batches), expected);
    }

    #[test]
    fn a_key_of_nearly_every_row_takes_no_memory() {
        let same = |rows: usize| batch(vec![Arc::new(Int64Array::from(vec![7; rows]))]);
        let repeated = count(&rule(&[DataType::Int64]), &[same(600_000), same(600_000), same(1)]);
        assert_eq!(repeated, counted(1_200_001, &["7"]));
    }

    #[test]
    fn keys_that_do_not_fit_memory_are_counted_too() {
        let long = |i: usize| format!("a rather long key, so that memory is soon full, of number {i:08}");
        let keys =
            |range: std::ops::Range<usize>| batch(vec![Arc::new(StringViewArray::from_iter_values(range.map(long)))]);
        let enough = 3 * MEMORY_BYTES / long(0).len();
        let batches: Vec<_> = (0..enough).step_by(10_000).map(|start| keys(start..start + 10_000)).collect();
        let mut with_repeated = batches.clone();
        with_repeated.push(keys(5_000..5_100));
        let rule = rule(&[DataType::Utf8View]);
        assert_eq!(count(&rule, &batches).rows, 0);
        let repeated = count(&rule, &with_repeated);
        assert_eq!((repeated.rows, repeated.samples[0].to_string()), (200, long(5_000)));
    }
}
