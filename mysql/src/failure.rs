//! Why a session could not be opened, and how to fix it.

use mysql_async::{DriverError, Error, IoError};
use weir_database::{Failure, Reason};

use crate::options::Options;

/// No server answers.
pub(crate) fn unreachable(options: &Options, why: &str) -> Failure {
    let message = format!("no server answers at {}: {why}", options.server());
    Failure::new(
        Reason::Unreachable,
        message,
        "check host and port, that the server runs, and that no firewall is between",
    )
}

/// The file with trusted certificates cannot be read.
pub(crate) fn file(options: &Options, error: &std::io::Error) -> Failure {
    let file = options.ca().map(|file| file.display().to_string()).unwrap_or_default();
    Failure::new(Reason::File, format!("{file} cannot be read: {error}"), "correct the path after ssl-ca")
}

/// What the driver says.
pub(crate) fn of(options: &Options, error: &Error) -> Failure {
    match error {
        Error::Server(error) => server(options, error.code, &error.message),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => Failure::new(
            Reason::NoTls,
            format!("{} does not offer TLS, and ssl-mode={} requires it", options.server(), options.ssl_mode),
            "configure a certificate on the server, or write ssl-mode=PREFERRED or DISABLED",
        ),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => Failure::new(
            Reason::Password,
            format!("user `{}` logs in by `{name}`, which is not supported", options.user),
            "let the user log in by mysql_native_password or caching_sha2_password",
        ),
        Error::Driver(DriverError::CleartextPluginDisabled) => Failure::new(
            Reason::Password,
            format!("user `{}` logs in by a password in clear text, which is not sent", options.user),
            "let the user log in by mysql_native_password or caching_sha2_password",
        ),
        Error::Driver(error) => unreachable(options, &error.to_string()),
        Error::Io(IoError::Io(error)) => io(options, error),
        Error::Io(IoError::Tls(error)) => tls(options, &error.to_string()),
        other => Failure::new(Reason::Other, other.to_string(), "see the server's log, which may have more details"),
    }
}

fn io(options: &Options, error: &std::io::Error) -> Failure {
    // The TLS library reports its errors as those of reading and writing.
    if error.kind() == std::io::ErrorKind::InvalidData {
        return tls(options, &error.to_string());
    }
    let text = error.to_string();
    if text.contains("failed to lookup address") {
        let name = &options.host;
        let is_temporary = text.contains("Temporary failure");
        let reason = if is_temporary { Reason::LookupFailed } else { Reason::UnknownHost };
        return Failure::new(reason, format!("host `{name}` cannot be resolved: {text}"), "check the name of the host");
    }
    unreachable(options, &text)
}

fn tls(options: &Options, text: &str) -> Failure {
    let server = options.server();
    if text.contains("not valid for name") || text.contains("NotValidForName") {
        return Failure::new(
            Reason::HostName,
            format!("the certificate of {server} was issued for another host: {text}"),
            "use a host name that is in the certificate",
        );
    }
    if text.contains("UnknownIssuer") {
        return Failure::new(
            Reason::Certificate,
            format!("the certificate of {server} is not signed by a trusted authority"),
            "specify the file with the authority's certificate: ssl-ca=FILE",
        );
    }
    if text.contains("certificate") {
        return Failure::new(
            Reason::Certificate,
            format!("the certificate of {server} is not trusted: {text}"),
            "check its dates and purpose: openssl x509 -noout -text -in FILE",
        );
    }
    Failure::new(
        Reason::Tls,
        format!("TLS with {server} failed: {text}"),
        "check that the server supports TLS 1.2 or 1.3, and read its log",
    )
}

fn server(options: &Options, code: u16, message: &str) -> Failure {
    let Options { user, database, .. } = options;
    match code {
        1040 | 1203 | 1226 => Failure::new(
            Reason::TooManyConnections,
            format!("all connections of the server are in use: {message}"),
            "wait, end unused sessions (show processlist), or raise max_connections",
        ),
        1045 | 1698 => Failure::new(
            Reason::Password,
            format!("user `{user}` cannot log in: {message}"),
            "check the password, the user's name, the host that the user may connect from, and whether the user needs TLS",
        ),
        1044 => Failure::new(
            Reason::Database,
            format!("user `{user}` may not use database `{database}`: {message}"),
            format!("let an administrator run: grant select on `{database}`.* to the user; or check the name"),
        ),
        1049 => Failure::new(
            Reason::Database,
            format!("database `{database}` does not exist"),
            "create it, or correct the name after the host",
        ),
        1130 => Failure::new(
            Reason::NotAdmitted,
            format!("the server does not admit this host: {message}"),
            "create the user for this host: create user NAME@HOST",
        ),
        1053 | 1077 => {
            Failure::new(Reason::NotReady, format!("the server is shutting down: {message}"), "start it again")
        }
        1129 => Failure::new(
            Reason::Unreachable,
            format!("the server has blocked this host: {message}"),
            "let an administrator run: flush hosts",
        ),
        1159 | 3159 | 1251 => Failure::new(
            Reason::Tls,
            format!("the server requires TLS: {message}"),
            "write ssl-mode=REQUIRED or VERIFY_IDENTITY",
        ),
        1820 | 1862 => Failure::new(
            Reason::Password,
            format!("the password of user `{user}` has expired"),
            "set a new one: alter user",
        ),
        3118 | 4151 => {
            Failure::new(Reason::User, format!("user `{user}` is locked: {message}"), "alter user … account unlock")
        }
        _ => Failure::new(
            Reason::Other,
            format!("{message} (error {code})"),
            "see the server's log, which may have more details",
        ),
    }
}
