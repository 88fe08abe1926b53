//! Why a session could not be opened, and how to fix it.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};
use weir_database::{Failure, Reason};

use crate::options::Options;
use crate::statement::chain;
use crate::tls::{Mode, Unusable};

/// Parameters of the attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) options: &'a Options,
    /// Host and port.
    pub(crate) server: String,
    pub(crate) with_tls: bool,
}

/// No server answers.
pub(crate) fn unreachable(server: &str, why: &str) -> Failure {
    Failure::new(
        Reason::Unreachable,
        format!("no server answers at {server}: {why}"),
        "check that the server runs, that it listens on this address and port (listen_addresses, port), and that \
         no firewall blocks it",
    )
}

/// A host has no address.
pub(crate) fn lookup(host: &str, error: &io::Error) -> Failure {
    // The system distinguishes an unknown name from an unavailable name server only in the text of the error.
    let for_now = error.to_string().contains("Temporary failure");
    let reason = if for_now { Reason::LookupFailed } else { Reason::UnknownHost };
    let help = "check the spelling of the host name, and that this machine can resolve it (getent hosts NAME)";
    Failure::new(reason, format!("the host name `{host}` cannot be resolved: {error}"), help)
}

/// Whether the server does not admit the user with (or without) TLS, but may admit it the other way.
pub(crate) fn may_pass_with_tls_toggled(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::NotAdmitted | Reason::User)
}

impl From<Unusable> for Failure {
    fn from(file: Unusable) -> Self {
        Self::new(Reason::File, file.message, file.help)
    }
}

impl Attempt<'_> {
    pub(crate) fn failure(&self, error: &tokio_postgres::Error) -> Failure {
        if let Some(server) = error.as_db_error() {
            return self.refused(server);
        }
        if error.is_closed() {
            return unreachable(&self.server, "the server closed the connection");
        }
        let Some(source) = error.source() else { return self.other(error) };
        if let Some(error) = source.downcast_ref::<io::Error>() {
            return match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => self.tls(error),
                None => self.io(error),
            };
        }
        // tokio-postgres distinguishes these two only by their text.
        match source.to_string().as_str() {
            "password missing" => Failure::new(
                Reason::Password,
                format!("the server requires a password for user `{}`, but none was given", self.options.user),
                "set PGPASSWORD, add a line to ~/.pgpass (mode 0600), or put it into the URL",
            ),
            "server does not support TLS" => Failure::new(
                Reason::NoTls,
                format!("the server does not support TLS, but sslmode={} requires it", self.options.tls.mode.name()),
                "set ssl = on and a certificate in the server's postgresql.conf; on a trusted network \
                 sslmode=prefer connects without TLS",
            ),
            _ => self.other(error),
        }
    }

    fn other(&self, error: &tokio_postgres::Error) -> Failure {
        let help = "check that a PostgreSQL server listens on this address and port, and read its log";
        Failure::new(Reason::Other, chain(error), help)
    }

    fn io(&self, error: &io::Error) -> Failure {
        use io::ErrorKind::*;
        match error.kind() {
            PermissionDenied => {
                let help = "check target_session_attrs and the permissions of the server's socket";
                Failure::new(Reason::Other, error.to_string(), help)
            }
            // A socket folder without the socket.
            NotFound => unreachable(&self.server, "its socket does not exist"),
            InvalidInput | InvalidData | Unsupported => {
                let help = "check the spelling of the host and the options";
                Failure::new(Reason::Other, error.to_string(), help)
            }
            UnexpectedEof => unreachable(&self.server, "the server closed the connection"),
            _ => unreachable(&self.server, &error.to_string()),
        }
    }

    fn refused(&self, error: &DbError) -> Failure {
        let Options { user, database, .. } = self.options;
        let reported = format!("{} (SQLSTATE {})", error.message(), error.code().code());
        let code = error.code();
        if *code == SqlState::INVALID_PASSWORD {
            return Failure::new(
                Reason::Password,
                format!("wrong password for user `{user}`, or no such user: {reported}"),
                format!(
                    "servers deliberately do not distinguish them; PGPASSWORD and ~/.pgpass apply when the \
                     URL has no password; to set a new one: alter role \"{user}\" password '…'"
                ),
            );
        }
        if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return self.not_admitted(&reported);
        }
        if *code == SqlState::INVALID_CATALOG_NAME {
            return Failure::new(
                Reason::Database,
                format!("database `{database}` does not exist"),
                format!("create it: createdb {database}, or in psql: create database \"{database}\""),
            );
        }
        if [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code) {
            return Failure::new(Reason::NotReady, reported, "wait until the server is up; its log shows the progress");
        }
        if *code == SqlState::TOO_MANY_CONNECTIONS {
            let help = "wait, end unused sessions (pg_stat_activity), or raise max_connections";
            return Failure::new(Reason::TooManyConnections, reported, help);
        }
        let help = error.hint().unwrap_or("see the server's log, which may have more details");
        Failure::new(Reason::Other, reported, help)
    }

    fn not_admitted(&self, reported: &str) -> Failure {
        let Options { user, database, tls, .. } = self.options;
        // The file name appears in the message in every language.
        if !reported.contains("pg_hba.conf") {
            let help = format!("create role \"{user}\" login password '…', or connect as an existing user");
            return Failure::new(Reason::User, format!("user `{user}` cannot log in: {reported}"), help);
        }
        let how = if self.with_tls { "with TLS" } else { "without TLS" };
        let help = match (self.with_tls, tls.mode) {
            (false, Mode::Disable) => {
                "sslmode=disable turns TLS off; if the server requires it (hostssl), write sslmode=require or stronger"
            }
            (true, _) => {
                "if the server does not allow TLS (hostnossl), write sslmode=disable; else add a line to its pg_hba.conf"
            }
            (false, _) => "add a line for this user, database and address to the server's pg_hba.conf",
        };
        let message = format!("the server does not admit user `{user}` to `{database}` from here {how}: {reported}");
        Failure::new(Reason::NotAdmitted, message, help)
    }

    fn tls(&self, error: &rustls::Error) -> Failure {
        use CertificateError::*;
        let mode = self.options.tls.mode.name();
        match error {
            rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Failure::new(
                Reason::HostName,
                format!("the certificate of {} was issued for another host: {error}", self.server),
                "use a host name that is in the certificate; with both host=NAME and hostaddr=ADDRESS it need not be \
                 resolvable",
            ),
            rustls::Error::InvalidCertificate(UnknownIssuer) => Failure::new(
                Reason::Certificate,
                format!("the certificate of {} is not signed by a trusted authority (sslmode={mode})", self.server),
                "specify the file with the authority's certificate: sslrootcert=FILE",
            ),
            rustls::Error::InvalidCertificate(_) => Failure::new(
                Reason::Certificate,
                format!("the certificate of {} is not trusted (sslmode={mode}): {error}", self.server),
                "check its dates and purpose: openssl x509 -noout -text -in FILE; a server's own certificate must not \
                 be a CA certificate (CA:TRUE)",
            ),
            rustls::Error::AlertReceived(_) => Failure::new(
                Reason::Tls,
                format!("the server aborted the TLS handshake: {error}"),
                "if it requires a client certificate, specify it with sslcert and sslkey; see the server's log",
            ),
            _ => Failure::new(
                Reason::Tls,
                format!("TLS failed: {error}"),
                "check that the server supports TLS 1.2 or 1.3 (ssl_min_protocol_version), and read its log",
            ),
        }
    }
}
