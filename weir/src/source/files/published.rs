//! The files that another task publishes: those of its manifest, and no others that lie there.

use std::collections::HashSet;
use std::path::Path;

use glob::Pattern;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::place::{Arrival, FileSystem, FoundFile};
use crate::task::{Published, ReferenceSpec};

/// `_SUCCESS`, as far as a reader needs it.
#[derive(Deserialize)]
struct Manifest {
    task: String,
    sink: String,
    files: Vec<String>,
}

impl Published {
    /// The files that are published; none if nothing is yet.
    pub(super) async fn find(
        &self,
        files: &dyn FileSystem,
        pattern: &str,
        arrival: &Arrival<'_>,
    ) -> Result<Option<Vec<FoundFile>>> {
        let Some(folder) = &self.folder else {
            let found = files.find(pattern, arrival).await?;
            return Ok((!found.is_empty()).then_some(found));
        };
        // The manifest first: what a run adds meanwhile is not in it.
        let manifest = files.find(&Pattern::escape(&format!("{folder}/_SUCCESS")), arrival).await?;
        let Some(manifest) = manifest.first() else { return Ok(None) };
        let manifest = self.read(folder, manifest)?;
        let mut names: HashSet<String> = manifest.files.into_iter().collect();
        let mut found = match names.is_empty() {
            true => vec![],
            false => files.find(pattern, arrival).await?,
        };
        let below = |file: &FoundFile| {
            let rest = Path::new(&file.path).strip_prefix(folder).ok();
            rest.and_then(Path::to_str).map(str::to_owned)
        };
        found.retain(|file| below(file).is_some_and(|name| names.remove(&name)));
        match names.iter().min() {
            None => Ok(Some(found)),
            Some(gone) => {
                let message = format!("`{gone}` is gone, which a run of task `{}` had written", self.by.task);
                let help =
                    format!("if that task was run meanwhile, start this one again; otherwise run {}", self.task_file);
                Err(Error::input(folder, message, help))
            }
        }
    }

    fn read(&self, folder: &str, file: &FoundFile) -> Result<Manifest> {
        let bytes = file.open().and_then(|open| open.read(0, file.size()))?;
        let ReferenceSpec { task, sink } = &self.by;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| {
            let help = format!("run {}, which writes it", self.task_file);
            Error::input(&file.name, format!("is no manifest of task `{task}`: {error}"), help)
        })?;
        if (&manifest.task, &manifest.sink) == (&self.owner, sink) {
            return Ok(manifest);
        }
        let message = format!(
            "was written by sink `{}` of `{}`, and not by sink `{sink}` of `{}`",
            manifest.sink, manifest.task, self.owner
        );
        Err(Error::input(
            folder,
            message,
            format!("check the environment and the parameters; or run {}", self.task_file),
        ))
    }
}
