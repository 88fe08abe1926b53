//! `sslmode` and related options, against a real server with a certificate of its own.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use miette::Diagnostic;
use tempfile::TempDir;
use weir_postgres::tokio_postgres::Client;
use weir_postgres::{Database, Error, Reason};
use weir_postgres_testing::{Authority, Cluster, Identity, PASSWORD, USER};

/// TLS errors are returned at once, regardless of the wait.
const WAIT: Duration = Duration::from_secs(600);

/// A server with TLS, and the files of its clients.
struct Server {
    cluster: Cluster,
    authority: Authority,
    folder: TempDir,
    root: PathBuf,
}

impl Server {
    fn start(rules: &[&str]) -> Self {
        let cluster = Cluster::start();
        let authority = Authority::new("the servers'");
        cluster.serve_tls(&authority, &["localhost", "127.0.0.1"]);
        if !rules.is_empty() {
            cluster.admit(rules);
        }
        let folder = tempfile::tempdir().unwrap();
        let root = authority.write_to(folder.path());
        Self { cluster, authority, folder, root }
    }

    /// Admits everybody with a password, with and without TLS.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Admits sessions with TLS only.
    fn strict() -> &'static Self {
        static STRICT: OnceLock<Server> = OnceLock::new();
        STRICT.get_or_init(|| Self::start(&["hostssl all all all scram-sha-256"]))
    }

    /// The owner's database at a host of this name, which need not be resolvable.
    fn database(&self, host: &str, options: &str) -> Database {
        database(&self.cluster, &format!("host={host} hostaddr=127.0.0.1 {options}"))
    }

    fn root(&self) -> String {
        format!("sslrootcert={}", self.root.display())
    }
}

fn database(cluster: &Cluster, options: &str) -> Database {
    let text = format!("port={} user={USER} password='{PASSWORD}' dbname=postgres {options}", cluster.port());
    text.parse().unwrap()
}

async fn uses_tls(client: &Client) -> bool {
    client.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap().get(0)
}

async fn session(database: Database) -> Client {
    database.connect(WAIT).await.unwrap_or_else(|error| panic!("{error}\n{}", error.help().unwrap()))
}

async fn refused(database: Database) -> (Reason, String) {
    match database.connect(WAIT).await {
        Err(error @ Error::Connect { reason, .. }) => (reason, format!("{error}\n{}", error.help().unwrap())),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("there was a session"),
    }
}

/// The root certificate of an authority that signed nothing here.
fn stranger(folder: &Path) -> String {
    format!("sslrootcert={}", Authority::new("a stranger's").write_to(folder).display())
}

#[tokio::test]
async fn disable_is_plain_and_allow_prefers_plain() {
    assert!(!uses_tls(&session(Server::shared().database("localhost", "sslmode=disable")).await).await);
    assert!(!uses_tls(&session(Server::shared().database("localhost", "sslmode=allow")).await).await);
}

#[tokio::test]
async fn prefer_is_the_default_and_takes_tls_where_there_is_some() {
    assert!(uses_tls(&session(Server::shared().database("localhost", "")).await).await);
}

#[tokio::test]
async fn prefer_takes_a_server_without_tls() {
    let client = session(database(Cluster::shared(), "host=127.0.0.1 sslmode=prefer")).await;
    assert!(!uses_tls(&client).await);
}

#[tokio::test]
async fn require_does_not_take_a_server_without_tls() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let options = format!("host=127.0.0.1 sslmode={mode} {}", Server::shared().root());
        let (reason, message) = refused(database(Cluster::shared(), &options)).await;
        assert_eq!(reason, Reason::NoTls);
        assert!(message.contains(&format!("the server does not support TLS, but sslmode={mode}")), "{message}");
    }
}

#[tokio::test]
async fn require_takes_any_certificate_as_long_as_no_root_is_named() {
    let server = Server::shared();
    assert!(uses_tls(&session(server.database("other.example", "sslmode=require")).await).await);
    assert!(
        uses_tls(&session(server.database("other.example", &format!("sslmode=require {}", server.root()))).await).await
    );
    let folder = tempfile::tempdir().unwrap();
    let (reason, _) =
        refused(server.database("localhost", &format!("sslmode=require {}", stranger(folder.path())))).await;
    assert_eq!(reason, Reason::Certificate);
}

#[tokio::test]
async fn verify_ca_checks_the_authority_and_not_the_host() {
    let server = Server::shared();
    for host in ["localhost", "other.example", "no-tls-name_-.example"] {
        assert!(uses_tls(&session(server.database(host, &format!("sslmode=verify-ca {}", server.root()))).await).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let options = format!("sslmode=verify-ca {}", stranger(folder.path()));
    let (reason, message) = refused(server.database("localhost", &options)).await;
    assert_eq!(reason, Reason::Certificate);
    assert!(message.contains("not signed by a trusted authority") && message.contains("sslrootcert"), "{message}");
}

#[tokio::test]
async fn verify_full_checks_the_host_too() {
    let server = Server::shared();
    let options = format!("sslmode=verify-full {}", server.root());
    for host in ["localhost", "127.0.0.1"] {
        assert!(uses_tls(&session(server.database(host, &options)).await).await);
    }
    for host in ["other.example", "127.0.0.2"] {
        let (reason, message) = refused(server.database(host, &options)).await;
        assert_eq!(reason, Reason::HostName, "{message}");
        assert!(message.contains("another host"), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (reason, _) =
        refused(server.database("localhost", &format!("sslmode=verify-full {}", stranger(folder.path())))).await;
    assert_eq!(reason, Reason::Certificate);
}

#[tokio::test]
async fn a_host_name_is_resolved_and_verified() {
    let server = Server::shared();
    let url = server.cluster.url("postgres").replace("127.0.0.1", "localhost");
    let url = format!("{url}?sslmode=verify-full&sslrootcert={}", server.root.display());
    assert!(uses_tls(&session(url.parse().unwrap()).await).await);
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_its_own_root() {
    let cluster = Cluster::start();
    let identity = Identity::self_signed(&["localhost"]);
    cluster.serve_tls_as(&identity);
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = identity.write_to(folder.path());
    let options = |host: &str, mode: &str| {
        format!("host={host} hostaddr=127.0.0.1 sslmode={mode} sslrootcert={}", root.display())
    };
    assert!(uses_tls(&session(database(&cluster, &options("localhost", "verify-full"))).await).await);
    assert!(uses_tls(&session(database(&cluster, &options("other.example", "verify-ca"))).await).await);
    let (reason, _) = refused(database(&cluster, &options("other.example", "verify-full"))).await;
    assert_eq!(reason, Reason::HostName);
    Identity::self_signed(&["localhost"]).write_to(folder.path());
    let (reason, _) = refused(database(&cluster, &options("localhost", "verify-ca"))).await;
    assert_eq!(reason, Reason::Certificate);
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_read_does_not_matter_without_tls() {
    let options = "sslmode=disable sslcert=/nowhere/c sslkey=/nowhere/k";
    session(Server::shared().database("localhost", options)).await;
}

#[tokio::test]
async fn the_systems_roots_did_not_sign_a_private_certificate() {
    let (reason, message) = refused(Server::shared().database("localhost", "sslrootcert=system")).await;
    // A machine may have no trusted certificates at all.
    assert!(matches!(reason, Reason::Certificate | Reason::File), "{message}");
}

#[tokio::test]
async fn verifying_needs_roots() {
    let options = "sslmode=verify-full sslrootcert=/nowhere/root.crt";
    let (reason, message) = refused(Server::shared().database("localhost", options)).await;
    assert_eq!(reason, Reason::File);
    assert!(message.contains("/nowhere/root.crt") && message.contains("sslrootcert"), "{message}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let options = format!("sslmode=require sslrootcert={}", empty.path().display());
    let (reason, message) = refused(Server::shared().database("localhost", &options)).await;
    assert_eq!(reason, Reason::File);
    assert!(message.contains("the file has no certificate"), "{message}");
}

#[tokio::test]
async fn disable_is_not_admitted_where_tls_is_required() {
    let (reason, message) = refused(Server::strict().database("localhost", "sslmode=disable")).await;
    assert_eq!(reason, Reason::NotAdmitted);
    assert!(message.contains("without TLS") && message.contains("write sslmode=require"), "{message}");
}

#[tokio::test]
async fn allow_uses_tls_where_it_is_required() {
    assert!(uses_tls(&session(Server::strict().database("localhost", "sslmode=allow")).await).await);
}

#[tokio::test]
async fn prefer_falls_back_to_plain_where_tls_is_not_allowed() {
    let server = Server::start(&["hostnossl all all all scram-sha-256"]);
    assert!(!uses_tls(&session(server.database("localhost", "sslmode=prefer")).await).await);
    let (reason, message) = refused(server.database("localhost", "sslmode=require")).await;
    assert_eq!(reason, Reason::NotAdmitted);
    assert!(message.contains("with TLS") && message.contains("sslmode=disable"), "{message}");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_without_tls() {
    let server = Server::start(&[]);
    let url = server.cluster.url_of(USER, "pa55", "postgres");
    let (reason, _) = refused(url.parse().unwrap()).await;
    assert_eq!(reason, Reason::Password);
    let log = std::fs::read_to_string(server.cluster.data().parent().unwrap().join("log")).unwrap();
    assert_eq!(log.matches("password authentication failed").count(), 1, "{log}");
}

#[tokio::test]
async fn a_client_certificate_lets_in_its_user() {
    let server = Server::start(&["hostssl all owner all cert"]);
    let (certificate, key) = server.authority.identity(&[USER]).write_to(server.folder.path());
    let options = format!("sslmode=require sslcert={} sslkey={}", certificate.display(), key.display());
    assert!(uses_tls(&session(server.database("localhost", &options)).await).await);
    let (reason, message) = refused(server.database("localhost", "sslmode=require")).await;
    assert!(matches!(reason, Reason::Tls | Reason::User), "{reason:?}: {message}");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (reason, message) = refused(server.database("localhost", &options)).await;
    assert_eq!(reason, Reason::File);
    assert!(message.contains("chmod 0600"), "{message}");
}

#[tokio::test]
async fn the_password_is_bound_to_the_certificate() {
    let server = Server::shared();
    session(server.database("localhost", "sslmode=require channel_binding=require")).await;
    let (_, message) = refused(server.database("localhost", "sslmode=disable channel_binding=require")).await;
    assert!(message.contains("channel binding"), "{message}");
}
