//! Registers what is read as tables.
//!
//! `files` finds the files of a source, `content` knows them by what is in them, `archive` moves them away; `store` opens them; `names` holds their columns against the declared ones;
//! `csv` and `jsonl` are texts, which share `text`; `parquet` is not. `convert` gives values their types, `columns`
//! holds them against their checks, `rejected` takes what does not pass, and `table` shows it all to the query engine.

mod archive;
mod columns;
mod content;
mod convert;
pub(crate) mod csv;
mod files;
mod jsonl;
mod names;
mod parquet;
pub(crate) mod rejected;
mod store;
mod table;
mod text;
mod time_format;

#[cfg(any(test, fuzzing))]
mod testing;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

pub(crate) use archive::{Move, finish_moves};
pub(crate) use content::hashes;
pub(crate) use convert::has_form;
pub(crate) use csv::header_names;
pub(crate) use files::{FileSource, FoundFile};
pub(crate) use table::{ScanProgress, SourceTable};
