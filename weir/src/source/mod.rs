//! Registers what is read as tables.
//!
//! `origin` is a source as the task declares it: `files` finds its files, `content` knows them by what is in them, `archive`
//! moves them away; `postgres` asks a database; `fetch` lets the section's program get what nobody else can. `store` opens
//! files; `names` holds their columns against the declared ones; `csv` and `jsonl` are texts, which share `text`; `parquet`
//! is not. `convert` gives values their types, `columns` holds them against their checks, `rejected` takes what does not
//! pass, and `table` shows it all to the query engine.

mod archive;
mod columns;
mod content;
mod convert;
pub(crate) mod csv;
pub(crate) mod fetch;
mod files;
mod jsonl;
mod names;
mod origin;
mod parquet;
mod postgres;
pub(crate) mod rejected;
mod store;
mod table;
mod text;
mod time_format;

#[cfg(any(test, feature = "fuzzing"))]
mod testing;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

pub(crate) use archive::{Move, finish_moves};
pub(crate) use content::hashes;
pub(crate) use convert::has_form;
pub(crate) use csv::header_names;
pub(crate) use fetch::Fetchers;
pub(crate) use files::{FileSet, FoundFile};
pub(crate) use origin::{Origin, Source};
pub(crate) use postgres::Snapshots;
pub(crate) use table::{ScanProgress, SourceTable};
