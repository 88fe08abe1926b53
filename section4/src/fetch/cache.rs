//! Answers kept in a folder, a file each, so that a server need not send again what has not changed.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use reqwest::header::{ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A folder of answers.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// An answer, and by what its server knows it again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cached {
    head: Head,
    body: Vec<u8>,
}

/// The first line of a file; behind it is the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Of the body, in hexadecimal digits.
    blake3: String,
}

impl Cache {
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        let made = fs::create_dir_all(&folder).map_err(|error| Error::File {
            path: folder.display().to_string(),
            message: error.to_string(),
            help: "name a folder that you may write to: --cache",
        });
        made.map(|()| Self { folder })
    }

    fn path(&self, url: &str) -> PathBuf {
        self.folder.join(blake3::hash(url.as_bytes()).to_hex().as_str())
    }

    /// What was kept of an address. A file that is not as it was written counts as none: the answer is had anew.
    pub(super) fn find(&self, url: &str) -> Option<Cached> {
        let mut bytes = fs::read(self.path(url)).ok()?;
        let line = bytes.iter().position(|&byte| byte == b'\n')?;
        let body = bytes.split_off(line + 1);
        let head: Head = serde_json::from_slice(&bytes).ok()?;
        let is_whole = head.url == url && head.blake3 == blake3::hash(&body).to_hex().as_str();
        is_whole.then_some(Cached { head, body })
    }

    /// Keeps an answer. That it cannot be kept is no reason not to use it.
    pub(super) fn keep(&self, cached: &Cached) {
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, &cached.head)?;
            file.write_all(b"\n")?;
            file.write_all(&cached.body)?;
            file.persist(self.path(&cached.head.url)).map(drop).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            tracing::warn!("{}: the answer of {} cannot be kept: {error}", self.folder.display(), cached.head.url);
        }
    }
}

impl Cached {
    /// An answer that its server would know again, without its body yet.
    pub(super) fn of(url: &str, headers: &HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        let (etag, last_modified) = (text(ETAG), text(LAST_MODIFIED));
        (etag.is_some() || last_modified.is_some()).then(|| {
            let head = Head { url: url.to_owned(), etag, last_modified, blake3: String::new() };
            Self { head, body: vec![] }
        })
    }

    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.head.blake3 = blake3::hash(&body).to_hex().to_string();
        self.body = body;
        self
    }

    pub(super) fn etag(&self) -> Option<&str> {
        self.head.etag.as_deref()
    }

    pub(super) fn modified(&self) -> Option<&str> {
        self.head.last_modified.as_deref()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://a.example/1";

    fn kept(cache: &Cache) -> Cached {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, "\"1\"".parse().unwrap());
        let cached = Cached::of(URL, &headers).unwrap().with_body(b"first\nsecond".to_vec());
        cache.keep(&cached);
        cached
    }

    #[test]
    fn an_answer_is_found_as_it_was_kept_and_for_its_address_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().join("made/on/the/way")).unwrap();
        let cached = kept(&cache);
        assert_eq!(cache.find(URL), Some(cached));
        assert_eq!(cache.find("http://a.example/2"), None);
    }

    #[test]
    fn a_damaged_answer_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned()).unwrap();
        kept(&cache);
        let whole = fs::read(cache.path(URL)).unwrap();
        for end in 0..whole.len() {
            fs::write(cache.path(URL), &whole[..end]).unwrap();
            assert_eq!(cache.find(URL), None, "{end}");
        }
    }

    #[test]
    fn an_answer_that_its_server_would_not_know_again_is_not_kept() {
        assert_eq!(Cached::of(URL, &HeaderMap::new()), None);
    }
}
