//! Clocks that are wrong or are set while a question waits: the asker's desk alone decides, and a wait lasts as long as was declared.

use edgesync_notify::desk::{Desk, Effect, Now, digest};
use edgesync_notify::keyring::Author;
use edgesync_notify::message::{Message, Source};

use crate::lab::{Agent, address, at, ring};

const DAY_MS: i64 = 86_400_000;

/// What the clock of a device shows that is this far ahead, `ms` after the tests begin.
fn ahead(by_ms: i64, ms: i64) -> Now {
    Now {
        wall: at(ms + by_ms),
        // Where it begins means nothing.
        steady: at(ms + 12_345),
    }
}

fn published(effects: &[Effect]) -> Option<&Message> {
    effects.iter().find_map(|effect| match effect {
        Effect::Publish(message) => Some(message),
        _ => None,
    })
}

fn resolution(effects: &[Effect]) -> Option<&Message> {
    effects.iter().find_map(|effect| match effect {
        Effect::Resolved { resolution, .. } => Some(resolution),
        _ => None,
    })
}

#[test]
fn an_answer_counts_that_comes_in_time_however_wrong_the_clock_of_its_device_is() {
    for wrong_ms in [-30 * DAY_MS, -7_200_000, 180_000, 7_200_000, 30 * DAY_MS] {
        let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
        let mut asker = Desk::new(ci.me(), ring(&[&ci, &ada]));
        let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
        question.expires_at = Some(at(61_000));
        let asked = ci.signs(&question);
        asker.send(asked.clone(), at(1000));

        for by_bus in [true, false] {
            let mut device = Desk::new(ada.me(), ring(&[&ci, &ada]));
            let now = ahead(wrong_ms, 1000);
            if by_bus {
                let shown = device.receive(&address(&asked), asked.clone(), now);
                assert!(shown.contains(&Effect::Show(asked.clone())), "{wrong_ms}");
                let end = device.end_of(&question.id).expect("it ends");
                let left_ms = end.unix_millis() - now.steady.unix_millis();
                assert_eq!(left_ms, 60_000, "as long as its asker gave it");
            } else {
                device.found(asked.clone(), now);
            }
            let mut answer = ada.answers(2, &question, "yes");
            answer.timestamp = ahead(wrong_ms, 50_000).wall;
            let effects = device.send(ada.signs(&answer), ahead(wrong_ms, 50_000));
            let sent = published(&effects).expect("it leaves").clone();
            if by_bus {
                let effects = asker.receive(&address(&sent), sent, at(50_000));
                let decided = resolution(&effects).expect("decided");
                assert_eq!(decided.body, "yes", "{wrong_ms}");
            }
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_is_late_though_the_clock_of_its_device_is_behind() {
    let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
    let mut asker = Desk::new(ci.me(), ring(&[&ci, &ada]));
    let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(61_000));
    asker.send(ci.signs(&question), at(1000));
    let mut answer = ada.answers(2, &question, "yes");
    answer.timestamp = at(-7_200_000);
    let answer = ada.signs(&answer);
    let effects = asker.receive(&address(&answer), answer.clone(), at(61_000));
    let source = resolution(&effects).and_then(|it| it.resolution.as_ref());
    assert_eq!(source.map(|it| it.source), Some(Source::Expired));
    assert!(effects.contains(&Effect::Late(answer)));
}

#[test]
fn a_question_waits_as_long_as_was_declared_though_the_clock_is_set_meanwhile() {
    for set_ms in [-7_200_000, -1000, 1000, 7_200_000] {
        let ci = Agent::new(1, "ci");
        let mut desk = Desk::new(ci.me(), ring(&[&ci]));
        let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
        question.expires_at = Some(at(61_000));
        desk.send(ci.signs(&question), ahead(0, 1000));
        let due = desk.next_due().expect("it ends");
        assert_eq!(due, ahead(0, 61_000).steady);
        assert_eq!(desk.tick(ahead(set_ms, 60_999)), [], "{set_ms}");
        let effects = desk.tick(ahead(set_ms, 61_000));
        let decided = resolution(&effects).expect("decided");
        let told = decided.resolution.as_ref().expect("a resolution");
        assert_eq!(told.source, Source::Expired);
        assert_eq!(decided.timestamp, at(61_000 + set_ms));
    }
}

#[test]
fn an_answer_is_judged_by_how_long_the_question_waited_though_the_clock_was_set() {
    for (set_ms, at_ms, counts) in [(7_200_000, 60_000, true), (-7_200_000, 61_000, false)] {
        let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
        let mut asker = Desk::new(ci.me(), ring(&[&ci, &ada]));
        let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
        question.expires_at = Some(at(61_000));
        asker.send(ci.signs(&question), ahead(0, 1000));
        let answer = ada.signs(&ada.answers(2, &question, "yes"));
        let effects = asker.receive(&address(&answer), answer, ahead(set_ms, at_ms));
        let decided = resolution(&effects).expect("decided");
        assert_eq!(decided.body == "yes", counts, "{set_ms}");
    }
}

#[test]
fn a_restarted_asker_goes_by_what_it_declared() {
    let ci = Agent::new(1, "ci");
    let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(61_000));
    let asked = ci.signs(&question);
    let mut desk = Desk::new(ci.me(), ring(&[&ci]));
    let now = ahead(0, 31_000);
    desk.recall(&asked, Author::of(&asked), digest(&asked), now);
    assert_eq!(desk.resume(now), []);
    assert_eq!(desk.next_due(), Some(ahead(0, 61_000).steady));
}

#[test]
fn what_a_device_learned_of_its_askers_clock_holds_for_questions_that_replication_brings() {
    let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
    let mut device = Desk::new(ada.me(), ring(&[&ci, &ada]));
    let words = ci.signs(&ci.says(1, 1, "Build 214 begins"));
    device.receive(&address(&words), words, ahead(7_200_000, 1000));
    let mut question = ci.asks(2, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(62_000));
    let asked = ci.signs(&question);
    device.found(asked, ahead(7_200_000, 32_000));
    let end = device.end_of(&question.id).expect("it ends");
    assert_eq!(end, ahead(0, 62_000).steady);
}

#[test]
fn a_restarted_device_goes_by_its_askers_clock_once_it_hears_from_it() {
    let (ci, ada) = (Agent::new(1, "ci"), Agent::new(2, "Ada"));
    let two_hours_ahead = |ms| ahead(7_200_000, ms);
    let mut question = ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(61_000));
    let asked = ci.signs(&question);
    let restarted = || {
        let mut device = Desk::new(ada.me(), ring(&[&ci, &ada]));
        let now = two_hours_ahead(31_000);
        device.recall(&asked, Author::of(&asked), digest(&asked), now);
        assert_eq!(device.resume(now), []);
        let end = device.end_of(&question.id).expect("it ends");
        assert!(end < now.steady, "nothing is known of its clock");
        device
    };
    let right = Some(ahead(0, 61_000).steady);

    let mut device = restarted();
    let moved = device.learn_clock(&ci.id(), at(32_000), two_hours_ahead(32_000));
    assert_eq!(moved, [Effect::EndMoved(question.id)]);
    assert_eq!(device.end_of(&question.id), right);
    let again = device.learn_clock(&ci.id(), at(33_000), two_hours_ahead(33_010));
    assert_eq!(again, [], "that is no news");
    let mut next = Desk::new(ada.me(), ring(&[&ci, &ada]));
    next.keep_clocks_of(&mut device);
    let now = two_hours_ahead(34_000);
    next.recall(&asked, Author::of(&asked), digest(&asked), now);
    let end = next.end_of(&question.id).expect("it ends");
    assert!(end > now.steady, "a desk that takes over knows it at once");

    let mut device = restarted();
    let mut words = ci.says(2, 2, "Build 214 begins");
    words.timestamp = at(32_000);
    let words = ci.signs(&words);
    let heard = device.receive(&address(&words), words, two_hours_ahead(32_000));
    assert!(heard.contains(&Effect::EndMoved(question.id)));
    assert_eq!(device.end_of(&question.id), right);

    // What somebody else's clock shows moves nothing of it, nor does anybody move what this device asked itself.
    let mut device = restarted();
    assert_eq!(
        device.learn_clock("somebody", at(0), two_hours_ahead(0)),
        []
    );
    let mut own = ada.asks(3, "Tea?", &["Yes"]);
    own.expires_at = Some(at(7_261_000));
    device.send(ada.signs(&own), two_hours_ahead(1000));
    assert_eq!(device.learn_clock(&ada.id(), at(0), two_hours_ahead(0)), []);
}
