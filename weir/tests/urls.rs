//! Sources whose files a server has.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::{Project, Ran};
use weir_postgres_testing::{Authority, Identity};

/// A server that gives one answer after the other, the last one for ever.
struct Server {
    address: String,
    /// The requests so far.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = requests.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let request = head(&client);
                let mut requests = kept.lock().unwrap();
                let answer = answers.get(requests.len()).or(answers.last()).unwrap().clone();
                requests.push(request);
                drop(requests);
                // A client that was stopped does not read it.
                let _ = client.write_all(&answer);
                if answer.ends_with(STALL) {
                    std::thread::sleep(Duration::from_secs(30));
                }
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The end of an answer after which the connection stays open.
const STALL: &[u8] = b"item,am";

fn head(client: &TcpStream) -> String {
    let lines = BufReader::new(client).lines().map(|line| line.unwrap());
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "", body)
}

const STOCK: &str = "item,amount\nbolt,1\nnut,many\n";

/// A task that reads the file of a URL.
fn project(url: &str, more: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: stock
params: {{day: {{type: string, default: '[1]'}}}}
sources:
  delivery:
    files: {{path: '{url}', format: csv}}{more}
    columns: {{item: string, amount: bigint}}
sinks:
  stock: {{from: delivery, mode: overwrite, files: {{file: out/stock.csv, format: csv}}}}
  unreadable: {{from: delivery.rejected, mode: overwrite, publish: always, files: {{path: out/unreadable, format: csv}}}}
"
        ),
    );
    project
}

fn of_server(server: &Server, path: &str, more: &str) -> Project {
    project(&format!("http://{}/{path}", server.address), more)
}

/// A run that may ask servers of this machine only.
fn run(project: &Project) -> Ran {
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    command.env("TOKEN", "s&cret").env("NO_PROXY", "*");
    Ran::of(command.output().unwrap())
}

fn rows(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path("out/stock.csv")).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_file_of_a_url_is_read_and_its_secrets_are_shown_nowhere() {
    let server = Server::start(vec![ok(STOCK)]);
    let url = format!("http://ann:p%40ss@{}/a%20b.csv?day=${{day}}&token=${{env:TOKEN}}", server.address);
    let project = project(&url, "");
    let ran = run(&project);
    ran.ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1"]);
    let name = format!("http://{}/a%20b.csv", server.address);
    assert_eq!(project.rows("out/unreadable")[1], format!("{name},3,\"nut,many\",invalid_amount"));
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert!(request.starts_with("GET /a%20b.csv?day=[1]&token=s%26cret HTTP/1.1\n"), "{request}");
    assert!(request.contains("\nauthorization: Basic YW5uOnBAc3M="), "{request}");
    let ledger = std::fs::read(project.path(".weir/ledger.sqlite")).unwrap();
    let seen = format!("{}{}{}", ran.out, ran.err, String::from_utf8_lossy(&ledger));
    assert!(!seen.contains("p%40ss") && !seen.contains("p@ss") && !seen.contains("cret"), "{seen}");
}

#[test]
fn compressed_files_and_those_of_other_formats_are_known_by_the_path_of_the_url() {
    let server = Server::start(vec![ok(gzip("item,amount\nnut,2\n"))]);
    let project = of_server(&server, "stock.csv.GZ?x=.bz2", "");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["nut,2"]);

    let items: ArrayRef = Arc::new(StringArray::from(vec!["bolt"]));
    let amounts: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let batch = RecordBatch::try_from_iter([("item", items), ("amount", amounts)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let server = Server::start(vec![ok(writer.into_inner().unwrap())]);
    let project = of_server(&server, "stock.parquet", "");
    project.task("stock.parquet', format: csv", "stock.parquet', format: parquet");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,7"]);
}

#[test]
fn a_redirect_is_followed_and_tells_the_other_server_no_secrets() {
    let other = Server::start(vec![ok(STOCK)]);
    let to = format!("Location: http://localhost:{}/b.csv\r\n", other.address.rsplit_once(':').unwrap().1);
    let server = Server::start(vec![answer("302 Found", &to, "")]);
    let project = project(&format!("http://ann:secret@{}/a.csv?token=x", server.address), "");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1"]);
    let request = other.requests().remove(0).to_lowercase();
    assert!(!request.contains("authorization") && !request.contains("token"), "{request}");

    let server = Server::start(vec![answer("302 Found", "Location: /a.csv\r\n", "")]);
    run(&of_server(&server, "a.csv", "")).ended(1, "it redirects too often");
}

#[test]
fn a_file_that_is_not_there_is_an_error_unless_it_may_be_missing() {
    let server = Server::start(vec![answer("404 Not Found", "", "no such file")]);
    let missing = of_server(&server, "a.csv?token=secret", "");
    let ran = run(&missing);
    ran.ended(1, &format!("http://{}/a.csv: the server has no such file", server.address));
    assert!(!ran.err.contains("secret") && !ran.out.contains("secret"), "{}", ran.err);
    assert_eq!(server.requests().len(), 1);
    missing.task("a.csv?token=secret', format: csv}", "a.csv?token=secret', format: csv}\n    if_missing: skip");
    let ran = run(&missing);
    ran.ended(0, &format!("no file matches http://{}/a.csv", server.address));
    assert!(!ran.err.contains("secret") && !ran.out.contains("secret"));
}

#[test]
fn a_failure_that_may_pass_is_tried_again() {
    let busy = answer("503 Service Unavailable", "Retry-After: 0\r\n", "");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nitem,amount\nbolt,1\n".to_vec();
    let cut_chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13\r\nitem,amount\nbolt,1\n\r\n".to_vec();
    let server = Server::start(vec![busy, cut, cut_chunk, ok(STOCK)]);
    let project = of_server(&server, "a.csv", "");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1"]);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_truncated_file_is_an_error_in_the_end() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nitem,amount\nbolt,1\n".to_vec();
    let server = Server::start(vec![cut]);
    let project = of_server(&server, "a.csv", "");
    run(&project).ended(1, "the connection ended before the file was complete");
    assert_eq!(server.requests().len(), 5);
    assert!(!project.path("out/stock.csv").exists());
}

#[test]
fn other_answers_are_errors_at_once() {
    for (status, headers, said) in [
        ("403 Forbidden", "", "the server responds with 403 Forbidden"),
        ("204 No Content", "", "the server responds with 204 No Content"),
        ("429 Too Many Requests", "Retry-After: 3600\r\n", "429 Too Many Requests, and asks for a pause of 3600 s"),
    ] {
        let server = Server::start(vec![answer(status, headers, "")]);
        run(&of_server(&server, "a.csv", "")).ended(1, said);
        assert_eq!(server.requests().len(), 1);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(&project(&format!("http://{nobody}/a.csv"), "")).ended(1, "the server cannot be asked");
}

#[test]
fn a_download_stops_with_the_run() {
    let server = Server::start(vec![[b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", STALL].concat()]);
    let project = of_server(&server, "a.csv", "");
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    let child = command.env("NO_PROXY", "*").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    Ran::of(child.wait_with_output().unwrap()).ended(1, "interrupted");
}

#[test]
fn content_that_was_read_before_is_not_read_again() {
    let server = Server::start(vec![ok(STOCK), ok(STOCK), ok("item,amount\nnut,2\n")]);
    let project = of_server(&server, "a.csv", "\n    read: new");
    run(&project).ended(0, "done");
    run(&project).ended(0, "nothing to do");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["nut,2"]);
}

#[test]
fn the_time_of_a_file_is_that_of_the_server() {
    let modified = "Last-Modified: Thu, 01 Jan 2026 00:01:30 GMT\r\n";
    let server = Server::start(vec![answer("200 OK", modified, STOCK)]);
    let project = of_server(&server, "a.csv?token=x", "");
    let columns = "amount: bigint, at: {type: timestamp, from: modified}, file: {type: string, from: file}";
    project.task("amount: bigint", columns);
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), [format!("bolt,1,2026-01-01T00:01:30,http://{}/a.csv", server.address)]);
}

#[test]
fn the_certificate_of_a_server_is_checked() {
    let authority = Authority::new("tests");
    let Identity { certificate, key } = authority.identity(&["localhost"]);
    let certificates = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), client.unwrap());
            let (mut request, mut bytes) = (Vec::new(), [0; 1024]);
            // A client that does not trust the server ends the connection. Others take no answer before they have asked.
            while let Ok(length @ 1..) = client.read(&mut bytes) {
                request.extend_from_slice(&bytes[..length]);
                if request.ends_with(b"\r\n\r\n") {
                    break;
                }
            }
            let _ = client.write_all(&ok(STOCK)).and_then(|()| client.flush());
            client.conn.send_close_notify();
            let _ = client.flush();
        }
    });
    let run = |host: &str, trusted: &str| {
        let project = project(&format!("https://{host}:{port}/a.csv"), "");
        let mut command = project.command(&["run", "--task-config", "task.yaml"]);
        project.file("trusted.pem", trusted);
        Ran::of(command.env("NO_PROXY", "*").env("SSL_CERT_FILE", project.path("trusted.pem")).output().unwrap())
    };
    run("localhost", authority.certificate()).ended(0, "done");
    run("127.0.0.1", authority.certificate()).ended(1, "TLS failed");
    run("localhost", Authority::new("others").certificate()).ended(1, "TLS failed");
}

#[test]
fn a_url_is_checked_without_a_download() {
    let server = Server::start(vec![ok(STOCK)]);
    let valid = of_server(&server, "a.csv", "");
    for verb in ["validate", "plan", "doctor"] {
        assert_eq!(valid.weir(&[verb, "--task-config", "task.yaml"]).code, Some(0), "{verb}");
    }
    assert_eq!(server.requests(), [""; 0]);
    valid.weir(&["plan", "--task-config", "task.yaml"]).ended(0, "is read when the task runs");
    for (path, more, said) in [
        ("https://host/*.csv", "", "a URL names one file"),
        ("https://host:x/a.csv", "", "this is not a valid URL"),
        ("https://host/a.csv", "\n    archive: done", "the file of a URL cannot be moved to an archive"),
        ("ftp://host/a.csv", "", "http:// and https:// URLs can be read"),
        ("https://host/a.csv?x=${env:NO_SUCH_VARIABLE}", "", "variable `NO_SUCH_VARIABLE` is not set"),
    ] {
        project(path, more).weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
}
