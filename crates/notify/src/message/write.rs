//! From what a message says to a JSON object. What is empty is left out, as the Go product does.

use libfossil::time::Timestamp;
use serde_json::{Map, Value, json};

use super::fields::VERSION;
use super::{Fields, Kind, Resolution};
use crate::sign::{ALGORITHM, Signature};

/// Returns the members of a message that is not signed yet.
pub(super) fn members(fields: &Fields) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("v", VERSION.into());
    put("id", fields.id.to_string().into());
    put("thread", fields.thread.to_string().into());
    put("project", fields.project.as_str().into());
    put("from", fields.from.as_str().into());
    put("from_name", fields.from_name.as_str().into());
    put("timestamp", instant(fields.timestamp));
    put("body", fields.body.as_str().into());
    if let Some(priority) = fields.priority {
        put("priority", priority.as_str().into());
    }
    if !fields.actions.is_empty() {
        let action = |it: &super::Action| json!({"id": it.id(), "label": it.label()});
        put("actions", fields.actions.iter().map(action).collect());
    }
    if let Some(id) = fields.reply_to {
        put("reply_to", id.to_string().into());
    }
    if !fields.media.is_empty() {
        put("media", fields.media.iter().map(String::as_str).collect());
    }
    if fields.action_response {
        put("action_response", true.into());
    }
    if fields.kind != Kind::Message {
        put("kind", fields.kind.as_str().into());
    }
    if let Some(id) = fields.after {
        put("after", id.to_string().into());
    }
    if let Some(expires_at) = fields.expires_at {
        put("expires_at", instant(expires_at));
    }
    if let Some(default) = &fields.default {
        put("default", default.as_str().into());
    }
    if fields.allow_text {
        put("allow_text", true.into());
    }
    if let Some(it) = &fields.resolution {
        put("resolution", resolution(it));
    }
    if let Some(click) = &fields.click {
        put("click", click.as_str().into());
    }
    if !fields.tags.is_empty() {
        put("tags", fields.tags.iter().map(String::as_str).collect());
    }
    members
}

/// Returns the member `sig`.
pub(crate) fn signature(signature: &Signature) -> Value {
    let mut value =
        json!({"alg": ALGORITHM, "key": signature.key.to_string(), "value": signature.value()});
    if let Some(voucher) = &signature.voucher {
        value["voucher"] = voucher.as_str().into();
    }
    value
}

fn resolution(resolution: &Resolution) -> Value {
    let mut value = json!({"source": resolution.source.as_str()});
    if let Some(answer) = resolution.answer {
        value["answer"] = answer.to_string().into();
    }
    for (name, text) in [("by", &resolution.by), ("by_name", &resolution.by_name)] {
        if !text.is_empty() {
            value[name] = text.as_str().into();
        }
    }
    value
}

fn instant(instant: Timestamp) -> Value {
    format!("{instant}Z").into()
}
