//! The test vectors that `docs/notify.md` names: for each message what is signed, and by whom.

use edgesync_notify::keyring::Author;
use edgesync_notify::message::{Message, MessageError};
use edgesync_notify::sign::{Context, Signer};
use serde_json::Value;

use crate::lab::Agent;

const VECTORS: &str = include_str!("../fixtures/signatures.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("JSON")
}

#[test]
fn every_vector_is_written_and_signed_as_it_says() {
    let vectors = vectors();
    let vectors = vectors["vectors"].as_array().expect("vectors");
    assert!(vectors.len() >= 3);
    for vector in vectors {
        let seed = vector["seed"].as_str().expect("a seed");
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(seed.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
        }
        let signer = Signer::from_seed(&bytes).expect("a key");
        let message = Message::read(vector["message"].to_string().as_bytes()).expect("a message");
        let text = message.signed_text();
        assert_eq!(
            format!("{}{text}", Context::Message.line()),
            vector["signed"].as_str().expect("text")
        );
        let signature = signer.sign(Context::Message, &text);
        assert_eq!(signature.value(), message.members()["sig"]["value"]);
        assert_eq!(Author::of(&message), Author::Key(signer.key()));
        assert_eq!(message.to_wire(), vector["wire"].as_str().expect("text"));
    }
}

#[test]
fn a_voucher_is_written_with_the_signature_and_not_signed() {
    let vectors = vectors();
    let mut vectors = vectors["vectors"].as_array().expect("vectors").iter();
    let vector = vectors.find(|it| it["message"]["sig"]["voucher"].is_string());
    let mut message = vector.expect("one with a voucher")["message"].clone();
    let read = |message: &Value| Message::read(message.to_string().as_bytes()).expect("a message");
    let whole = read(&message);
    let voucher = message["sig"]["voucher"].take();
    assert!(whole.to_wire().contains(voucher.as_str().expect("text")));
    let sig = message["sig"].as_object_mut().expect("a signature");
    sig.remove("voucher");
    let without = read(&message);
    assert_eq!(Author::of(&without), Author::of(&whole));
    assert_eq!(without.signed_text(), whole.signed_text());
}

#[test]
fn any_change_to_a_signed_message_shows() {
    for vector in vectors()["vectors"].as_array().expect("vectors") {
        let members = vector["message"].as_object().expect("an object");
        for name in members.keys().filter(|name| *name != "sig" && *name != "v") {
            let mut changed = members.clone();
            if members[name].is_string() && !["body", "from_name"].contains(&name.as_str()) {
                changed.remove(name);
            } else {
                changed.insert(name.clone(), Value::Null);
            }
            match Message::read(Value::Object(changed).to_string().as_bytes()) {
                Ok(message) => assert_eq!(Author::of(&message), Author::Forger, "{name}"),
                Err(
                    MessageError::Missing(_)
                    | MessageError::Malformed(_)
                    | MessageError::Default(_),
                ) => {}
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }
}

#[test]
fn members_that_nobody_here_knows_are_kept_and_signed() {
    let agent = Agent::new(1, "ci");
    let message = agent.signs(&agent.says(1, 1, "hello"));
    let mut members = message.members().clone();
    members.insert("colour".into(), serde_json::json!({"b": [1, 2], "a": null}));
    let read = Message::read(Value::Object(members).to_string().as_bytes()).expect("a message");
    assert!(
        read.to_file()
            .contains("\"colour\": {\n    \"a\": null,\n    \"b\": [")
    );
    assert_eq!(Author::of(&read), Author::Forger);
    assert_eq!(
        Message::read(read.to_file().as_bytes()).expect("a message"),
        read
    );
}

#[test]
fn another_version_is_shown_and_nothing_more() {
    let agent = Agent::new(1, "ci");
    let message = agent.signs(&agent.asks(1, "Deploy?", &["Yes", "No"]));
    let mut members = message.members().clone();
    members.insert("v".into(), 2.into());
    members.insert("priority".into(), "blinding".into());
    let read = Message::read(Value::Object(members).to_string().as_bytes()).expect("a message");
    assert_eq!(read.body, "Deploy?");
    assert!(!read.is_question());
    assert_eq!(read.urgency().as_str(), "info");
    assert!(read.to_wire().contains("\"blinding\""));
}

#[test]
fn messages_that_break_a_rule_are_refused() {
    let agent = Agent::new(1, "ci");
    let good = agent.signs(&agent.asks(1, "Deploy?", &["Yes", "No"]));
    let broken = |name: &str, value: Value| {
        let mut members = good.members().clone();
        members.insert(name.to_owned(), value);
        Message::read(Value::Object(members).to_string().as_bytes()).expect_err(name)
    };
    let long = "x".repeat(64 * 1024 + 1);
    for (name, value) in [
        ("id", "msg-1".into()),
        ("thread", "../x".into()),
        ("project", "a.b".into()),
        ("project", "*".into()),
        ("timestamp", "yesterday".into()),
        ("timestamp", "0001-01-01T00:00:00Z".into()),
        ("body", long.into()),
        ("body", 7.into()),
        ("from_name", "n".repeat(81).into()),
        (
            "actions",
            serde_json::json!([{"id": "a", "label": "A\u{202e}"}]),
        ),
        (
            "actions",
            serde_json::json!([{"id": "a", "label": "A"}, {"id": "a", "label": "B"}]),
        ),
        ("actions", serde_json::json!([{"id": "a b", "label": "A"}])),
        ("default", "maybe".into()),
        ("media", serde_json::json!(["../../x"])),
        ("media", serde_json::json!([".profile"])),
        ("click", "file:///etc/passwd".into()),
        ("click", "javascript:alert(1)".into()),
        ("click", "https://bank.example@evil.example/".into()),
        ("click", "https://evil.example\\@bank.example/".into()),
        ("click", "https:///path".into()),
        ("kind", "resolution".into()),
        ("sig", "none".into()),
        ("extra", 1.5.into()),
    ] {
        broken(name, value);
    }
    assert_eq!(
        Message::read(&vec![b' '; 300 * 1024]),
        Err(MessageError::TooLong)
    );
    assert!(matches!(Message::read(b"[]"), Err(MessageError::Json(_))));
    assert!(matches!(Message::read(b"\xff"), Err(MessageError::Json(_))));
}
