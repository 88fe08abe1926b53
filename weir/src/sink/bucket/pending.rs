//! What it takes to commit or abort a folder of a bucket, in a form that outlives the process.

use std::any::Any;
use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder::{BucketFolder, Seen};
use super::open::overtaken;
use crate::database::Connector;
use crate::error::{Error, Result};
use crate::place::ObjectUrl;
use crate::report::LoadReport;
use crate::sink::folder::manifest::{Manifest, Owner};
use crate::sink::{OpenTransaction, Pending, Prepared, Transaction, of_kind};
use crate::system::fault;

/// The tag of a folder of a bucket in the ledger.
pub(super) const TAG: &str = "bucket";

/// A folder of a bucket, of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bucket {
    #[serde(flatten)]
    pub(super) owner: Owner,
    pub(super) url: String,
    /// The version of the manifest that the run follows; none if there was no manifest.
    pub(super) seen: Option<Seen>,
}

/// What a run has prepared.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    pub(super) manifest: Manifest,
    /// The files of the manifest before that are removed once this one is in its place.
    pub(super) remove: Vec<String>,
}

impl Bucket {
    async fn folder(&self, connector: &Connector) -> Result<BucketFolder> {
        let url = ObjectUrl::parse(&self.url).map_err(Error::internal)?;
        BucketFolder::open(connector.project(), &self.owner.sink, &url).await
    }

    fn overtaken(&self) -> Error {
        overtaken(&self.owner.sink, &self.url)
    }

    /// Whether a manifest has what this run has written.
    fn is_in(&self, manifest: &Manifest) -> bool {
        manifest.run == self.owner.run || manifest.added.iter().any(|addition| addition.run == self.owner.run)
    }

    async fn is_committed_in(&self, folder: &BucketFolder) -> Result<bool> {
        Ok(folder.manifest().await?.is_some_and(|(manifest, _)| self.is_in(&manifest)))
    }

    /// Puts the manifest in its place, unless it is there.
    async fn publish(&self, folder: &BucketFolder) -> Result<()> {
        if self.is_committed_in(folder).await? {
            return Ok(());
        }
        let Some(staged) = folder.staged(&self.owner.run).await? else {
            let help = "start the run again: it writes its rows anew";
            return Err(folder.refused("what the run had prepared is gone".to_owned(), help.to_owned()));
        };
        match folder.put_manifest(&staged.manifest, self.seen.as_ref()).await {
            Ok(true) => Ok(()),
            // The answer to an earlier attempt may have been lost.
            Ok(false) if self.is_committed_in(folder).await? => Ok(()),
            Ok(false) => Err(self.overtaken()),
            Err(error) => match self.is_committed_in(folder).await {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Removes what the manifest no longer names. What was to be removed is forgotten last.
    async fn clear(&self, folder: &BucketFolder) -> Result<()> {
        if let Some(staged) = folder.staged(&self.owner.run).await? {
            let manifest = folder.manifest().await?;
            // A run that followed may name some again.
            let named: HashSet<&String> = manifest.iter().flat_map(|(manifest, _)| &manifest.files).collect();
            let remove: Vec<String> = staged.remove.into_iter().filter(|name| !named.contains(name)).collect();
            folder.remove(&remove).await?;
            folder.unstage(&self.owner.run).await?;
        }
        fault::point("cleared");
        Ok(())
    }
}

#[async_trait]
impl Pending for Bucket {
    fn sink(&self) -> &str {
        &self.owner.sink
    }

    fn kind(&self) -> &'static str {
        TAG
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    async fn abort(&self, connector: &Connector) -> Result<()> {
        let folder = self.folder(connector).await?;
        if folder.store.is_gone().await.map_err(|error| folder.failed(&error))? {
            return Ok(());
        }
        match folder.manifest().await? {
            Some((manifest, _)) if self.is_in(&manifest) => self.clear(&folder).await,
            manifest => folder.remove_run(&self.owner.run, manifest.map(|(manifest, _)| manifest).as_ref()).await,
        }
    }
}

#[async_trait]
impl Prepared for Bucket {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn check(&self, connector: &Connector) -> Result<()> {
        match self.folder(connector).await?.is_still(self.seen.as_ref()).await? {
            true => Ok(()),
            false => Err(self.overtaken()),
        }
    }

    async fn is_committed(&self, connector: &Connector) -> Result<bool> {
        self.is_committed_in(&self.folder(connector).await?).await
    }

    async fn is_lost(&self, connector: &Connector) -> Result<bool> {
        let folder = self.folder(connector).await?;
        Ok(folder.staged(&self.owner.run).await?.is_none() && !self.is_committed_in(&folder).await?)
    }
}

/// The folders in buckets of a run.
#[derive(Debug, Clone)]
struct Buckets(Vec<Bucket>);

/// Those among the sinks of a run, as one transaction.
pub(super) fn transactions(sinks: &[&dyn Prepared]) -> Vec<Box<dyn Transaction>> {
    let buckets: Vec<Bucket> = sinks.iter().filter_map(|sink| of_kind(*sink).cloned()).collect();
    if buckets.is_empty() { vec![] } else { vec![Box::new(Buckets(buckets))] }
}

/// The same, with their stores.
#[derive(Debug)]
struct OpenBuckets(Vec<(Bucket, BucketFolder)>);

#[async_trait]
impl Transaction for Buckets {
    /// Nothing can be locked: that nobody has published meanwhile is a condition of the commit.
    async fn begin(&self, connector: &Connector) -> Result<Box<dyn OpenTransaction>> {
        let mut open = Vec::with_capacity(self.0.len());
        for bucket in &self.0 {
            open.push((bucket.clone(), bucket.folder(connector).await?));
        }
        Ok(Box::new(OpenBuckets(open)))
    }
}

#[async_trait]
impl OpenTransaction for OpenBuckets {
    /// Puts the manifests one right after the other: what takes longer is done before or afterwards.
    async fn commit(self: Box<Self>) -> Result<Vec<(String, LoadReport)>> {
        for (bucket, folder) in &self.0 {
            bucket.publish(folder).await?;
            fault::point("published");
        }
        for (bucket, folder) in &self.0 {
            bucket.clear(folder).await?;
        }
        Ok(vec![])
    }

    async fn roll_back(self: Box<Self>) {}
}
