//! TLS according to libpq's `sslmode`, with rustls.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::verifier::{Trust, Verifier};

/// The TLS requirement of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Never TLS.
    Disable,
    /// Without TLS, or with it if the server does not admit sessions without.
    Allow,
    /// With TLS, or without it if TLS fails.
    Prefer,
    /// TLS. The certificate is checked only if root certificates are given.
    Require,
    /// TLS, and the certificate is signed by a trusted authority.
    VerifyCa,
    /// The same, and the certificate was issued for this host.
    VerifyFull,
}

impl Mode {
    pub(crate) const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// The trusted certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// Those that the system trusts.
    System,
    /// Those in this file.
    File(PathBuf),
    /// Those in libpq's default file, `~/.postgresql/root.crt`.
    FileIfExists(Option<PathBuf>),
}

/// TLS settings of a connection string.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) mode: Mode,
    pub(crate) root: Root,
    /// The files with the client's certificate and its private key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the TLS handshake starts without a preceding PostgreSQL message; supported by servers since version 17.
    pub(crate) direct: bool,
}

/// A file that TLS needs cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Tls {
    /// Creates a TLS connector. The files are read for every session, because certificates are renewed while programs
    /// run.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, Unusable> {
        let verifier = match (self.mode, self.trust()?) {
            // libpq would prefer no TLS to TLS with an untrusted certificate. Both are open to eavesdroppers, so
            // checking the certificate here gains nothing.
            (Mode::Disable | Mode::Allow | Mode::Prefer, _) | (Mode::Require, None) => Verifier::new(None, false),
            (Mode::Require | Mode::VerifyCa, Some(trust)) => Verifier::new(Some(trust), false),
            (Mode::VerifyFull, Some(trust)) => Verifier::new(Some(trust), true),
            (Mode::VerifyCa | Mode::VerifyFull, None) => return Err(self.no_roots()),
        };
        let internal = |error: rustls::Error| Unusable {
            message: format!("TLS cannot be set up: {error}"),
            help: "check that the key in sslkey belongs to the certificate in sslcert".to_owned(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(internal)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate, "sslcert")?, private_key(key)?)
                .map_err(internal)?,
            None => builder.with_no_client_auth(),
        };
        if self.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(config))
    }

    fn trust(&self) -> Result<Option<Trust>, Unusable> {
        if matches!(self.mode, Mode::Disable | Mode::Allow | Mode::Prefer) {
            return Ok(None);
        }
        let path = match &self.root {
            Root::System => return trust_of_system().map(Some),
            Root::File(path) => path,
            Root::FileIfExists(Some(path)) if path.exists() => path,
            Root::FileIfExists(_) => return Ok(None),
        };
        let certificates = certificates(path, "sslrootcert")?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| unusable(path, "sslrootcert", &error.to_string()))?;
        }
        Ok(Some(Trust { roots, certificates }))
    }

    fn no_roots(&self) -> Unusable {
        Unusable {
            message: format!("sslmode={} needs a file with trusted certificates", self.mode.name()),
            help: "specify it with sslrootcert=FILE, put it at ~/.postgresql/root.crt, or write \
                   sslmode=verify-full&sslrootcert=system to trust the system's authorities"
                .to_owned(),
        }
    }
}

fn trust_of_system() -> Result<Trust, Unusable> {
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be malformed; a single one does not matter.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Unusable {
            message: "the system has no trusted certificates".to_owned(),
            help: "install the package ca-certificates, or specify a file with sslrootcert".to_owned(),
        });
    }
    Ok(Trust { roots, certificates: Vec::new() })
}

fn unusable(path: &Path, option: &str, why: &str) -> Unusable {
    Unusable { message: format!("{}: {why}", path.display()), help: format!("check the file named by `{option}`") }
}

fn certificates(path: &Path, option: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let text = fs::read(path).map_err(|error| unusable(path, option, &error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(path, option, "the file has no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, option, &format!("not a certificate in PEM: {error}"))),
    }
}

/// As in libpq, no other user may be able to read the key; if it belongs to root, its group may.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let metadata = fs::metadata(path).map_err(|error| unusable(path, "sslkey", &error.to_string()))?;
    let forbidden = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        return Err(Unusable {
            message: format!("{}: other users can read this private key", path.display()),
            help: format!("chmod 0600 {}", path.display()),
        });
    }
    let text = fs::read(path).map_err(|error| unusable(path, "sslkey", &error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| unusable(path, "sslkey", &format!("not an unencrypted private key in PEM: {error}")))
}
