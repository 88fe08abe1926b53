//! HTTP cache: responses in a folder, a file each, so that unchanged ones are not transferred again.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use reqwest::header::{ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A folder of responses.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// A response, and its validators.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cached {
    head: Head,
    body: Vec<u8>,
}

/// The first line of a file; the body follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Hash of the body, in hexadecimal digits.
    blake3: String,
}

impl Cache {
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        let made = fs::create_dir_all(&folder).map_err(|error| Error::File {
            path: folder.display().to_string(),
            message: error.to_string(),
            help: "choose a writable folder: --cache",
        });
        made.map(|()| Self { folder })
    }

    fn path(&self, url: &str) -> PathBuf {
        self.folder.join(blake3::hash(url.as_bytes()).to_hex().as_str())
    }

    /// The stored response of a URL. A damaged file is ignored: the response is fetched again.
    pub(super) fn find(&self, url: &str) -> Option<Cached> {
        let mut bytes = fs::read(self.path(url)).ok()?;
        let line = bytes.iter().position(|&byte| byte == b'\n')?;
        let body = bytes.split_off(line + 1);
        let head: Head = serde_json::from_slice(&bytes).ok()?;
        let is_whole = head.url == url && head.blake3 == blake3::hash(&body).to_hex().as_str();
        is_whole.then_some(Cached { head, body })
    }

    /// Stores a response. A failure is logged only, because the response can be used anyway.
    pub(super) fn keep(&self, cached: &Cached) {
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, &cached.head)?;
            file.write_all(b"\n")?;
            file.write_all(&cached.body)?;
            file.persist(self.path(&cached.head.url)).map(drop).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            tracing::warn!("{}: the response of {} cannot be cached: {error}", self.folder.display(), cached.head.url);
        }
    }
}

impl Cached {
    /// A response with validators, without its body yet.
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
    fn a_response_is_found_unchanged_and_for_its_url_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().join("made/on/the/way")).unwrap();
        let cached = kept(&cache);
        assert_eq!(cache.find(URL), Some(cached));
        assert_eq!(cache.find("http://a.example/2"), None);
    }

    #[test]
    fn a_damaged_response_is_ignored() {
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
    fn a_response_without_validators_is_not_cached() {
        assert_eq!(Cached::of(URL, &HeaderMap::new()), None);
    }
}
