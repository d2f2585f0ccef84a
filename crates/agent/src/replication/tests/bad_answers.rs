//! Agents that are trusted and answer badly: nothing is stored, the state says what was wrong, and they are asked less and less.

use super::*;
use crate::sync::bus::tests::{Answer, bad_answers};

/// Announces in the name of the agent of seed 1 what nobody has, and answers every request for it so.
async fn answers(lab: &Lab, answer: Answer) -> (Wire, tokio::task::JoinHandle<()>) {
    let wire = lab.wire(1, &[2]);
    let code = Project::parse(project().as_str()).expect("a project");
    let subject = edgesync_replica::subject::sync_with(&wire.prefix, &code, &peer(1));
    let mut requests = wire.bus.subscribe(&subject, None).await.expect("heard");
    let bus = Arc::clone(&wire.bus);
    let answering = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let (headers, payload) = answer(&request);
            let publish = Publish {
                subject: request.reply.expect("a place for answers"),
                reply: None,
                headers,
                payload,
            };
            bus.publish(publish).await.expect("sent");
        }
    });
    let announcement = Announcement {
        tip: Tip::default(),
        peer_id: peer(1).as_str().to_owned(),
        fingerprint: Some(Fingerprint {
            artifacts: [7; 32],
            unversioned: [0; 32],
        }),
        stamp: Some(Stamp { run: 7, seq: 1 }),
        bridge: false,
    };
    let body = announcement.to_bytes();
    wire.announce(&code, Topic::Commit, body).await;
    (wire, answering)
}

#[tokio::test]
async fn a_bad_answer_of_a_trusted_peer_is_shown_backs_it_off_and_harms_nothing() {
    for (answer, words) in bad_answers() {
        let lab = Lab::new();
        let b = lab.start(2, &[1], HOUR).await;
        b.joins().await;
        let before = b.fingerprint();
        let (_wire, answering) = answers(&lab, answer).await;
        let shown = async {
            loop {
                if let State::Error { message, .. } = b.hosted.show().state {
                    return message;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let message = timeout(PATIENCE, shown).await.expect(words);
        // It was asked of one peer, for whom nobody else may answer.
        let others = message.contains("somebody else answered");
        assert!(others || message.contains(words), "{words}: {message}");
        let standings = b.replication.standings();
        let view = &standings.first().expect("the repository").view;
        let peer = view.peers.first().expect("the peer");
        assert!(
            peer.failures > 0 && peer.retry.is_some(),
            "{words}: {peer:?}"
        );
        assert_eq!(b.fingerprint(), before, "{words}");
        answering.abort();
    }
}
