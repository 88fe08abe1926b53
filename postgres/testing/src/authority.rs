//! Certificates for test servers and their clients.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::process::Unprivileged;

/// A certificate authority. Clients that trust its [`certificate`](Self::certificate) trust what it signed.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, both in PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// Creates an authority with a key of its own.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params.self_signed(&key).expect("the parameters are valid").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for hosts (names or addresses) or for a database user. The first name is the common name.
    pub fn identity(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let common_name = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).expect("the names can be names of hosts");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// The authority's own certificate in PEM, as for `sslrootcert`.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Writes [`certificate`](Self::certificate) to a file in a folder; returns its path.
    pub fn write_to(&self, folder: &Path) -> PathBuf {
        let path = folder.join("root.crt");
        fs::write(&path, &self.certificate).expect("the folder can be written to");
        path
    }
}

impl Identity {
    /// Creates a self-signed certificate for hosts, as PostgreSQL's manual does with `openssl req -new -x509`: it is
    /// marked as a CA certificate.
    pub fn self_signed(hosts: &[&str]) -> Self {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("the names can be names of hosts");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes both to files in a folder; returns the paths of the certificate and the key. Only the owner of the
    /// process can read the key.
    pub fn write_to(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("identity.crt"), folder.join("identity.key"));
        fs::write(&certificate, &self.certificate).expect("the folder can be written to");
        fs::write(&key, "").expect("the folder can be written to");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("the file is ours");
        fs::write(&key, &self.key).expect("the file is ours");
        (certificate, key)
    }

    /// Writes both to the server's data folder.
    pub(super) fn give_to_server(&self, data: &Path) {
        give_to_server(&data.join("server.crt"), &self.certificate);
        give_to_server(&data.join("server.key"), &self.key);
    }
}

pub(super) fn give_to_server(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is ours");
    Unprivileged::user().give(path);
}
