//! `stores:` in `weir.yaml`: how object stores are reached.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;

use super::params::Params;
use super::secret;
use crate::error::{Place, Result, SourceText, TaskError};

/// The schemes of the URLs of objects.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// Whether a path is that of objects: `s3://bucket/key`.
pub(crate) fn is_object_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// An object store: one entry under `stores` in `weir.yaml`. Its name is what the paths begin with: `s3://loans`,
/// `s3://loans/incoming`, or `s3://` for all buckets; the longest one counts. What is not given here is taken from the
/// environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`), and credentials at last from the machine: the role of an instance, a
/// container or a pod.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Store")]
pub struct StoreSpec {
    /// The URL of the service, if it is not that of Amazon, Google or Microsoft.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"https://minio.example:9000")]
    pub endpoint: Option<Spanned<String>>,
    /// For `s3://`, the region of the bucket. Default: `AWS_REGION`, or else `us-east-1`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"eu-central-1")]
    pub region: Option<Spanned<String>>,
    /// For `s3://`, the access key. As everywhere here, `${env:NAME}` is replaced by an environment variable and `${file:PATH}`
    /// by the content of a file.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("${env:LOANS_KEY_ID}"))]
    pub access_key_id: Option<Spanned<String>>,
    /// For `s3://`, the secret of the access key: a reference, as all secrets here.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("${file:/run/secrets/loans}"))]
    pub secret_access_key: Option<Spanned<String>>,
    /// For `s3://`, the token of temporary credentials: a reference.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub session_token: Option<Spanned<String>>,
    /// For `gs://`, the key of a service account, in JSON: a reference.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = json!("${file:/run/secrets/google.json}"))]
    pub service_account_key: Option<Spanned<String>>,
    /// For `az://`, the storage account.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"loans")]
    pub account: Option<Spanned<String>>,
    /// For `az://`, the key of the account: a reference.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub account_key: Option<Spanned<String>>,
    /// For `az://`, a shared access signature: a reference.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sas_token: Option<Spanned<String>>,
    /// Whether `endpoint` may be one without TLS. Default: `false`.
    #[serde(default)]
    pub allow_http: bool,
    /// For `s3://`, whether the bucket is in the path of a request; else it is in the host's name. Default: `true`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub path_style: Option<Spanned<bool>>,
    /// Whether requests have no credentials, as for public data. Default: `false`.
    #[serde(default)]
    pub anonymous: bool,
}

/// A key of a store with a text.
struct Key<'a> {
    name: &'static str,
    text: Option<&'a Spanned<String>>,
    /// The only scheme that it is for.
    scheme: Option<&'static str>,
    is_secret: bool,
}

impl StoreSpec {
    fn keys(&self) -> [Key<'_>; 9] {
        let key = |name, text, scheme, is_secret| Key { name, text, scheme, is_secret };
        [
            key("endpoint", self.endpoint.as_ref(), None, false),
            key("region", self.region.as_ref(), Some("s3"), false),
            key("access_key_id", self.access_key_id.as_ref(), Some("s3"), false),
            key("secret_access_key", self.secret_access_key.as_ref(), Some("s3"), true),
            key("session_token", self.session_token.as_ref(), Some("s3"), true),
            key("service_account_key", self.service_account_key.as_ref(), Some("gs"), true),
            key("account", self.account.as_ref(), Some("az"), false),
            key("account_key", self.account_key.as_ref(), Some("az"), true),
            key("sas_token", self.sas_token.as_ref(), Some("az"), true),
        ]
    }

    /// Fails if a key is not one of the scheme, or a secret is written here.
    pub(super) fn check(&self, source: &SourceText, url: &str, at: Option<Place>) -> Result<(), TaskError> {
        let error = |at, message: String, help: &str| Err(TaskError::new(source, at, message).with_help(help));
        let Some((scheme, rest)) = url.split_once("://").filter(|_| is_object_url(url)) else {
            let help = "write what its paths begin with, such as `s3://loans`; the schemes are s3, gs and az";
            return error(at, format!("store `{url}` is not the URL of a bucket"), help);
        };
        if rest.ends_with('/') || rest.contains(['*', '?', '[']) {
            let help = "write a bucket, or a folder in it without the slash at its end; it is no pattern";
            return error(at, format!("store `{url}` is neither a bucket nor a folder in one"), help);
        }
        for Key { name, text, scheme: only, is_secret } in self.keys() {
            let Some(text) = text else { continue };
            let at = Place::of(text.referenced);
            if let Some(only) = only.filter(|only| *only != scheme) {
                return error(at, format!("store `{url}`: `{name}` is for {only}://"), "remove it");
            }
            if is_secret && !(text.value.contains("${env:") || text.value.contains("${file:")) {
                let help = "write ${env:NAME} or ${file:PATH}, and change the secret if others have seen this file";
                return error(at, format!("store `{url}`: the secret in `{name}` is written here"), help);
            }
        }
        if let (Some(path_style), false) = (&self.path_style, scheme == "s3") {
            let at = Place::of(path_style.referenced);
            return error(at, format!("store `{url}`: `path_style` is for s3://"), "remove it");
        }
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(key), None) | (None, Some(key)) => {
                let at = Place::of(key.referenced);
                let message = format!("store `{url}`: `access_key_id` and `secret_access_key` belong together");
                error(at, message, "write both, or none to take those of the environment")
            }
            _ => Ok(()),
        }
    }

    /// The settings with what they refer to.
    pub(super) fn resolve(&self, source: &SourceText) -> Result<StoreSettings> {
        let params = Params::default();
        let fill =
            |text: &Option<Spanned<String>>| text.as_ref().map(|text| secret::fill(source, text, &params)).transpose();
        Ok(StoreSettings {
            endpoint: fill(&self.endpoint)?,
            region: fill(&self.region)?,
            access_key_id: fill(&self.access_key_id)?,
            secret_access_key: fill(&self.secret_access_key)?,
            session_token: fill(&self.session_token)?,
            service_account_key: fill(&self.service_account_key)?,
            account: fill(&self.account)?,
            account_key: fill(&self.account_key)?,
            sas_token: fill(&self.sas_token)?,
            allow_http: self.allow_http,
            path_style: self.path_style.as_ref().map(|path_style| path_style.value),
            anonymous: self.anonymous,
        })
    }
}

/// The settings of a store, with secrets: they are shown nowhere.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "object-stores"), expect(dead_code, reason = "this program has no object stores"))]
pub(crate) struct StoreSettings {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
    pub(crate) session_token: Option<String>,
    pub(crate) service_account_key: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) account_key: Option<String>,
    pub(crate) sas_token: Option<String>,
    pub(crate) allow_http: bool,
    pub(crate) path_style: Option<bool>,
    pub(crate) anonymous: bool,
}

/// Whether the objects of a URL are those of a store: `s3://loans/a` is in `s3://loans`, and `s3://loans-2/a` is not.
pub(super) fn is_in(url: &str, store: &str) -> bool {
    url.strip_prefix(store).is_some_and(|rest| store.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Project;

    fn project(stores: &str) -> Result<Project> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("weir.yaml"), format!("stores: {stores}")).unwrap();
        Project::load(folder.path())
    }

    #[test]
    fn the_longest_url_counts_and_a_bucket_ends_with_its_name() {
        let stores = "{'s3://': {region: a}, 's3://loans': {region: b}, 's3://loans/in': {region: c}}";
        let project = project(stores).unwrap();
        for (url, expected) in [
            ("s3://loans/in/x.csv", Some("c")),
            ("s3://loans/inner/x.csv", Some("b")),
            ("s3://loans", Some("b")),
            ("s3://loans-2/x.csv", Some("a")),
            ("gs://loans/x.csv", None),
        ] {
            assert_eq!(project.store(url).unwrap().region.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_a_store_cannot_have_is_refused_with_what_to_do() {
        for (stores, message) in [
            ("{'s3://b': {regoin: x}}", "unknown key `regoin`"),
            ("{loans: {region: x}}", "store `loans` is not the URL of a bucket"),
            ("{'https://b': {region: x}}", "is not the URL of a bucket"),
            ("{'s3://b/*': {region: x}}", "is neither a bucket nor a folder in one"),
            ("{'gs://b': {region: x}}", "`region` is for s3://"),
            ("{'az://b': {path_style: true}}", "`path_style` is for s3://"),
            ("{'s3://b': {account: x}}", "`account` is for az://"),
            ("{'s3://b': {access_key_id: x}}", "belong together"),
            (
                "{'s3://b': {access_key_id: x, secret_access_key: hush}}",
                "the secret in `secret_access_key` is written here",
            ),
        ] {
            let error = project(stores).unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("hush"), "{stores}: {error}");
        }
    }

    #[test]
    fn secrets_are_filled_in() {
        let stores = "{'s3://b': {access_key_id: x, secret_access_key: '${env:PATH}'}}";
        let settings = project(stores).unwrap().store("s3://b/x").unwrap();
        assert_eq!(settings.secret_access_key, std::env::var("PATH").ok());
        let stores = "{'s3://b': {access_key_id: x, secret_access_key: '${env:NO_SUCH_VARIABLE}'}}";
        let error = project(stores).unwrap().store("s3://b/x").map(drop).unwrap_err().to_string();
        assert!(error.contains("`NO_SUCH_VARIABLE` is not set"), "{error}");
    }
}
