//! Who is said to be there: those alone who may answer here, and by nobody but themselves.

use edgesync_bus::{Headers, Publish};
use edgesync_notify::name::Project;
use edgesync_notify::subject;

use super::hostile::Company;
use super::*;
use crate::api::Time;
use crate::text;
use crate::trust::auth::sign;
use crate::trust::{Context, HEADER, Statement};

/// Returns what `who` signs about the agent `peer`: that it is here, under this name.
fn says(who: &Identity, peer: &Identity, name: &str) -> Publish {
    says_at(who, peer, name, Time::now())
}

/// The same, by a clock that shows `time`.
fn says_at(who: &Identity, peer: &Identity, name: &str, time: Time) -> Publish {
    let project = Project::parse("demo").expect("a project");
    let subject = subject::of_presence(&project, peer.endpoint_id());
    let payload = format!(r#"{{"name":"{name}","here":true}}"#).into_bytes();
    let statement = Statement {
        context: Context::Announcement,
        subject: &subject,
        reply: None,
        content_type: None,
        status: None,
        payload: &payload,
    };
    let nonce = text::random().expect("random bytes");
    let signature = sign(who.keys(), &statement, &nonce, time);
    Publish {
        headers: Headers::new().with(HEADER, signature),
        ..Publish::new(subject, payload)
    }
}

#[tokio::test]
async fn those_alone_who_may_answer_here_are_told_of_as_listening() {
    let folder = tempfile::tempdir().expect("a folder");
    let Company {
        asker,
        bus,
        ada,
        eve,
        bob,
    } = Company::of(&folder).await;
    let mallory = identity(&folder, "mallory");
    let unsigned = Publish {
        headers: Headers::new(),
        ..says(&ada, &ada, "nobody signed")
    };
    for said in [
        unsigned,
        says(&mallory, &mallory, "unknown here"),
        says(&eve, &eve, "has rights elsewhere"),
        says(&bob, &bob, "may only read"),
        says(&ada, &eve, "of another"),
        // The last, so that all others were heard before.
        says(&ada, &ada, "ada"),
    ] {
        bus.publish(said).await.expect("published");
    }
    let present = async {
        loop {
            let present = asker.post.status().await.expect("a status").present;
            if !present.is_empty() {
                return present;
            }
            tokio::task::yield_now().await;
        }
    };
    let present = tokio::time::timeout(SOON, present).await;
    let present = present.expect("she is told of");
    let told: Vec<_> = present
        .iter()
        .map(|it| (it.endpoint_id.as_str(), it.name.as_str()))
        .collect();
    assert_eq!(told, [(ada.endpoint_id(), "ada")]);
    asker.stop().await;
}

#[tokio::test]
async fn what_an_asker_shows_of_its_clock_moves_the_ends_of_its_questions() {
    const MINUTE_MS: i64 = 60_000;
    let folder = tempfile::tempdir().expect("a folder");
    let ci = identity(&folder, "ci");
    let ada = identity(&folder, "ada");
    let asker = start(&folder, "ci", &[&ada]).await;
    let person = start(&folder, "ada", &[&ci]).await;
    let hub = Hub::default();
    person.join(&hub, "ada").await;
    let mut events = person.events.listen();
    asker.join(&hub, "ci").await;
    let wish = SendNotify {
        expires_in_ms: Some(600_000),
        ..question()
    };
    asker.post.send(wish).await.expect("sent");
    let seen = Agent::event(&mut events, shown).await;
    let ends = |message: &NotifyMessage| message.expires_at.expect("it ends").unix_millis();
    let first = ends(&seen);
    // It leaves; when it comes back, its clock was put back by four minutes.
    asker.stop().await;
    let bus: SharedBus = Arc::new(hub.join("everybody"));
    let now = Time::now().unix_millis();
    let late = Time::from_unix_millis(now - 4 * MINUTE_MS);
    bus.publish(says_at(&ci, &ci, "ci", late))
        .await
        .expect("published");
    let moved = Agent::event(&mut events, |event| match event {
        Event::Question { message } => Some((**message).clone()),
        _ => None,
    });
    let moved = moved.await;
    assert_eq!(moved.question, Some(QuestionState::Open));
    assert!((3 * MINUTE_MS..5 * MINUTE_MS).contains(&(ends(&moved) - first)));
    person.stop().await;
}
