//! Connection options as given by the user, by their libpq names.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::text;

/// Supported options, each with the environment variable that supplies its default.
const KNOWN: &[(&str, Option<&str>)] = &[
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("port", Some("PGPORT")),
    ("dbname", Some("PGDATABASE")),
    ("user", Some("PGUSER")),
    ("password", Some("PGPASSWORD")),
    ("passfile", Some("PGPASSFILE")),
    ("application_name", Some("PGAPPNAME")),
    ("fallback_application_name", None),
    ("options", Some("PGOPTIONS")),
    ("client_encoding", None),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("tcp_user_timeout", None),
    ("keepalives", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("keepalives_count", None),
    ("sslmode", Some("PGSSLMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("gssencmode", Some("PGGSSENCMODE")),
];

/// libpq options that this crate does not support and must not ignore silently.
const REFUSED: &[&str] = &[
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "servicefile",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslpassword",
    "sslsni",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
];

/// Whether an option of this name is supported.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// The given options, by name.
pub(crate) struct Given(Vec<(&'static str, String)>);

impl Given {
    /// Parses a connection string; options that it lacks come from the environment.
    pub(crate) fn read(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut given = Vec::new();
        for (name, value) in text::options(text)? {
            // tokio-postgres uses a name of its own for this one.
            let name = if name == "keepalives_retries" { "keepalives_count" } else { &name };
            match KNOWN.iter().find(|(known, _)| known == &name) {
                Some((known, _)) => given.push((*known, value)),
                None => return Err(unknown(name)),
            }
        }
        // The last duplicate wins, and an empty value hides the environment's, as in libpq.
        given.reverse();
        let from_environment =
            |(name, variable): &(&'static str, Option<&str>)| Some((*name, environment((*variable)?)?));
        given.extend(KNOWN.iter().filter_map(from_environment));
        Ok(Self(given))
    }

    /// The value of an option. An empty value counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// The value of an option as a number; `what` names the expected kind in the error.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let value = value.trim().parse().map_err(|_| self.wrong(name, &format!("{name} must be {what}")))?;
        Ok(Some(value))
    }

    /// The value of an option, converted by a table of its valid values.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Some((_, found)) = values.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*found));
        }
        let words: Vec<_> = values.iter().map(|(word, _)| *word).collect();
        Err(self.wrong(name, &format!("{name} must be one of {}", words.join(", "))))
    }

    /// An error about a given option. Its value is not repeated: it may be a piece of a password.
    pub(crate) fn wrong(&self, name: &str, message: &str) -> Error {
        let variable = KNOWN.iter().find_map(|(known, variable)| (*known == name).then_some(*variable)?);
        let or_variable = variable.map(|variable| format!(", or in the environment as {variable}")).unwrap_or_default();
        Error::Url { message: message.to_owned(), help: format!("correct `{name}`: it is set in the URL{or_variable}") }
    }
}

fn unknown(name: &str) -> Error {
    if REFUSED.contains(&name) {
        return Error::Url {
            message: format!("the libpq option `{name}` is not supported"),
            help: "remove it; ignoring it could make the session less secure than intended".to_owned(),
        };
    }
    let near = KNOWN.iter().map(|(known, _)| (strsim::damerau_levenshtein(&name.to_lowercase(), known), *known));
    let near = near.filter(|(distance, known)| *distance <= (known.len().max(name.len()) / 3).max(1)).min();
    let known = KNOWN.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    Error::Url {
        message: format!("unknown option `{name}`"),
        help: match near {
            Some((_, near)) => format!("did you mean `{near}`? Supported options: {known}"),
            None => format!("supported options: {known}"),
        },
    }
}
