//! What a webhook is sent: JSON, a message of Slack, or a card of Teams.

use serde_json::{Value, json};

use super::Notice;
use crate::task::Template;

/// The most characters that a block of Slack takes.
const BLOCK: usize = 2_900;
/// The most characters of a header of Slack.
const HEADER: usize = 140;

/// The body of the request.
pub(super) fn body(template: Template, notice: &Notice) -> Value {
    match template {
        Template::Json => notice.json(),
        Template::Slack => slack(notice),
        Template::Teams => teams(notice),
    }
}

/// The text is what a notification shows; the blocks are the message. They are plain, so that no name is markup.
fn slack(notice: &Notice) -> Value {
    let plain = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
    let facts: Vec<String> = notice.facts().into_iter().map(|(what, is)| format!("{what}: {is}")).collect();
    let escaped = notice.title().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({
        "text": escaped,
        "blocks": [
            {"type": "header", "text": plain(shortened(&notice.title(), HEADER))},
            {"type": "section", "text": plain(shortened(&facts.join("\n"), BLOCK))},
        ],
    })
}

/// A message with an adaptive card. Its texts are runs, which have no markup.
fn teams(notice: &Notice) -> Value {
    let run = |text: String, bold: bool| json!({"type": "TextRun", "text": text, "weight": if bold { "Bolder" } else { "Default" }});
    let line = |runs: Vec<Value>| json!({"type": "RichTextBlock", "inlines": runs});
    let title = json!({"type": "RichTextBlock", "inlines": [
        {"type": "TextRun", "text": notice.title(), "weight": "Bolder", "size": "Medium"}]});
    let facts = notice.facts().into_iter().map(|(what, is)| line(vec![run(format!("{what}: "), true), run(is, false)]));
    let body: Vec<Value> = std::iter::once(title).chain(facts).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RunKey;

    #[test]
    fn messages_are_short_enough_and_have_no_markup() {
        let key = RunKey::new("people", "prod");
        let windows: Vec<String> = (0..99).map(|n| format!("<!channel>-{n}-{}", "x".repeat(200))).collect();
        let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
        let notice = Notice::late(&key, &windows);
        let slack = body(Template::Slack, &notice);
        assert_eq!(slack["text"], "people (prod): late");
        let section = slack["blocks"][1]["text"].clone();
        assert_eq!(section["type"], "plain_text");
        assert!(section["text"].as_str().unwrap().chars().count() <= 3_000);
        let teams = body(Template::Teams, &notice);
        assert_eq!(teams["attachments"][0]["content"]["body"][0]["inlines"][0]["text"], "people (prod): late");
        assert_eq!(body(Template::Json, &notice)["late_windows"].as_array().unwrap().len(), 20);
    }
}
