//! From a JSON object to what it says.

use libfossil::time::Timestamp;
use serde_json::{Map, Value};

use super::fields::VERSION;
use super::{Action, Fields, Kind, MessageError, Priority, Resolution, SIG, Source};
use crate::limits::{
    MAX_ACTIONS, MAX_BODY_BYTES, MAX_CLICK_BYTES, MAX_LABEL_BYTES, MAX_MEDIA, MAX_MEDIA_NAME_BYTES,
};
use crate::name::{MessageId, NameError, Project, ThreadId};
use crate::sign::{ALGORITHM, Signature};
use crate::text::acts;

/// Longest id of a sender; the Go product falls back to names of hosts.
const MAX_FROM_BYTES: usize = 255;

/// Years that a message may come from: what the forms of dates in repositories can hold.
const TIMESTAMPS_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

type Members = Map<String, Value>;

/// Returns what a message says.
pub(super) fn fields(members: &Members) -> Result<Fields, MessageError> {
    let version = members.get("v").ok_or(MessageError::Missing("v"))?;
    let version = version.as_u64().ok_or(MessageError::Malformed("v"))?;
    let id = required(members, "id", MessageId::parse)?;
    let thread = required(members, "thread", ThreadId::parse)?;
    let project = required(members, "project", Project::parse)?;
    let stamp = text(members, "timestamp")?.ok_or(MessageError::Missing("timestamp"))?;
    let body = text(members, "body")?.ok_or(MessageError::Missing("body"))?;
    let mut fields = Fields::new(id, thread, project, instant("timestamp", stamp)?, body);
    fields.from = text(members, "from")?.unwrap_or_default().to_owned();
    fields.from_name = text(members, "from_name")?.unwrap_or_default().to_owned();
    fields.reply_to = id_of(members, "reply_to")?;
    fields.after = id_of(members, "after")?;
    fields.media = media(members)?;
    // What another version means by its members is not known: it is shown, and nothing can be done with it.
    if version == VERSION {
        meaning(members, &mut fields)?;
    }
    check(&fields)?;
    Ok(fields)
}

/// Reads the members that somebody acts upon.
fn meaning(members: &Members, fields: &mut Fields) -> Result<(), MessageError> {
    fields.priority = text(members, "priority")?
        .filter(|word| !word.is_empty())
        .map(|word| Priority::parse(word).unwrap_or(Priority::Info));
    fields.kind = text(members, "kind")?
        .and_then(Kind::parse)
        .unwrap_or(Kind::Message);
    fields.actions = actions(members)?;
    fields.action_response = truth(members, "action_response")?;
    fields.allow_text = truth(members, "allow_text")?;
    fields.expires_at = text(members, "expires_at")?
        .map(|text| instant("expires_at", text))
        .transpose()?;
    fields.default = text(members, "default")?.map(str::to_owned);
    fields.resolution = members.get("resolution").map(resolution).transpose()?;
    fields.click = text(members, "click")?.map(str::to_owned);
    fields.tags = strings(members, "tags")?;
    Ok(())
}

/// Returns the signature that a message carries; one in a form that is not known here is none.
pub(crate) fn signature(members: &Members) -> Result<Option<Signature>, MessageError> {
    let Some(value) = members.get(SIG) else {
        return Ok(None);
    };
    let sig = value.as_object().ok_or(MessageError::Malformed(SIG))?;
    let member = |name| sig.get(name).and_then(Value::as_str);
    match (member("key"), member("alg"), member("value")) {
        (Some(key), Some(ALGORITHM), Some(value)) => {
            Signature::parse(key, value, member("voucher"))
                .map(Some)
                .ok_or(MessageError::Malformed(SIG))
        }
        (Some(_), Some(_), Some(_)) => Ok(None),
        _ => Err(MessageError::Malformed(SIG)),
    }
}

fn check(fields: &Fields) -> Result<(), MessageError> {
    let default_bytes = fields.default.as_ref().map_or(0, String::len);
    if fields.body.len().max(default_bytes) > MAX_BODY_BYTES {
        return Err(MessageError::BodyTooLong);
    }
    if fields.from_name.len() > MAX_LABEL_BYTES {
        return Err(MessageError::NameTooLong);
    }
    if fields.from.len() > MAX_FROM_BYTES || fields.from.contains(acts) {
        return Err(MessageError::Malformed("from"));
    }
    if fields.actions.len() > MAX_ACTIONS {
        return Err(MessageError::TooManyActions);
    }
    for (at, action) in fields.actions.iter().enumerate() {
        if fields
            .actions
            .iter()
            .take(at)
            .any(|it| it.id() == action.id())
        {
            return Err(MessageError::RepeatedAction(action.id().to_owned()));
        }
    }
    if let Some(default) = &fields.default
        && fields.action(default).is_none()
        && !fields.takes_text()
    {
        return Err(MessageError::Default(default.clone()));
    }
    let resolves = fields.kind == Kind::Resolution;
    if resolves != fields.resolution.is_some() || resolves && fields.reply_to.is_none() {
        return Err(MessageError::Malformed("resolution"));
    }
    if fields
        .click
        .as_ref()
        .is_some_and(|click| !is_address(click))
    {
        return Err(MessageError::Link);
    }
    let bad_tag = |tag: &String| tag.len() > MAX_LABEL_BYTES || tag.contains(acts);
    if fields.tags.len() > MAX_ACTIONS || fields.tags.iter().any(bad_tag) {
        return Err(MessageError::Malformed("tags"));
    }
    Ok(())
}

/// Returns whether a link leads to the web, and not to a program or a file, and to the host that a reader takes it to lead to: browsers
/// take what is before an `@` for a user, and a backslash for a slash.
fn is_address(click: &str) -> bool {
    let schemes = ["https://", "http://"];
    let rest = schemes.iter().find_map(|it| click.strip_prefix(it));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && click.len() <= MAX_CLICK_BYTES
        && !click.contains(|c: char| c == '\\' || c.is_whitespace() || acts(c))
}

fn actions(members: &Members) -> Result<Vec<Action>, MessageError> {
    let action = |value: &Value| {
        let member = |name| value.get(name).and_then(Value::as_str);
        match (member("id"), member("label")) {
            (Some(id), Some(label)) => Ok(Action::new(id, label)?),
            _ => Err(MessageError::Malformed("actions")),
        }
    };
    list(members, "actions")?.iter().map(action).collect()
}

fn resolution(value: &Value) -> Result<Resolution, MessageError> {
    let bad = || MessageError::Malformed("resolution");
    let members = value.as_object().ok_or_else(bad)?;
    let source = text(members, "source")?.and_then(Source::parse);
    let answer = id_of(members, "answer")?;
    let source = source.ok_or_else(bad)?;
    if answer.is_some() != (source == Source::Answer) {
        return Err(bad());
    }
    Ok(Resolution {
        source,
        answer,
        by: text(members, "by")?.unwrap_or_default().to_owned(),
        by_name: text(members, "by_name")?.unwrap_or_default().to_owned(),
    })
}

fn media(members: &Members) -> Result<Vec<String>, MessageError> {
    let names = strings(members, "media")?;
    if names.len() > MAX_MEDIA || !names.iter().all(|name| is_file_name(name)) {
        return Err(MessageError::Media);
    }
    Ok(names)
}

/// Returns whether `name` is that of a file in whatever folder a person puts it.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let parts = |c: char| matches!(c, '/' | '\\' | ':') || acts(c);
    !name.is_empty()
        && name.len() <= MAX_MEDIA_NAME_BYTES
        && !name.starts_with('.')
        && name.trim() == name
        && !name.contains(parts)
}

fn strings(members: &Members, name: &'static str) -> Result<Vec<String>, MessageError> {
    let string = |value: &Value| value.as_str().map(str::to_owned);
    list(members, name)?
        .iter()
        .map(|value| string(value).ok_or(MessageError::Malformed(name)))
        .collect()
}

fn list<'a>(members: &'a Members, name: &'static str) -> Result<&'a [Value], MessageError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(MessageError::Malformed(name)),
    }
}

fn text<'a>(members: &'a Members, name: &'static str) -> Result<Option<&'a str>, MessageError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(MessageError::Malformed(name)),
    }
}

fn truth(members: &Members, name: &'static str) -> Result<bool, MessageError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(_) => Err(MessageError::Malformed(name)),
    }
}

fn required<T>(
    members: &Members,
    member: &'static str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<T, MessageError> {
    let text = text(members, member)?.ok_or(MessageError::Missing(member))?;
    parse(text).map_err(|source| MessageError::Name { member, source })
}

fn id_of(members: &Members, member: &'static str) -> Result<Option<MessageId>, MessageError> {
    text(members, member)?
        .filter(|text| !text.is_empty())
        .map(|text| MessageId::parse(text).map_err(|source| MessageError::Name { member, source }))
        .transpose()
}

fn instant(member: &'static str, text: &str) -> Result<Timestamp, MessageError> {
    Timestamp::parse(text.as_bytes())
        .ok()
        .filter(|instant| TIMESTAMPS_MS.contains(&instant.unix_millis()))
        .ok_or(MessageError::Malformed(member))
}
