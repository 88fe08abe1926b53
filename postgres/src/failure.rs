//! Why a session could not be opened, and what to do about it.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::Reason;
use crate::options::Options;
use crate::statement::chain;
use crate::tls::{Mode, Unusable};

/// A failed attempt at one server.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What the attempt was.
pub(crate) struct Attempt<'a> {
    pub(crate) options: &'a Options,
    /// Host and port.
    pub(crate) server: String,
    pub(crate) with_tls: bool,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: help.into() }
    }

    pub(crate) fn unreachable(server: &str, why: &str) -> Self {
        Self::new(
            Reason::Unreachable,
            format!("nobody answers at {server}: {why}"),
            "see that the server runs, that it listens at this address and port (listen_addresses, port), and that no \
             firewall is in between",
        )
    }

    pub(crate) fn lookup(host: &str, error: &io::Error) -> Self {
        // The system tells a name that does not exist from a name server that does not answer only in words.
        let for_now = error.to_string().contains("Temporary failure");
        let reason = if for_now { Reason::LookupFailed } else { Reason::UnknownHost };
        let help =
            "see that the host's name is spelled right, and that this machine can look it up (getent hosts NAME)";
        Self::new(reason, format!("the host name `{host}` cannot be looked up: {error}"), help)
    }

    /// Whether the server lets nobody in in this way, with TLS or without, but maybe in the other.
    pub(crate) fn may_pass_the_other_way(&self) -> bool {
        matches!(self.reason, Reason::NotAdmitted | Reason::User)
    }

    /// Whether TLS is what failed.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.reason, Reason::Tls | Reason::NoTls | Reason::Certificate | Reason::HostName | Reason::File)
    }
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
            return Failure::unreachable(&self.server, "the server closed the connection");
        }
        let Some(source) = error.source() else { return self.other(error) };
        if let Some(error) = source.downcast_ref::<io::Error>() {
            return match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => self.tls(error),
                None => self.io(error),
            };
        }
        // tokio-postgres tells these two apart from others only in words.
        match source.to_string().as_str() {
            "password missing" => Failure::new(
                Reason::Password,
                format!("the server asks for the password of user `{}`, and there is none", self.options.user),
                "set PGPASSWORD, put a line into ~/.pgpass (which nobody else may read), or write it into the URL",
            ),
            "server does not support TLS" => Failure::new(
                Reason::NoTls,
                format!("the server has no TLS, and sslmode={} demands it", self.options.tls.mode.name()),
                "set ssl = on and a certificate in the server's postgresql.conf; on a network that is trusted \
                 sslmode=prefer does without",
            ),
            _ => self.other(error),
        }
    }

    fn other(&self, error: &tokio_postgres::Error) -> Failure {
        let help = "see that a PostgreSQL server is at this address and port, and what its log says";
        Failure::new(Reason::Other, chain(error), help)
    }

    fn io(&self, error: &io::Error) -> Failure {
        use io::ErrorKind::*;
        match error.kind() {
            PermissionDenied => {
                let help = "see target_session_attrs, or who may open the server's socket";
                Failure::new(Reason::Other, error.to_string(), help)
            }
            // A folder of sockets without the socket.
            NotFound => Failure::unreachable(&self.server, "its socket is not there"),
            InvalidInput | InvalidData | Unsupported => {
                let help = "see that the host and its options are spelled right";
                Failure::new(Reason::Other, error.to_string(), help)
            }
            UnexpectedEof => Failure::unreachable(&self.server, "the server closed the connection"),
            _ => Failure::unreachable(&self.server, &error.to_string()),
        }
    }

    fn refused(&self, error: &DbError) -> Failure {
        let Options { user, database, .. } = self.options;
        let says = format!("{} (SQLSTATE {})", error.message(), error.code().code());
        let code = error.code();
        if *code == SqlState::INVALID_PASSWORD {
            return Failure::new(
                Reason::Password,
                format!("wrong password for user `{user}`, or no such user: {says}"),
                format!(
                    "the server does not tell which, on purpose; see PGPASSWORD and ~/.pgpass, which count when the \
                     URL has no password; for a new one: alter role \"{user}\" password '…'"
                ),
            );
        }
        if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return self.not_admitted(&says);
        }
        if *code == SqlState::INVALID_CATALOG_NAME {
            return Failure::new(
                Reason::Database,
                format!("database `{database}` does not exist"),
                format!("createdb {database}, or in psql: create database \"{database}\""),
            );
        }
        if [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code) {
            return Failure::new(Reason::NotReady, says, "wait until the server is up; its log says what it does");
        }
        if *code == SqlState::TOO_MANY_CONNECTIONS {
            let help = "wait, end sessions that nobody needs (pg_stat_activity), or raise max_connections";
            return Failure::new(Reason::TooManyConnections, says, help);
        }
        let help = error.hint().unwrap_or("see the server's log, which may say more than it tells clients");
        Failure::new(Reason::Other, says, help)
    }

    fn not_admitted(&self, says: &str) -> Failure {
        let Options { user, database, tls, .. } = self.options;
        // The file's name is in the message in every language.
        if !says.contains("pg_hba.conf") {
            let help = format!("create role \"{user}\" login password '…', or connect as a user who is there");
            return Failure::new(Reason::User, format!("user `{user}` cannot log in: {says}"), help);
        }
        let how = if self.with_tls { "with TLS" } else { "without TLS" };
        let help = match (self.with_tls, tls.mode) {
            (false, Mode::Disable) => {
                "sslmode=disable keeps TLS off; if the server wants it (hostssl), write sslmode=require or a stronger one"
            }
            (true, _) => {
                "if the server does not want TLS (hostnossl), write sslmode=disable; else add a line to its pg_hba.conf"
            }
            (false, _) => "add a line for this user, database and address to the server's pg_hba.conf",
        };
        let message = format!("the server does not let user `{user}` into `{database}` from here {how}: {says}");
        Failure::new(Reason::NotAdmitted, message, help)
    }

    fn tls(&self, error: &rustls::Error) -> Failure {
        use CertificateError::*;
        let mode = self.options.tls.mode.name();
        match error {
            rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Failure::new(
                Reason::HostName,
                format!("the certificate of {} is for another host: {error}", self.server),
                "connect by a name that is in the certificate; with hostaddr=ADDRESS beside host=NAME it need not be \
                 one that can be looked up",
            ),
            rustls::Error::InvalidCertificate(UnknownIssuer) => Failure::new(
                Reason::Certificate,
                format!("the certificate of {} is signed by nobody who is trusted (sslmode={mode})", self.server),
                "name the file with the certificate of who signed it: sslrootcert=FILE",
            ),
            rustls::Error::InvalidCertificate(_) => Failure::new(
                Reason::Certificate,
                format!("the certificate of {} cannot be trusted (sslmode={mode}): {error}", self.server),
                "see its dates and purpose: openssl x509 -noout -text -in FILE; a server's own certificate must not be \
                 that of an authority (CA:TRUE)",
            ),
            rustls::Error::AlertReceived(_) => Failure::new(
                Reason::Tls,
                format!("the server broke TLS off: {error}"),
                "if it asks for a client's certificate, name one with sslcert and sslkey; its log says more",
            ),
            _ => Failure::new(
                Reason::Tls,
                format!("TLS failed: {error}"),
                "see that the server speaks TLS 1.2 or 1.3 (ssl_min_protocol_version), and what its log says",
            ),
        }
    }
}
