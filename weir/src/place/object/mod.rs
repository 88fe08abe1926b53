//! Objects of a store (`s3://`, `gs://`, `az://`): found by a pattern of their keys, and read by ranges in one version each.

mod archive;
mod credentials;
mod failure;
mod store;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use glob::{MatchOptions, Pattern};
use object_store::ObjectMeta;
use object_store::path::Path;

pub(crate) use failure::Failure;
pub(crate) use store::Store;
pub(crate) use url::ObjectUrl;

use super::pattern::{literal_start, named};
use super::{Archive, Arrival, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result};
use crate::task::{Project, is_object_url};
use archive::ObjectArchive;

pub(super) const KIND: Kind = Kind {
    name: "s3://, gs:// and az:// URLs",
    holds: is_object_url,
    open: |project| Arc::new(Objects { project: project.clone() }),
};

/// As local files are matched: no wildcard but `**` reaches into another folder.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// The objects of stores.
#[derive(Debug)]
struct Objects {
    project: Project,
}

#[async_trait]
impl FileSystem for Objects {
    fn check(&self, pattern: &str) -> Result<(), String> {
        let url = ObjectUrl::parse(pattern)?;
        if url.key().is_empty() {
            return Err(format!(
                "`{pattern}` names a bucket: write the key of an object, or a pattern such as {url}/*.csv"
            ));
        }
        let valid = Pattern::new(url.key()).map(drop);
        valid.map_err(|error| format!("`{pattern}` is not a valid pattern: {error}"))
    }

    fn nothing_found(&self, pattern: &str, source: &str) -> Error {
        Error::input(
            pattern,
            format!("no object matches, but source `{source}` needs one"),
            "check the bucket and the key, or specify `if_missing: skip` or `empty`",
        )
    }

    async fn find(&self, pattern: &str, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        let mut stop = arrival.stop.clone();
        tokio::select! {
            found = self.matching(pattern) => found,
            () = stop.wanted() => Err(Error::Interrupted),
        }
    }

    fn archive(&self, pattern: &str, folder: &str) -> Result<Box<dyn Archive>, String> {
        Ok(Box::new(ObjectArchive::new(pattern, folder)?))
    }

    async fn finish_moves(&self, run: &str, moves: &[Move]) -> Result<()> {
        archive::finish_moves(&self.project, run, moves).await
    }

    async fn remove_archived(&self, run: &str, moves: &[Move]) -> Result<u64> {
        archive::remove_archived(&self.project, run, moves).await
    }
}

impl Objects {
    async fn matching(&self, pattern: &str) -> Result<Vec<FoundFile>> {
        let url = ObjectUrl::parse(pattern).map_err(|message| Error::input(pattern, message, "correct the path"))?;
        let store = open(&self.project, &url).await?;
        let failed = |error: object_store::Error| Failure::of(&error).of_input(pattern);
        if let Some(literal) = only_key(url.key()) {
            let found = store.find(&Path::parse(&literal).map_err(|error| failed(error.into()))?).await;
            let found = match found {
                Ok(found @ Some(_)) => found,
                // Without a body an answer does not say why; that of a list does.
                not_found => match (store.list_one(&literal).await, not_found) {
                    (Err(why), _) if !is_denied(&why) => return Err(failed(why)),
                    (_, not_found) => not_found.map_err(failed)?,
                },
            };
            if found.is_some() || literal_start(url.key()).1 {
                return found.into_iter().map(|meta| found_file(&store, &url, meta)).collect();
            }
        }
        let (start, _) = literal_start(url.key());
        let matches = Pattern::new(url.key()).map_err(|error| Error::input(pattern, error, "correct the path"))?;
        let is_match = |key: &str| {
            let is_hidden = key.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
            !is_hidden && matches.matches_with(key, OPTIONS)
        };
        let mut objects = store.list(&start).await.map_err(failed)?;
        objects.retain(|object| is_match(object.location.as_ref()));
        objects.sort_by(|one, other| std::path::Path::new(one.location.as_ref()).cmp(other.location.as_ref().as_ref()));
        let mut files = Vec::with_capacity(objects.len());
        for object in objects {
            // A list may have no tag, and has what consoles show as empty folders, whose keys end with a slash.
            let object = match object.e_tag.is_none() || object.size == 0 {
                true => store.find(&object.location).await.map_err(failed)?,
                false => Some(object),
            };
            files.extend(object.map(|object| found_file(&store, &url, object)).transpose()?);
        }
        Ok(files)
    }
}

/// The only key that matches a pattern; or that it may be, if its brackets are no wildcards.
fn only_key(pattern: &str) -> Option<String> {
    let (literal, is_all) = literal_start(pattern);
    if is_all {
        return Some(literal);
    }
    named(std::path::Path::new(pattern)).and_then(|path| path.to_str().map(str::to_owned))
}

/// Whether an answer only says that the bucket may not be listed.
fn is_denied(error: &object_store::Error) -> bool {
    let text = error.to_string();
    matches!(error, object_store::Error::PermissionDenied { .. })
        && (text.contains("AccessDenied") || !text.contains("<Code>"))
}

/// The store of a source's URL.
pub(super) async fn open(project: &Project, url: &ObjectUrl) -> Result<Store> {
    Store::open(project, url).await?.map_err(|failure| failure.of_input(&url.to_string()))
}

fn found_file(store: &Store, of: &ObjectUrl, meta: ObjectMeta) -> Result<FoundFile> {
    let url = of.with_key(meta.location.as_ref()).to_string();
    Ok(FoundFile::object(store.objects.clone(), url, meta))
}

/// Fails if no object could be written to the folder of a URL, and removed; or, if asked, on condition of what is there.
pub(crate) async fn try_writing(project: &Project, folder: &str, conditional: bool) -> Result<()> {
    let url = ObjectUrl::parse(folder).map_err(|message| Error::input(folder, message, "correct the path"))?;
    let store = open(project, &url).await?;
    store.try_writing(&url, conditional).await.map_err(|failure| failure.of_input(folder))
}

/// The error of an object that cannot be read.
pub(super) fn unreadable(url: &str, error: &object_store::Error) -> Error {
    Failure::of(error).of_input(url)
}

/// Brings an object to a local file.
pub(crate) async fn fetch(project: &Project, url: &str, to: &std::path::Path) -> Result<()> {
    use futures::TryStreamExt;
    use tokio::io::AsyncWriteExt;

    let parsed = ObjectUrl::parse(url).map_err(|message| Error::usage(message, "write s3://BUCKET/KEY"))?;
    let store = open(project, &parsed).await?;
    let failed = |error: object_store::Error| unreadable(url, &error);
    let content = store.objects.get_opts(&parsed.path().map_err(failed)?, Default::default()).await;
    let mut content = content.map_err(failed)?.into_stream();
    let written = async {
        let mut file = tokio::fs::File::create(to).await?;
        while let Some(piece) = content.try_next().await.map_err(std::io::Error::other)? {
            file.write_all(&piece).await?;
        }
        file.flush().await
    };
    written
        .await
        .map_err(|error| Error::input(url, error, "check the network, and the space in the folder for temporary files"))
}
