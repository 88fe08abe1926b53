//! URLs of objects and of the folders that they lie in: `s3://bucket/folder/key`.

use std::fmt;

use object_store::path::Path;

/// What kind of store a URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    S3,
    Gs,
    Az,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

/// The URL of an object, or the pattern of some. Keys are as the store has them: nothing is percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectUrl {
    pub(super) scheme: Scheme,
    pub(super) bucket: String,
    /// Without a slash at its beginning and its end.
    pub(super) key: String,
}

impl ObjectUrl {
    /// Fails if the URL names no bucket, or its key is none that can be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("`{text}` is not a URL"))?;
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" => Scheme::Az,
            other => return Err(format!("`{other}://` is no object store: the schemes are s3, gs and az")),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("`{text}` names no bucket: write {}://BUCKET/KEY", scheme.name()));
        }
        if bucket.contains(['*', '?', '[', '@', ':']) {
            return Err(format!(
                "`{text}`: the name of a bucket is no pattern, and has no user and no port in front or behind"
            ));
        }
        let key = key.strip_suffix('/').unwrap_or(key);
        if key.split('/').any(|name| ["", ".", ".."].contains(&name)) && !key.is_empty() {
            return Err(format!("`{text}`: a key with `//`, `/./` or `/../` cannot be read"));
        }
        Ok(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Another object, or folder, of the same bucket.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// What lies in this folder under a name.
    pub(crate) fn join(&self, name: &str) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) };
        self.with_key(&key)
    }

    /// The key as requests have it.
    pub(crate) fn path(&self) -> object_store::Result<Path> {
        Ok(Path::parse(&self.key)?)
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether both are of one bucket.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.scheme, &self.bucket) == (other.scheme, &other.bucket)
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.key.is_empty() { "" } else { "/" };
        write!(f, "{}://{}{slash}{}", self.scheme.name(), self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_bucket_and_a_key() {
        for (text, bucket, key) in [
            ("s3://loans/in/*.csv", "loans", "in/*.csv"),
            ("gs://loans/in/", "loans", "in"),
            ("az://loans", "loans", ""),
            ("s3://a.b-c/d%2Fe f", "a.b-c", "d%2Fe f"),
        ] {
            let url = ObjectUrl::parse(text).unwrap();
            assert_eq!((&*url.bucket, &*url.key), (bucket, key));
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
        let folder = ObjectUrl::parse("s3://loans").unwrap();
        assert_eq!(folder.join("a").join("b").to_string(), "s3://loans/a/b");
    }

    #[test]
    fn what_is_no_url_of_objects_is_refused() {
        for (text, message) in [
            ("s3://", "names no bucket"),
            ("s3:///a.csv", "names no bucket"),
            ("s3://loa*/a.csv", "is no pattern"),
            ("s3://key:secret@loans/a.csv", "has no user"),
            ("s3://loans//a.csv", "cannot be read"),
            ("s3://loans/../a.csv", "cannot be read"),
            ("ftp://loans/a.csv", "is no object store"),
        ] {
            let error = ObjectUrl::parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
