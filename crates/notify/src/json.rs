//! The one way in which a message is written: members sorted by name, no member twice, whole numbers only. Written without white space
//! it is what goes over the bus, and, without its signature, what is signed; with two spaces of indent it is what the repository
//! holds. Two devices that store the same message therefore store the same bytes.

use serde_json::{Map, Value};

use crate::limits::MAX_DEPTH;

/// How a value is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// No white space at all.
    Compact,
    /// Each member and element on a line of its own, two spaces deeper than what holds it.
    Indented,
}

/// A value that cannot be written in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// A number with a fraction or an exponent, or beyond 64 bits.
    #[error("a number is not whole")]
    Number,
    /// Values within values, too deep.
    #[error("values are nested deeper than {MAX_DEPTH}")]
    Depth,
}

/// Checks that `object` can be written in one way only.
///
/// # Errors
/// [`JsonError`].
pub fn check(object: &Map<String, Value>) -> Result<(), JsonError> {
    object.values().try_for_each(|value| check_value(value, 1))
}

fn check_value(value: &Value, depth: usize) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::Depth);
    }
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => Err(JsonError::Number),
        Value::Array(values) => values.iter().try_for_each(|it| check_value(it, depth + 1)),
        Value::Object(members) => members
            .values()
            .try_for_each(|it| check_value(it, depth + 1)),
        _ => Ok(()),
    }
}

/// Returns the text of `object`, leaving out the member `without`.
#[must_use]
pub fn write(object: &Map<String, Value>, layout: Layout, without: Option<&str>) -> String {
    let mut out = String::new();
    write_object(&mut out, object, layout, 0, without);
    out
}

fn write_value(out: &mut String, value: &Value, layout: Layout, depth: usize) {
    match value {
        Value::Object(members) => write_object(out, members, layout, depth, None),
        Value::Array(values) => {
            write_list(out, ['[', ']'], layout, depth, values.iter(), |out, it| {
                write_value(out, it, layout, depth + 1);
            });
        }
        // Strings, numbers and words are written in one way by the library.
        other => out.push_str(&other.to_string()),
    }
}

fn write_object(
    out: &mut String,
    members: &Map<String, Value>,
    layout: Layout,
    depth: usize,
    without: Option<&str>,
) {
    let mut sorted: Vec<_> = members
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != without)
        .collect();
    // Whether the map itself is sorted depends on how the library was built.
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let member = |out: &mut String, (name, value): (&String, &Value)| {
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push_str(if layout == Layout::Compact { ":" } else { ": " });
        write_value(out, value, layout, depth + 1);
    };
    write_list(out, ['{', '}'], layout, depth, sorted.into_iter(), member);
}

fn write_list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    layout: Layout,
    depth: usize,
    items: impl Iterator<Item = T>,
    item: impl Fn(&mut String, T),
) {
    let new_line = |out: &mut String, depth: usize| {
        if layout == Layout::Indented {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    out.push(open);
    let mut empty = true;
    for it in items {
        if !empty {
            out.push(',');
        }
        empty = false;
        new_line(out, depth + 1);
        item(out, it);
    }
    if !empty {
        new_line(out, depth);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    #[test]
    fn members_are_sorted_at_every_depth() {
        let value =
            object(json!({"b": [], "a": {"z": 1, "y": [true, null, "\u{1}\"\\é<"]}, "sig": 1}));
        assert_eq!(
            write(&value, Layout::Compact, Some("sig")),
            r#"{"a":{"y":[true,null,"\u0001\"\\é<"],"z":1},"b":[]}"#
        );
        let indented = "{\n  \"a\": {\n    \"y\": [\n      true,\n      null,\n      \"\\u0001\\\"\\\\é<\"\n    ],\n    \"z\": 1\n  },\n  \"b\": [],\n  \"sig\": 1\n}";
        assert_eq!(write(&value, Layout::Indented, None), indented);
    }

    #[test]
    fn what_could_be_written_in_two_ways_is_refused() {
        assert_eq!(check(&object(json!({"a": [1.5]}))), Err(JsonError::Number));
        assert_eq!(check(&object(json!({"a": -7}))), Ok(()));
        let deep = (0..MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(check(&object(json!({ "a": deep }))), Err(JsonError::Depth));
    }
}
