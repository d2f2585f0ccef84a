//! The machine, with made-up times and a screen that is a list.

use super::machine::{Effect, Machine, Now};
use crate::api::{
    Action, Code, Error, MessageKind, NotifierInfo, NotifyMessage, NotifySettings, Priority,
    QuestionState, QuietHours, Sender, Time, TimeOfDay,
};
use crate::notifier::{Heard, Notification, NotificationKey};

/// Noon of a day without change of clocks.
const NOON: u16 = 12 * 60;

/// `minutes` after noon, with `seconds`.
fn at(minutes: i64, seconds: i64) -> Now {
    let day = (i64::from(NOON) + minutes).rem_euclid(24 * 60);
    Now {
        time: Time::from_unix_millis((minutes * 60 + seconds) * 1000),
        local: TimeOfDay::from_minutes(u16::try_from(day).expect("a day")),
    }
}

fn message(number: u32, body: &str) -> NotifyMessage {
    NotifyMessage {
        id: format!("msg-{number}"),
        thread: format!("thread-{number}"),
        project: "demo".into(),
        from: "00112233445566778899".into(),
        from_name: "ci".into(),
        sender: Sender::Trusted,
        time: at(0, 0).time,
        body: body.into(),
        priority: Priority::Info,
        kind: MessageKind::Message,
        actions: Vec::new(),
        takes_text: false,
        reply_to: None,
        action: None,
        media: Vec::new(),
        expires_at: None,
        default: None,
        click: None,
        tags: Vec::new(),
        late: false,
        question: None,
        delivered_to: Vec::new(),
    }
}

fn question(number: u32, labels: &[&str]) -> NotifyMessage {
    let action = |label: &&str| Action {
        id: label.to_lowercase(),
        label: (*label).into(),
    };
    NotifyMessage {
        priority: Priority::ActionRequired,
        kind: MessageKind::Question,
        actions: labels.iter().map(action).collect(),
        takes_text: labels.is_empty(),
        question: Some(QuestionState::Open),
        ..message(number, "Deploy?")
    }
}

fn urgent(number: u32) -> NotifyMessage {
    NotifyMessage {
        priority: Priority::Urgent,
        ..question(number, &["Yes", "No"])
    }
}

fn key(number: u32) -> NotificationKey {
    NotificationKey::new(format!("msg-{number}"))
}

fn ready(buttons: bool) -> Heard {
    Heard::Ready(NotifierInfo {
        name: "stand-in".into(),
        buttons,
    })
}

fn machine() -> Machine {
    let mut machine = Machine::default();
    assert_eq!(machine.heard(ready(true), at(0, 0)), []);
    machine
}

fn night() -> NotifySettings {
    NotifySettings {
        quiet: Some(QuietHours {
            from: "13:00".parse().expect("a time"),
            until: "14:00".parse().expect("a time"),
        }),
        ..NotifySettings::default()
    }
}

/// The notifications that effects show.
fn shown(effects: &[Effect]) -> Vec<&Notification> {
    let effects = effects.iter();
    let show = effects.filter_map(|effect| match effect {
        Effect::Show(notification) => Some(notification),
        _ => None,
    });
    show.collect()
}

fn keys(effects: &[Effect]) -> Vec<&str> {
    shown(effects).iter().map(|it| it.key.as_str()).collect()
}

fn withdrawn(effects: &[Effect]) -> Vec<&str> {
    let effects = effects.iter();
    let down = effects.filter_map(|effect| match effect {
        Effect::Withdraw(key) => Some(key.as_str()),
        _ => None,
    });
    down.collect()
}

#[test]
fn a_question_says_where_it_is_from_and_has_its_answers_as_buttons() {
    let mut machine = machine();
    let mut asked = question(1, &["Yes", "No"]);
    asked.expires_at = Some(at(8, 0).time);
    asked.default = Some("no".into());
    let effects = machine.arrived(asked, at(0, 0));
    let [it] = shown(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((it.title.as_str(), it.stays), ("ci · demo", true));
    assert_eq!(it.text, "Deploy?\nUntil 12:08, then: No");
    assert_eq!(it.buttons, ["Yes", "No"]);
}

#[test]
fn the_fourth_answer_and_words_of_ones_own_are_behind_open() {
    let mut machine = machine();
    let effects = machine.arrived(question(1, &["A", "B", "C", "D"]), at(0, 0));
    assert_eq!(shown(&effects)[0].buttons, ["A", "B", "C", "Open"]);
    let open = Effect::Open(Some("thread-1".into()));
    let pressed = machine.heard(Heard::Pressed(key(1), 3), at(0, 1));
    assert_eq!(pressed, [Effect::Withdraw(key(1)), open]);
    let effects = machine.arrived(question(2, &[]), at(0, 2));
    assert_eq!(shown(&effects)[0].buttons, ["Open"]);
}

#[test]
fn without_buttons_the_answers_are_named_and_the_click_opens_the_question() {
    let mut machine = Machine::default();
    machine.heard(ready(false), at(0, 0));
    let effects = machine.arrived(question(1, &["Yes", "No"]), at(0, 0));
    let it = shown(&effects)[0];
    assert!(it.buttons.is_empty());
    assert_eq!(it.text, "Deploy?\nAnswer in EdgeSync: Yes, No");
    let open = Effect::Open(Some("thread-1".into()));
    assert_eq!(machine.heard(Heard::Clicked(key(1)), at(0, 1)), [open]);
}

#[test]
fn a_press_answers_once() {
    let mut machine = machine();
    machine.arrived(question(1, &["Yes", "No"]), at(0, 0));
    let effects = machine.heard(Heard::Pressed(key(1), 1), at(0, 1));
    let answer = Effect::Answer {
        key: key(1),
        question: "msg-1".into(),
        thread: "thread-1".into(),
        action: "no".into(),
    };
    assert_eq!(effects, [Effect::Withdraw(key(1)), answer]);
    assert_eq!(machine.heard(Heard::Pressed(key(1), 0), at(0, 1)), []);
    let closed = Heard::Closed {
        key: key(1),
        by_person: true,
    };
    assert_eq!(machine.heard(closed, at(0, 1)), []);
    assert_eq!(machine.answered(&key(1), None, at(0, 2)), []);
    assert_eq!(machine.heard(Heard::Pressed(key(1), 0), at(0, 3)), []);
}

#[test]
fn an_answer_that_was_refused_is_told_even_when_the_question_is_decided_meanwhile() {
    let mut machine = machine();
    machine.arrived(question(1, &["Yes", "No"]), at(0, 0));
    machine.heard(Heard::Pressed(key(1), 0), at(0, 1));
    let mut decided = question(1, &["Yes", "No"]);
    decided.question = Some(QuestionState::Overdue);
    assert_eq!(machine.changed(&decided, at(0, 1)), []);
    let error = Error::new(Code::Conflict, "the question is decided already");
    let effects = machine.answered(&key(1), Some(&error), at(0, 2));
    let it = shown(&effects)[0];
    assert_eq!(it.title, "ci · demo");
    assert_eq!(
        it.text,
        "The answer was not sent: the question is decided already"
    );
}

#[test]
fn what_is_decided_elsewhere_answered_here_put_away_or_expired_is_taken_down() {
    let mut machine = machine();
    for number in 1..=5 {
        machine.arrived(question(number, &["Yes"]), at(0, 0));
    }
    let mut decided = question(1, &["Yes"]);
    decided.question = Some(QuestionState::Overdue);
    assert_eq!(withdrawn(&machine.changed(&decided, at(0, 1))), ["msg-1"]);
    assert_eq!(withdrawn(&machine.answered_here("msg-2")), ["msg-2"]);
    assert_eq!(withdrawn(&machine.put_away("thread-3")), ["msg-3"]);
    let left = vec![question(4, &["Yes"])];
    assert_eq!(withdrawn(&machine.waiting(left, at(0, 1))), ["msg-5"]);
    let mut brief = question(6, &["Yes"]);
    brief.expires_at = Some(at(1, 0).time);
    machine.arrived(brief, at(0, 1));
    assert_eq!(machine.next_due(at(0, 1)), Some(at(1, 0).time));
    assert_eq!(withdrawn(&machine.tick(at(1, 0))), ["msg-6"]);
}

#[test]
fn a_new_daemon_is_given_the_open_questions_but_not_what_a_person_took_away() {
    let mut machine = machine();
    for number in 1..=3 {
        machine.arrived(question(number, &["Yes"]), at(0, 0));
    }
    machine.arrived(message(4, "Backup done"), at(0, 0));
    let closed = |number, by_person| Heard::Closed {
        key: key(number),
        by_person,
    };
    machine.heard(closed(1, true), at(0, 1));
    // Daemons close everything when they end.
    machine.heard(closed(2, false), at(0, 1));
    machine.heard(Heard::Gone, at(0, 2));
    let effects = machine.heard(ready(true), at(0, 3));
    assert_eq!(keys(&effects), ["msg-2", "msg-3"]);
}

#[test]
fn what_came_while_nobody_showed_it_is_shown_when_somebody_does() {
    let mut machine = Machine::default();
    let effects = machine.arrived(question(1, &["Yes"]), at(0, 0));
    assert_eq!(effects, [Effect::Wake]);
    machine.arrived(message(2, "Backup done"), at(0, 0));
    assert_eq!(
        keys(&machine.heard(ready(true), at(0, 1))),
        ["msg-1", "msg-2"]
    );
}

#[test]
fn an_urgent_question_is_shown_again_until_a_person_has_seen_it() {
    let mut machine = machine();
    assert_eq!(shown(&machine.arrived(urgent(1), at(0, 0))).len(), 1);
    assert_eq!(machine.next_due(at(0, 0)), Some(at(1, 0).time));
    assert_eq!(machine.tick(at(0, 59)), []);
    assert_eq!(keys(&machine.tick(at(1, 0))), ["msg-1"]);
    // Going by itself is not being seen.
    let lost = Heard::Closed {
        key: key(1),
        by_person: false,
    };
    machine.heard(lost, at(1, 5));
    assert_eq!(keys(&machine.tick(at(2, 0))), ["msg-1"]);
    let seen = Heard::Closed {
        key: key(1),
        by_person: true,
    };
    machine.heard(seen, at(2, 5));
    assert_eq!(machine.next_due(at(2, 5)), None);
    assert_eq!(machine.tick(at(9, 0)), []);

    machine.arrived(urgent(2), at(10, 0));
    assert_eq!(machine.seen("thread-2"), []);
    assert_eq!(machine.next_due(at(10, 0)), None);
}

#[test]
fn an_urgent_question_that_nobody_sees_is_shown_for_an_hour() {
    let mut machine = machine();
    let mut times = shown(&machine.arrived(urgent(1), at(0, 0))).len();
    let mut minute = 0;
    while let Some(due) = machine.next_due(at(minute, 0)) {
        minute = due.unix_millis() / 60_000;
        times += shown(&machine.tick(at(minute, 0))).len();
    }
    assert_eq!((times, minute), (60, 59));
}

#[test]
fn in_quiet_hours_only_what_is_urgent_is_shown_and_the_rest_comes_after() {
    let mut machine = machine();
    machine.choose(night(), at(0, 0));
    assert_eq!(
        machine.arrived(question(1, &["Yes"]), at(60, 0)),
        [],
        "from 13:00 on"
    );
    assert_eq!(machine.arrived(message(2, "Backup done"), at(61, 0)), []);
    assert_eq!(keys(&machine.arrived(urgent(3), at(62, 0))), ["msg-3"]);
    machine.answered_here("msg-3");
    assert_eq!(machine.next_due(at(62, 0)), Some(at(120, 0).time));
    assert_eq!(machine.tick(at(119, 0)), []);
    let effects = machine.tick(at(120, 0));
    assert_eq!(keys(&effects), ["msg-1", "more"]);
    let words = "1 more message came. A click opens the inbox.";
    assert_eq!(shown(&effects)[1].text, words);
    let more = NotificationKey::new("more");
    let clicked = machine.heard(Heard::Clicked(more), at(121, 0));
    assert_eq!(clicked, [Effect::Open(None)]);
}

#[test]
fn quiet_hours_that_are_switched_off_end_at_once() {
    let mut machine = machine();
    machine.choose(night(), at(0, 0));
    machine.arrived(question(1, &["Yes"]), at(70, 0));
    let effects = machine.choose(NotifySettings::default(), at(71, 0));
    assert_eq!(keys(&effects), ["msg-1"]);
}

#[test]
fn a_muted_project_shows_nothing_and_takes_down_what_it_shows() {
    let mut machine = machine();
    machine.arrived(urgent(1), at(0, 0));
    let muted = NotifySettings {
        muted: vec!["demo".into()],
        ..NotifySettings::default()
    };
    assert_eq!(withdrawn(&machine.choose(muted, at(0, 1))), ["msg-1"]);
    assert_eq!(machine.arrived(urgent(2), at(0, 2)), []);
    assert_eq!(machine.waiting(vec![urgent(1), urgent(2)], at(0, 3)), []);
    machine.choose(NotifySettings::default(), at(0, 4));
    let effects = machine.waiting(vec![urgent(1), urgent(2)], at(0, 4));
    assert_eq!(keys(&effects), ["msg-1", "msg-2"]);
}

#[test]
fn many_questions_at_the_start_are_one_notice_and_the_urgent_ones_beside_it() {
    let mut machine = machine();
    let mut waiting: Vec<_> = (1..=9).map(|it| question(it, &["Yes"])).collect();
    waiting.push(urgent(10));
    let effects = machine.waiting(waiting.clone(), at(0, 0));
    assert_eq!(keys(&effects), ["msg-10", "more"]);
    let words = "9 more questions wait. A click opens the inbox.";
    assert_eq!(shown(&effects)[1].text, words);
    // What is read anew is not told anew.
    assert_eq!(machine.waiting(waiting, at(0, 1)), []);
}

#[test]
fn fifty_questions_in_a_row_are_shown_and_a_flood_of_many_becomes_one_notice() {
    let mut machine = machine();
    for number in 1..=60 {
        let effects = machine.arrived(question(number, &["Yes"]), at(0, 0));
        assert_eq!(shown(&effects).len(), 1, "{number}");
    }
    let another = |number: u32| NotifyMessage {
        from: format!("{number:064x}"),
        ..message(number, "again")
    };
    for number in 61..=10_000 {
        assert_eq!(machine.arrived(another(number), at(0, 1)), []);
    }
    let due = machine.next_due(at(0, 1)).expect("it is told");
    assert_eq!(due, at(0, 6).time);
    let effects = machine.tick(at(0, 6));
    assert_eq!(keys(&effects), ["more"]);
    assert!(
        shown(&effects)[0]
            .text
            .starts_with("9940 more messages came")
    );
    machine.arrived(another(10_001), at(0, 7));
    let effects = machine.tick(at(0, 12));
    assert!(
        shown(&effects)[0]
            .text
            .starts_with("9941 more messages came")
    );
    // A minute later there is room again.
    let effects = machine.arrived(message(10_002, "again"), at(1, 8));
    assert_eq!(keys(&effects), ["msg-10002"]);
}

#[test]
fn a_sender_that_is_folded_is_named_in_one_notice() {
    let mut machine = machine();
    let effects = machine.folded("00112233aa", "", 3, at(0, 0));
    let it = shown(&effects)[0];
    assert_eq!(it.title, "00112233");
    assert!(it.text.contains("3 messages"), "{}", it.text);
}

#[test]
fn a_few_words_of_a_sender_are_shown_and_with_more_one_notice_stands_for_all() {
    let mut machine = machine();
    for number in 1..=5 {
        let effects = machine.arrived(message(number, "step"), at(0, 0));
        assert_eq!(shown(&effects).len(), 1, "{number}");
    }
    let effects = machine.arrived(message(6, "step"), at(0, 1));
    let singles = ["msg-1", "msg-2", "msg-3", "msg-4", "msg-5"];
    assert_eq!(withdrawn(&effects), singles);
    let notice = shown(&effects)[0];
    assert_eq!((notice.title.as_str(), notice.in_place), ("ci", false));
    assert!(notice.text.starts_with("6 messages"), "{}", notice.text);
    let key = notice.key.clone();
    let mut calls = 0;
    for second in 2..=120 {
        let first = 100 * u32::try_from(second).expect("small");
        for number in first..first + 100 {
            for notice in shown(&machine.arrived(message(number, "step"), at(0, second))) {
                calls += 1;
                assert!(notice.in_place && notice.key == key, "{notice:?}");
            }
        }
    }
    // The first five seconds after the notice, and then each minute.
    assert_eq!(calls, 2);
    let due = machine.next_due(at(2, 0)).expect("the rest is told");
    let effects = machine.tick(at(2, 6));
    assert_eq!(due, at(2, 6).time);
    assert!(
        shown(&effects)[0].text.starts_with("11906 messages"),
        "{effects:?}"
    );
    // What it asks, what is urgent, and others are shown as ever.
    for it in [
        question(7, &["Yes"]),
        urgent(8),
        NotifyMessage {
            from: "ff".into(),
            ..message(9, "hello")
        },
    ] {
        assert_eq!(shown(&machine.arrived(it, at(2, 7))).len(), 1);
    }
    // After a silent minute it is as any other.
    let effects = machine.arrived(message(10, "step"), at(3, 8));
    assert_eq!(keys(&effects), ["msg-10"]);
}

#[test]
fn a_notice_that_a_person_took_away_is_not_back_within_a_minute() {
    let mut machine = machine();
    for number in 1..=6 {
        machine.arrived(message(number, "step"), at(0, 0));
    }
    let key = NotificationKey::new("folded 00112233445566778899");
    machine.heard(
        Heard::Closed {
            key,
            by_person: true,
        },
        at(0, 1),
    );
    machine.arrived(message(7, "step"), at(0, 2));
    assert_eq!(machine.tick(at(0, 30)), []);
    let effects = machine.tick(at(1, 0));
    assert!(
        shown(&effects)[0].text.starts_with("7 messages"),
        "{effects:?}"
    );
}

#[test]
fn a_flood_about_a_muted_project_or_in_quiet_hours_is_no_notice() {
    let mut machine = machine();
    let muted = NotifySettings {
        muted: vec!["demo".into()],
        ..NotifySettings::default()
    };
    machine.choose(muted, at(0, 0));
    machine.arrived(message(1, "step"), at(0, 0));
    let from = message(1, "").from;
    assert_eq!(machine.folded(&from, "ci", 9_000, at(0, 1)), []);
    machine.choose(night(), at(0, 2));
    for number in 2..=7 {
        machine.arrived(message(number, "step"), at(59, 58));
    }
    machine.arrived(message(8, "step"), at(59, 59));
    assert_eq!(machine.tick(at(60, 4)), []);
    let effects = machine.tick(at(120, 0));
    assert!(
        shown(&effects)[0].text.starts_with("1 more message came"),
        "{effects:?}"
    );
}

#[test]
fn words_are_shown_once_and_a_look_at_their_thread_takes_them_down() {
    let mut machine = machine();
    let effects = machine.arrived(message(1, "Backup done"), at(0, 0));
    let it = shown(&effects)[0];
    assert_eq!((it.stays, it.buttons.len()), (false, 0));
    assert_eq!(machine.arrived(message(1, "Backup done"), at(0, 1)), []);
    assert_eq!(withdrawn(&machine.seen("thread-1")), ["msg-1"]);
}

#[test]
fn control_characters_and_false_sources_are_harmless() {
    let mut machine = machine();
    let mut tricky = question(1, &["\u{202e}seY"]);
    tricky.body = "\u{1b}[31mred\u{7}\n<b>bold</b>".into();
    tricky.from_name = "ci\n\u{202e}bank".into();
    tricky.sender = Sender::Unsigned;
    let effects = machine.arrived(tricky, at(0, 0));
    let it = shown(&effects)[0];
    assert_eq!(it.title, "ci <U+202E>bank · demo · not signed");
    assert_eq!(it.text, "␛[31mred␇\n<b>bold</b>");
    assert_eq!(it.buttons, ["<U+202E>seY"]);
    let mut long = message(2, &"word ".repeat(1000));
    long.from_name = "x".repeat(80);
    let effects = machine.arrived(long, at(0, 0));
    let it = shown(&effects)[0];
    assert!(it.text.len() <= 400 && it.text.ends_with('…'));
    assert!(it.title.len() < 70 && it.title.ends_with(" · demo"));
}

#[test]
fn a_question_that_ends_later_than_was_thought_stays_until_then() {
    let mut machine = Machine::default();
    machine.heard(ready(true), at(0, 0));
    let ends = |minutes| NotifyMessage {
        expires_at: Some(at(minutes, 0).time),
        ..question(1, &["Yes", "No"])
    };
    let shown = machine.waiting(vec![ends(1)], at(0, 0));
    assert!(matches!(&shown[..], [Effect::Show(_)]), "{shown:?}");
    assert_eq!(machine.waiting(vec![ends(10)], at(0, 30)), []);
    assert_eq!(machine.tick(at(2, 0)), []);
    assert_eq!(machine.tick(at(10, 0)), [Effect::Withdraw(key(1))]);
}
