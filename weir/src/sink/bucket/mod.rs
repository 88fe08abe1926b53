//! A folder of objects in a bucket.
//!
//! A store has no rename: the objects of a run have its id in their names, and count once `_SUCCESS` names them. A run
//! prepares the next `_SUCCESS` under a name of its own, and commits it by one put on condition that `_SUCCESS` is what it was
//! when the run began. The objects that it no longer names are removed then. Documents lie in a folder of their run, so that their
//! names are those of their keys.

mod documents;
mod files;
mod folder;
mod open;
mod pending;
mod puts;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;

use super::content::Content;
use super::folder::files::by_partition;
use super::folder::manifest::{Addition, Manifest, Owner};
use super::{Claim, ColumnLimit, Kind, OpenTarget, Parts, Pending, Prepared, SinkRun, Target, Writing, Written};
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::place::ObjectUrl;
use crate::system::fault;
use crate::task::{Mode, SinkSpec, Task, is_object_url};
use files::Files;
use folder::BucketFolder;
use open::Former;
use pending::{Bucket, Staged};

pub(super) const KIND: Kind = Kind {
    keys: &["files", "documents"],
    tag: pending::TAG,
    is_declared: is_bucket,
    bind: |task, name, spec, columns, _| Ok(Box::new(BucketTarget::bind(task, name, spec, columns)?)),
    is_server: true,
    transactions: pending::transactions,
    read: |json| Ok(Box::new(serde_json::from_value::<Bucket>(json)?)),
};

/// Whether a sink's files are objects.
pub(super) fn is_bucket(task: &Task, spec: &SinkSpec) -> bool {
    spec.folder().and_then(|path| task.data_path(path).ok()).is_some_and(|path| is_object_url(&path))
}

/// A folder of a bucket as the task declares it.
#[derive(Debug)]
struct BucketTarget {
    url: ObjectUrl,
    mode: Mode,
    content: Content,
}

impl BucketTarget {
    fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        let Some(at) = spec.folder() else { return Err(Error::internal(format!("sink `{name}` has no `path`"))) };
        refuse_what_buckets_lack(task, name, spec)?;
        let content = Content::bind(task, name, spec, columns)?;
        let url = ObjectUrl::parse(&task.data_path(at)?).and_then(|url| match url.key() {
            "" => Err(format!("`{url}` is a whole bucket: name a folder in it, such as {url}/{name}")),
            key if key.contains(['*', '?', '[']) => Err(format!("`{url}`: a target is no pattern")),
            _ => Ok(url),
        });
        let url = url.map_err(|message| Box::new(task.error(at, format!("sink `{name}`: {message}"))))?;
        Ok(Self { url, mode: spec.mode, content })
    }
}

/// Fails if the task asks for what only folders of this machine have.
fn refuse_what_buckets_lack(task: &Task, name: &str, spec: &SinkSpec) -> Result<()> {
    let refused = |message: &str, help: &str| {
        let error = task.error(&spec.from, format!("sink `{name}` writes to a bucket, {message}"));
        Err(Box::new(error.with_help(help)).into())
    };
    if spec.adopt {
        return refused("and `adopt` is for tables and files", "move what is in the folder away, or name another one");
    }
    if spec.compact.is_some() {
        return refused("and `compact` merges files of this machine", "remove it");
    }
    if task.spec.replace_folder.is_some() {
        return refused("and `replace_folder` renames a folder of this machine", "remove it");
    }
    Ok(())
}

#[async_trait]
impl Target for BucketTarget {
    fn columns(&self) -> &[OutputColumn] {
        self.content.columns()
    }

    fn key(&self) -> &[String] {
        self.content.key()
    }

    fn limits(&self) -> Vec<ColumnLimit> {
        self.content.limits()
    }

    fn place(&self) -> String {
        self.url.to_string()
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        self.content.try_encode(batch)
    }

    fn claim(&self) -> Claim {
        Claim::Objects(self.url.to_string())
    }

    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let SinkRun { sink: name, key, run, connector, history, .. } = sink;
        let owner = Owner { task: key.owner(), sink: (*name).to_owned(), run: (*run).to_owned() };
        let folder = BucketFolder::open(connector.project(), &owner.sink, &self.url).await?;
        let found = folder.look(&owner, history).await?;
        let former = Former::of(&folder, &found, self.mode, &self.content, history)?;
        let bucket = Bucket { owner, url: self.url.to_string(), seen: found.seen };
        let (mode, content) = (self.mode, self.content.clone());
        Ok(Box::new(OpenBucket { bucket, folder, mode, content, former, dead: found.dead }))
    }
}

/// A folder that was opened for a run.
#[derive(Debug)]
struct OpenBucket {
    bucket: Bucket,
    folder: BucketFolder,
    mode: Mode,
    content: Content,
    former: Former,
    /// What runs have left that are over.
    dead: Vec<String>,
}

#[async_trait]
impl OpenTarget for OpenBucket {
    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.bucket.clone())
    }

    async fn begin(self: Box<Self>) -> Result<Box<dyn Writing>> {
        let Self { bucket, folder, mode, content, former, dead } = *self;
        folder.remove(&dead).await?;
        fault::point("staging_made");
        let files = Files::new(folder.clone(), &bucket.owner.run, &content);
        Ok(Box::new(WritingBucket { bucket, folder, mode, content, former, files }))
    }
}

/// A folder that takes rows.
#[derive(Debug)]
struct WritingBucket {
    bucket: Bucket,
    folder: BucketFolder,
    mode: Mode,
    content: Content,
    former: Former,
    files: Files,
}

#[async_trait]
impl Writing for WritingBucket {
    fn parts(&self) -> Arc<dyn Parts> {
        self.files.parts()
    }

    async fn prepare(self: Box<Self>, mut parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)> {
        let Self { bucket, folder, mode, content, former, files } = *self;
        if parts.is_empty() && former.kept.is_empty() {
            parts.extend(files.empty()?);
        }
        let partitions = by_partition(&parts);
        let written = Written::total(parts);
        files.complete(&written).await?;
        let is_apart = content.partition_by().is_some() && mode != Mode::Append;
        let own: Vec<Addition> = match is_apart {
            true => partitions.iter().map(|(_, written)| Addition::of(&bucket.owner.run, written)).collect(),
            false => vec![Addition::of(&bucket.owner.run, &written)],
        };
        let replaced = if mode == Mode::Replace { partitions } else { vec![] };
        let all = former.with(own, replaced.iter().map(|(partition, _)| partition.as_str()));
        let remove = former.no_longer_in(&all);
        let manifest = Manifest::of(&bucket.owner, mode, &content, all);
        folder.stage(&bucket.owner.run, &Staged { manifest, remove }).await?;
        fault::point("prepared");
        Ok((written, Box::new(bucket)))
    }

    async fn cancel(self: Box<Self>) {
        self.files.cancel().await;
    }
}
