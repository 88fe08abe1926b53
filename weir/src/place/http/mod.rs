//! The file of a URL (`https://`, `http://`): it is downloaded once, and read as a file is.

mod download;
mod failure;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use reqwest::Url;

use super::arriving::{Arrival, arrived, no_archive, no_moves, not_kept};
use super::{Archive, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result};
use download::{Download, download};

pub(super) const KIND: Kind = Kind { name: "http:// and https:// URLs", holds: is_url, open: |_| Arc::new(Http) };

/// Whether a path is a URL of this kind.
fn is_url(location: &str) -> bool {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| scheme == "http" || scheme == "https")
}

/// Servers that are asked for files.
#[derive(Debug)]
struct Http;

/// Downloads of this process: each is a file of its own.
static DOWNLOADS: AtomicUsize = AtomicUsize::new(0);

#[async_trait]
impl FileSystem for Http {
    fn check(&self, pattern: &str) -> Result<(), String> {
        let url = parsed(pattern)?;
        if url.path().contains('*') {
            let help = "name each file under a source of its own, or write %2A if its name has that character";
            return Err(format!("a URL names one file, and `*` in it is no pattern: {help}"));
        }
        Ok(())
    }

    fn arrives(&self) -> bool {
        true
    }

    fn shown(&self, pattern: &str) -> String {
        parsed(pattern).map_or_else(|_| "a URL".to_owned(), |url| shown(&url))
    }

    fn nothing_found(&self, pattern: &str, source: &str) -> Error {
        let message = format!("the server has no such file (404 Not Found), but source `{source}` needs one");
        let help = "check the URL, or specify `if_missing: skip` or `empty` if the file is not always there";
        Error::input(self.shown(pattern), message, help)
    }

    async fn find(&self, pattern: &str, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        let url = parsed(pattern).map_err(|message| Error::input("a URL", message, "correct the path"))?;
        let name = shown(&url);
        let path = arrival.scratch.join(format!("download-{}", DOWNLOADS.fetch_add(1, Ordering::Relaxed)));
        let mut stop = arrival.stop.clone();
        let downloaded = tokio::select! {
            downloaded = download(&url, &name, &path) => downloaded?,
            () = stop.wanted() => return Err(Error::Interrupted),
        };
        let Some(Download { hash, modified }) = downloaded else { return Ok(vec![]) };
        if let Some(modified) = modified {
            set_modified(&path, modified).map_err(|error| not_kept(&name, error))?;
        }
        // A URL is known by its content, like everything that arrives.
        let known_as = format!("{name}:{hash}");
        Ok(vec![arrived(&path, name, known_as)?])
    }

    fn archive(&self, _: &str, _: &str) -> Result<Box<dyn Archive>, String> {
        Err(no_archive("the file of a URL"))
    }

    async fn finish_moves(&self, _: &str, moves: &[Move]) -> Result<()> {
        no_moves(moves)
    }

    async fn remove_archived(&self, _: &str, moves: &[Move]) -> Result<u64> {
        no_moves(moves).map(|()| 0)
    }
}

/// The message has no part of the URL: any may be secret.
fn parsed(location: &str) -> Result<Url, String> {
    Url::parse(location).map_err(|error| format!("this is not a valid URL: {error}"))
}

/// A URL without the user, the password and the query, which may be secret.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

fn set_modified(path: &Path, modified: std::time::SystemTime) -> std::io::Result<()> {
    File::options().write(true).open(path)?.set_modified(modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (url, expected) in [
            ("https://ann:p%40ss@Host.example:8443/a/b.csv?token=x#y", "https://host.example:8443/a/b.csv"),
            ("http://[::1]:80/%7Ea", "http://[::1]/%7Ea"),
            ("https://token@host/@x/a.csv", "https://host/@x/a.csv"),
        ] {
            assert_eq!(Http.shown(url), expected);
        }
        let wrong = "https://ann:pa/ss@host/a.csv?token=x";
        assert_eq!(Http.shown(wrong), "a URL");
        let message = Http.check(wrong).unwrap_err();
        assert!(message.starts_with("this is not a valid URL") && !message.contains("ss"), "{message}");
    }

    #[test]
    fn a_url_is_no_pattern_but_may_have_a_query_and_brackets() {
        assert!(Http.check("https://[::1]/a.csv?select=*&x[]=1").is_ok());
        assert!(Http.check("https://host/a*.csv").unwrap_err().contains("%2A"));
    }

    #[test]
    fn a_url_is_one_in_any_case() {
        assert!(is_url("HTTPS://host/a.csv") && is_url("http://host"));
        assert!(!is_url("s3://bucket/a.csv") && !is_url("http.csv") && !is_url("a/http://b"));
    }
}
