//! Why a server did not give a file, and whether it may do so later.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use super::download::IDLE;
use crate::error::Error;
use crate::system::http::{is_tls, root};

/// An attempt that failed. No part of it has the URL.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    help: &'static str,
    /// Whether another attempt may succeed.
    pub(super) may_pass: bool,
    /// The pause that the server asks for.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// An answer other than a file.
    pub(super) fn of_status(status: StatusCode, retry_after: Option<Duration>) -> Self {
        let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY];
        let may_pass = status.is_server_error() || passing.contains(&status);
        let help = match status {
            _ if may_pass => "start the run again later",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "check the user and the password, or the token, in the URL; `${env:NAME}` in it is an environment variable"
            }
            _ => "check the URL",
        };
        let asked = retry_after.map(|pause| format!(", and asks for a pause of {} s", pause.as_secs()));
        let message = format!("the server responds with {status}{}", asked.unwrap_or_default());
        Self { message, help, may_pass, retry_after }
    }

    /// No answer, or one that is not complete.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let cause = root(&error);
        let (message, help, may_pass) = if is_tls(&error) {
            let help = "check the scheme of the URL (http or https), that the server's certificate is for its name, and that \
                        this machine trusts its authority (package ca-certificates)";
            (format!("TLS failed: {cause}"), help, false)
        } else if error.is_timeout() && !error.is_connect() {
            let help = "start the run again later; check the network and the server";
            (format!("the server sends nothing for {} s", IDLE.as_secs()), help, true)
        } else if error.is_redirect() {
            ("the server redirects, and cannot be followed: ".to_owned() + &cause, "check the URL", false)
        } else if error.is_body() || error.is_decode() {
            let help = "start the run again later; a proxy may cut answers off";
            (format!("the connection ended before the file was complete: {cause}"), help, true)
        } else {
            let help = "check the host and the port of the URL, and that this machine can reach it";
            (format!("the server cannot be asked: {cause}"), help, error.is_connect() || error.is_request())
        };
        Self { message, help, may_pass, retry_after: None }
    }

    /// The error that ends a run after so many attempts.
    pub(super) fn error(self, name: &str, attempts: u32) -> Error {
        if !self.may_pass {
            return Error::input(name, self.message, self.help);
        }
        let message = match attempts {
            1 => self.message,
            attempts => format!("{} ({attempts} attempts)", self.message),
        };
        Error::Unavailable { path: name.to_owned(), message, help: self.help.to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
