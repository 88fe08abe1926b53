//! Servers that are down, slow, busy, or send too much, and what is asked of them again.
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
/// Long enough for any machine: these tests end when the server is well again.
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
fn a_server_that_is_down_is_named() {
    let url = format!("http://127.0.0.1:{}", closed_port());
    let arguments = ["fetch", "--base-url", &url, "--country", "Singapore"];
    let said = format!("{url}/v3/covid-19/historical/Singapore?lastdays=all: nobody answers: ");
    let ran = section4(&[&arguments[..], &["--retry-for", "0s"]].concat());
    ran.failed(1, &said);
    ran.said("refused");
    assert!(!ran.err.contains("tried"), "{}", ran.err);
    let ran = section4(&[&arguments[..], &["--retry-for", "2s"]].concat());
    ran.failed(1, &said);
    ran.said("(tried ");
}

#[test]
fn a_host_that_cannot_be_looked_up_is_named() {
    let ran =
        section4(&["fetch", "--base-url", "http://nowhere.invalid", "--country", "Singapore", "--retry-for", "1s"]);
    ran.failed(1, "the host name cannot be looked up");
}

#[test]
fn what_passes_by_itself_is_tried_again_until_it_has_passed() {
    let reset = Reply::Bytes(vec![]);
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"country\":".to_vec());
    let statuses = ["429 Too Many Requests", "500 Oops", "502 Bad Gateway", "503 Busy", "504 Gateway Timeout"];
    let mut replies = vec![reset, half];
    replies.extend(statuses.map(|status| Reply::new(status, &[], "<html>")));
    for reply in replies {
        let server = Server::replying(vec![reply, good()]);
        let ran = server.fetch("disease.sh", &PATIENT);
        ran.wrote_with_warnings(&GOOD);
        ran.said("; trying again for up to ");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn what_does_not_pass_by_itself_is_asked_for_once() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "204 No Content"]
    {
        let server = Server::replying(vec![Reply::new(status, &[], ""), good()]);
        server.fetch("disease.sh", &PATIENT).failed(1, &format!("the server answers {status}"));
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn what_the_server_says_of_an_error_is_told() {
    let reply = Reply::new("403 Forbidden", &[], "{\"message\":\"Ask\\u001b[31m first\"}");
    Server::replying(vec![reply]).fetch("disease.sh", &SINGAPORE).failed(1, "403 Forbidden: Ask[31m first");
}

#[test]
fn trying_again_ends_in_time_and_tells_how_often_it_was_tried() {
    let server = Server::replying(vec![busy(&[])]);
    let ran = server.fetch("disease.sh", &IMPATIENT);
    let times = server.requests().len();
    assert!(times >= 2, "{times}");
    ran.failed(1, &format!("the server answers 503 Service Unavailable (tried {times} times in"));
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let server = Server::replying(vec![busy(&["Retry-After: 2"]), good()]);
    let begun = Instant::now();
    server.fetch("disease.sh", &PATIENT).wrote_with_warnings(&GOOD);
    assert!(begun.elapsed().as_secs_f64() >= 2.0);
}

#[test]
fn a_server_that_asks_for_more_time_than_there_is_is_not_bothered_again() {
    let server = Server::replying(vec![busy(&["Retry-After: 3600"]), good()]);
    let ran = server.fetch("disease.sh", &PATIENT);
    ran.failed(1, "503 Service Unavailable; it asks us to come back in 3600 s");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_does_not_answer_in_time_is_told() {
    for reply in [Reply::Stall(vec![]), Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec())] {
        let ran = Server::replying(vec![reply]).fetch("disease.sh", &["--country", "Singapore", "--timeout", "300ms"]);
        ran.failed(1, "no whole answer in 0.3 s");
    }
}

#[test]
fn an_answer_whose_connection_ends_is_told() {
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"country\":".to_vec());
    let ran = Server::replying(vec![half]).fetch("disease.sh", &SINGAPORE);
    ran.failed(1, "the connection ended before the answer was whole");
}

#[test]
fn what_does_not_speak_http_is_told_at_once() {
    let server = Server::replying(vec![Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]);
    server.fetch("disease.sh", &PATIENT).failed(1, "what answers there does not speak HTTP");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_does_not_speak_tls_is_told_at_once() {
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
fn a_huge_answer_is_refused_whether_its_length_is_told_or_not() {
    let told = Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n".to_vec());
    let arguments = ["--country", "Singapore", "--max-bytes", "1000000"];
    let server = Server::replying(vec![told]);
    server.fetch("disease.sh", &arguments).failed(1, "the answer is larger than 1000000 bytes");
    // The first chunk is enough; what comes behind it is never looked at.
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n".to_vec();
    bytes.extend(vec![b' '; 0x20_0000]);
    let server = Server::replying(vec![Reply::Forever(bytes)]);
    server.fetch("disease.sh", &arguments).failed(1, "the answer is larger than 1000000 bytes");
}

#[test]
fn an_answer_of_exactly_the_limit_is_taken() {
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
fn a_redirection_on_the_same_server_is_followed() {
    let server = Server::answering(|path| if path == "/new" { good() } else { redirect("/new") });
    server.fetch("disease.sh", &SINGAPORE).wrote(&GOOD);
}

#[test]
fn a_redirection_to_another_server_is_not_followed() {
    let other = Server::replying(vec![good()]);
    for (to, because) in [
        (other.url() + "/new", "it is another server of the host"),
        (format!("http://localhost:{}/new", other.port()), "it is another host"),
    ] {
        let server = Server::replying(vec![redirect(&to)]);
        let ran = server.fetch("disease.sh", &PATIENT);
        ran.failed(1, &format!("the server sends us on to {to}, which is not followed: {because}"));
        ran.said("if that is where the data is now, name it: --base-url");
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn redirections_in_a_circle_end() {
    let server = Server::replying(vec![redirect("/round")]);
    server.fetch("disease.sh", &PATIENT).failed(1, "it is one redirection after the other");
    assert!(server.requests().len() < 10);
}

#[test]
fn we_say_who_we_are() {
    let server = Server::replying(vec![good()]);
    server.fetch("disease.sh", &SINGAPORE).wrote(&GOOD);
    let agent = format!("user-agent: section4/{} (", env!("CARGO_PKG_VERSION"));
    assert!(server.requests()[0].contains(&agent), "{:?}", server.requests());
}

#[test]
fn an_unchanged_answer_is_not_sent_again() {
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
fn a_bad_answer_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::replying(vec![Reply::new("200 OK", &["ETag: \"bad\""], "<html>"), good()]);
    let arguments = ["--country", "Singapore", "--cache", folder.path().to_str().unwrap()];
    server.fetch("disease.sh", &arguments).failed(1, "the answer is an HTML page instead of JSON");
    server.fetch("disease.sh", &arguments).wrote(&GOOD);
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[test]
fn word_that_nothing_changed_is_an_error_if_nobody_asked() {
    let server = Server::replying(vec![Reply::new("304 Not Modified", &[], "")]);
    server.fetch("disease.sh", &SINGAPORE).failed(1, "the server answers 304 Not Modified");
}

#[test]
fn as_many_countries_are_asked_for_at_once_as_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    // Nobody gets an answer before three have asked.
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
