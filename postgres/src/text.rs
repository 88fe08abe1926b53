//! Parses both forms of a connection string, URL and `key=value`, as libpq does.
//!
//! An error never repeats what could be a piece of a password: an unencoded `/`, `@` or space in a password moves its
//! rest into the following parts.

use crate::error::{Error, Result};

const URL_HELP: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE; in a user, password or \
                        database write @ as %40, / as %2F, : as %3A, ? as %3F and % as %25";

/// The options of a connection string, in order. Names are not checked yet.
pub(crate) fn options(text: &str) -> Result<Vec<(String, String)>> {
    match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
        Some(rest) => url(rest),
        None => match of_another_kind(text) {
            Some(error) => Err(error),
            None => key_values(text),
        },
    }
}

/// The error about a URL of another program or of another kind of database.
fn of_another_kind(text: &str) -> Option<Error> {
    const OTHERS: [&str; 12] = [
        "sqlserver",
        "mssql",
        "oracle",
        "sqlite",
        "mongodb",
        "snowflake",
        "bigquery",
        "duckdb",
        "clickhouse",
        "redshift",
        "trino",
        "databricks",
    ];
    let (scheme, _) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is_jdbc = scheme.starts_with("jdbc:");
    let plain = scheme.strip_prefix("jdbc:").unwrap_or(&scheme);
    // SQLAlchemy names the driver behind a plus.
    let (kind, driver) = plain.split_once('+').map_or((plain, None), |(kind, driver)| (kind, Some(driver)));
    let kind = kind.split(':').next().unwrap_or(kind);
    let error = |message: String, help: String| Some(Error::Url { message, help });
    match (kind, driver) {
        ("postgres" | "postgresql", _) if is_jdbc => {
            error("a JDBC URL, and libpq's form is expected".to_owned(), format!("remove `jdbc:`; {URL_HELP}"))
        }
        ("postgres" | "postgresql", Some(_)) => error(
            "it names a driver behind a `+`".to_owned(),
            format!("remove the `+` and what follows it before `://`; {URL_HELP}"),
        ),
        ("mysql" | "mariadb", _) => error(
            format!("a URL of {kind}, and one of PostgreSQL is expected"),
            "specify it as a database of MySQL: `mysql` instead of `postgres`".to_owned(),
        ),
        (other, _) if OTHERS.contains(&other) => error(
            format!("a URL of {other}, and only databases of PostgreSQL are supported"),
            "export its tables as CSV, JSON Lines or Parquet files, and read those with `files`".to_owned(),
        ),
        _ => None,
    }
}

fn wrong(message: &str) -> Error {
    Error::Url { message: message.to_owned(), help: URL_HELP.to_owned() }
}

/// `[user[:password]@][host[:port],…][/database][?option=value&…]`
fn url(text: &str) -> Result<Vec<(String, String)>> {
    let mut options = Vec::new();
    let authority_end = text.find(['/', '@']).unwrap_or(text.len());
    let has_user = text[authority_end..].starts_with('@');
    let rest = if has_user {
        let (user, password) = match text[..authority_end].split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (&text[..authority_end], None),
        };
        push(&mut options, "user", user)?;
        push(&mut options, "password", password.unwrap_or_default())?;
        &text[authority_end + 1..]
    } else {
        text
    };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    if place.contains('@') || (!has_user && rest.contains('@')) {
        return Err(wrong("there is more than one `@`, or a `/` before it"));
    }
    let (servers, database) = place.split_once('/').map_or((place, ""), |(servers, database)| (servers, database));
    let (hosts, ports) = hosts_and_ports(servers)?;
    push(&mut options, "host", &hosts)?;
    push(&mut options, "port", &ports)?;
    push(&mut options, "dbname", database)?;
    for option in query.into_iter().flat_map(|query| query.split('&')) {
        let Some((name, value)) = option.split_once('=') else {
            return Err(wrong("an option after the `?` has no `=`"));
        };
        let (name, value) = (decoded(name)?, decoded(value)?);
        // JDBC's way to request TLS, which libpq accepts too.
        match (name.as_str(), value.as_str()) {
            ("ssl", "true") => options.push(("sslmode".to_owned(), "require".to_owned())),
            _ => options.push((plain_name(&name)?, value)),
        }
    }
    Ok(options)
}

fn push(options: &mut Vec<(String, String)>, name: &str, value: &str) -> Result<()> {
    if !value.is_empty() {
        options.push((name.to_owned(), decoded(value)?));
    }
    Ok(())
}

/// `host:port,[address]:port,…` as a list of hosts and one of ports.
fn hosts_and_ports(servers: &str) -> Result<(String, String)> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for server in servers.split(',') {
        let (host, port) = match server.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) =
                    rest.split_once(']').ok_or_else(|| wrong("a `[` before an address is not closed"))?;
                match (rest, rest.strip_prefix(':')) {
                    ("", _) => (host, ""),
                    (_, Some(port)) => (host, port),
                    _ => return Err(wrong("the `]` of an address must be followed by a port or nothing")),
                }
            }
            None => server.split_once(':').unwrap_or((server, "")),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("the text after the `:` of a host is not a port"));
        }
        hosts.push(host);
        ports.push(port);
    }
    let any_port = ports.iter().any(|port| !port.is_empty());
    Ok((hosts.join(","), if any_port { ports.join(",") } else { String::new() }))
}

/// Decodes percent-encoding. A `+` is kept, as in libpq.
pub(crate) fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match tail {
            [high, low, tail @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) if high + low > 0 => {
                    bytes.push((high * 16 + low) as u8);
                    rest = tail;
                }
                _ => return Err(wrong("a `%` is not followed by the two hexadecimal digits of a character")),
            },
            _ => return Err(wrong("a `%` is not followed by the two hexadecimal digits of a character")),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("the percent-encoded characters are not UTF-8"))
}

/// An option name may be repeated in an error, so it must not be a misplaced piece of anything else.
fn plain_name(name: &str) -> Result<String> {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { Ok(name.to_owned()) } else { Err(wrong("an option has an invalid name")) }
}

/// `name = value name='a value with spaces'`, with `\` before `'` and `\` in values.
fn key_values(text: &str) -> Result<Vec<(String, String)>> {
    let neither = || wrong("neither a URL that begins with postgres:// nor a list of key=value");
    let mut options: Vec<(String, String)> = Vec::new();
    let mut after_bare_password = false;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(neither)?;
        let name = name.trim_end();
        let is_known = crate::given::is_known(name);
        if after_bare_password && !is_known {
            return Err(wrong("the password has a space: put it into single quotes"));
        }
        let name = plain_name(name).map_err(|_| neither())?;
        let (value, quoted, after) = value(after.trim_start())?;
        after_bare_password = name == "password" && !quoted;
        options.push((name, value));
        rest = after.trim_start();
    }
    Ok(options)
}

/// The value at the beginning of a text, whether it is quoted, and the rest of the text.
fn value(text: &str) -> Result<(String, bool, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, quoted, &text[at + 1..])),
            _ if character.is_whitespace() && !quoted => return Ok((value, quoted, &text[at..])),
            _ => value.push(character),
        }
    }
    if quoted { Err(wrong("a `'` is not closed")) } else { Ok((value, quoted, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_options(text: &str, expected: &[(&str, &str)]) {
        let options = options(text).unwrap();
        let options: Vec<_> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(options, expected, "{text}");
    }

    #[test]
    fn a_url_has_user_password_hosts_ports_database_and_options() {
        assert_options(
            "postgres://u:p%40ss@db.example:6432/sales?sslmode=require&application_name=a%20b",
            &[
                ("user", "u"),
                ("password", "p@ss"),
                ("host", "db.example"),
                ("port", "6432"),
                ("dbname", "sales"),
                ("sslmode", "require"),
                ("application_name", "a b"),
            ],
        );
        assert_options("postgresql://", &[]);
        assert_options("postgresql://h", &[("host", "h")]);
        assert_options("postgresql:///d", &[("dbname", "d")]);
        assert_options("postgresql://u@/d?host=/run", &[("user", "u"), ("dbname", "d"), ("host", "/run")]);
        assert_options("postgres://a:1,b,c:3/", &[("host", "a,b,c"), ("port", "1,,3")]);
        assert_options("postgres://[::1]:5,[fe80::1]/", &[("host", "::1,fe80::1"), ("port", "5,")]);
        assert_options("postgres://%2Frun%2Fpg/d", &[("host", "/run/pg"), ("dbname", "d")]);
        assert_options("postgres://h?ssl=true", &[("host", "h"), ("sslmode", "require")]);
        assert_options("postgres://a+b@h", &[("user", "a+b"), ("host", "h")]);
    }

    #[test]
    fn key_values_are_quoted_and_escaped() {
        assert_options(
            r"host=h user = 'a b' password='it\'s \\' dbname='' port=5",
            &[("host", "h"), ("user", "a b"), ("password", r"it's \"), ("dbname", ""), ("port", "5")],
        );
        assert_options(r"user=a\ b  host=h ", &[("user", "a b"), ("host", "h")]);
        assert_options("", &[]);
        assert_options("user= host=h", &[("user", "host=h")]);
    }

    #[test]
    fn a_url_of_another_kind_is_told() {
        for (text, message, help) in [
            ("jdbc:postgresql://h/d", "a JDBC URL", "remove `jdbc:`"),
            ("postgresql+psycopg2://u:p@h/d", "names a driver", "remove the `+`"),
            ("mysql://root@h/x", "a URL of mysql, and one of PostgreSQL is expected", "`mysql` instead of `postgres`"),
            ("jdbc:sqlserver://h:1433;databaseName=x", "a URL of sqlserver", "export its tables"),
            ("jdbc:oracle:thin:@//h:1521/x", "neither a URL", "write postgres://"),
            ("mysql+pymysql://u:p@h/d", "a URL of mysql", "`mysql` instead of `postgres`"),
        ] {
            let Err(Error::Url { message: said, help: helped }) = options(text) else { panic!("{text}") };
            assert!(said.contains(message) && helped.contains(help), "{text}: {said}; {helped}");
        }
    }

    #[test]
    fn no_piece_of_a_password_is_in_an_error() {
        for text in [
            "jdbc:postgresql://u:pa55@h/d",
            "postgresql+x://u:pa55@h/d",
            "mysql+x://u:pa55@h/d",
            "postgres://u:pa55/w0rd@h/d",
            "postgres://u:pa55@w0rd@h/d",
            "postgres://u:pa55@/w0rd@h/d",
            "postgres://u:w0rd/pa55?w0rd=x@h/d",
            "postgres://u:55/55?w0rd=@h/d",
            "postgres://u:pa55%w0rd@h/d",
            "postgres://u:pa55%f@h/d",
            "postgres://u:p@h:w0rd/d",
            "postgres://u:p@h/d?pa55",
            "postgres://u:p@h/d?pa%2055=5",
            "mysql://u:pa55@h/d",
            "mysql://u:pa55@h/d?x=y",
            "password=x pa55",
            "password=x pa55 user=u",
            "password=x pa55=5",
            "password='pa55",
        ] {
            let error = format!("{:?}", options(text).expect_err(text));
            assert!(!error.contains("pa55") && !error.contains("w0rd"), "{text}: {error}");
        }
    }
}
