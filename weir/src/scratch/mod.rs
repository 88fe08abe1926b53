//! What a run keeps on disk until it ends: fetched files, spilled rows, tables that several models read.

mod folder;
mod scan;
mod table;

pub(crate) use folder::{ScratchFolder, private_root};
pub(crate) use scan::batches;
pub(crate) use table::{ScratchRows, ScratchTable, ScratchWriter, StreamedRows};
