//! Why an object store did not do what it was asked, and what to do about it.

use std::error::Error as StdError;
use std::path::Path;

use object_store::client::{HttpError, HttpErrorKind};

use super::store::{RETRIES, RETRY_TIME};
use crate::error::Error;

/// A request that failed, in the terms of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    help: String,
    /// Whether it may succeed later.
    may_pass: bool,
}

impl Failure {
    /// What is wrong, and what to do about it.
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), may_pass: false }
    }

    /// By the answer of the store.
    pub(crate) fn of(error: &object_store::Error) -> Self {
        if let Some(lost) = chain(error).find_map(|cause| cause.downcast_ref::<HttpError>()) {
            return of_connection(lost);
        }
        let text = error.to_string();
        let answer = Answer::of(&text);
        of_answer(&answer).unwrap_or_else(|| Self::other(error, &answer))
    }

    fn passing(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { may_pass: true, ..Self::new(message, help) }
    }

    /// What is none of the known answers.
    fn other(error: &object_store::Error, answer: &Answer<'_>) -> Self {
        if let object_store::Error::InvalidPath { source } = error {
            return Self::new(
                format!("the bucket has an object whose key cannot be read here: {source}"),
                "give it a key without `//`, and without `.` and `..` as names",
            );
        }
        let message = match (answer.status, answer.shown()) {
            (Some(status), Some(text)) => format!("the store responds with {status}: {text}"),
            (Some(status), None) => format!("the store responds with {status}"),
            (None, _) => root(error),
        };
        Self::new(message, "check the settings of the store, under `stores` in weir.yaml and in the environment")
    }

    /// The error of a source.
    pub(crate) fn of_input(self, url: &str) -> Error {
        match self.may_pass {
            true => Error::Unavailable { path: url.to_owned(), message: self.message, help: self.help },
            false => Error::input(url, self.message, self.help),
        }
    }

    /// The error of a sink.
    pub(crate) fn of_sink(self, sink: &str, url: &str) -> Error {
        match self.may_pass {
            true => {
                Error::Unavailable { path: format!("sink `{sink}`: {url}"), message: self.message, help: self.help }
            }
            false => Error::sink(sink, Path::new(url), self.message, self.help),
        }
    }
}

/// What a store says of an error. Its client has no type for that, only a text.
struct Answer<'a> {
    status: Option<u16>,
    code: &'a str,
    text: &'a str,
    /// The region that it expects.
    region: Option<&'a str>,
    /// Whether it only says that the bucket is elsewhere.
    is_redirect: bool,
}

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Self {
        let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        Self {
            status,
            code: element(text, "Code").unwrap_or_default(),
            text: element(text, "Message").or_else(|| of_json(text)).unwrap_or_default(),
            region: element(text, "Region"),
            is_redirect: text.contains("redirect without LOCATION") || matches!(status, Some(300..=399)),
        }
    }

    fn shown(&self) -> Option<String> {
        match (self.code, self.text.lines().next().unwrap_or_default()) {
            ("", "") => None,
            (code, "") => Some(code.to_owned()),
            ("", text) => Some(text.to_owned()),
            (code, text) => Some(format!("{code}: {text}")),
        }
    }

    /// What it says, behind what it means.
    fn told(&self) -> String {
        self.shown().map(|text| format!(" ({text})")).unwrap_or_default()
    }
}

/// The message of an answer in JSON, as Google's store has it.
fn of_json(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("\"message\":")?;
    rest.trim_start().strip_prefix('"')?.split('"').next()
}

/// The text of an XML element.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

const CREDENTIALS: &str = "check the credentials under `stores` in weir.yaml, or those of the environment \
                           (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_*, AZURE_*)";

/// What an answer means, by its code or else by its status.
fn of_answer(answer: &Answer<'_>) -> Option<Failure> {
    of_code(answer).or_else(|| of_status(answer))
}

fn of_code(answer: &Answer<'_>) -> Option<Failure> {
    Some(match answer.code {
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => other_region(answer),
        "ExpiredToken" | "RequestExpired" | "TokenRefreshRequired" => Failure::new(
            "the credentials have expired",
            "get new ones, such as with `aws sso login` or by a role of the machine, and start the run again",
        ),
        "RequestTimeTooSkewed" => {
            Failure::new("the clock of this machine differs from that of the store", "set the clock (NTP)")
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "AuthenticationFailed"
        | "InvalidSecurity" => {
            Failure::new(format!("the store does not accept the credentials ({})", answer.code), CREDENTIALS)
        }
        "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" => {
            Failure::new("there is no such bucket", "check its name; create it if it is to be a new one")
        }
        "InvalidRequest" | "EntityTooLarge" if answer.text.contains("copy source") => Failure::new(
            "the object is too large to be copied within the store",
            "the store copies objects of up to 5 GB: let smaller ones be written, or leave `archive` out",
        ),
        _ => return None,
    })
}

fn of_status(answer: &Answer<'_>) -> Option<Failure> {
    let told = answer.told();
    Some(match answer.status {
        _ if answer.is_redirect => other_region(answer),
        Some(401) => Failure::new(format!("the store asks for credentials{told}"), CREDENTIALS),
        Some(403) => Failure::new(
            format!("access is denied{told}"),
            "give the owner of the credentials the rights that the guide lists under Object stores: to list the bucket, and to \
             read, or to write and remove, its objects",
        ),
        Some(404) => Failure::new("there is no such object", "check the path, and that nobody removes it meanwhile"),
        Some(429 | 500..) => Failure::passing(
            format!("the store is overloaded, or fails{told}; {}", attempts()),
            "start the run again later; fewer --threads ask less often",
        ),
        _ => return None,
    })
}

fn other_region(answer: &Answer<'_>) -> Failure {
    let told = answer.region.map(|region| format!(" ({region})")).unwrap_or_default();
    Failure::new(
        format!("the bucket is in another region{told}, or at another endpoint"),
        "set `region` under `stores` in weir.yaml, or AWS_REGION; `aws s3api get-bucket-location --bucket NAME` tells it",
    )
}

fn of_connection(error: &HttpError) -> Failure {
    let cause = root(error);
    let help = "check `endpoint` and `region` under `stores` in weir.yaml, and that this machine can reach the store";
    match error.kind() {
        HttpErrorKind::Connect if cause.contains("certificate") => Failure::new(
            format!("TLS failed: {cause}"),
            "let this machine trust the authority of the store's certificate (package ca-certificates)",
        ),
        HttpErrorKind::Connect => {
            Failure::passing(format!("the store cannot be reached: {cause}; {}", attempts()), help)
        }
        HttpErrorKind::Timeout => Failure::passing(format!("the store does not answer in time; {}", attempts()), help),
        _ => Failure::passing(format!("the connection to the store was lost: {cause}; {}", attempts()), help),
    }
}

/// What was done before a request was given up.
fn attempts() -> String {
    format!("the request was repeated, up to {RETRIES} times or for {} s", RETRY_TIME.as_secs())
}

/// The first cause of an error.
fn root(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_by_its_code_and_the_first_line_of_its_message() {
        let body = "<Error><Code>AccessDenied</Code><Message>No\nX</Message><Region>eu-west-1</Region></Error>";
        let answer = Answer::of(body);
        assert_eq!(answer.shown().as_deref(), Some("AccessDenied: No"));
        assert_eq!(answer.region, Some("eu-west-1"));
        assert_eq!(Answer::of("<html>").shown(), None);
        let body = r#"status code: 400 Bad Request: {"error":{"code":400,"message": "invalid name"}}"#;
        assert_eq!(Answer::of(body).shown().as_deref(), Some("invalid name"));
        assert_eq!(Answer::of(body).status, Some(400));
    }
}
