//! `POST` or `PUT /notify/{project}`: what `curl -d` sends, with the header names of ntfy, so that habits and scripts carry over.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use edgesync_notify::name::MessageId;

use super::App;
use super::encoded_word;
use super::notify::project;
use super::reply::Answer;
use crate::api::{Code, Error, NotifyMessage, Priority, SendNotify};
use crate::limits;

/// The spellings of each header that ntfy takes, ours among them.
const TITLE: &[&str] = &["title", "x-title", "t", "ti"];
const MESSAGE: &[&str] = &["message", "x-message", "m"];
const PRIORITY: &[&str] = &["priority", "x-priority", "p", "prio"];
const TAGS: &[&str] = &["tags", "x-tags", "ta", "tag"];
const ACTIONS: &[&str] = &["actions", "x-actions", "action"];
const CLICK: &[&str] = &["click", "x-click"];
const THREAD: &[&str] = &["thread", "x-thread"];
const FROM_NAME: &[&str] = &["from-name", "x-from-name"];
const EXPIRES_IN: &[&str] = &["expires-in", "x-expires-in"];
const DEFAULT: &[&str] = &["default", "x-default"];
const WAIT: &[&str] = &["wait", "x-wait"];

/// Headers of ntfy whose senders would wait in vain for what they ask, with what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["delay", "x-delay", "at", "x-at", "in", "x-in"],
        "messages are sent at once; let cron or systemd-run wait",
    ),
    (
        &["email", "x-email", "e-mail", "mail", "e"],
        "nothing is sent by mail",
    ),
    (&["call", "x-call"], "nobody is called by phone"),
    (
        &["attach", "x-attach", "a"],
        "give the address in Click, or attach the file with edgesync notify send --attach",
    ),
    (
        &["filename", "x-filename", "file", "x-file", "f"],
        "attach the file with edgesync notify send --attach",
    ),
];

/// The header that asks not to keep a message.
const CACHE: &[&str] = &["cache", "x-cache"];

/// The kind of ntfy's actions that leads to an address.
const VIEW: &str = "view";

/// The kind of ntfy's actions that puts a text into the clipboard.
const COPY: &str = "copy";

/// The kinds of ntfy's actions.
const ACTION_KINDS: [&str; 4] = [VIEW, "broadcast", "http", COPY];

/// `POST` or `PUT /notify/{project}`.
pub(super) async fn publish(
    State(core): State<App>,
    request: Request,
) -> Answer<(StatusCode, Json<NotifyMessage>)> {
    if request.uri().query().is_some_and(|it| !it.is_empty()) {
        let words = "parameters in the address do not count here";
        return Err(Error::new(Code::Unsupported, words)
            .with_hint("give them as headers")
            .into());
    }
    let path = request.uri().path();
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = project(name)?.to_string();
    let headers = request.headers().clone();
    let wait = header(&headers, WAIT)?
        .as_deref()
        .map(duration)
        .transpose()?;
    let reading = Bytes::from_request(request, &core);
    let Ok(Ok(body)) = tokio::time::timeout(limits::API_BODY_DEADLINE, reading).await else {
        let cut = "the body is too large or was cut short";
        return Err(Error::new(Code::TooLarge, cut).into());
    };
    let wish = wish(name, &headers, &body)?;
    let post = core.notify()?;
    let sent = post.send(wish).await?;
    let answered = match (wait, &sent.question) {
        (Some(wait), Some(_)) => {
            let id =
                MessageId::parse(&sent.id).map_err(|error| Error::internal(error.to_string()))?;
            post.answer(id, wait.min(limits::ANSWER_WAIT)).await?
        }
        _ => sent,
    };
    Ok((StatusCode::CREATED, Json(answered)))
}

/// Returns what is to be said.
fn wish(project: String, headers: &HeaderMap, body: &[u8]) -> Result<SendNotify, Error> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return from_json(project, body);
    }
    refuse(headers)?;
    let body = std::str::from_utf8(body)
        .map_err(|_| Error::bad_request("the body is not text in UTF-8"))?;
    let text = match header(headers, MESSAGE)? {
        None => body.to_owned(),
        // A header has one line; this is how its lines are written.
        Some(message) if body.trim().is_empty() => message.replace("\\n", "\n"),
        Some(_) => {
            let words = "the text is in the header message, and the body is not empty";
            return Err(Error::new(Code::Unsupported, words).with_hint("give the text once"));
        }
    };
    let mut wish = SendNotify {
        project,
        body: text.clone(),
        ..SendNotify::default()
    };
    if let Some(title) = header(headers, TITLE)? {
        wish.body = match text.trim() {
            "" => title,
            text => format!("{title}\n{text}"),
        };
    }
    if wish.body.trim().is_empty() {
        return Err(Error::bad_request("there is no text"));
    }
    wish.priority = header(headers, PRIORITY)?
        .map(|it| priority(&it))
        .transpose()?;
    wish.tags = list(header(headers, TAGS)?.as_deref());
    let actions = actions(header(headers, ACTIONS)?.as_deref().unwrap_or_default())?;
    wish.actions = actions.labels;
    wish.click = header(headers, CLICK)?;
    for link in actions.links {
        wish.body
            .push_str(&format!("\n{}: {}", link.label, link.url));
        // A message has one address beside its text.
        wish.click.get_or_insert(link.url);
    }
    wish.thread = header(headers, THREAD)?;
    wish.from_name = header(headers, FROM_NAME)?;
    wish.default = header(headers, DEFAULT)?;
    let expires_in = header(headers, EXPIRES_IN)?
        .as_deref()
        .map(duration)
        .transpose()?;
    wish.expires_in_ms = expires_in.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    Ok(wish)
}

/// Refuses what would mislead its sender if it were passed over. Icons and markdown are passed over: the text says the same without.
fn refuse(headers: &HeaderMap) -> Result<(), Error> {
    let no = |name: &str, instead: &str| {
        Err(Error::new(
            Code::Unsupported,
            format!("the header {name} does not work here"),
        )
        .with_hint(instead))
    };
    for (names, instead) in REFUSED {
        if let Some(name) = names.iter().find(|name| headers.contains_key(**name)) {
            return no(name, instead);
        }
    }
    match header(headers, CACHE)?.as_deref() {
        Some("no" | "false" | "0") => no("cache", "every message is kept in a repository"),
        _ => Ok(()),
    }
}

fn from_json(project: String, body: &[u8]) -> Result<SendNotify, Error> {
    let bad = |error: serde_json::Error| {
        Error::bad_request(format!("the body is not as expected: {error}"))
    };
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(bad)?;
    members.insert("project".to_owned(), project.into());
    serde_json::from_value(members.into()).map_err(bad)
}

/// Returns the value of a header under any of its names.
fn header(headers: &HeaderMap, names: &[&str]) -> Result<Option<String>, Error> {
    let Some(value) = names.iter().find_map(|name| headers.get(*name)) else {
        return Ok(None);
    };
    // HTTP says nothing of letters beyond ASCII here; UTF-8 is what everybody sends.
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Error::bad_request("a header is not text in UTF-8"))?;
    Ok(Some(encoded_word::read(text.trim())).filter(|text| !text.is_empty()))
}

fn priority(word: &str) -> Result<Priority, Error> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "2" | "3" | "min" | "low" | "default" | "info" => Ok(Priority::Info),
        "4" | "high" | "action_required" => Ok(Priority::ActionRequired),
        "5" | "max" | "urgent" => Ok(Priority::Urgent),
        _ => Err(Error::bad_request(
            "the priority is 1 to 5, or info, action_required or urgent",
        )),
    }
}

fn list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// What the header of actions says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Actions {
    /// The answers that are offered.
    labels: Vec<String>,
    /// What can be looked at.
    links: Vec<Link>,
}

/// An address of the web, and what its action is called.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    label: String,
    url: String,
}

impl Actions {
    /// Takes one of ntfy's actions: one that leads to an address is a link, any other an answer. What only copies is neither.
    fn take(&mut self, kind: &str, label: String, url: Option<&str>) -> Result<(), Error> {
        if kind.eq_ignore_ascii_case(COPY) {
            let words = format!("the action {label:?} copies a text, which does not work here");
            return Err(Error::new(Code::Unsupported, words)
                .with_hint("write what is to be copied into the message"));
        }
        if !kind.eq_ignore_ascii_case(VIEW) {
            self.labels.push(label);
            return Ok(());
        }
        let url = url.ok_or_else(|| {
            Error::bad_request(format!("the action {label:?} has no address to view"))
        })?;
        // What else there is would start a program on the reader's machine.
        if !["https://", "http://"]
            .iter()
            .any(|web| url.starts_with(web))
        {
            let words = format!("the action {label:?} leads to no page of the web");
            return Err(Error::new(Code::Unsupported, words)
                .with_hint("give an address that begins with https:// or http://"));
        }
        let url = url.to_owned();
        self.links.push(Link { label, url });
        Ok(())
    }
}

/// Returns what actions say: plain labels with commas between them, or ntfy's actions, as a list in JSON or with semicolons between them.
/// What those would call is left alone: an answer is data here, never a command.
fn actions(text: &str) -> Result<Actions, Error> {
    if text.starts_with('[') {
        return actions_of_json(text);
    }
    let mut actions = Actions::default();
    for parts in parts(text) {
        let first = parts.first().map(String::as_str).unwrap_or_default();
        let named = |name: &str| parts.iter().find_map(|it| it.strip_prefix(name));
        let by_name = first.to_ascii_lowercase().starts_with("action=");
        let by_place = ACTION_KINDS
            .iter()
            .any(|kind| first.eq_ignore_ascii_case(kind));
        if by_name || by_place && parts.len() > 1 {
            let kind = first.get("action=".len()..).filter(|_| by_name);
            // A place holds what is meant there, unless it has a name of its own.
            let place = |at: usize| parts.get(at).map(String::as_str);
            let label = named("label=").or(place(1).filter(|it| !it.contains('=')));
            let label = label.ok_or_else(|| Error::bad_request("an action has no label"))?;
            let url = named("url=").or(place(2).filter(|it| it.contains("://")));
            actions.take(kind.unwrap_or(first), label.to_owned(), url)?;
        } else {
            actions.labels.extend(parts);
        }
    }
    Ok(actions)
}

/// Returns what stands between commas, for each of what stands between semicolons. A part may be in quotation marks.
fn parts(text: &str) -> Vec<Vec<String>> {
    let mut actions = vec![Vec::new()];
    let mut part = String::new();
    let mut quote = None;
    let mut end = |part: &mut String, more: bool| {
        let whole = std::mem::take(part).trim().to_owned();
        if let Some(action) = actions.last_mut()
            && !whole.is_empty()
        {
            action.push(whole);
        }
        if more {
            actions.push(Vec::new());
        }
    };
    for c in text.chars() {
        let opens = part.trim().is_empty() || part.ends_with('=');
        match (quote, c) {
            (Some(mark), _) if c == mark => quote = None,
            (None, '"' | '\'') if opens => quote = Some(c),
            (None, ',' | ';') => end(&mut part, c == ';'),
            _ => part.push(c),
        }
    }
    end(&mut part, false);
    actions
}

/// An action in JSON: ntfy's, or a label by itself.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum JsonAction {
    Label(String),
    Ntfys {
        action: Option<String>,
        label: String,
        url: Option<String>,
    },
}

fn actions_of_json(text: &str) -> Result<Actions, Error> {
    let listed: Vec<JsonAction> = serde_json::from_str(text).map_err(|error| {
        Error::bad_request(format!("the actions are no list of actions: {error}"))
    })?;
    let mut actions = Actions::default();
    for action in listed {
        match action {
            JsonAction::Label(label) => actions.labels.push(label),
            JsonAction::Ntfys { action, label, url } => {
                actions.take(action.as_deref().unwrap_or_default(), label, url.as_deref())?;
            }
        }
    }
    Ok(actions)
}

/// Reads `500ms`, `5s`, `10m`, `2h` or `1d`; bare digits are seconds.
fn duration(text: &str) -> Result<Duration, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    digits
        .parse::<u64>()
        .ok()
        .filter(|_| unit_ms > 0)
        .and_then(|number| number.checked_mul(unit_ms))
        .map(Duration::from_millis)
        .ok_or_else(|| Error::bad_request(format!("{text:?} is no duration such as 10m")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn ntfys_headers_become_a_message() {
        let headers = headers(&[
            ("Title", "=?utf-8?q?Backup_f=C3=BCr_heute?="),
            ("p", "5"),
            ("X-Tags", "disk, night"),
            (
                "Actions",
                "http, Retry, https://example.org/retry; view, Look, https://example.org/disk",
            ),
            ("Click", "https://example.org/log"),
            ("Expires-In", "10m"),
        ]);
        let wish = wish("demo".to_owned(), &headers, "failed: é".as_bytes()).expect("a wish");
        assert_eq!(
            wish.body,
            "Backup für heute\nfailed: é\nLook: https://example.org/disk"
        );
        assert_eq!(wish.priority, Some(Priority::Urgent));
        assert_eq!(wish.tags, ["disk", "night"]);
        assert_eq!(wish.actions, ["Retry"]);
        assert_eq!(wish.click.as_deref(), Some("https://example.org/log"));
        assert_eq!(wish.expires_in_ms, Some(600_000));
    }

    #[test]
    fn every_form_of_ntfys_actions_gives_its_labels() {
        for (text, labels) in [
            ("", &[][..]),
            ("Yes, No", &["Yes", "No"]),
            ("Yes;No;", &["Yes", "No"]),
            ("Don't, Do", &["Don't", "Do"]),
            (r#""Yes, all; now", No"#, &["Yes, all; now", "No"]),
            ("view", &["view"]),
            (
                "view, Open, https://example.org, clear=true; http, 'Turn down, a bit', https://example.org, body='{\"a\": 1, \"b\": \"x; y\"}'",
                &["Turn down, a bit"],
            ),
            (
                "action=http, label=Shut it, url=https://example.org?a=b; action=broadcast, label=\"Look, now\"",
                &["Shut it", "Look, now"],
            ),
            ("http, url=https://example.org, label=Shut", &["Shut"]),
            (
                r#"[{"action": "view", "label": "Open", "url": "https://example.org"}, {"label": "Shut", "action": "http"}, "Wait"]"#,
                &["Shut", "Wait"],
            ),
        ] {
            assert_eq!(actions(text).expect(text).labels, labels, "{text}");
        }
        for text in [
            "action=view, url=https://example.org",
            "http, url=x",
            "[",
            r#"[{"action": "view"}]"#,
            "[1]",
        ] {
            let error = actions(text).expect_err(text);
            assert_eq!(error.code, Code::BadRequest, "{text}");
        }
    }

    #[test]
    fn an_action_that_shows_a_page_is_a_link_and_no_answer() {
        let link = |label: &str, url: &str| Link {
            label: label.to_owned(),
            url: url.to_owned(),
        };
        for text in [
            "view, Open, https://a.example/x?y=1, clear=true",
            "VIEW, 'Open', 'https://a.example/x?y=1'",
            "action=view, label=Open, url=https://a.example/x?y=1",
            "view, url=https://a.example/x?y=1, label=Open",
            r#"[{"action": "view", "label": "Open", "url": "https://a.example/x?y=1"}]"#,
        ] {
            let links = vec![link("Open", "https://a.example/x?y=1")];
            let labels = vec![];
            assert_eq!(actions(text).expect(text), Actions { labels, links });
        }
        let two = [(
            "Actions",
            "view, One, https://a.example; view, Two, http://b.example",
        )];
        let wish = wish("demo".to_owned(), &headers(&two), b"Look").expect("a wish");
        let body = "Look\nOne: https://a.example\nTwo: http://b.example";
        assert_eq!(wish.body, body);
        assert_eq!(wish.click.as_deref(), Some("https://a.example"));
        assert!(wish.actions.is_empty(), "nothing is asked");
    }

    #[test]
    fn a_link_leads_to_the_web_or_is_refused() {
        for url in [
            "javascript://x",
            "file:///etc/passwd",
            "app://open",
            "HTTPS//x://",
        ] {
            for text in [
                format!("view, Open, {url}"),
                format!("action=view, label=Open, url={url}"),
                format!(r#"[{{"action": "view", "label": "Open", "url": "{url}"}}]"#),
            ] {
                let error = actions(&text).expect_err(&text);
                assert_eq!(error.code, Code::Unsupported, "{text}");
                assert!(error.message.contains("Open") && error.hint.is_some());
            }
        }
        let copies = actions("copy, Code, 123456").expect_err("refused");
        assert!(copies.code == Code::Unsupported && copies.hint.is_some());
        for text in ["view, Open", r#"[{"action": "view", "label": "Open"}]"#] {
            let error = actions(text).expect_err(text);
            assert_eq!(error.code, Code::BadRequest, "{text}");
        }
    }

    #[test]
    fn what_would_mislead_its_sender_is_refused_and_the_rest_passed_over() {
        for (names, _) in REFUSED {
            for name in *names {
                let error = wish("demo".to_owned(), &headers(&[(name, "x")]), b"hello");
                let error = error.expect_err(name);
                assert_eq!(error.code, Code::Unsupported, "{name}");
                assert!(
                    error.message.contains(name) && error.hint.is_some(),
                    "{error:?}"
                );
            }
        }
        let uncached = wish("demo".to_owned(), &headers(&[("Cache", "no")]), b"hello");
        assert_eq!(uncached.expect_err("refused").code, Code::Unsupported);
        let harmless = headers(&[
            ("Icon", "https://example.org/i.png"),
            ("Markdown", "yes"),
            ("Cache", "yes"),
        ]);
        assert_eq!(
            wish("demo".to_owned(), &harmless, b"*hi*")
                .expect("a wish")
                .body,
            "*hi*"
        );
    }

    #[test]
    fn the_text_may_be_in_a_header_instead() {
        for name in MESSAGE {
            let headers = headers(&[(*name, "disk full\\ndelete logs?"), ("title", "Alarm")]);
            let wish = wish("demo".to_owned(), &headers, b"").expect("a wish");
            assert_eq!(wish.body, "Alarm\ndisk full\ndelete logs?");
            let both = super::wish("demo".to_owned(), &headers, b"more").expect_err("refused");
            assert_eq!(both.code, Code::Unsupported);
        }
    }

    #[test]
    fn json_is_taken_and_the_path_names_the_project() {
        let headers = headers(&[("content-type", "application/json; charset=utf-8")]);
        let body = br#"{"body": "Deploy?", "actions": ["Yes", "No"], "project": "other"}"#;
        let wish = wish("demo".to_owned(), &headers, body).expect("a wish");
        assert_eq!((wish.project.as_str(), wish.actions.len()), ("demo", 2));
        assert!(super::wish("demo".to_owned(), &headers, b"[]").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let none = HeaderMap::new();
        assert!(wish("demo".to_owned(), &none, b" ").is_err());
        assert!(wish("demo".to_owned(), &none, b"\xff").is_err());
        for pair in [
            ("priority", "9"),
            ("expires-in", "soon"),
            ("expires-in", "99999999999999999999d"),
        ] {
            assert!(
                wish("demo".to_owned(), &headers(&[pair]), b"x").is_err(),
                "{pair:?}"
            );
        }
    }
}
