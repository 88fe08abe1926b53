//! A bucket: its client, with the credentials, the timeouts and the limits of its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::limit::LimitStore;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
};

use super::credentials;
use super::failure::Failure;
use super::url::{ObjectUrl, Scheme};
use crate::task::{Project, StoreSettings};

/// How often a request is repeated that failed for a while.
pub(super) const RETRIES: usize = 8;

/// After this time it is not repeated any more.
pub(super) const RETRY_TIME: Duration = Duration::from_secs(120);

/// Timeouts: of a connection, of a request with its answer, and of an answer that stops coming.
const TIMEOUTS: [(ClientConfigKey, &str); 3] = [
    (ClientConfigKey::ConnectTimeout, "10 seconds"),
    (ClientConfigKey::Timeout, "120 seconds"),
    (ClientConfigKey::ReadTimeout, "30 seconds"),
];

/// Requests to a bucket at a time.
const MOST_REQUESTS: usize = 32;

const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// The client of a bucket.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// For uploads in parts.
    pub(crate) parts: Arc<dyn MultipartStore>,
    pages: Arc<dyn PaginatedListStore>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

impl Store {
    /// The store of a URL, with the settings of the project. Fails if there are no credentials.
    pub(crate) async fn open(project: &Project, url: &ObjectUrl) -> crate::error::Result<Result<Self, Failure>> {
        // It fails if the process has one, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = project.store(&url.to_string())?;
        if let Err(failure) = credentials::check(url.scheme, &settings).await {
            return Ok(Err(failure));
        }
        let built = match url.scheme {
            Scheme::S3 => s3(&url.bucket, settings).build().map(Self::of),
            Scheme::Gs => gs(&url.bucket, settings).build().map(Self::of),
            Scheme::Az => az(&url.bucket, settings).build().map(Self::of),
        };
        Ok(built.map_err(|error| Failure::of(&error)))
    }

    fn of(client: impl ObjectStore + PaginatedListStore + MultipartStore + Clone) -> Self {
        let objects = Arc::new(LimitStore::new(client.clone(), MOST_REQUESTS));
        Self { objects, parts: Arc::new(client.clone()), pages: Arc::new(client) }
    }

    /// All objects whose keys begin with a text, page by page.
    pub(crate) async fn list(&self, prefix: &str) -> object_store::Result<Vec<ObjectMeta>> {
        let mut all = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.pages.list_paginated((!prefix.is_empty()).then_some(prefix), options).await?;
            all.extend(page.result.objects);
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Fails if the bucket cannot be listed.
    pub(super) async fn list_one(&self, prefix: &str) -> object_store::Result<()> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        self.pages.list_paginated(Some(prefix), options).await.map(drop)
    }

    /// Whether there is no such bucket.
    pub(crate) async fn is_gone(&self) -> object_store::Result<bool> {
        match self.list_one("x").await {
            Err(error) if is_bucket_missing(&error) => Ok(true),
            listed => listed.map(|()| false),
        }
    }

    /// Removes objects. Those that are gone already are no error.
    pub(crate) async fn remove(&self, keys: Vec<Path>) -> object_store::Result<()> {
        let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let removed = self.objects.delete_stream(keys).map(|removed| match removed {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map(drop),
        });
        removed.try_collect().await
    }

    /// The object at a key, if there is one.
    pub(crate) async fn find(&self, key: &Path) -> object_store::Result<Option<ObjectMeta>> {
        match self.objects.head(key).await {
            Err(error @ object_store::Error::NotFound { .. }) if !is_bucket_missing(&error) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Fails if objects of a folder cannot be written, and removed; or, if asked, if the store has no conditional puts.
    pub(crate) async fn try_writing(&self, folder: &ObjectUrl, conditional: bool) -> Result<(), Failure> {
        let failed = |error: object_store::Error| Failure::of(&error);
        let probe = folder.join(&format!(".weir-doctor-{}", std::process::id())).path().map_err(failed)?;
        let create = || self.objects.put_opts(&probe, PutPayload::from_static(b"a test"), PutMode::Create.into());
        create().await.map_err(failed)?;
        let is_overwritten = conditional && create().await.is_ok();
        self.remove(vec![probe.clone()]).await.map_err(failed)?;
        match is_overwritten {
            true => Err(Failure::new(
                "the store overwrites an object that was to be created (it ignores `If-None-Match`)",
                "use a store with conditional writes: without them two runs could publish at the same time",
            )),
            false => Ok(()),
        }
    }
}

/// Whether what was not found is the whole bucket.
fn is_bucket_missing(error: &object_store::Error) -> bool {
    let text = error.to_string();
    text.contains("NoSuchBucket") || text.contains("ContainerNotFound")
}

fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(15), base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_TIME }
}

/// What all clients have: the names of the options, with their values.
fn options(allow_http: bool) -> impl Iterator<Item = (ClientConfigKey, &'static str)> {
    let http = allow_http.then_some((ClientConfigKey::AllowHttp, "true"));
    TIMEOUTS.into_iter().chain([(ClientConfigKey::UserAgent, USER_AGENT)]).chain(http)
}

fn s3(bucket: &str, settings: StoreSettings) -> AmazonS3Builder {
    let mut builder = match settings.access_key_id {
        // Its token, if any, belongs to this key and not to that of the environment.
        Some(_) => without_keys(AmazonS3Builder::from_env()),
        None => AmazonS3Builder::from_env(),
    };
    for (key, value) in options(settings.allow_http) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    builder = builder.with_bucket_name(bucket).with_retry(retries()).with_skip_signature(settings.anonymous);
    let is_virtual = settings.path_style == Some(false);
    let endpoint = settings.endpoint.map(|endpoint| if is_virtual { with_bucket(&endpoint, bucket) } else { endpoint });
    let has_key = settings.access_key_id.is_some();
    if speaks_http_only(&builder, endpoint.as_deref(), has_key, has_proxy()) {
        // To read and check all of the system's certificates takes longer than a small file.
        builder = builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::NoSystemCertificates), "true");
    }
    let texts = [
        (AmazonS3ConfigKey::Endpoint, endpoint),
        (AmazonS3ConfigKey::Region, settings.region),
        (AmazonS3ConfigKey::AccessKeyId, settings.access_key_id),
        (AmazonS3ConfigKey::SecretAccessKey, settings.secret_access_key),
        (AmazonS3ConfigKey::Token, settings.session_token),
    ];
    for (key, value) in texts {
        builder = match value {
            Some(value) => builder.with_config(key, value),
            None => builder,
        };
    }
    match settings.path_style {
        Some(path_style) => builder.with_virtual_hosted_style_request(!path_style),
        None => builder,
    }
}

/// Whether all requests go to an endpoint without TLS: with other credentials than a key, some go to a service for these, and
/// a proxy may have TLS itself.
fn speaks_http_only(of_environment: &AmazonS3Builder, endpoint: Option<&str>, has_key: bool, has_proxy: bool) -> bool {
    let given = |key| of_environment.get_config_value(&key);
    let has_key = has_key || given(AmazonS3ConfigKey::AccessKeyId).is_some();
    let has_proxy = has_proxy || given(AmazonS3ConfigKey::Client(ClientConfigKey::ProxyUrl)).is_some();
    let endpoint = endpoint.map(str::to_owned).or_else(|| given(AmazonS3ConfigKey::Endpoint));
    let endpoints: Vec<String> = endpoint.into_iter().chain(given(AmazonS3ConfigKey::S3Endpoint)).collect();
    let are_plain = !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.starts_with("http://"));
    has_key && !has_proxy && are_plain
}

fn has_proxy() -> bool {
    const NAMES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    NAMES.iter().any(|name| std::env::var_os(name).is_some())
}

/// What the environment has, without its credentials.
fn without_keys(of_environment: AmazonS3Builder) -> AmazonS3Builder {
    let kept = [AmazonS3ConfigKey::Region, AmazonS3ConfigKey::DefaultRegion, AmazonS3ConfigKey::Endpoint];
    kept.into_iter().fold(AmazonS3Builder::new(), |builder, key| match of_environment.get_config_value(&key) {
        Some(value) => builder.with_config(key, value),
        None => builder,
    })
}

/// The endpoint of a bucket whose name is in the host's: `https://bucket.host`.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => endpoint.to_owned(),
    }
}

fn gs(bucket: &str, settings: StoreSettings) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    for (key, value) in options(settings.allow_http) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    builder = builder.with_bucket_name(bucket).with_retry(retries()).with_skip_signature(settings.anonymous);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    match settings.service_account_key {
        Some(key) => builder.with_service_account_key(key),
        None => builder,
    }
}

fn az(container: &str, settings: StoreSettings) -> MicrosoftAzureBuilder {
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (key, value) in options(settings.allow_http) {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    builder = builder.with_container_name(container).with_retry(retries()).with_skip_signature(settings.anonymous);
    if let Some(endpoint) = settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let texts = [
        (AzureConfigKey::AccountName, settings.account),
        (AzureConfigKey::AccessKey, settings.account_key),
        (AzureConfigKey::SasKey, settings.sas_token),
    ];
    texts.into_iter().fold(builder, |builder, (key, value)| match value {
        Some(value) => builder.with_config(key, value),
        None => builder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_left_out_only_where_no_request_has_tls() {
        let plain = Some("http://127.0.0.1:9000");
        let of = |key, value: &str| AmazonS3Builder::new().with_config(key, value);
        let none = AmazonS3Builder::new();
        assert!(speaks_http_only(&none, plain, true, false));
        assert!(speaks_http_only(&of(AmazonS3ConfigKey::AccessKeyId, "key"), plain, false, false));
        assert!(speaks_http_only(&of(AmazonS3ConfigKey::Endpoint, "http://store"), None, true, false));
        for (builder, endpoint, has_key, has_proxy) in [
            (none.clone(), None, true, false),
            (none.clone(), Some("https://store"), true, false),
            (none.clone(), plain, false, false),
            (none, plain, true, true),
            (of(AmazonS3ConfigKey::S3Endpoint, "https://store"), plain, true, false),
            (of(AmazonS3ConfigKey::Client(ClientConfigKey::ProxyUrl), "https://proxy"), plain, true, false),
        ] {
            assert!(!speaks_http_only(&builder, endpoint, has_key, has_proxy), "{builder:?}");
        }
    }
}
