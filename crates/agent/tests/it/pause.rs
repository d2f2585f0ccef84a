//! Pauses: nothing moves by itself, a person may still ask, a restart changes nothing, and the end makes up for it all.

use edgesync_agent::Subscription;
use edgesync_agent::api::{Event, Pause, Repository, State, Status};
use serde_json::{Value, json};

use crate::support::{Place, call, event, repository_event, start};
use crate::sync::{artifacts, assert_equal, equal_pair, up_to_date};

fn paused(state: &State) -> bool {
    matches!(state, State::Paused { .. })
}

/// Returns the status that is told to everyone when a pause of the whole agent begins or ends.
async fn told(events: &mut Subscription, pause: bool) -> Status {
    event(events, |event| match event {
        Event::Status(status) if status.pause.is_some() == pause => Some(status.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_exchanges_and_its_end_makes_up_for_it() {
    let place = Place::new();
    let (agent, _server, mut events, _) = equal_pair(&place).await;
    let (code, status) = call(&agent, "POST", "/pause", json!({})).await;
    assert_eq!(
        (code, &status["pause"], &status["state"]["kind"]),
        (200, &json!({ "until": null }), &json!("paused"))
    );
    told(&mut events, true).await;

    place.check_in(&place.path("ours.fossil"), "new.txt", "new\n");
    let shown = repository_event(&mut events, |shown| shown.check_ins == 3).await;
    assert!(paused(&shown.state), "{:?}", shown.state);
    assert_ne!(
        artifacts(&place, "ours.fossil"),
        artifacts(&place, "theirs.fossil")
    );
    let (code, error) = call(&agent, "POST", "/repositories/ours/resume", Value::Null).await;
    assert_eq!((code, &error["error"]["code"]), (409, &json!("conflict")));

    // A person asks, and it is paused after that as before.
    let before = shown.state.last_exchange();
    agent.sync_now(None).expect("asked");
    let done = |shown: &Repository| paused(&shown.state) && shown.state.last_exchange() > before;
    repository_event(&mut events, done).await;
    assert_equal(&place);

    place.check_in(&place.path("ours.fossil"), "more.txt", "more\n");
    repository_event(&mut events, |shown| shown.check_ins == 4).await;
    let (code, status) = call(&agent, "POST", "/resume", Value::Null).await;
    assert_eq!((code, &status["pause"]), (200, &Value::Null));
    told(&mut events, false).await;
    repository_event(&mut events, |shown| up_to_date(&shown.state)).await;
    assert_equal(&place);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart_and_ends_by_itself() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let file = place.repository("a.fossil");
    let added = call(&agent, "POST", "/repositories/add", json!({ "path": file })).await;
    assert_eq!(added.0, 201);
    let long = json!({ "until": "2999-01-01T00:00:00.000Z" });
    let (code, shown) = call(&agent, "POST", "/repositories/a/pause", long).await;
    assert_eq!((code, &shown["state"]["kind"]), (200, &json!("paused")));
    assert_eq!(agent.status().pause, None);
    agent.stop().await;

    let agent = start(place.config()).await;
    let state = agent.status().repositories[0].state.clone();
    let State::Paused { until, .. } = state else {
        panic!("{state:?}")
    };
    assert_eq!(
        until.map(|until| until.to_string()).as_deref(),
        Some("2999-01-01T00:00:00.000Z")
    );
    let mut events = agent.subscribe();
    told(&mut events, false).await;
    let (code, _) = call(&agent, "POST", "/pause", json!({ "for_ms": 300 })).await;
    assert_eq!(code, 200);
    told(&mut events, true).await;
    told(&mut events, false).await;
    // Its own pause is another one.
    assert!(paused(&agent.status().repositories[0].state));
    let (code, shown) = call(&agent, "POST", "/repositories/a/resume", Value::Null).await;
    assert_eq!((code, &shown["state"]["kind"]), (200, &json!("local")));

    for wrong in [json!({ "for_ms": 0 }), json!({ "for": 1 }), json!(30)] {
        let (code, error) = call(&agent, "POST", "/pause", wrong).await;
        assert_eq!(
            (code, &error["error"]["code"]),
            (400, &json!("bad_request"))
        );
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_removed_takes_its_pause_with_it() {
    let place = Place::new();
    let agent = start(place.config()).await;
    let add = json!({ "path": place.repository("a.fossil") });
    call(&agent, "POST", "/repositories/add", add.clone()).await;
    call(&agent, "POST", "/repositories/a/pause", json!({})).await;
    assert!(paused(&agent.status().state));
    call(&agent, "DELETE", "/repositories/a", Value::Null).await;
    let (code, shown) = call(&agent, "POST", "/repositories/add", add).await;
    assert_eq!((code, &shown["state"]["kind"]), (201, &json!("local")));
    agent
        .pause(edgesync_agent::api::SetPause::default())
        .expect("paused");
    assert_eq!(agent.status().pause, Some(Pause { until: None }));
    agent.resume().expect("resumed");
    assert_eq!(agent.status().pause, None);
    agent.stop().await;
}
