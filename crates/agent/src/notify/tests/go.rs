//! What the Go product says on the bus, as it writes it, to a real agent: read where unsigned messages count, and answered so that it reads the answer.

use edgesync_bus::Publish;

use super::*;

/// A question of its, as on the wire.
const QUESTION: &str = r#"{"v":1,"id":"msg-0f1e2d3c4b5a69788796a5b4c3d2e1f0","thread":"thread-a1b2c3d4e5f60718293a4b5c6d7e8f90","project":"demo","from":"","from_name":"","timestamp":"2026-03-14T09:26:53.589793238Z","body":"Deploy build 214 to production?","priority":"action_required","actions":[{"id":"deploy_now","label":"Deploy Now"},{"id":"wait","label":"Wait"}]}"#;

/// Where it says that, and hears what is said to it.
const SUBJECT: &str = "notify.demo.a1b2c3d4";

#[tokio::test]
async fn its_question_is_shown_as_unsigned_where_that_is_allowed_and_its_wildcard_hears_the_answer()
{
    let folder = tempfile::tempdir().expect("a folder");
    let strict = start(&folder, "ci", &[]).await;
    let trust = Trust::new(Register::of_run([], ["demo".parse().expect("a name")]));
    let person = start_with(&folder, "ada", Arc::new(trust)).await;
    let hub = Hub::default();
    strict.join(&hub, "ci").await;
    person.join(&hub, "ada").await;
    let bus: SharedBus = Arc::new(hub.join("go"));
    let mut hears = bus
        .subscribe("notify.demo.*", None)
        .await
        .expect("subscribed");
    let mut events = person.events.listen();
    bus.publish(Publish::new(SUBJECT, QUESTION))
        .await
        .expect("published");
    let seen = Agent::event(&mut events, shown).await;
    assert_eq!(
        (seen.sender, &seen.question),
        (Sender::Unsigned, &Some(QuestionState::Open))
    );
    person
        .post
        .reply(seen.thread.clone(), action("Deploy Now"))
        .await
        .expect("sent");
    let heard = tokio::time::timeout(SOON, hears.next()).await;
    let heard = heard.expect("the answer comes").expect("the bus is there");
    assert_eq!(&*heard.subject, SUBJECT);
    // The members that its decoder knows.
    let answer: serde_json::Value = serde_json::from_slice(&heard.payload).expect("JSON");
    for (name, value) in [
        ("v", serde_json::json!(1)),
        ("thread", serde_json::json!(seen.thread)),
        ("project", serde_json::json!("demo")),
        ("from", serde_json::json!(person.identity.endpoint_id())),
        ("body", serde_json::json!("deploy_now")),
        ("reply_to", serde_json::json!(seen.id)),
        ("action_response", serde_json::json!(true)),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    // Elsewhere it is nobody's message.
    let refused = async {
        while strict.post.status().await.expect("a status").refused == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, refused)
        .await
        .expect("it is refused");
    assert_eq!(strict.post.status().await.expect("a status").messages, 0);
    strict.stop().await;
    person.stop().await;
}
