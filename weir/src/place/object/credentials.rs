//! Whether there are credentials: without any the machine itself is asked for them, and most machines have none.

use std::time::Duration;

use tokio::net::TcpStream;

use super::failure::Failure;
use super::url::Scheme;
use crate::task::StoreSettings;

/// How long the machine may take to answer.
const WAIT: Duration = Duration::from_secs(2);

/// Fails if no credentials are given and the machine has no service for them.
pub(super) async fn check(scheme: Scheme, settings: &StoreSettings) -> Result<(), Failure> {
    if settings.anonymous || is_given(scheme, settings, |name| std::env::var_os(name).is_some()) {
        return Ok(());
    }
    let service = match scheme {
        Scheme::S3 => {
            let named = std::env::var("AWS_METADATA_ENDPOINT").ok();
            named.as_deref().and_then(host).unwrap_or_else(|| "169.254.169.254:80".to_owned())
        }
        Scheme::Gs => "metadata.google.internal:80".to_owned(),
        Scheme::Az => "169.254.169.254:80".to_owned(),
    };
    match tokio::time::timeout(WAIT, TcpStream::connect(service)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(missing(scheme)),
    }
}

/// The host and the port of a URL.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    Some(if host.contains(':') { host.to_owned() } else { format!("{host}:80") })
}

/// Whether the settings or the environment have credentials.
fn is_given(scheme: Scheme, settings: &StoreSettings, is_set: impl Fn(&str) -> bool) -> bool {
    let (of_settings, variables): (bool, &[&str]) = match scheme {
        Scheme::S3 => (
            settings.access_key_id.is_some(),
            &[
                "AWS_ACCESS_KEY_ID",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_SKIP_SIGNATURE",
            ],
        ),
        Scheme::Gs => {
            let of_user = std::env::home_dir()
                .is_some_and(|home| home.join(".config/gcloud/application_default_credentials.json").exists());
            (
                settings.service_account_key.is_some() || of_user,
                &[
                    "GOOGLE_APPLICATION_CREDENTIALS",
                    "GOOGLE_SERVICE_ACCOUNT",
                    "GOOGLE_SERVICE_ACCOUNT_PATH",
                    "GOOGLE_SERVICE_ACCOUNT_KEY",
                    "GOOGLE_SKIP_SIGNATURE",
                    "SERVICE_ACCOUNT",
                ],
            )
        }
        Scheme::Az => (
            settings.account_key.is_some() || settings.sas_token.is_some(),
            &[
                "AZURE_STORAGE_ACCOUNT_KEY",
                "AZURE_STORAGE_ACCESS_KEY",
                "AZURE_STORAGE_SAS_KEY",
                "AZURE_STORAGE_SAS_TOKEN",
                "AZURE_STORAGE_TOKEN",
                "AZURE_STORAGE_CLIENT_SECRET",
                "AZURE_CLIENT_SECRET",
                "AZURE_FEDERATED_TOKEN_FILE",
                "AZURE_USE_AZURE_CLI",
                "AZURE_SKIP_SIGNATURE",
                "IDENTITY_ENDPOINT",
                "AZURE_MSI_ENDPOINT",
            ],
        ),
    };
    of_settings || variables.iter().any(|variable| is_set(variable))
}

fn missing(scheme: Scheme) -> Failure {
    let help = match scheme {
        Scheme::S3 => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `access_key_id` and `secret_access_key` under `stores` in \
             weir.yaml; for a profile of the AWS program: `eval \"$(aws configure export-credentials --format env)\"`; for \
             public data `anonymous: true`"
        }
        Scheme::Gs => {
            "set GOOGLE_APPLICATION_CREDENTIALS to the file of a key, or `service_account_key` under `stores` in weir.yaml; for \
             public data `anonymous: true`"
        }
        Scheme::Az => {
            "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or `account_key` or `sas_token` under `stores` in \
             weir.yaml; for public data `anonymous: true`"
        }
    };
    Failure::new("there are no credentials: neither in weir.yaml nor in the environment nor of this machine", help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_the_settings_or_of_the_environment() {
        let none = StoreSettings::default();
        assert!(!is_given(Scheme::S3, &none, |_| false));
        assert!(is_given(Scheme::S3, &none, |name| name == "AWS_ACCESS_KEY_ID"));
        assert!(!is_given(Scheme::S3, &none, |name| name == "AZURE_STORAGE_SAS_TOKEN"));
        assert!(is_given(Scheme::Az, &none, |name| name == "AZURE_STORAGE_SAS_TOKEN"));
        assert!(is_given(Scheme::Gs, &none, |name| name == "GOOGLE_APPLICATION_CREDENTIALS"));
        let key = Some("key".to_owned());
        assert!(is_given(Scheme::S3, &StoreSettings { access_key_id: key.clone(), ..none.clone() }, |_| false));
        assert!(is_given(Scheme::Az, &StoreSettings { account_key: key, ..none }, |_| false));
    }

    #[test]
    fn a_service_has_a_host_and_a_port() {
        assert_eq!(host("http://127.0.0.1:99/latest").as_deref(), Some("127.0.0.1:99"));
        assert_eq!(host("http://machine").as_deref(), Some("machine:80"));
        assert_eq!(host(""), None);
    }
}
