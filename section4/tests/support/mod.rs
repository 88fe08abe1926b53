//! A test server with configurable responses, and a runner of the program.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The response of a server to a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes and then nothing more, without closing.
    Stall(Vec<u8>),
    /// Sends these bytes repeatedly until the client closes.
    Forever(Vec<u8>),
}

impl Reply {
    pub(crate) fn new(status: &str, headers: &[&str], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for header in headers {
            head += &format!("{header}\r\n");
        }
        Self::Bytes(format!("{head}\r\n{body}").into_bytes())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::new("200 OK", &[], body)
    }

    /// A file of tests/data.
    pub(crate) fn data(name: &str) -> Self {
        Self::ok(&data(name))
    }
}

pub(crate) fn data(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A server for one test. The threads end with the process.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers successive requests with these replies; the last one is repeated.
    pub(crate) fn replying(replies: Vec<Reply>) -> Self {
        let served = Mutex::new(0);
        Self::answering(move |_| {
            let mut served = served.lock().unwrap();
            *served += 1;
            replies[(*served - 1).min(replies.len() - 1)].clone()
        })
    }

    /// Answers depending on the path and query of a request.
    pub(crate) fn answering(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The paths of all requests so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    /// Runs `section4 fetch` against this server, without retries.
    pub(crate) fn fetch(&self, source: &str, arguments: &[&str]) -> Ran {
        let url = self.url();
        let mut all = vec!["fetch", "--source", source, "--base-url", &url];
        if !arguments.contains(&"--retry-for") {
            all.extend(["--retry-for", "0s"]);
        }
        all.extend(arguments);
        section4(&all)
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> Reply) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head);
    // A client that has read enough closes, which is not an error of the server.
    match answer(&path) {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes);
        }
        Reply::Stall(bytes) => {
            let _ = stream.write_all(&bytes);
            thread::sleep(Duration::from_secs(600));
        }
        Reply::Forever(bytes) => while stream.write_all(&bytes).is_ok() {},
    }
}

/// A port on which nothing listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_section4"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn section4(arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).output().unwrap())
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Fails unless the command failed with this exit code, wrote nothing and reported this, regardless of line breaks.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.out, "", "{self:#?}");
        self.said(said);
    }

    /// Fails unless the command reported this on standard error.
    #[track_caller]
    pub(crate) fn said(&self, said: &str) {
        let bare =
            |text: &str| text.chars().filter(|c| !c.is_whitespace() && !"│╰─▶×".contains(*c)).collect::<String>();
        assert!(bare(&self.err).contains(&bare(said)), "`{said}` is not in {self:#?}");
    }

    /// Fails unless the command wrote these lines after its header, and nothing to standard error.
    #[track_caller]
    pub(crate) fn wrote(&self, lines: &[&str]) {
        assert_eq!(self.err, "", "{self:#?}");
        self.wrote_with_warnings(lines);
    }

    #[track_caller]
    pub(crate) fn wrote_with_warnings(&self, lines: &[&str]) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let mut expected = "country,date,total_cases,source\n".to_owned();
        lines.iter().for_each(|line| expected += &format!("{line}\n"));
        assert_eq!(self.out, expected);
    }
}
