//! The objects of a folder: which are of a run, and which of somebody else.

use std::collections::{HashMap, HashSet};

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::pending::Staged;
use crate::error::{Error, Result};
use crate::place::{Failure, ObjectUrl, Store};
use crate::report::State;
use crate::sink::History;
use crate::sink::folder::MARKER;
use crate::sink::folder::manifest::{Manifest, Owner};
use crate::task::Project;

/// What the name of the manifest begins with that a run has prepared.
const STAGED: &str = ".weir-";

/// What the name of the folder with the documents of a run begins with.
const DOCUMENTS: &str = "documents-";

/// What the names of the objects of a run begin with.
pub(super) fn part_prefix(run: &str) -> String {
    format!("part-{run}-")
}

/// The folder of the documents of a run. A partition has a `=` in its name.
pub(super) fn documents_of(run: &str) -> String {
    format!("{DOCUMENTS}{run}")
}

/// The run in whose name an object is, by its name.
fn run_of(name: &str) -> Option<&str> {
    // What is below such a folder is named by a key, which may be anything.
    let of_documents = name.split_once('/').and_then(|(folder, _)| folder.strip_prefix(DOCUMENTS));
    if let Some(run) = of_documents.filter(|run| !run.contains('=')) {
        return Some(run);
    }
    let name = name.rsplit('/').next()?;
    match name.strip_prefix(STAGED) {
        Some(run) => Some(run),
        None => name.strip_prefix("part-")?.rsplit_once('-').map(|(run, _)| run),
    }
}

/// A folder of a bucket, as a sink has it.
#[derive(Debug, Clone)]
pub(super) struct BucketFolder {
    pub(super) sink: String,
    pub(super) url: ObjectUrl,
    pub(super) store: Store,
}

/// The version of a manifest, on condition of which the next one is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    e_tag: Option<String>,
    /// Of stores that go by it.
    version: Option<String>,
}

/// What is in a folder.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) manifest: Option<Manifest>,
    pub(super) seen: Option<Seen>,
    /// The names of all objects, relative to the folder.
    pub(super) names: Vec<String>,
    /// Those of them that runs have left that are over.
    pub(super) dead: Vec<String>,
}

impl BucketFolder {
    pub(super) async fn open(project: &Project, sink: &str, url: &ObjectUrl) -> Result<Self> {
        let store = Store::open(project, url).await?.map_err(|failure| failure.of_sink(sink, &url.to_string()))?;
        Ok(Self { sink: sink.to_owned(), url: url.clone(), store })
    }

    pub(super) fn failed(&self, error: &object_store::Error) -> Error {
        Failure::of(error).of_sink(&self.sink, &self.url.to_string())
    }

    pub(super) fn refused(&self, message: String, help: String) -> Error {
        Failure::new(message, help).of_sink(&self.sink, &self.url.to_string())
    }

    /// The key of an object of the folder.
    pub(super) fn key(&self, name: &str) -> Result<Path> {
        self.url.join(name).path().map_err(|error| self.failed(&error))
    }

    /// Looks at all of the folder. Fails if it holds anything that no run of the sink has written.
    pub(super) async fn look(&self, owner: &Owner, history: &History<'_>) -> Result<Found> {
        let names = self.names().await?;
        let (manifest, seen) = self.manifest().await?.unzip();
        if let Some(other) = manifest.as_ref().filter(|manifest| !manifest.is_of(owner)) {
            let (message, help) = other.of_another();
            return Err(self.refused(message, help));
        }
        let own: HashSet<&str> = manifest.iter().flat_map(|manifest| &manifest.files).map(String::as_str).collect();
        let (mut dead, mut states) = (Vec::new(), HashMap::new());
        for name in names.iter().filter(|name| **name != MARKER && !own.contains(name.as_str())) {
            let run = run_of(name);
            if let Some(run) = run.filter(|run| !states.contains_key(run)) {
                states.insert(run, history(run)?);
            }
            match run.and_then(|run| states[run]) {
                // Of a run of another window, which may be going on; its own next start ends it if it is dead.
                Some(State::Running | State::Publishing) => {}
                Some(_) => dead.push(name.clone()),
                None => return Err(self.foreign(name)),
            }
        }
        Ok(Found { manifest, seen, names, dead })
    }

    fn foreign(&self, name: &str) -> Error {
        let help = "move it away, or give the sink a folder of its own. If a run with another state folder is writing here, let it \
                    end; what it has left if it died can be removed";
        let url = self.url.join(name).to_string();
        Failure::new("was not written by a run of this task", help).of_sink(&self.sink, &url)
    }

    /// The names of the objects, relative to the folder. Those of empty folders, which consoles make, are none.
    async fn names(&self) -> Result<Vec<String>> {
        let prefix = format!("{}/", self.url.key());
        let listed = self.store.list(&prefix).await.map_err(|error| self.failed(&error))?;
        let mut names = Vec::with_capacity(listed.len());
        for object in listed {
            if let Some(name) = object.location.as_ref().strip_prefix(&prefix)
                && (object.size > 0 || self.is_object(&object).await?)
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether an object without content is one: the key of a folder ends with a slash.
    async fn is_object(&self, object: &ObjectMeta) -> Result<bool> {
        Ok(self.store.find(&object.location).await.map_err(|error| self.failed(&error))?.is_some())
    }

    /// The manifest, if there is one, and its version.
    pub(super) async fn manifest(&self) -> Result<Option<(Manifest, Seen)>> {
        let Some((text, seen)) = self.read(MARKER).await? else { return Ok(None) };
        let manifest = serde_json::from_slice(&text).map_err(|_| self.foreign(MARKER))?;
        Ok(Some((manifest, seen)))
    }

    async fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Seen)>> {
        let read = async {
            let result = self.store.objects.get(&self.url.join(name).path()?).await?;
            let seen = Seen { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
            Ok((result.bytes().await?.to_vec(), seen))
        };
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Whether the manifest is still the one that was seen.
    pub(super) async fn is_still(&self, seen: Option<&Seen>) -> Result<bool> {
        let now = self.store.find(&self.key(MARKER)?).await.map_err(|error| self.failed(&error))?;
        Ok(now.and_then(|meta| meta.e_tag) == seen.and_then(|seen| seen.e_tag.clone()))
    }

    /// Puts the next manifest; false if it is not the one that was seen any more.
    pub(super) async fn put_manifest(&self, manifest: &Manifest, seen: Option<&Seen>) -> Result<bool> {
        let text = manifest.to_text().map_err(Error::internal)?;
        let mode = match seen {
            None => PutMode::Create,
            Some(Seen { e_tag, version }) => {
                PutMode::Update(UpdateVersion { e_tag: e_tag.clone(), version: version.clone() })
            }
        };
        match self.store.objects.put_opts(&self.key(MARKER)?, PutPayload::from(text), mode.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Puts what a run has prepared.
    pub(super) async fn stage(&self, run: &str, staged: &Staged) -> Result<()> {
        let text = serde_json::to_vec(staged).map_err(Error::internal)?;
        let put = self.store.objects.put(&self.key(&format!("{STAGED}{run}"))?, PutPayload::from(text)).await;
        put.map(drop).map_err(|error| self.failed(&error))
    }

    /// What a run has prepared, if it is there.
    pub(super) async fn staged(&self, run: &str) -> Result<Option<Staged>> {
        let Some((text, _)) = self.read(&format!("{STAGED}{run}")).await? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(Error::internal)
    }

    /// Removes what a run has prepared, and with it the memory of what it was to remove.
    pub(super) async fn unstage(&self, run: &str) -> Result<()> {
        self.remove(&[format!("{STAGED}{run}")]).await
    }

    pub(super) async fn remove(&self, names: &[String]) -> Result<()> {
        let keys = names.iter().map(|name| self.key(name)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        self.store.remove(keys).await.map_err(|error| self.failed(&error))
    }

    /// Removes all objects in the name of a run that the manifest does not have.
    pub(super) async fn remove_run(&self, run: &str, manifest: Option<&Manifest>) -> Result<()> {
        let own: HashSet<&str> = manifest.iter().flat_map(|manifest| &manifest.files).map(String::as_str).collect();
        let of_run = |name: &String| run_of(name) == Some(run) && !own.contains(name.as_str());
        let names: Vec<String> = self.names().await?.into_iter().filter(of_run).collect();
        self.remove(&names).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_tells_its_run() {
        let run = "20261127T171142Z-0123456789ab";
        for name in
            [format!("{}00001.csv.gz", part_prefix(run)), format!("a=x-y/part-{run}-00001.csv"), format!(".weir-{run}")]
        {
            assert_eq!(run_of(&name), Some(run), "{name}");
        }
        let other = "20261127T171142Z-ba9876543210";
        let document = format!("{}/part-{other}-00001.csv", documents_of(run));
        assert_eq!(run_of(&document), Some(run), "whatever its key is");
        assert_eq!(run_of(&format!("documents-x=y/part-{other}-00001.csv")), Some(other), "a partition");
        for name in ["part-00000.csv", "diary.txt", "a/b.csv", "documents-.json"] {
            assert!(run_of(name).is_none_or(|run| run.is_empty()), "{name}");
        }
    }
}
