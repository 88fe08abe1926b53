//! TLS with certificates on both sides: whoever connects shows one, too, and all are signed by one authority.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use weir::{Error, Result};

/// The files of TLS.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsArgs {
    /// The certificate of this machine (PEM): with it all connections are encrypted, and both sides have to show one.
    #[arg(long, value_name = "FILE", env = "WEIR_CLUSTER_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM).
    #[arg(long, value_name = "FILE", env = "WEIR_CLUSTER_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The authority that has signed the certificates of all machines (PEM).
    #[arg(long, value_name = "FILE", env = "WEIR_CLUSTER_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
}

/// Certificates and a key.
#[derive(Clone)]
pub(crate) struct Tls {
    authority: Certificate,
    identity: Identity,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl TlsArgs {
    /// Reads the files, if they are given.
    pub(crate) fn load(&self) -> Result<Option<Tls>> {
        let (cert, key, ca) = match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (None, None, None) => return Ok(None),
            (Some(cert), Some(key), Some(ca)) => (cert, key, ca),
            _ => {
                let help = "give --tls-cert, --tls-key and --tls-ca, or none of them";
                return Err(Error::usage(
                    "TLS needs a certificate, its key and the authority that has signed it",
                    help,
                ));
            }
        };
        let identity = Identity::from_pem(read(cert)?, read(key)?);
        let tls = Tls { authority: Certificate::from_pem(read(ca)?), identity };
        tls.check(cert)?;
        Ok(Some(tls))
    }
}

impl Tls {
    pub(crate) fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(self.authority.clone()).identity(self.identity.clone())
    }

    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().client_ca_root(self.authority.clone()).identity(self.identity.clone())
    }

    /// Fails if the files are not what they should be, which otherwise is found out at the first connection.
    fn check(&self, cert: &Path) -> Result<()> {
        let client = Endpoint::from_static("https://localhost").tls_config(self.client()).map(drop);
        client.and_then(|()| Server::builder().tls_config(self.server()).map(drop)).map_err(|error| {
            let message = format!("TLS cannot be set up: {}", crate::channel::chain(&error));
            let help = "check that --tls-cert, --tls-key and --tls-ca are PEM files, and that the key belongs to the certificate";
            Error::input(cert.display(), message, help)
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::input(path.display(), &error, "check the path of the file, and that it can be read").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_tls_are_needed() {
        let tls_cert = Some(PathBuf::from("cert.pem"));
        let error = TlsArgs { tls_cert, tls_key: None, tls_ca: None }.load().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(TlsArgs { tls_cert: None, tls_key: None, tls_ca: None }.load().unwrap().is_none());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = write("cert.pem", one.cert.pem());
        let ca = write("ca.pem", one.cert.pem());
        let right = write("key.pem", one.signing_key.serialize_pem());
        let wrong = write("other.pem", other.signing_key.serialize_pem());
        let load = |tls_key| TlsArgs { tls_cert: cert.clone(), tls_key, tls_ca: ca.clone() }.load();
        assert!(load(right).unwrap().is_some());
        let error = load(wrong).unwrap_err().to_string();
        assert!(error.contains("TLS cannot be set up"), "{error}");
    }
}
