//! An alert that is sent by HTTP.

use std::time::Duration;

use serde_json::Value;

use super::send::Attempt;
use crate::system::http::{Failed, post_json};

/// Sends a body to a URL, of which no part but the host is in an error.
pub(super) async fn post(url: &str, headers: &[(String, String)], body: &Value, most: Duration) -> Result<(), Attempt> {
    let sent = post_json(url, headers, body, most).await;
    sent.map_err(|Failed { message, may_pass, asked }| Attempt { why: message, may_pass, asked })
}
