//! The settings of a URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{OptsBuilder, SslOpts};
use url::{Host, Url};

use crate::error::{Error, Result};

const PORT: u16 = 3306;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const URL_HELP: &str = "write mysql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE; in a user, password or database \
                        write @ as %40, / as %2F, : as %3A, ? as %3F and % as %25";

/// Whether a session is encrypted, and which servers are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disabled,
    Preferred,
    Required,
    VerifyIdentity,
}

const MODES: [(&str, SslMode); 4] = [
    ("DISABLED", SslMode::Disabled),
    ("PREFERRED", SslMode::Preferred),
    ("REQUIRED", SslMode::Required),
    ("VERIFY_IDENTITY", SslMode::VerifyIdentity),
];

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MODES.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name))
    }
}

/// Settings of a session.
#[derive(Clone)]
pub(crate) struct Options {
    /// Name or address of the host.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path of a Unix domain socket, which is used instead of the host.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) user: String,
    password: Option<String>,
    pub(crate) database: String,
    pub(crate) ssl_mode: SslMode,
    ca: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
    /// The name that the server shows for sessions.
    pub(crate) program: Option<String>,
}

/// The options of a URL.
const OPTIONS: [&str; 4] = ["ssl-mode", "ssl-ca", "socket", "connect-timeout"];

impl Options {
    /// Parses a URL. An error never repeats what could be a piece of a password.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(error) = of_another_kind(text) {
            return Err(error);
        }
        let url = Url::parse(text).map_err(|error| wrong(&format!("it cannot be parsed: {error}")))?;
        let host = match url.host() {
            // The parser of a URL that is not of the web leaves addresses as they are written.
            Some(Host::Domain(name)) => decoded(name)?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(wrong("it names no host")),
        };
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(wrong("it names no user"));
        }
        let mut path = url.path().trim_start_matches('/').splitn(2, '/');
        let database = decoded(path.next().unwrap_or_default())?;
        if database.is_empty() {
            return Err(wrong("it names no database"));
        }
        if path.next().is_some() {
            return Err(wrong("more than one name follows the host"));
        }
        let mut options = Self {
            host,
            port: url.port().unwrap_or(PORT),
            socket: None,
            user,
            password: url.password().map(decoded).transpose()?,
            database,
            ssl_mode: SslMode::Preferred,
            ca: None,
            connect_timeout: CONNECT_TIMEOUT,
            program: None,
        };
        for (name, value) in url.query_pairs() {
            options.set(&name, &value)?;
        }
        if options.ca.is_some() && options.ssl_mode != SslMode::VerifyIdentity {
            let help = "write ssl-mode=VERIFY_IDENTITY: in other modes no certificate is checked";
            return Err(Error::Url { message: "ssl-ca has no effect".to_owned(), help: help.to_owned() });
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |message: String, help: String| Err(Error::Url { message, help });
        match name.replace('_', "-").to_ascii_lowercase().as_str() {
            "ssl-mode" => {
                let mode = value.to_ascii_uppercase();
                if mode == "VERIFY_CA" {
                    let help = "write ssl-mode=VERIFY_IDENTITY: it checks the name of the host, too".to_owned();
                    return wrong("ssl-mode=VERIFY_CA is not supported".to_owned(), help);
                }
                let Some((_, mode)) = MODES.iter().find(|(name, _)| *name == mode) else {
                    let names = MODES.map(|(name, _)| name).join(", ");
                    return wrong(
                        "the value of ssl-mode is none of its modes".to_owned(),
                        format!("write one of {names}"),
                    );
                };
                self.ssl_mode = *mode;
            }
            "ssl-ca" => self.ca = Some(value.into()),
            "socket" => self.socket = Some(value.into()),
            "connect-timeout" => match value.parse() {
                Ok(seconds @ 1..) => self.connect_timeout = Duration::from_secs(seconds),
                _ => {
                    let help = "write a whole number of seconds, 1 or more".to_owned();
                    return wrong("the value of connect-timeout is not a time".to_owned(), help);
                }
            },
            other => {
                let is_plain = other.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                let shown = if is_plain { format!("option `{name}`") } else { "an option".to_owned() };
                let near = OPTIONS.iter().filter(|known| strsim::damerau_levenshtein(known, other) <= 3);
                let near = near.map(|known| format!("is it `{known}`? ")).next().unwrap_or_default();
                let help = format!("{near}the options are {}", OPTIONS.join(", "));
                return wrong(format!("{shown} is unknown"), help);
            }
        }
        Ok(())
    }

    /// The server, as messages name it.
    pub(crate) fn server(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether an attempt may be encrypted. There is no TLS over a socket, which does not leave the machine.
    pub(crate) fn encrypts(&self) -> bool {
        self.ssl_mode != SslMode::Disabled && self.socket.is_none()
    }

    /// What the driver is told, with TLS or without.
    pub(crate) fn of_driver(&self, with_tls: bool) -> Result<OptsBuilder, std::io::Error> {
        let mut builder = OptsBuilder::default()
            .ip_or_hostname(&self.host)
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .db_name(Some(&self.database))
            // Otherwise the driver asks for a socket and connects again.
            .prefer_socket(false)
            .socket(self.socket.as_ref().map(|path| path.display().to_string()))
            .tcp_keepalive(Some(Duration::from_secs(60)));
        if let Some(program) = &self.program {
            builder = builder.connect_attribute("program_name", program);
        }
        if with_tls {
            builder = builder.ssl_opts(self.trusted()?);
        }
        Ok(builder)
    }

    fn trusted(&self) -> Result<SslOpts, std::io::Error> {
        let options = SslOpts::default();
        if self.ssl_mode != SslMode::VerifyIdentity {
            return Ok(options.with_danger_accept_invalid_certs(true));
        }
        let roots = match &self.ca {
            Some(file) => vec![std::fs::read(file)?],
            None => rustls_native_certs::load_native_certs().certs.iter().map(|root| root.to_vec()).collect(),
        };
        let roots = roots.into_iter().map(Into::into).collect();
        Ok(options.with_disable_built_in_roots(true).with_root_certs(roots))
    }

    /// The file with trusted certificates.
    pub(crate) fn ca(&self) -> Option<&PathBuf> {
        self.ca.as_ref()
    }
}

fn wrong(message: &str) -> Error {
    Error::Url { message: message.to_owned(), help: URL_HELP.to_owned() }
}

/// The error about a URL of another program or of another kind of database.
fn of_another_kind(text: &str) -> Option<Error> {
    let (scheme, _) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let plain = scheme.strip_prefix("jdbc:").unwrap_or(&scheme);
    let (kind, driver) = plain.split_once('+').map_or((plain, None), |(kind, driver)| (kind, Some(driver)));
    let of_mysql = ["mysql", "mariadb"].contains(&kind);
    match (of_mysql, driver) {
        (true, Some(_)) => Some(wrong("it names a driver behind a `+`")),
        (true, None) if scheme.starts_with("jdbc:") => Some(wrong("a JDBC URL is not supported: remove `jdbc:`")),
        (true, None) => None,
        (false, _) => Some(wrong("its scheme is neither `mysql` nor `mariadb`")),
    }
}

/// Decodes percent-encoding.
pub(crate) fn decoded(text: &str) -> Result<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| wrong("the percent-encoded characters are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        let error = Options::parse(url).err().unwrap();
        format!("{error}; {}", miette::Diagnostic::help(&error).unwrap())
    }

    #[test]
    fn a_url_is_read() {
        let url = "mysql://an%40n:s%2F3@db.example:3307/shop?ssl_mode=required&connect-timeout=3";
        let options = Options::parse(url).unwrap();
        assert_eq!((options.user.as_str(), options.password.as_deref()), ("an@n", Some("s/3")));
        assert_eq!((options.server().as_str(), options.database.as_str()), ("db.example:3307", "shop"));
        assert_eq!((options.ssl_mode, options.connect_timeout), (SslMode::Required, Duration::from_secs(3)));
        let options = Options::parse("mariadb://ann@[::1]/shop").unwrap();
        assert_eq!((options.server().as_str(), options.ssl_mode), ("[::1]:3306", SslMode::Preferred));
        let options = Options::parse("mysql://ann@localhost/shop?socket=/run/mysqld/mysqld.sock").unwrap();
        assert_eq!(options.server(), "/run/mysqld/mysqld.sock");
        assert!(!options.encrypts());
    }

    #[test]
    fn an_error_says_what_to_write_and_repeats_no_password() {
        for (url, expected) in [
            ("postgres://ann:s3cret@db/shop", "neither `mysql` nor `mariadb`"),
            ("jdbc:mysql://ann:s3cret@db/shop", "remove `jdbc:`"),
            ("mysql+pymysql://ann:s3cret@db/shop", "driver behind a `+`"),
            ("mysql://ann:s3cret@db", "names no database"),
            ("mysql://ann:s3cret@db/", "names no database"),
            ("mysql://ann:s3cret@db/a/b", "more than one name"),
            ("mysql://:s3cret@db/shop", "names no user"),
            ("mysql://ann:s3cret@db:port/shop", "cannot be parsed"),
            ("mysql://ann:s3/cret@db/shop", "cannot be parsed"),
            ("mysql://ann:s3cret@db/shop?ssl-mode=VERIFY_CA", "VERIFY_IDENTITY"),
            ("mysql://ann:s3cret@db/shop?ssl-mode=on", "DISABLED, PREFERRED, REQUIRED, VERIFY_IDENTITY"),
            ("mysql://ann:s3cret@db/shop?sslmode=require", "is it `ssl-mode`?"),
            ("mysql://ann:s3cret@db/shop?ssl-ca=x", "ssl-ca has no effect"),
            ("mysql://ann:s3cret@db/shop?connect-timeout=0", "seconds, 1 or more"),
        ] {
            let error = error(url);
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("s3"), "{url}: {error}");
        }
    }
}
