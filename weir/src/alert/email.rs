//! An alert that is sent by e-mail.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::SmtpTransport;
use lettre::{Transport, transport::smtp};

use super::Notice;
use super::send::Attempt;

/// Sends it. Each answer of the server may take `most`.
pub(super) async fn send(url: &str, from: &str, to: &[String], notice: &Notice, most: Duration) -> Result<(), Attempt> {
    let message = message(from, to, notice)?;
    // The error would have the URL.
    let transport = SmtpTransport::from_url(url);
    let transport = transport.map_err(|_| Attempt::failed("`smtp` is not the URL of a mail server", false))?;
    let transport = transport.timeout(Some(most)).build();
    let sent = tokio::task::spawn_blocking(move || transport.send(&message)).await;
    match sent {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(Attempt::failed(format!("the mail could not be sent: {error}"), false)),
    }
}

fn message(from: &str, to: &[String], notice: &Notice) -> Result<Message, Attempt> {
    let mailbox = |text: &str| {
        let parsed = text.parse::<Mailbox>();
        parsed.map_err(|error| Attempt::failed(format!("`{text}` is not the address of a mailbox: {error}"), false))
    };
    let mut builder = Message::builder().from(mailbox(from)?).subject(format!("weir: {}", notice.title()));
    for receiver in to {
        builder = builder.to(mailbox(receiver)?);
    }
    // Programs that answer mails by themselves leave it alone.
    let builder = builder.header(ContentType::TEXT_PLAIN);
    builder.body(notice.text()).map_err(|error| Attempt::failed(format!("the mail cannot be written: {error}"), false))
}

/// What the server or the network says. The server's own words are left away: they may repeat what was sent.
fn failed(error: &smtp::Error) -> Attempt {
    let code = error.status().map(|code| format!(" with {code}"));
    let (why, may_pass) = if error.is_permanent() {
        ("the mail server refuses the mail", false)
    } else if error.is_transient() {
        ("the mail server does not take the mail now", true)
    } else if error.is_timeout() {
        ("the mail server does not answer in time", true)
    } else if error.is_tls() {
        ("TLS failed: check the certificate of the mail server", false)
    } else if error.is_client() {
        ("the mail server does not offer what is needed", false)
    } else {
        ("the mail server cannot be reached, or broke off", true)
    };
    Attempt::failed(format!("{why}{}", code.unwrap_or_default()), may_pass)
}
