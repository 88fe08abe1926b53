//! Verification of a server's certificate according to `sslmode`.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::der::Decode;

/// Trusted certificates.
#[derive(Debug)]
pub(crate) struct Trust {
    /// As trust anchors.
    pub(crate) roots: RootCertStore,
    /// As in the file.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Checks who signed a certificate if there are trusted certificates, and for which host if `asks_for_host`. The server
/// must have the certificate's private key in any case; otherwise channel binding would bind the password to nothing.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Option<Trust>,
    asks_for_host: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(trust: Option<Trust>, asks_for_host: bool) -> Self {
        Self { trust, asks_for_host, algorithms: ring::default_provider().signature_verification_algorithms }
    }
}

impl Trust {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        // PostgreSQL's manual explains how to create a self-signed certificate, which OpenSSL marks as a CA's; rustls
        // accepts no such certificate from a server, even if this exact certificate is trusted.
        if self.certificates.iter().any(|trusted| trusted == end_entity) {
            return verify_dates(end_entity, now);
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms.all)
    }
}

fn verify_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = x509_cert::Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        Err(CertificateError::NotValidYet.into())
    } else if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            trust.verify(end_entity, intermediates, now, &self.algorithms)?;
        }
        if self.asks_for_host {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject;
    use weir_postgres_testing::Identity;

    use super::*;

    #[test]
    fn a_certificate_that_is_trusted_itself_is_good_between_its_dates() {
        let identity = Identity::self_signed(&["db.example"]);
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let trust = Trust { roots: RootCertStore::empty(), certificates: vec![certificate.clone()] };
        let verify = |seconds| {
            let algorithms = ring::default_provider().signature_verification_algorithms;
            trust.verify(&certificate, &[], UnixTime::since_unix_epoch(Duration::from_secs(seconds)), &algorithms)
        };
        verify(1_800_000_000).unwrap();
        assert_eq!(verify(0), Err(CertificateError::NotValidYet.into()));
        assert_eq!(verify(100_000_000_000), Err(CertificateError::Expired.into()));
    }
}
