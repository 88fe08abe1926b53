//! A server in this process that speaks the part of Amazon's S3 that object stores have in common, with strong consistency,
//! conditional writes and uploads in parts; and of Google's, whose conditions are generations. Tests make its requests fail.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};

pub(crate) const KEY_ID: &str = "test-key";
pub(crate) const SECRET: &str = "hush/hush+hush";
pub(crate) const REGION: &str = "eu-test-1";

/// A running server. It lives as long as the process.
#[derive(Clone)]
pub(crate) struct S3 {
    address: String,
    state: Arc<Mutex<State>>,
    /// Requests that were read and are not answered.
    waiting: Arc<AtomicUsize>,
}

/// What a request is answered with in place of its answer.
pub(crate) enum Fault {
    /// A status, and the code of an error.
    Answer(u16, &'static str),
    /// Success, without anything done.
    Accept,
    /// The connection ends before the request is done.
    Drop,
    /// The connection ends after it was done.
    DropAnswer,
}

type Faults = Box<dyn FnMut(&Request, &mut Buckets) -> Option<Fault> + Send>;

/// The objects of each bucket, by key.
pub(crate) type Buckets = BTreeMap<String, BTreeMap<String, Object>>;

#[derive(Default)]
struct State {
    buckets: Buckets,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    requests: Vec<String>,
    faults: Option<Faults>,
    /// The number of keys on a page of a list.
    page: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) content: Vec<u8>,
    tag: String,
    /// A number that no other version has.
    generation: u64,
    modified: DateTime<Utc>,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Object {
    pub(crate) fn new(content: impl Into<Vec<u8>>) -> Self {
        Self::tagged(content.into(), "")
    }

    fn tagged(content: Vec<u8>, suffix: &str) -> Self {
        let tag = format!("\"{}{suffix}\"", &blake3::hash(&content).to_hex()[..32]);
        Self { content, tag, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed), modified: Utc::now() }
    }
}

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Whether it is one for an object whose key ends like this.
    pub(crate) fn is(&self, method: &str, end: &str) -> bool {
        self.method == method && self.key.ends_with(end)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![], body: body.into() }
    }

    fn error(status: u16, code: &str) -> Self {
        let region =
            if code == "AuthorizationHeaderMalformed" { format!("<Region>{REGION}</Region>") } else { String::new() };
        Self::of(status, format!("<Error><Code>{code}</Code><Message>As the test wants</Message>{region}</Error>"))
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl S3 {
    /// A server with an empty bucket `stock`.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state =
            State { page: 1000, buckets: BTreeMap::from([("stock".to_owned(), BTreeMap::new())]), ..State::default() };
        let server = Self { address, state: Arc::new(Mutex::new(state)), waiting: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (server, client) = (serving.clone(), client.unwrap());
                std::thread::spawn(move || server.serve(client));
            }
        });
        server
    }

    /// The entry of `weir.yaml` for the buckets of this server.
    pub(crate) fn settings(&self) -> String {
        format!(
            "stores: {{'s3://': {{endpoint: '{}', region: {REGION}, allow_http: true, access_key_id: {KEY_ID}, \
             secret_access_key: '${{env:STORE_SECRET}}'}}}}",
            self.address
        )
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The number of keys on a page of a list.
    pub(crate) fn pages_of(&self, keys: usize) {
        self.state().page = keys;
    }

    pub(crate) fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.bucket(|bucket| bucket.insert(key.to_owned(), Object::new(content)));
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.bucket(|bucket| bucket.get(key).map(|object| String::from_utf8(object.content.clone()).unwrap()))
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.bucket(|bucket| bucket.keys().cloned().collect())
    }

    /// Does something with the bucket `stock`; with an empty one if it is gone.
    pub(crate) fn bucket<T>(&self, with: impl FnOnce(&mut BTreeMap<String, Object>) -> T) -> T {
        match self.state().buckets.get_mut("stock") {
            Some(bucket) => with(bucket),
            None => with(&mut BTreeMap::new()),
        }
    }

    pub(crate) fn remove_bucket(&self) {
        self.state().buckets.clear();
    }

    pub(crate) fn make_bucket(&self) {
        self.state().buckets.entry("stock".to_owned()).or_default();
    }

    /// Uploads in parts that were neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// The requests since the last call, as `GET stock/key`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// The number of requests that were read and are not answered.
    pub(crate) fn waiting(&self) -> Arc<AtomicUsize> {
        self.waiting.clone()
    }

    /// Makes requests fail.
    pub(crate) fn fail(&self, faults: impl FnMut(&Request, &mut Buckets) -> Option<Fault> + Send + 'static) {
        self.state().faults = Some(Box::new(faults));
    }

    /// Makes no request fail any more.
    pub(crate) fn heal(&self) {
        self.state().faults = None;
    }

    fn serve(&self, client: TcpStream) {
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let mut client = client;
        while let Some(request) = read(&mut reader) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let mut state = self.state();
            state.requests.push(format!("{} {}/{}", request.method, request.bucket, request.key));
            let mut faults = state.faults.take();
            let fault = faults.as_mut().and_then(|faults| faults(&request, &mut state.buckets));
            state.faults = faults;
            let answer = match fault {
                Some(Fault::Drop) => None,
                Some(Fault::Accept) => Some(Answer::of(200, "").with("ETag", "\"accepted\"")),
                Some(Fault::Answer(status, code)) => Some(Answer::error(status, code)),
                Some(Fault::DropAnswer) => {
                    state.answer(&request);
                    None
                }
                None => Some(state.answer(&request)),
            };
            drop(state);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let written = answer.map(|answer| write(&mut client, &request, answer));
            if !matches!(written, Some(Ok(()))) {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (method, target) = (line.split(' ').next()?.to_owned(), line.split(' ').nth(1)?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
    Some(Request { method, bucket: decoded(bucket), key: decoded(key), query, headers, body })
}

fn write(client: &mut TcpStream, request: &Request, answer: Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    client.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        client.write_all(&answer.body)?;
    }
    client.flush()
}

fn decoded(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
        plain.push(hex.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(refused) = refused(request) {
            return refused;
        }
        if request.method == "PUT" && request.key.is_empty() {
            self.buckets.entry(request.bucket.clone()).or_default();
            return Answer::of(200, "");
        }
        if !self.buckets.contains_key(&request.bucket) {
            return Answer::error(404, "NoSuchBucket");
        }
        match (&*request.method, request.asked("uploadId").is_some()) {
            ("GET", _) if request.key.is_empty() => self.list(request),
            ("GET" | "HEAD", _) => self.read(request),
            ("PUT", true) => self.put_part(request),
            ("PUT", false) => self.write(request),
            ("POST", true) => self.complete(request),
            ("POST", false) if request.asked("uploads").is_some() => self.begin_upload(request),
            ("POST", false) => self.delete_all(request),
            ("DELETE", true) => {
                self.uploads.remove(&request.query["uploadId"]);
                Answer::of(204, "")
            }
            ("DELETE", false) => {
                self.bucket(request).remove(&request.key);
                Answer::of(204, "")
            }
            _ => Answer::error(405, "MethodNotAllowed"),
        }
    }

    fn bucket(&mut self, request: &Request) -> &mut BTreeMap<String, Object> {
        self.buckets.get_mut(&request.bucket).unwrap()
    }

    fn list(&mut self, request: &Request) -> Answer {
        let most = request.asked("max-keys").map_or(self.page, |most| self.page.min(most.parse().unwrap()));
        let (prefix, after) = (request.asked("prefix").unwrap_or_default(), request.asked("continuation-token"));
        let found = self.bucket(request).iter();
        let found = found.filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        let found: Vec<_> = found.collect();
        // As the lists of Microsoft's store have it, and of some others.
        let is_public = !request.header("authorization").is_some_and(|signed| signed.contains("Credential="));
        let listed = |tag: &str| if is_public { tag.trim_matches('"').to_owned() } else { tag.to_owned() };
        let mut body = format!("<ListBucketResult><IsTruncated>{}</IsTruncated>", found.len() > most);
        for (key, object) in found.iter().take(most) {
            body.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escaped(key),
                object.modified.format("%Y-%m-%dT%H:%M:%S.000Z"),
                listed(&object.tag),
                object.content.len(),
            ));
        }
        if found.len() > most {
            body.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(found[most - 1].0)));
        }
        Answer::of(200, body + "</ListBucketResult>")
    }

    fn read(&mut self, request: &Request) -> Answer {
        let Some(object) = self.bucket(request).get(&request.key) else { return Answer::error(404, "NoSuchKey") };
        if request.header("if-match").is_some_and(|tag| tag != object.tag) {
            return Answer::error(412, "PreconditionFailed");
        }
        let all = object.content.len();
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let (status, start, end) = match range {
            None => (200, 0, all),
            Some((start, end)) => {
                (206, start.parse().unwrap(), end.parse().map_or(all, |end: usize| (end + 1).min(all)))
            }
        };
        let answer = Answer::of(status, &object.content[start..end])
            .with("ETag", &object.tag)
            .with("x-goog-generation", object.generation)
            .with("Content-Length", end - start)
            .with("Last-Modified", object.modified.format("%a, %d %b %Y %H:%M:%S GMT"));
        if status == 206 { answer.with("Content-Range", format!("bytes {start}-{}/{all}", end - 1)) } else { answer }
    }

    fn write(&mut self, request: &Request) -> Answer {
        let generation = self.bucket(request).get(&request.key).map_or(0, |object| object.generation);
        if request.header("x-goog-if-generation-match").is_some_and(|expected| expected != generation.to_string()) {
            return Answer::error(412, "PreconditionFailed");
        }
        let there = self.bucket(request).get(&request.key).map(|object| object.tag.clone());
        match (request.header("if-none-match"), request.header("if-match"), there) {
            (Some("*"), _, Some(_)) => return Answer::error(412, "PreconditionFailed"),
            (_, Some(_), None) => return Answer::error(404, "NoSuchKey"),
            (_, Some(tag), Some(there)) if tag != there => return Answer::error(412, "PreconditionFailed"),
            _ => {}
        }
        let object = match request.header("x-amz-copy-source") {
            None => Object::new(request.body.clone()),
            Some(source) => {
                let source = decoded(source.trim_start_matches('/'));
                let (bucket, key) = source.split_once('/').unwrap();
                match self.buckets.get(bucket).and_then(|bucket| bucket.get(key)) {
                    Some(object) => Object::new(object.content.clone()),
                    None => return Answer::error(404, "NoSuchKey"),
                }
            }
        };
        let answer = match request.header("x-amz-copy-source") {
            None => Answer::of(200, "").with("ETag", &object.tag),
            Some(_) => Answer::of(200, format!("<CopyObjectResult><ETag>{}</ETag></CopyObjectResult>", object.tag)),
        };
        self.bucket(request).insert(request.key.clone(), object);
        answer
    }

    fn begin_upload(&mut self, request: &Request) -> Answer {
        let id = format!("upload-{}-{}", self.requests.len(), request.key.len());
        self.uploads.insert(id.clone(), BTreeMap::new());
        let body = format!(
            "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
            request.bucket,
            escaped(&request.key)
        );
        Answer::of(200, body)
    }

    fn put_part(&mut self, request: &Request) -> Answer {
        let Some(upload) = self.uploads.get_mut(&request.query["uploadId"]) else {
            return Answer::error(404, "NoSuchUpload");
        };
        let number = request.query["partNumber"].parse().unwrap();
        upload.insert(number, request.body.clone());
        Answer::of(200, "").with("ETag", format!("\"part-{number}\""))
    }

    fn complete(&mut self, request: &Request) -> Answer {
        let Some(parts) = self.uploads.remove(&request.query["uploadId"]) else {
            return Answer::error(404, "NoSuchUpload");
        };
        // All parts but the last have at least this size.
        if parts.values().rev().skip(1).any(|part| part.len() < 5 << 20) {
            return Answer::error(400, "EntityTooSmall");
        }
        let suffix = format!("-{}", parts.len());
        let object = Object::tagged(parts.into_values().flatten().collect(), &suffix);
        let body =
            format!("<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>", object.tag);
        self.bucket(request).insert(request.key.clone(), object);
        Answer::of(200, body)
    }

    fn delete_all(&mut self, request: &Request) -> Answer {
        let body = String::from_utf8(request.body.clone()).unwrap();
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        let plain = |key: &str| {
            key.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&amp;", "&")
        };
        let mut answer = "<DeleteResult>".to_owned();
        for key in keys {
            self.bucket(request).remove(&plain(key));
            answer.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
        }
        Answer::of(200, answer + "</DeleteResult>")
    }
}

/// The answer to a request without the right credentials.
fn refused(request: &Request) -> Option<Answer> {
    // `gs://` without credentials, which this server takes for public.
    let signed = request.header("authorization").filter(|signed| !signed.starts_with("Bearer"))?;
    if !signed.contains(&format!("Credential={KEY_ID}/")) {
        return Some(Answer::error(403, "InvalidAccessKeyId"));
    }
    let is_of_region = signed.contains(&format!("/{REGION}/s3/"));
    (!is_of_region).then(|| Answer::error(400, "AuthorizationHeaderMalformed"))
}
