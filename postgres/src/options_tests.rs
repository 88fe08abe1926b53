//! How connection strings and the environment are interpreted, and which are invalid.

use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Options> {
    let environment =
        |name: &str| environment.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Options::parse(text, environment)
}

#[track_caller]
fn options(text: &str, environment: &[(&str, &str)]) -> Options {
    parse(text, environment).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The error's message and help.
#[track_caller]
fn error(text: &str, environment: &[(&str, &str)]) -> String {
    match parse(text, environment) {
        Err(Error::Url { message, help }) => format!("{message}; {help}"),
        Err(error) => panic!("{text}: {error}"),
        Ok(_) => panic!("{text} was accepted"),
    }
}

fn tcp(host: &str, port: u16) -> Server {
    Server { host: Some(Host::Tcp(host.to_owned())), address: None, port }
}

#[test]
fn the_user_is_the_default_for_the_database_and_the_system_for_the_user() {
    let options = options("postgres://h", &[]);
    assert_eq!(options.user, whoami::username().unwrap());
    assert_eq!(options.database, options.user);
    assert_eq!(self::options("postgres://ann@h", &[]).database, "ann");
}

#[test]
fn without_a_host_it_is_the_socket() {
    let server = Server { host: Some(Host::Unix(SOCKETS.into())), address: None, port: 5432 };
    assert_eq!(options("", &[]).servers, [server]);
}

#[test]
fn the_environment_fills_what_the_url_leaves_open() {
    let environment = [
        ("PGHOST", "env-host"),
        ("PGPORT", "6000"),
        ("PGUSER", "env-user"),
        ("PGDATABASE", "env-db"),
        ("PGPASSWORD", "env-password"),
        ("PGSSLMODE", "require"),
        ("PGSSLROOTCERT", "/env/root"),
        ("PGPASSFILE", "/env/pgpass"),
        ("PGAPPNAME", "env-app"),
        ("PGCONNECT_TIMEOUT", "3"),
    ];
    let open = options("postgres://", &environment);
    assert_eq!(open.servers, [tcp("env-host", 6000)]);
    assert_eq!((open.user.as_str(), open.database.as_str()), ("env-user", "env-db"));
    assert_eq!(open.password.as_deref(), Some("env-password"));
    assert_eq!((open.tls.mode, open.tls.root), (Mode::Require, Root::File("/env/root".into())));
    assert_eq!(open.password_file, Some("/env/pgpass".into()));
    assert_eq!(open.config.get_application_name(), Some("env-app"));
    assert_eq!(open.connect_timeout, Some(Duration::from_secs(3)));
    let full = options("postgres://u:p@h:1/d?sslmode=disable&passfile=/f&application_name=a", &environment);
    assert_eq!(full.servers, [tcp("h", 1)]);
    assert_eq!((full.user.as_str(), full.database.as_str(), full.password.as_deref()), ("u", "d", Some("p")));
    assert_eq!((full.tls.mode, full.password_file), (Mode::Disable, Some("/f".into())));
    assert_eq!(full.config.get_application_name(), Some("a"));
}

#[test]
fn passwords_and_roots_are_looked_for_at_home() {
    let options = options("host=h sslmode=require", &[("HOME", "/home/ann")]);
    assert_eq!(options.password_file, Some("/home/ann/.pgpass".into()));
    assert_eq!(options.tls.root, Root::FileIfExists(Some("/home/ann/.postgresql/root.crt".into())));
    assert_eq!(options.tls.identity, None);
}

#[test]
fn hosts_addresses_and_ports_go_together_by_place() {
    assert_eq!(options("postgres://a,b:2,c", &[]).servers, [tcp("a", 5432), tcp("b", 2), tcp("c", 5432)]);
    assert_eq!(options("host=a,b port=7", &[]).servers, [tcp("a", 7), tcp("b", 7)]);
    let with_address = options("host=a hostaddr=10.0.0.1", &[]).servers;
    assert_eq!(with_address, [Server { address: Some([10, 0, 0, 1].into()), ..tcp("a", 5432) }]);
    assert!(error("host=a,b hostaddr=10.0.0.1", &[]).contains("different numbers of entries"));
    assert!(error("host=a port=1,2", &[]).contains("numbers of ports and hosts"));
    assert!(error("host=a hostaddr=b", &[]).contains("not an IP address"));
    assert!(error("host=a port=0", &[]).contains("1 to 65535"));
    assert!(error("postgres://h:70000/", &[]).contains("1 to 65535"));
}

#[test]
fn an_option_that_is_not_known_is_named_with_the_nearest_one() {
    let message = error("postgres://h/d?sslmod=require", &[]);
    assert!(message.contains("`sslmod`") && message.contains("did you mean `sslmode`"), "{message}");
    assert!(error("host=h aplication_name=x", &[]).contains("did you mean `application_name`"));
    assert!(!error("host=h zzzzzzzzz=x", &[]).contains("did you mean"));
}

#[test]
fn options_of_libpq_that_cannot_be_honoured_are_refused() {
    assert!(error("host=h sslcrl=/x", &[]).contains("libpq option `sslcrl` is not supported"));
    assert!(error("host=h gssencmode=require", &[]).contains("one of disable, prefer"));
    assert!(error("host=h client_encoding=latin1", &[]).contains("client_encoding"));
}

#[test]
fn sslmode_has_the_six_values_of_libpq() {
    for (name, mode) in Mode::NAMES {
        assert_eq!(options(&format!("host=h sslmode={name}"), &[]).tls.mode, mode);
    }
    assert_eq!(options("host=h", &[]).tls.mode, Mode::Prefer);
    assert!(error("host=h sslmode=verify", &[]).contains("disable, allow, prefer, require, verify-ca, verify-full"));
    assert!(error("host=h", &[("PGSSLMODE", "on")]).contains("PGSSLMODE"));
}

#[test]
fn the_systems_roots_go_with_full_verification_only() {
    assert_eq!(options("host=h sslrootcert=system", &[]).tls.mode, Mode::VerifyFull);
    assert!(error("host=h sslrootcert=system sslmode=verify-ca", &[]).contains("verify-full only"));
}

#[test]
fn verify_full_needs_a_name() {
    assert!(error("hostaddr=127.0.0.1 sslmode=verify-full", &[]).contains("name"));
}

#[test]
fn direct_tls_needs_tls() {
    assert!(error("host=h sslnegotiation=direct", &[]).contains("sslmode=require"));
    assert!(options("host=h sslnegotiation=direct sslmode=require", &[]).tls.direct);
}

#[test]
fn a_client_certificate_needs_its_key() {
    assert!(error("host=h sslcert=/c", &[]).contains("sslkey"));
    let identity = options("host=h sslcert=/c sslkey=/k", &[]).tls.identity;
    assert_eq!(identity, Some(("/c".into(), "/k".into())));
}

#[test]
fn times_and_numbers_are_checked() {
    assert_eq!(options("host=h connect_timeout=0", &[]).connect_timeout, None);
    assert_eq!(options("host=h", &[]).connect_timeout, Some(Duration::from_secs(10)));
    assert!(error("host=h connect_timeout=soon", &[]).contains("connect_timeout must be a number of seconds"));
    assert!(error("host=h keepalives_idle=x", &[]).contains("keepalives_idle"));
    let config = options("host=h keepalives_idle=7 keepalives_count=2 tcp_user_timeout=500", &[]).config;
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(7));
    assert_eq!(config.get_keepalives_retries(), Some(2));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(500)));
}

#[test]
fn the_last_of_several_counts_and_an_empty_one_is_none() {
    assert_eq!(options("host=h user=a user=b", &[]).user, "b");
    assert_eq!(options("host=h user=''", &[("PGUSER", "env")]).user, whoami::username().unwrap());
}
