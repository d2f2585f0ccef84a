//! The rules of notifications. What happened and a time go in, effects come out; no clock, no screen, no repository.
//!
//! A question has a notification from when it comes until it is decided, answered from here, expired or put away. What a person takes
//! off the screen stays off; what the daemon lost is shown again when a daemon is there again. Urgent ones are shown again until a
//! person has seen them. In quiet hours only urgent ones are shown, and of a muted project none. Nothing here decides a question: what
//! no notification tells is in the inbox all the same.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{About, Entry, Standing};
use super::fold::{Folds, sender_of};
use super::words;
use crate::api::{Error, NotifyMessage, NotifySettings, Priority, QuestionState, Time, TimeOfDay};
use crate::limits::{
    NOTICE_MS, NOTICES, NOTICES_AT_ONCE, NOTICES_OF_WORDS, URGENT_AGAIN_MS, URGENT_TIMES,
};
use crate::notifier::{Heard, Notification, NotificationKey as Key};

const MINUTE_MS: i64 = 60_000;

/// How long what is too much is counted before one notice tells of it, in milliseconds: a flood must not make a flood of notices.
pub(super) const SUM_MS: i64 = 5_000;

/// The key of that notice.
const MORE: &str = "more";

/// The present: an instant, and the time of day that clocks on the wall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) time: Time,
    pub(crate) local: TimeOfDay,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show it, in place of the one with its key.
    Show(Notification),
    /// Look for somebody who shows notifications: there is one to be shown.
    Wake,
    /// Take it down.
    Withdraw(Key),
    /// A person answered: say so, and tell how it went by [`Machine::answered`].
    Answer {
        key: Key,
        question: String,
        thread: String,
        action: String,
    },
    /// Open the window at this thread, or at the inbox.
    Open(Option<String>),
}

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    settings: NotifySettings,
    /// Whether there is a daemon, and then whether it has buttons.
    daemon: Option<bool>,
    pub(super) entries: BTreeMap<Key, Entry>,
    /// Words that came in quiet hours, or were too many.
    pub(super) held_words: u64,
    /// Senders that said something lately.
    pub(super) folds: Folds,
    /// When one notice tells of what was too much.
    sum_at: Option<Time>,
    /// How many questions and words that notice speaks of, while it is on the screen.
    summed: (u64, u64),
    /// When notifications were shown, within the last [`NOTICE_MS`].
    recent: VecDeque<Time>,
    number: u64,
}

impl Machine {
    /// Takes what people chose. Afterwards [`Machine::waiting`] tells of questions that are no longer muted.
    pub(crate) fn choose(&mut self, settings: NotifySettings, now: Now) -> Vec<Effect> {
        self.settings = settings;
        let muted = |machine: &Self, entry: &Entry| match &entry.about {
            About::Question(message) | About::Words(message) => machine.is_muted(message),
            About::Notice { .. } => false,
        };
        let gone = self.entries.iter().filter(|(_, entry)| muted(self, entry));
        let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
        let mut effects = Vec::new();
        for key in gone {
            self.remove(&key, &mut effects);
        }
        effects.extend(self.tick(now));
        effects
    }

    /// Takes the questions that wait, all of them: at the start, and whenever something may have been missed.
    pub(crate) fn waiting(&mut self, questions: Vec<NotifyMessage>, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_there = |key: &Key| questions.iter().any(|it| key_of(it) == *key);
        let questions_shown = self.entries.iter().filter(|(_, entry)| entry.is_question());
        let gone = questions_shown.filter(|(key, _)| !is_there(key));
        let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key, &mut effects);
        }
        for question in questions {
            if !is_open(&question, now) || self.is_muted(&question) {
                continue;
            }
            let key = key_of(&question);
            let about = About::Question(Box::new(question));
            match self.entries.get_mut(&key) {
                // When it ends may be known better now.
                Some(entry) => entry.about = about,
                None => {
                    self.enter(about, Standing::Held);
                }
            }
        }
        effects.extend(self.tick(now));
        effects
    }

    /// Takes a message that people are to be told of.
    pub(crate) fn arrived(&mut self, message: NotifyMessage, now: Now) -> Vec<Effect> {
        let question = message.question.is_some();
        if self.is_muted(&message) {
            self.folds.mute(&message, now);
            return Vec::new();
        }
        if self.entries.contains_key(&key_of(&message)) || question && !is_open(&message, now) {
            return Vec::new();
        }
        let urgent = message.priority == Priority::Urgent;
        let quiet = self.quiet_left(now).is_some() && !urgent;
        if !question
            && !urgent
            && !quiet
            && let Some(singles) = self.folds.take(&message, &key_of(&message), now)
        {
            return self.fold(&sender_of(&message), singles, now);
        }
        let held = quiet || !self.spend(now);
        let about = Box::new(message);
        let key = match (question, held) {
            (true, true) => self.enter(About::Question(about), Standing::Held),
            (true, false) => self.enter(About::Question(about), Standing::Shown),
            (false, false) => self.enter(About::Words(about), Standing::Shown),
            (false, true) => {
                self.held_words += 1;
                key_of_id(MORE)
            }
        };
        let mut effects = Vec::new();
        if !held {
            self.show(&key, now, &mut effects);
            self.forget_old_words(&mut effects);
        } else if !quiet && self.sum_at.is_none() {
            self.sum_at = Some(later(now.time, SUM_MS));
        }
        effects
    }

    /// Takes what has become of a question.
    pub(crate) fn changed(&mut self, question: &NotifyMessage, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !is_open(question, now) {
            self.remove(&key_of(question), &mut effects);
        }
        effects
    }

    /// Takes that the question with this id was answered from here.
    pub(crate) fn answered_here(&mut self, question: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.remove(&key_of_id(question), &mut effects);
        effects
    }

    /// Takes that a sender sends more than anybody reads.
    pub(crate) fn folded(&mut self, from: &str, name: &str, count: u64, now: Now) -> Vec<Effect> {
        if self.quiet_left(now).is_some() {
            self.held_words = self.held_words.saturating_add(count);
            return Vec::new();
        }
        match self.folds.take_more(from, name, count, now) {
            Some(singles) => self.fold(from, singles, now),
            None => Vec::new(),
        }
    }

    /// Takes that a person has the thread before the eyes.
    pub(crate) fn seen(&mut self, thread: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (key, entry) in &mut self.entries {
            if entry.thread() == Some(thread) {
                entry.again = None;
                if !entry.is_question() && entry.standing == Standing::Shown {
                    effects.push(Effect::Withdraw(key.clone()));
                }
            }
        }
        let seen = |entry: &Entry| !entry.is_question() && entry.thread() == Some(thread);
        self.entries.retain(|_, entry| !seen(entry));
        effects
    }

    /// Takes that a person put the thread away.
    pub(crate) fn put_away(&mut self, thread: &str) -> Vec<Effect> {
        let of_thread = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.thread() == Some(thread));
        let gone: Vec<_> = of_thread.map(|(key, _)| key.clone()).collect();
        let mut effects = Vec::new();
        for key in gone {
            self.remove(&key, &mut effects);
        }
        effects
    }

    /// Shows a notification that is there to be looked at.
    pub(crate) fn test(&mut self, now: Now) -> Vec<Effect> {
        let text = "This is what a notification looks like. A click opens the inbox.";
        let title = "EdgeSync · test".to_owned();
        self.notice(&Key::new("test"), None, title, text.to_owned(), now)
    }

    /// Takes what came from the screen.
    pub(crate) fn heard(&mut self, heard: Heard, now: Now) -> Vec<Effect> {
        match heard {
            Heard::Ready(service) => {
                self.daemon = Some(service.buttons);
                self.show_again(now)
            }
            Heard::Gone => {
                self.daemon = None;
                // Words that were on the screen are not worth a second look; questions are.
                self.entries.retain(|_, entry| entry.is_question());
                Vec::new()
            }
            Heard::Clicked(key) => {
                let Some(entry) = self.entries.get_mut(&key) else {
                    return Vec::new();
                };
                let thread = entry.thread().map(ToOwned::to_owned);
                self.take_away(&key);
                vec![Effect::Open(thread)]
            }
            Heard::Pressed(key, place) => self.pressed(&key, place),
            Heard::Closed { key, by_person } => {
                if by_person {
                    self.take_away(&key);
                } else if let Some(entry) = self.entries.get_mut(&key) {
                    if entry.standing == Standing::Shown {
                        entry.standing = Standing::Lost;
                    }
                    if !entry.is_question() && entry.again.is_none() {
                        self.entries.remove(&key);
                    }
                }
                Vec::new()
            }
        }
    }

    /// Takes how an answer went that an [`Effect::Answer`] asked for.
    pub(crate) fn answered(&mut self, key: &Key, refused: Option<&Error>, now: Now) -> Vec<Effect> {
        let (Some(error), Some(entry)) = (refused, self.entries.get_mut(key)) else {
            self.entries.remove(key);
            return Vec::new();
        };
        entry.standing = Standing::Seen;
        let (title, thread) = match &entry.about {
            About::Question(message) | About::Words(message) => {
                (words::title(message), Some(message.thread.clone()))
            }
            About::Notice { title, thread, .. } => (title.clone(), thread.clone()),
        };
        let text = format!("The answer was not sent: {}", error.message);
        self.notice(
            &Key::new(format!("failed {}", key.as_str())),
            thread,
            title,
            text,
            now,
        )
    }

    /// Does what is due by now.
    pub(crate) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let over = |entry: &Entry| match &entry.about {
            About::Question(message) => message.expires_at.is_some_and(|end| end <= now.time),
            _ => false,
        };
        let expired = self.entries.iter().filter(|(_, entry)| over(entry));
        let expired: Vec<_> = expired.map(|(key, _)| key.clone()).collect();
        for key in expired {
            self.remove(&key, &mut effects);
        }
        let due = |entry: &Entry| entry.again.is_some_and(|at| at <= now.time);
        let again = self.entries.iter().filter(|(_, entry)| due(entry));
        let again: Vec<_> = again.map(|(key, _)| key.clone()).collect();
        for key in again {
            self.show(&key, now, &mut effects);
        }
        effects.extend(self.tell_folds(now));
        effects.extend(self.release(now));
        effects
    }

    /// Returns when [`Machine::tick`] has something to do next.
    pub(crate) fn next_due(&self, now: Now) -> Option<Time> {
        let of_entries = self.entries.values().flat_map(|entry| {
            let expiry = match &entry.about {
                About::Question(message) => message.expires_at,
                _ => None,
            };
            [entry.again, expiry].into_iter().flatten()
        });
        let holds = self.held_words > 0
            || self
                .entries
                .values()
                .any(|it| it.standing == Standing::Held);
        let quiet_end = self
            .quiet_left(now)
            .filter(|_| holds)
            .map(|minutes| later(now.time, i64::from(minutes) * MINUTE_MS));
        let folds = self.due_folds().into_iter().map(|(at, _)| at);
        let sums = quiet_end.into_iter().chain(self.sum_at);
        of_entries.chain(folds).chain(sums).min()
    }

    /// Shows what was kept back, when nothing keeps it back any more: a few one by one, many as one notice.
    fn release(&mut self, now: Now) -> Vec<Effect> {
        let quiet = self.quiet_left(now).is_some();
        match self.sum_at {
            Some(at) if at > now.time => return Vec::new(),
            Some(_) => {
                self.sum_at = None;
                return if quiet { Vec::new() } else { self.sum_up(now) };
            }
            None => {}
        }
        let held = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.standing == Standing::Held);
        let urgent = held
            .clone()
            .filter(|(_, entry)| entry.priority() == Priority::Urgent);
        let mut keys: Vec<_> = urgent.map(|(key, _)| key.clone()).collect();
        let many = held.clone().count() > NOTICES_AT_ONCE;
        if !quiet && !many {
            keys = held.map(|(key, _)| key.clone()).collect();
        }
        keys.sort_by_key(|key| self.entries.get(key).map(|entry| entry.number));
        let mut effects = Vec::new();
        for key in keys {
            self.show(&key, now, &mut effects);
        }
        if !quiet && (many || self.held_words > 0) {
            effects.extend(self.sum_up(now));
        }
        effects
    }

    /// Shows one notice for everything that is kept back.
    fn sum_up(&mut self, now: Now) -> Vec<Effect> {
        if !self.entries.contains_key(&key_of_id(MORE)) {
            self.summed = (0, 0);
        }
        let (questions, told) = &mut self.summed;
        let held = |it: &&mut Entry| it.standing == Standing::Held;
        for entry in self.entries.values_mut().filter(held) {
            // The notice tells of it from here on.
            entry.standing = Standing::Seen;
            *questions += 1;
        }
        *told = told.saturating_add(std::mem::take(&mut self.held_words));
        let (questions, told) = self.summed;
        let counted = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let parts = [
            counted(questions, "more question waits", "more questions wait"),
            counted(told, "more message came", "more messages came"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let text = format!("{}. A click opens the inbox.", parts.join(" · "));
        self.notice(&Key::new(MORE), None, "EdgeSync".to_owned(), text, now)
    }

    pub(super) fn notice(
        &mut self,
        key: &Key,
        thread: Option<String>,
        title: String,
        text: String,
        now: Now,
    ) -> Vec<Effect> {
        self.entries.remove(key);
        self.insert(
            key.clone(),
            About::Notice {
                thread,
                title,
                text,
            },
            Standing::Shown,
        );
        let mut effects = Vec::new();
        self.show(key, now, &mut effects);
        effects
    }

    fn pressed(&mut self, key: &Key, place: usize) -> Vec<Effect> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Vec::new();
        };
        let About::Question(message) = &entry.about else {
            return Vec::new();
        };
        let action = message
            .actions
            .get(place)
            .filter(|_| place < crate::limits::NOTICE_BUTTONS);
        match action {
            // A second press, before the first one's answer is stored.
            Some(_) if entry.standing == Standing::Answering => Vec::new(),
            Some(action) => {
                let answer = Effect::Answer {
                    key: key.clone(),
                    question: message.id.clone(),
                    thread: message.thread.clone(),
                    action: action.id.clone(),
                };
                entry.standing = Standing::Answering;
                entry.again = None;
                vec![Effect::Withdraw(key.clone()), answer]
            }
            None => {
                let thread = Some(message.thread.clone());
                self.take_away(key);
                vec![Effect::Withdraw(key.clone()), Effect::Open(thread)]
            }
        }
    }

    /// A person took a notification off the screen.
    fn take_away(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.again = None;
        if entry.is_question() {
            if entry.standing != Standing::Answering {
                entry.standing = Standing::Seen;
            }
        } else {
            self.entries.remove(key);
        }
    }

    /// Shows everything that is to be on a screen that shows nothing of ours.
    fn show_again(&mut self, now: Now) -> Vec<Effect> {
        let wanted = |entry: &Entry| matches!(entry.standing, Standing::Shown | Standing::Lost);
        let again = self.entries.iter().filter(|(_, entry)| wanted(entry));
        let mut keys: Vec<_> = again
            .map(|(key, entry)| (entry.number, key.clone()))
            .collect();
        keys.sort();
        let mut effects = Vec::new();
        for (_, key) in keys {
            self.show(&key, now, &mut effects);
        }
        effects
    }

    /// Shows an entry, for the first time or again.
    fn show(&mut self, key: &Key, now: Now, effects: &mut Vec<Effect>) {
        let daemon = self.daemon;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.standing = Standing::Shown;
        entry.times = entry.times.saturating_add(1);
        let repeats = entry.priority() == Priority::Urgent && entry.times < URGENT_TIMES;
        entry.again = repeats.then(|| later(now.time, URGENT_AGAIN_MS));
        effects.push(match daemon {
            Some(buttons) => Effect::Show(entry.notification(key, buttons, now)),
            // When one comes, it is given everything that is to be on the screen.
            None => Effect::Wake,
        });
    }

    /// Forgets an entry, and takes it off the screen. One whose answer is on its way is kept until it is known how that went.
    pub(super) fn remove(&mut self, key: &Key, effects: &mut Vec<Effect>) {
        match self.entries.get(key).map(|entry| entry.standing) {
            None | Some(Standing::Answering) => return,
            Some(Standing::Shown) => effects.push(Effect::Withdraw(key.clone())),
            Some(_) => {}
        }
        self.entries.remove(key);
    }

    fn enter(&mut self, about: About, standing: Standing) -> Key {
        let key = match &about {
            About::Question(message) | About::Words(message) => key_of(message),
            About::Notice { title, .. } => Key::new(title.clone()),
        };
        self.insert(key.clone(), about, standing);
        key
    }

    fn insert(&mut self, key: Key, about: About, standing: Standing) {
        self.number += 1;
        let number = self.number;
        let entry = Entry {
            about,
            standing,
            again: None,
            times: 0,
            number,
        };
        self.entries.insert(key, entry);
    }

    /// Lets go of the oldest notifications of words, when there are more than anybody clicks.
    fn forget_old_words(&mut self, effects: &mut Vec<Effect>) {
        let words = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_question());
        if words.clone().count() > NOTICES_OF_WORDS
            && let Some(oldest) = words.min_by_key(|(_, entry)| entry.number)
        {
            let key = oldest.0.clone();
            self.remove(&key, effects);
        }
    }

    /// Counts a notification. Returns whether there may be one more.
    fn spend(&mut self, now: Now) -> bool {
        let old = |at: &Time| now.time.unix_millis() - at.unix_millis();
        // A clock that was put back starts anew as well.
        while self
            .recent
            .front()
            .is_some_and(|at| !(0..NOTICE_MS).contains(&old(at)))
        {
            self.recent.pop_front();
        }
        let may = self.recent.len() < NOTICES;
        if may {
            self.recent.push_back(now.time);
        }
        may
    }

    /// Returns for how many minutes it is still quiet, if it is.
    pub(super) fn quiet_left(&self, now: Now) -> Option<u16> {
        self.settings.quiet?.left(now.local)
    }

    fn is_muted(&self, message: &NotifyMessage) -> bool {
        self.settings.muted.contains(&message.project)
    }
}

/// Whether a person can still answer.
fn is_open(message: &NotifyMessage, now: Now) -> bool {
    message.question == Some(QuestionState::Open)
        && message.expires_at.is_none_or(|end| end > now.time)
}

pub(super) fn later(at: Time, ms: i64) -> Time {
    Time::from_unix_millis(at.unix_millis().saturating_add(ms))
}

fn key_of(message: &NotifyMessage) -> Key {
    key_of_id(&message.id)
}

fn key_of_id(id: &str) -> Key {
    Key::new(id)
}
