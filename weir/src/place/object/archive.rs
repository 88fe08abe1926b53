//! The archive of objects: another folder of the same bucket. A store cannot move an object: it is copied there, and then
//! removed.

use std::path::{Path, PathBuf};

use object_store::{ObjectMeta, ObjectStoreExt};

use super::store::Store;
use super::url::ObjectUrl;
use super::{Archive, Failure, FoundFile, Move, open};
use crate::error::{Error, Result};
use crate::place::content::hashes;
use crate::place::pattern::{below, meet, split};
use crate::place::store::{ledger_version, quoted};
use crate::place::with_run;
use crate::system::fault;
use crate::task::Project;

/// A folder of the bucket of a source.
#[derive(Debug)]
pub(super) struct ObjectArchive {
    /// Its URL.
    folder: PathBuf,
    url: ObjectUrl,
    /// The pattern's folder up to the first wildcard: objects keep their relative key below it.
    base: PathBuf,
}

impl ObjectArchive {
    pub(super) fn new(pattern: &str, folder: &str) -> Result<Self, String> {
        let (source, url) = (ObjectUrl::parse(pattern)?, ObjectUrl::parse(folder)?);
        if !source.is_beside(&url) || url.key().is_empty() {
            return Err(format!(
                "`{folder}` is not a folder in the bucket of `{pattern}`, within which objects can be moved"
            ));
        }
        let (base, rest) = split(Path::new(source.key()));
        if meet(&below(&base, &rest), &below(Path::new(url.key()), &rest)) {
            return Err(format!("archived objects in `{folder}` would match `{pattern}` and be read again"));
        }
        Ok(Self { folder: PathBuf::from(url.to_string()), url, base })
    }
}

impl Archive for ObjectArchive {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn destination(&self, file: &FoundFile) -> String {
        let key = ObjectUrl::parse(&file.path).map(|url| url.key().to_owned()).unwrap_or_default();
        let key = Path::new(&key);
        let below = key.strip_prefix(&self.base).ok().or(key.file_name().map(Path::new)).unwrap_or(key);
        self.url.join(&below.to_string_lossy()).to_string()
    }

    /// What may not be copied or removed is told by the store when it happens.
    fn check(&self, _: &[&FoundFile]) -> Result<()> {
        Ok(())
    }
}

/// Moves the objects that a run has read, if they are not moved yet.
pub(super) async fn finish_moves(project: &Project, run: &str, moves: &[Move]) -> Result<()> {
    let mut opened: Option<(ObjectUrl, Store)> = None;
    for of in moves {
        let (from, to) = (parsed(&of.from)?, parsed(&of.to)?);
        let store = match &opened {
            Some((url, store)) if url.is_beside(&from) => store.clone(),
            _ => open(project, &from).await?,
        };
        opened = Some((from.clone(), store.clone()));
        let moving = Moving { store, from, to, of, run };
        moving.finish().await?;
    }
    Ok(())
}

/// Removes the objects that a run has moved. Returns how many were removed.
pub(super) async fn remove_archived(project: &Project, run: &str, moves: &[Move]) -> Result<u64> {
    let mut removed = 0;
    for of in moves {
        let to = parsed(&of.to)?;
        let store = open(project, &to).await?;
        for url in [with_run_of(&to, run), to] {
            let failed = |error: object_store::Error| Failure::of(&error).of_input(&url.to_string());
            let path = url.path().map_err(failed)?;
            if store.find(&path).await.map_err(failed)?.is_some_and(|copy| is_copy(&copy, of)) {
                store.remove(vec![path]).await.map_err(failed)?;
                removed += 1;
                break;
            }
        }
    }
    Ok(removed)
}

fn parsed(url: &str) -> Result<ObjectUrl> {
    ObjectUrl::parse(url).map_err(Error::internal)
}

fn with_run_of(url: &ObjectUrl, run: &str) -> ObjectUrl {
    url.with_key(&with_run(Path::new(url.key()), run).to_string_lossy())
}

/// Whether an object can be the copy of what was read. The tag of one that was uploaded in parts tells how it was cut, and its
/// copy has another one.
fn is_copy(copy: &ObjectMeta, of: &Move) -> bool {
    let tag = of.modified.split_once(' ').map_or("", |(_, tag)| tag);
    let has_tag = copy.e_tag.as_deref().is_some_and(|found| quoted(found) == tag);
    copy.size == of.bytes && (has_tag || tag.contains('-'))
}

/// A move of a run.
struct Moving<'a> {
    store: Store,
    from: ObjectUrl,
    to: ObjectUrl,
    of: &'a Move,
    run: &'a str,
}

impl Moving<'_> {
    async fn finish(&self) -> Result<()> {
        let source = self.from.path().map_err(|error| self.failed(error))?;
        let Some(found) = self.found(&self.from).await? else { return Ok(()) };
        if !self.is_read(&found) {
            tracing::warn!(file = self.of.from, "changed after it was read: it is not moved");
            return Ok(());
        }
        let mut to = self.to.clone();
        match self.found(&to).await? {
            // Copied by the process that died here.
            Some(there) if self.is_same(&found, &there).await? => return self.remove_original().await,
            Some(_) => to = with_run_of(&to, self.run),
            None => {}
        }
        let destination = to.path().map_err(|error| self.failed(error))?;
        self.store.objects.copy(&source, &destination).await.map_err(|error| self.failed(error))?;
        fault::point("archive_copied");
        let copied = self.found(&to).await?.is_some_and(|copy| copy.size == found.size);
        // One that was replaced while it was copied is another object, and stays.
        match copied && self.found(&self.from).await?.is_some_and(|now| self.is_read(&now)) {
            true => self.remove_original().await,
            false => {
                tracing::warn!(file = self.of.from, "changed while it was moved: it stays");
                Ok(())
            }
        }
    }

    fn is_read(&self, found: &ObjectMeta) -> bool {
        (found.size, ledger_version(found)) == (self.of.bytes, self.of.modified.clone())
    }

    async fn found(&self, url: &ObjectUrl) -> Result<Option<ObjectMeta>> {
        let path = url.path().map_err(|error| self.failed(error))?;
        self.store.find(&path).await.map_err(|error| self.failed(error))
    }

    /// Whether two objects have the same content.
    async fn is_same(&self, one: &ObjectMeta, other: &ObjectMeta) -> Result<bool> {
        if one.size != other.size || one.e_tag == other.e_tag {
            return Ok(one.size == other.size);
        }
        let file = |meta: &ObjectMeta| {
            let url = self.from.with_key(meta.location.as_ref()).to_string();
            FoundFile::object(self.store.objects.clone(), url, meta.clone())
        };
        let hashes = hashes(&[&file(one), &file(other)], &|| false)?;
        Ok(hashes[0] == hashes[1])
    }

    async fn remove_original(&self) -> Result<()> {
        let path = self.from.path().map_err(|error| self.failed(error))?;
        self.store.remove(vec![path]).await.map_err(|error| self.failed(error))?;
        fault::point("file_archived");
        Ok(())
    }

    fn failed(&self, error: object_store::Error) -> Error {
        let what = format!("{}: cannot be moved to the archive as {}", self.of.from, self.of.to);
        Failure::of(&error).of_input(&what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_another_folder_of_the_bucket() {
        let archive = |folder: &str| ObjectArchive::new("s3://loans/in/*/*.csv", folder);
        assert!(archive("s3://loans/done").is_ok());
        for (folder, message) in [
            ("s3://other/done", "not a folder in the bucket"),
            ("gs://loans/done", "not a folder in the bucket"),
            ("s3://loans", "not a folder in the bucket"),
            ("done", "is not a URL"),
            ("s3://loans/in", "would match"),
        ] {
            let error = archive(folder).unwrap_err();
            assert!(error.contains(message), "{folder}: {error}");
        }
    }

    #[test]
    fn the_copy_of_an_object_has_its_size_and_its_tag_unless_it_came_in_parts() {
        let meta = |tag: &str| ObjectMeta {
            location: "done/a.csv".into(),
            last_modified: chrono::Utc::now(),
            size: 3,
            e_tag: Some(tag.to_owned()),
            version: None,
        };
        let of = |modified: &str| Move {
            from: "s3://b/in/a.csv".to_owned(),
            to: "s3://b/done/a.csv".to_owned(),
            bytes: 3,
            modified: modified.to_owned(),
        };
        assert!(is_copy(&meta("\"x\""), &of("2024-01-01T00:00:00+00:00 \"x\"")));
        assert!(!is_copy(&meta("\"y\""), &of("2024-01-01T00:00:00+00:00 \"x\"")));
        assert!(is_copy(&meta("\"y\""), &of("2024-01-01T00:00:00+00:00 \"x-2\"")));
    }
}
