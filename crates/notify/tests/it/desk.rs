//! The machine on a virtual clock: who may answer what and when, and what everybody is told.

use edgesync_notify::desk::{Desk, Effect, Refusal};
use edgesync_notify::keyring::{Device, Distrust, Scope};
use edgesync_notify::message::{Fields, Kind, Message, Priority, Source};
use edgesync_notify::name::Project;
use libfossil::time::Timestamp;

use crate::lab::{Agent, address, at, ring};

const CI: u8 = 1;

/// The asker's desk, and Ada and Bob, who may answer.
struct Room {
    desk: Desk,
    ci: Agent,
    ada: Agent,
    bob: Agent,
}

impl Room {
    fn new() -> Self {
        let (ci, ada, bob) = (
            Agent::new(CI, "ci"),
            Agent::new(2, "Ada"),
            Agent::new(3, "Bob"),
        );
        let desk = Desk::new(ci.me(), ring(&[&ci, &ada, &bob]));
        Self { desk, ci, ada, bob }
    }

    fn ask(&mut self, question: &Fields) -> Vec<Effect> {
        let message = self.ci.signs(question);
        self.desk.send(message, at(1000))
    }

    fn hear(&mut self, message: Message, now: Timestamp) -> Vec<Effect> {
        let address = address(&message);
        self.desk.receive(&address, message, now)
    }
}

fn stored(effects: &[Effect]) -> Vec<&Message> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Store(messages) => Some(messages),
            _ => None,
        })
        .flatten()
        .collect()
}

fn resolved(effects: &[Effect]) -> Option<&Message> {
    effects.iter().find_map(|effect| match effect {
        Effect::Resolved { resolution, .. } => Some(resolution),
        _ => None,
    })
}

fn refusal(effects: &[Effect]) -> Option<&Refusal> {
    effects.iter().find_map(|effect| match effect {
        Effect::Refused { refusal, .. } => Some(refusal),
        _ => None,
    })
}

#[test]
fn the_first_valid_answer_is_stored_in_one_step_with_what_it_decides() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    let asked = room.ask(&question);
    assert!(matches!(&asked[..], [Effect::Store(it), Effect::Publish(_)] if it.len() == 1));

    let answer = room.ada.answers(2, &question, "yes");
    let effects = room.hear(room.ada.signs(&answer), at(5000));
    let Some(Effect::Store(step)) = effects.first() else {
        panic!("nothing is stored first: {effects:?}");
    };
    assert_eq!(step.len(), 2, "answer and resolution in one step");
    let resolution = resolved(&effects).expect("decided");
    assert_eq!(resolution, &step[1]);
    let told = resolution.resolution.as_ref().expect("a resolution");
    assert_eq!(
        (told.source, told.answer),
        (Source::Answer, Some(answer.id))
    );
    assert_eq!(
        (told.by.as_str(), told.by_name.as_str()),
        (answer.from.as_str(), "Ada")
    );
    assert_eq!(
        (resolution.body.as_str(), resolution.action_response),
        ("yes", true)
    );
    assert_eq!(resolution.after, Some(answer.id));
    assert!(effects.contains(&Effect::Publish(resolution.clone())));

    let late = room.bob.signs(&room.bob.answers(3, &question, "no"));
    let effects = room.hear(late.clone(), at(6000));
    assert_eq!(stored(&effects), [&late]);
    assert!(
        effects.contains(&Effect::Late(late)),
        "kept, and called late"
    );
    assert_eq!(resolved(&effects), None);
}

/// Returns how the asker's desk takes `answer`, which must leave the question waiting.
fn refused(room: &mut Room, question: &Fields, answer: Message) -> Refusal {
    let effects = room.hear(answer, at(5000));
    assert_eq!(stored(&effects), Vec::<&Message>::new());
    assert!(room.desk.waits(&question.id), "ask keeps waiting");
    refusal(&effects).expect("refused").clone()
}

#[test]
fn answers_that_do_not_count_leave_the_question_waiting() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let answer = room.ada.answers(2, &question, "yes");

    let unsigned = Message::unsigned(&answer).expect("a message");
    assert_eq!(
        refused(&mut room, &question, unsigned),
        Distrust::Unsigned.into()
    );

    let eve = Agent::new(66, "Ada");
    let by_stranger = eve.signs(&eve.answers(3, &question, "yes"));
    assert_eq!(
        refused(&mut room, &question, by_stranger),
        Distrust::Stranger.into()
    );

    let in_adas_name = room.bob.signs(&answer);
    assert_eq!(
        refused(&mut room, &question, in_adas_name),
        Distrust::WrongSender.into()
    );

    let mut changed = room.ada.signs(&answer).members().clone();
    changed.insert("body".into(), "no".into());
    let changed = serde_json::Value::Object(changed).to_string();
    let changed = Message::read(changed.as_bytes()).expect("a message");
    assert_eq!(
        refused(&mut room, &question, changed),
        Distrust::BadSignature.into()
    );

    let maybe = room.ada.signs(&room.ada.answers(4, &question, "maybe"));
    assert_eq!(refused(&mut room, &question, maybe), Refusal::NotOffered);

    let mut words = room.ada.answers(5, &question, "yes");
    words.action_response = false;
    let words = room.ada.signs(&words);
    assert_eq!(refused(&mut room, &question, words), Refusal::NotOffered);

    let mut elsewhere = room.ada.answers(6, &question, "yes");
    elsewhere.project = Project::parse("other").expect("a project");
    let elsewhere = room.ada.signs(&elsewhere);
    assert_eq!(
        refused(&mut room, &question, elsewhere),
        Refusal::OtherQuestion
    );

    let forged = room.ci.signs(&room.ci.answers(7, &question, "yes"));
    assert_eq!(refused(&mut room, &question, forged), Refusal::NotOurs);

    let mut claim = room.ada.answers(8, &question, "yes");
    claim.kind = Kind::Resolution;
    claim.resolution = Some(edgesync_notify::message::Resolution {
        source: Source::Default,
        answer: None,
        by: String::new(),
        by_name: String::new(),
    });
    let claim = room.ada.signs(&claim);
    assert_eq!(refused(&mut room, &question, claim), Refusal::NotTheAsker);

    let good = room.ada.signs(&answer);
    let mut wrong = address(&good);
    wrong.project = Project::parse("other").expect("a project");
    let effects = room.desk.receive(&wrong, good.clone(), at(5000));
    assert_eq!(refusal(&effects), Some(&Refusal::OtherSubject));

    assert!(
        resolved(&room.hear(good, at(5000))).is_some(),
        "and the good one is taken"
    );
}

#[test]
fn who_may_send_may_not_always_answer_nor_everywhere() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    let mut keyring = ring(&[&room.ci]);
    keyring.admit(Device {
        may_answer: false,
        ..room.ada.device()
    });
    let other = Project::parse("other").expect("a project");
    keyring.admit(Device {
        scope: Scope::Projects([other].into()),
        ..room.bob.device()
    });
    room.desk.set_keyring(keyring.clone());
    room.ask(&question);
    let ada = room.ada.signs(&room.ada.answers(2, &question, "yes"));
    assert_eq!(refused(&mut room, &question, ada), Refusal::MayNotAnswer);
    let bob = room.bob.signs(&room.bob.answers(3, &question, "yes"));
    assert_eq!(
        refused(&mut room, &question, bob),
        Distrust::OtherProject.into()
    );

    // Unsigned messages can be let in, to be read; they still answer nothing.
    keyring.admit_unsigned(question.project.clone());
    room.desk.set_keyring(keyring);
    let unsigned = Message::unsigned(&room.ada.answers(4, &question, "yes")).expect("a message");
    assert_eq!(
        refused(&mut room, &question, unsigned),
        Distrust::Unsigned.into()
    );
    let words = Message::unsigned(&room.ada.says(5, 5, "hello")).expect("a message");
    let effects = room.hear(words.clone(), at(5000));
    assert!(effects.contains(&Effect::Show(words)));
}

#[test]
fn a_person_at_the_askers_own_agent_answers_too() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let answer = room.ci.signs(&room.ci.answers(2, &question, "no"));
    let effects = room.desk.send(answer, at(2000));
    assert_eq!(resolved(&effects).expect("decided").body, "no");
    let again = room.ci.signs(&room.ci.answers(3, &question, "yes"));
    assert_eq!(
        refusal(&room.desk.send(again, at(2001))),
        Some(&Refusal::Decided)
    );
}

#[test]
fn words_answer_where_words_are_asked_for() {
    let mut room = Room::new();
    let mut open = room.ci.asks(1, "Which branch?", &[]);
    room.ask(&open);
    let mut words = room.ada.answers(2, &open, "release/1.2\u{1b}[31m");
    words.action_response = false;
    let effects = room.hear(room.ada.signs(&words), at(2000));
    assert_eq!(
        resolved(&effects).expect("decided").body,
        "release/1.2\u{1b}[31m"
    );

    open = room.ci.asks(3, "Deploy?", &["Yes", "No"]);
    open.allow_text = true;
    room.ask(&open);
    let mut words = room.ada.answers(4, &open, "After lunch");
    words.action_response = false;
    assert!(resolved(&room.hear(room.ada.signs(&words), at(5000))).is_some());
}

#[test]
fn silence_means_what_was_declared_and_no_for_an_approval() {
    let cases = [
        (Kind::Question, None, Source::Expired, ""),
        (Kind::Question, Some("yes"), Source::Default, "yes"),
        (Kind::Approval, None, Source::Default, "no"),
        (Kind::Approval, Some("yes"), Source::Default, "yes"),
    ];
    for (kind, default, source, body) in cases {
        let mut room = Room::new();
        let mut question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
        question.kind = kind;
        question.default = default.map(str::to_owned);
        question.expires_at = Some(at(60_000));
        room.ask(&question);
        assert_eq!(room.desk.next_due(), Some(at(60_000)));
        assert_eq!(room.desk.tick(at(59_999)), []);
        let effects = room.desk.tick(at(60_000));
        let resolution = resolved(&effects).expect("decided");
        assert_eq!(
            resolution.resolution.as_ref().map(|it| it.source),
            Some(source)
        );
        assert_eq!(resolution.body, body);
        assert_eq!(room.desk.next_due(), None);
        let late = room.ada.signs(&room.ada.answers(2, &question, "yes"));
        assert!(
            room.hear(late.clone(), at(60_001))
                .contains(&Effect::Late(late))
        );
    }
}

#[test]
fn an_answer_that_comes_with_the_clock_past_the_end_is_late_whatever_its_own_clock_says() {
    let mut room = Room::new();
    let mut question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(60_000));
    room.ask(&question);
    let mut answer = room.ada.answers(2, &question, "yes");
    answer.timestamp = at(-30 * 86_400_000);
    let effects = room.hear(room.ada.signs(&answer), at(60_000));
    let source = resolved(&effects)
        .and_then(|it| it.resolution.as_ref())
        .map(|it| it.source);
    assert_eq!(source, Some(Source::Expired));

    let mut early = room.ci.asks(3, "Deploy?", &["Yes", "No"]);
    early.expires_at = Some(at(120_000));
    room.ask(&early);
    let mut answer = room.ada.answers(4, &early, "yes");
    answer.timestamp = at(30 * 86_400_000);
    let effects = room.hear(room.ada.signs(&answer), at(119_999));
    assert_eq!(resolved(&effects).map(|it| it.body.as_str()), Some("yes"));
}

#[test]
fn a_desk_that_comes_back_goes_on_where_it_was() {
    let room = Room::new();
    let mut question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(60_000));
    let answer = room.ada.answers(2, &question, "yes");
    let forged = room.ci.answers(3, &question, "no");
    let again = |now, messages: &[Message]| {
        let mut desk = Desk::new(room.ci.me(), ring(&[&room.ci, &room.ada]));
        for message in messages {
            let author = edgesync_notify::keyring::Author::of(message);
            desk.recall(message, author, edgesync_notify::desk::digest(message), now);
        }
        let effects = desk.resume(now);
        (desk, effects)
    };
    let (asked, forged) = (room.ci.signs(&question), room.ci.signs(&forged));
    let (desk, effects) = again(at(10_000), std::slice::from_ref(&asked));
    assert_eq!((effects.len(), desk.waits(&question.id)), (0, true));
    assert_eq!(desk.next_due(), Some(at(60_000)));
    // What replication brought while it was away: a forgery first.
    let brought = [asked.clone(), forged, room.ada.signs(&answer)];
    let (_, effects) = again(at(10_000), &brought);
    assert_eq!(resolved(&effects).expect("decided").body, "yes");
    // Too late: the time is over by the asker's clock.
    let (_, effects) = again(at(60_000), &brought);
    let resolution = resolved(&effects).expect("decided").clone();
    assert_eq!(
        resolution.resolution.as_ref().map(|it| it.source),
        Some(Source::Expired)
    );
    // And once decided, it stays so.
    let (_, effects) = again(at(99_000), &[asked, resolution, room.ada.signs(&answer)]);
    assert_eq!(effects, []);
}

#[test]
fn a_question_can_be_taken_back_by_its_asker_alone() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let mut other = Desk::new(room.ada.me(), ring(&[&room.ci, &room.ada]));
    let asked = room.ci.signs(&question);
    other.receive(&address(&asked), asked, at(1000));
    assert_eq!(other.cancel(&question.id, at(2000)), []);
    let effects = room.desk.cancel(&question.id, at(2000));
    let source = resolved(&effects)
        .and_then(|it| it.resolution.as_ref())
        .map(|it| it.source);
    assert_eq!(source, Some(Source::Cancelled));
    assert!(!room.desk.waits(&question.id));
}

#[test]
fn a_question_that_replication_brings_is_acknowledged_once_while_it_can_be_answered() {
    let room = Room::new();
    let mut question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    question.expires_at = Some(at(61_000));
    let asked = room.ci.signs(&question);
    let sit = || Desk::new(room.ada.me(), ring(&[&room.ci, &room.ada, &room.bob]));
    let mut ada = sit();
    let both = [
        Effect::Acknowledge(asked.clone()),
        Effect::Show(asked.clone()),
    ];
    assert_eq!(ada.found(asked.clone(), at(1500)), both);
    assert_eq!(ada.found(asked.clone(), at(1600)), [], "once");
    assert_eq!(
        ada.receive(&address(&asked), asked.clone(), at(1700)),
        [],
        "whichever way it comes again"
    );
    let acknowledges = |effects: &[Effect]| {
        let is_it = |it: &Effect| matches!(it, Effect::Acknowledge(_));
        effects.iter().any(is_it)
    };
    // Words wait for nobody, and nobody can answer what is over.
    let words = room.ci.signs(&room.ci.says(2, 1, "Never mind"));
    assert!(!acknowledges(&sit().found(words, at(1500))));
    assert!(!acknowledges(&sit().found(asked, at(61_001))));
}

#[test]
fn others_show_a_question_and_take_it_down_when_its_asker_says_so() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    let asked = room.ci.signs(&question);
    let mut ada = Desk::new(room.ada.me(), ring(&[&room.ci, &room.ada, &room.bob]));
    let shown = ada.receive(&address(&asked), asked.clone(), at(1500));
    assert_eq!(
        shown,
        [
            Effect::Store(vec![asked.clone()]),
            Effect::Acknowledge(asked.clone()),
            Effect::Show(asked.clone())
        ]
    );
    assert_eq!(
        ada.receive(&address(&asked), asked.clone(), at(1600)),
        [],
        "once"
    );
    assert_eq!(ada.found(asked.clone(), at(1700)), [], "by any way");

    room.ask(&question);
    let bobs = room.bob.signs(&room.bob.answers(2, &question, "no"));
    let decided = room.hear(bobs, at(2000));
    let resolution = resolved(&decided).expect("decided").clone();
    let effects = ada.receive(&address(&resolution), resolution.clone(), at(2100));
    assert_eq!(resolved(&effects), Some(&resolution));
    // Ada's own button comes too late, and is refused where she pressed it.
    let adas = room.ada.signs(&room.ada.answers(3, &question, "yes"));
    assert_eq!(refusal(&ada.send(adas, at(2200))), Some(&Refusal::Decided));
    // One who hears the decision before the question never shows it.
    let mut bob = Desk::new(room.bob.me(), ring(&[&room.ci, &room.ada, &room.bob]));
    bob.found(resolution, at(2300));
    let effects = bob.found(asked, at(2300));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Show(_))),
        "{effects:?}"
    );
}

#[test]
fn an_id_belongs_to_the_first_message_that_has_it() {
    let mut room = Room::new();
    let first = room.ada.signs(&room.ada.says(1, 1, "first"));
    room.hear(first, at(1000));
    let second = room.ada.signs(&room.ada.says(1, 1, "second"));
    let mut elsewhere = room.ada.says(1, 1, "first");
    elsewhere.project = Project::parse("other").expect("a project");
    let elsewhere = room.ada.signs(&elsewhere);
    for other in [second, elsewhere] {
        let effects = room.hear(other, at(1001));
        assert_eq!(refusal(&effects), Some(&Refusal::SameId));
        assert_eq!(stored(&effects), Vec::<&Message>::new());
    }
}

#[test]
fn what_was_heard_is_not_heard_again_months_later_nor_after_a_start() {
    const HALF_A_YEAR_MS: i64 = 183 * 86_400_000;
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let words = room.ada.signs(&room.ada.says(2, 2, "On my way"));
    let answer = room.ada.signs(&room.ada.answers(3, &question, "yes"));
    for message in [&words, &answer] {
        assert_ne!(room.hear(message.clone(), at(2000)), []);
    }
    for message in [&words, &answer] {
        let again = room.hear(message.clone(), at(HALF_A_YEAR_MS));
        assert_eq!(again, [], "nothing is shown, stored or acknowledged twice");
    }
    let mut desk = Desk::new(room.ci.me(), ring(&[&room.ci, &room.ada]));
    let asked = room.ci.signs(&question);
    for message in [&asked, &words, &answer] {
        let author = edgesync_notify::keyring::Author::of(message);
        let digest = edgesync_notify::desk::digest(message);
        desk.recall(message, author, digest, at(HALF_A_YEAR_MS));
    }
    desk.resume(at(HALF_A_YEAR_MS));
    for message in [words, answer] {
        let again = desk.receive(&address(&message), message, at(HALF_A_YEAR_MS));
        assert_eq!(again, []);
    }
}

#[test]
fn an_answer_to_what_nobody_asked_decides_and_shows_nothing() {
    let mut room = Room::new();
    let question = room.ci.asks(1, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let unknown = room.ci.asks(7, "Never asked", &["Yes", "No"]);
    let answer = room.ada.signs(&room.ada.answers(2, &unknown, "yes"));
    let effects = room.hear(answer.clone(), at(2000));
    assert_eq!(
        effects,
        [
            Effect::Store(vec![answer.clone()]),
            Effect::Acknowledge(answer)
        ]
    );
    assert!(room.desk.waits(&question.id));
    // Nor does it count once that is asked: it was not for it.
    room.desk.send(room.ci.signs(&unknown), at(3000));
    assert!(room.desk.waits(&unknown.id));
}

#[test]
fn urgent_messages_have_a_limit_too() {
    let mut room = Room::new();
    let (mut shown, mut notices) = (0, 0);
    for n in 0..100 {
        let mut urgent = room.ada.says(n, n, "Fire");
        urgent.priority = Some(Priority::Urgent);
        for effect in room.hear(room.ada.signs(&urgent), at(1000)) {
            match effect {
                Effect::Show(_) => shown += 1,
                Effect::Folded { .. } => notices += 1,
                _ => {}
            }
        }
    }
    assert_eq!((shown, notices), (10, 1));
}

#[test]
fn a_flood_is_folded_into_one_notice_and_urgent_passes() {
    let mut room = Room::new();
    let question = room.ci.asks(9_999_999, "Deploy?", &["Yes", "No"]);
    room.ask(&question);
    let (mut shown, mut notices) = (0, Vec::new());
    let signer = room.ada.signer();
    for n in 0..10_000 {
        let message = Message::signed(&room.ada.says(n, n, "step"), &signer);
        let effects = room.hear(message.expect("a message"), at(1000));
        for effect in effects {
            match effect {
                Effect::Show(_) => shown += 1,
                Effect::Folded { count, name, .. } => notices.push((name, count)),
                Effect::Store(_) | Effect::Acknowledge(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((shown, &notices[..]), (30, &[("Ada".to_owned(), 1)][..]));

    let mut urgent = room.ada.says(20_000, 20_000, "The server room is on fire");
    urgent.priority = Some(Priority::Urgent);
    let urgent = room.ada.signs(&urgent);
    assert!(
        room.hear(urgent.clone(), at(1001))
            .contains(&Effect::Show(urgent))
    );
    let bob = room.bob.signs(&room.bob.says(20_001, 20_001, "hello"));
    assert!(
        room.hear(bob.clone(), at(1002))
            .contains(&Effect::Show(bob)),
        "others are heard"
    );
    let answer = room.ada.signs(&room.ada.answers(20_002, &question, "yes"));
    assert!(
        resolved(&room.hear(answer, at(1003))).is_some(),
        "an answer is one"
    );

    let due = room.desk.next_due().expect("a notice is due");
    let notice = room.desk.tick(due);
    assert!(
        matches!(&notice[..], [Effect::Folded { count: 9_969, .. }]),
        "{notice:?}"
    );
    assert_eq!(room.desk.next_due(), None, "all was told");
    let due = at(1000 + 60_000);
    let next = room
        .ada
        .signs(&room.ada.says(20_003, 20_003, "next minute"));
    assert!(room.hear(next.clone(), due).contains(&Effect::Show(next)));
}
