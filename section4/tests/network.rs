//! Servers that are down, slow, busy or send too much, and the retries.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use support::{Reply, Server, closed_port, data, section4};

const SINGAPORE: [&str; 2] = ["--country", "Singapore"];
/// Long enough for any machine: these tests end when the server has recovered.
const PATIENT: [&str; 4] = ["--country", "Singapore", "--retry-for", "5m"];
/// Long enough for several attempts.
const IMPATIENT: [&str; 4] = ["--country", "Singapore", "--retry-for", "3s"];

fn good() -> Reply {
    Reply::data("disease_sh.singapore.json")
}

fn busy(headers: &[&str]) -> Reply {
    Reply::new("503 Service Unavailable", headers, "")
}

const GOOD: [&str; 3] = [
    "Singapore,2020-03-01,100,disease.sh",
    "Singapore,2020-03-02,104,disease.sh",
    "Singapore,2020-03-03,110,disease.sh",
];

#[test]
fn a_server_that_is_down_is_reported() {
    let url = format!("http://127.0.0.1:{}", closed_port());
    let arguments = ["fetch", "--base-url", &url, "--country", "Singapore"];
    let said = format!("{url}/v3/covid-19/historical/Singapore?lastdays=all: no server answers: ");
    let ran = section4(&[&arguments[..], &["--retry-for", "0s"]].concat());
    ran.failed(1, &said);
    ran.said("refused");
    assert!(!ran.err.contains("tried"), "{}", ran.err);
    let ran = section4(&[&arguments[..], &["--retry-for", "2s"]].concat());
    ran.failed(1, &said);
    ran.said("(tried ");
}

#[test]
fn a_host_that_cannot_be_resolved_is_reported() {
    let ran =
        section4(&["fetch", "--base-url", "http://nowhere.invalid", "--country", "Singapore", "--retry-for", "1s"]);
    ran.failed(1, "the host name cannot be resolved");
}

#[test]
fn transient_failures_are_retried_until_success() {
    let reset = Reply::Bytes(vec![]);
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"country\":".to_vec());
    let statuses = ["429 Too Many Requests", "500 Oops", "502 Bad Gateway", "503 Busy", "504 Gateway Timeout"];
    let mut replies = vec![reset, half];
    replies.extend(statuses.map(|status| Reply::new(status, &[], "<html>")));
    for reply in replies {
        let server = Server::replying(vec![reply, good()]);
        let ran = server.fetch("disease.sh", &PATIENT);
        ran.wrote_with_warnings(&GOOD);
        ran.said("; retrying for up to ");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn permanent_failures_are_not_retried() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "204 No Content"]
    {
        let server = Server::replying(vec![Reply::new(status, &[], ""), good()]);
        server.fetch("disease.sh", &PATIENT).failed(1, &format!("the server responded with {status}"));
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn the_servers_error_message_is_reported() {
    let reply = Reply::new("403 Forbidden", &[], "{\"message\":\"Ask\\u001b[31m first\"}");
    Server::replying(vec![reply]).fetch("disease.sh", &SINGAPORE).failed(1, "403 Forbidden: Ask[31m first");
}

#[test]
fn retries_end_in_time_and_report_the_number_of_attempts() {
    let server = Server::replying(vec![busy(&[])]);
    let ran = server.fetch("disease.sh", &IMPATIENT);
    let times = server.requests().len();
    assert!(times >= 2, "{times}");
    ran.failed(1, &format!("the server responded with 503 Service Unavailable (tried {times} times in"));
}

#[test]
fn retry_after_is_obeyed() {
    let server = Server::replying(vec![busy(&["Retry-After: 2"]), good()]);
    let begun = Instant::now();
    server.fetch("disease.sh", &PATIENT).wrote_with_warnings(&GOOD);
    assert!(begun.elapsed().as_secs_f64() >= 2.0);
}

#[test]
fn a_retry_after_beyond_the_limit_is_not_retried() {
    let server = Server::replying(vec![busy(&["Retry-After: 3600"]), good()]);
    let ran = server.fetch("disease.sh", &PATIENT);
    ran.failed(1, "503 Service Unavailable; it requests a retry after 3600 s");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_timeout_is_reported() {
    for reply in [Reply::Stall(vec![]), Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec())] {
        let ran = Server::replying(vec![reply])
            .fetch("disease.sh", &["--country", "Singapore", "--request-timeout", "300ms"]);
        ran.failed(1, "no complete response in 0.3 s");
    }
}

#[test]
fn a_broken_connection_is_reported() {
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"country\":".to_vec());
    let ran = Server::replying(vec![half]).fetch("disease.sh", &SINGAPORE);
    ran.failed(1, "the connection ended before the response was complete");
}

#[test]
fn a_server_without_http_fails_at_once() {
    let server = Server::replying(vec![Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]);
    server.fetch("disease.sh", &PATIENT).failed(1, "the server does not speak HTTP");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_without_tls_fails_at_once() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let ran = section4(&[&["fetch", "--base-url", &url][..], &IMPATIENT].concat());
    ran.failed(1, "TLS failed: received corrupt message");
    assert!(!ran.err.contains("tried"), "{}", ran.err);
}

#[test]
fn a_huge_response_is_refused_with_and_without_a_declared_length() {
    let told = Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n".to_vec());
    let arguments = ["--country", "Singapore", "--max-bytes", "1000000"];
    let server = Server::replying(vec![told]);
    server.fetch("disease.sh", &arguments).failed(1, "the response is larger than 1000000 bytes");
    // The first chunk is enough; what follows is never read.
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n".to_vec();
    bytes.extend(vec![b' '; 0x20_0000]);
    let server = Server::replying(vec![Reply::Forever(bytes)]);
    server.fetch("disease.sh", &arguments).failed(1, "the response is larger than 1000000 bytes");
}

#[test]
fn a_response_of_exactly_the_limit_is_accepted() {
    let body = data("disease_sh.singapore.json");
    let (limit, less) = (body.len().to_string(), (body.len() - 1).to_string());
    let server = Server::replying(vec![good()]);
    server.fetch("disease.sh", &["--country", "Singapore", "--max-bytes", &limit]).wrote(&GOOD);
    server.fetch("disease.sh", &["--country", "Singapore", "--max-bytes", &less]).failed(1, "is larger than");
}

fn redirect(to: &str) -> Reply {
    Reply::new("302 Found", &[&format!("Location: {to}")], "")
}

#[test]
fn a_redirect_on_the_same_server_is_followed() {
    let server = Server::answering(|path| if path == "/new" { good() } else { redirect("/new") });
    server.fetch("disease.sh", &SINGAPORE).wrote(&GOOD);
}

#[test]
fn a_redirect_to_another_server_is_not_followed() {
    let other = Server::replying(vec![good()]);
    for (to, because) in [
        (other.url() + "/new", "it is another server of the host"),
        (format!("http://localhost:{}/new", other.port()), "it is another host"),
    ] {
        let server = Server::replying(vec![redirect(&to)]);
        let ran = server.fetch("disease.sh", &PATIENT);
        ran.failed(1, &format!("the server redirects to {to}, which is not followed: {because}"));
        ran.said("if the data has moved there, specify the new address: --base-url");
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn a_cycle_of_redirects_ends() {
    let server = Server::replying(vec![redirect("/round")]);
    server.fetch("disease.sh", &PATIENT).failed(1, "there are too many redirects");
    assert!(server.requests().len() < 10);
}

#[test]
fn requests_have_a_user_agent() {
    let server = Server::replying(vec![good()]);
    server.fetch("disease.sh", &SINGAPORE).wrote(&GOOD);
    let agent = format!("user-agent: section4/{} (", env!("CARGO_PKG_VERSION"));
    assert!(server.requests()[0].contains(&agent), "{:?}", server.requests());
}

#[test]
fn an_unchanged_response_is_not_transferred_again() {
    let folder = tempfile::tempdir().unwrap();
    let body = data("disease_sh.singapore.json");
    let marks = ["ETag: \"one\"", "Last-Modified: Thu, 09 Mar 2023 00:00:00 GMT"];
    let server = Server::replying(vec![
        Reply::new("200 OK", &marks, &body),
        Reply::new("304 Not Modified", &[], ""),
        Reply::new("200 OK", &["ETag: \"two\""], &body.replace("110", "111")),
    ]);
    let arguments = ["--country", "Singapore", "--cache", folder.path().to_str().unwrap()];
    server.fetch("disease.sh", &arguments).wrote(&GOOD);
    server.fetch("disease.sh", &arguments).wrote(&GOOD);
    let changed = [GOOD[0], GOOD[1], "Singapore,2020-03-03,111,disease.sh"];
    server.fetch("disease.sh", &arguments).wrote(&changed);
    let requests = server.requests();
    assert!(!requests[0].contains("if-none-match"), "{}", requests[0]);
    for request in &requests[1..] {
        assert!(request.contains("if-none-match: \"one\"\r\n"), "{request}");
        assert!(request.contains("if-modified-since: Thu, 09 Mar 2023 00:00:00 GMT\r\n"), "{request}");
    }
}

#[test]
fn an_invalid_response_is_not_cached() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::replying(vec![Reply::new("200 OK", &["ETag: \"bad\""], "<html>"), good()]);
    let arguments = ["--country", "Singapore", "--cache", folder.path().to_str().unwrap()];
    server.fetch("disease.sh", &arguments).failed(1, "the response is an HTML page instead of JSON");
    server.fetch("disease.sh", &arguments).wrote(&GOOD);
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[test]
fn an_unrequested_304_is_an_error() {
    let server = Server::replying(vec![Reply::new("304 Not Modified", &[], "")]);
    server.fetch("disease.sh", &SINGAPORE).failed(1, "the server responded with 304 Not Modified");
}

#[test]
fn the_number_of_concurrent_requests_is_as_configured() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    // No request is answered before three have been received.
    let three = Barrier::new(3);
    let server = Server::answering(move |path| {
        seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        three.wait();
        now.fetch_sub(1, SeqCst);
        let name = path.rsplit('/').next().unwrap().split('?').next().unwrap();
        Reply::ok(&data("disease_sh.singapore.json").replace("Singapore", name))
    });
    let names: Vec<String> = (b'a'..=b'l').map(|letter| char::from(letter).to_string()).collect();
    let mut arguments = vec!["--at-once", "3", "--to", "2020-03-01", "--country"];
    arguments.extend(names.iter().map(String::as_str));
    let lines: Vec<String> = names.iter().map(|name| format!("{name},2020-03-01,100,disease.sh")).collect();
    server.fetch("disease.sh", &arguments).wrote(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(most.load(SeqCst), 3);
}
