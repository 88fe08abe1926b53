//! Receivers of alerts in this process: an HTTP server that answers as a test wants, and a mail server.
#![allow(dead_code)] // each test file uses its own part of this

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// With a status.
    Status(u16),
    /// Never.
    Silence,
    /// The connection is closed.
    Close,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP server. It lives as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// A server that gives these answers, the last one again and again.
    pub(crate) fn answering(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/s3cret-token", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (all, answers) = (received.clone(), answers.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, answers) = (all.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, &all, &answers));
            }
        });
        Self { url, received }
    }

    /// A server that takes everything.
    pub(crate) fn new() -> Self {
        Self::answering(&[Answer::Status(200)])
    }

    /// What it has received.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The events of the alerts that it has received.
    pub(crate) fn events(&self) -> Vec<String> {
        self.received().iter().map(|one| one.json()["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until it has received so many requests.
    pub(crate) fn wait_for(&self, requests: usize) -> Vec<Received> {
        for _ in 0..600 {
            if self.received().len() >= requests {
                return self.received();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{} of {requests} requests came", self.received().len())
    }
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<Received>>, answers: &[Answer]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
        head.push_str(&line);
        line.clear();
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    if head.is_empty() || reader.read_exact(&mut body).is_err() {
        return;
    }
    let number = {
        let mut all = all.lock().unwrap();
        all.push(Received { head, body: String::from_utf8(body).unwrap() });
        all.len() - 1
    };
    match answers[number.min(answers.len() - 1)] {
        Answer::Status(status) => {
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Answer::Silence => std::thread::sleep(Duration::from_secs(120)),
        Answer::Close => {}
    }
}

/// A mail server that speaks as much SMTP as a client needs, and takes every mail.
#[derive(Debug, Clone)]
pub(crate) struct MailServer {
    pub(crate) address: String,
    /// What clients have said.
    said: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// A server that answers the greeting of a client with this line.
    pub(crate) fn new(to_mail: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = said.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let all = all.clone();
                std::thread::spawn(move || converse(stream, &all, to_mail));
            }
        });
        Self { address, said }
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn converse(mut stream: TcpStream, said: &Mutex<Vec<String>>, to_mail: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut answer = |text: &str| write!(stream, "{text}\r\n").ok();
    answer("220 mail.example ESMTP")?;
    let (mut line, mut in_data) = (String::new(), false);
    while reader.read_line(&mut line).ok()? > 0 {
        let text = line.trim_end().to_owned();
        line.clear();
        said.lock().unwrap().push(text.clone());
        match text.split_whitespace().next().unwrap_or_default() {
            "." if in_data => {
                in_data = false;
                answer("250 queued")?;
            }
            _ if in_data => {}
            "EHLO" => answer("250-mail.example\r\n250 AUTH PLAIN LOGIN")?,
            "AUTH" => answer("235 welcome")?,
            "MAIL" => answer(to_mail)?,
            "DATA" => {
                in_data = true;
                answer("354 go on")?;
            }
            "QUIT" => {
                answer("221 bye")?;
                return None;
            }
            _ => answer("250 ok")?,
        }
    }
    None
}
