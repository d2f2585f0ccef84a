//! Which words of a sender are shown one by one, and how many one notice stands for: a part of the machine.
//!
//! A sender that says more than [`NOTICES_OF_SENDER`] things within a minute is folded until it has been silent for a minute.

use std::collections::{BTreeMap, VecDeque};

use super::machine::{Effect, Machine, Now, SUM_MS, later};
use super::words;
use crate::api::{NotifyMessage, Sender, Time};
use crate::limits::{NOTICE_MS, NOTICES_OF_SENDER};
use crate::notifier::NotificationKey as Key;

impl Machine {
    /// Puts what was shown of a sender one by one into its one notice.
    pub(super) fn fold(&mut self, sender: &str, singles: Vec<Key>, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in singles {
            self.remove(&key, &mut effects);
        }
        effects.extend(self.tell_fold(sender, now));
        effects
    }

    /// Shows a sender's one notice, if it has something to tell by now.
    fn tell_fold(&mut self, sender: &str, now: Now) -> Vec<Effect> {
        let key = fold_key(sender);
        let there = self.entries.contains_key(&key);
        let Some(count) = self.folds.tell(sender, there, now) else {
            return Vec::new();
        };
        let title = self.folds.title(sender);
        let mut effects = self.notice(&key, None, title, words::folded(count), now);
        for effect in &mut effects {
            if let Effect::Show(notification) = effect {
                notification.in_place = there;
            }
        }
        effects
    }

    /// Shows the notices of senders that have more to tell by now.
    pub(super) fn tell_folds(&mut self, now: Now) -> Vec<Effect> {
        if self.quiet_left(now).is_some() {
            self.held_words = self.held_words.saturating_add(self.folds.hush());
            return Vec::new();
        }
        let mut due = self.due_folds();
        due.retain(|(at, _)| *at <= now.time);
        let mut effects = Vec::new();
        for (_, sender) in due {
            effects.extend(self.tell_fold(&sender, now));
        }
        effects
    }

    /// Returns when notices have more to tell, and whose.
    pub(super) fn due_folds(&self) -> Vec<(Time, String)> {
        let there = |sender: &str| self.entries.contains_key(&fold_key(sender));
        self.folds.due(there)
    }
}

/// All senders that said something lately.
#[derive(Debug, Default)]
pub(super) struct Folds(BTreeMap<String, Fold>);

/// A sender.
#[derive(Debug)]
struct Fold {
    /// What was shown one by one within the last minute: when, and under which key.
    singles: VecDeque<(Time, Key)>,
    /// Messages that one notice stands for, and how many of them it has told of.
    count: u64,
    told: u64,
    /// When it did so, and whether it did more than once.
    told_at: Option<Time>,
    told_again: bool,
    /// When the sender said something last.
    last: Time,
    /// Whether that was about a muted project.
    muted: bool,
    /// What the sender is called.
    title: String,
}

impl Folds {
    /// Takes words. Returns what was shown one by one and is now in one notice, when the sender is folded.
    pub(super) fn take(
        &mut self,
        message: &NotifyMessage,
        key: &Key,
        now: Now,
    ) -> Option<Vec<Key>> {
        let fold = self.of(sender_of(message), now);
        fold.muted = false;
        fold.title = words::name(&message.from_name, &message.from);
        if fold.count == 0 && fold.singles.len() < NOTICES_OF_SENDER {
            fold.singles.push_back((now.time, key.clone()));
            return None;
        }
        Some(fold.add(1))
    }

    /// Takes that so many more messages of a sender are not shown. Returns what was shown one by one and is now in one notice, unless
    /// nothing of it is to be told.
    pub(super) fn take_more(
        &mut self,
        from: &str,
        name: &str,
        count: u64,
        now: Now,
    ) -> Option<Vec<Key>> {
        let fold = self.of(from.to_owned(), now);
        fold.title = words::name(name, from);
        (!fold.muted).then(|| fold.add(count))
    }

    /// Takes words about a muted project.
    pub(super) fn mute(&mut self, message: &NotifyMessage, now: Now) {
        self.of(sender_of(message), now).muted = true;
    }

    /// Returns how many messages a sender's notice stands for, if it is to be shown now; `there` tells whether it is on the screen.
    fn tell(&mut self, sender: &str, there: bool, now: Now) -> Option<u64> {
        let fold = self.0.get_mut(sender)?;
        if fold.due(there)? > now.time {
            return None;
        }
        fold.told = fold.count;
        fold.told_again = fold.told_at.replace(now.time).is_some();
        Some(fold.count)
    }

    /// Returns how many messages were not told of, of all senders, and takes them as told: it is quiet.
    fn hush(&mut self) -> u64 {
        let untold = self.0.values_mut().map(|fold| {
            let untold = fold.count.saturating_sub(fold.told);
            fold.told = fold.count;
            untold
        });
        untold.sum()
    }

    /// Returns when a notice has more to tell, and whose; `there` tells whether it is on the screen.
    fn due(&self, there: impl Fn(&str) -> bool) -> Vec<(Time, String)> {
        let due =
            |(sender, fold): (&String, &Fold)| Some((fold.due(there(sender))?, sender.clone()));
        self.0.iter().filter_map(due).collect()
    }

    /// Returns what a sender is called.
    fn title(&self, sender: &str) -> String {
        let fold = self.0.get(sender);
        fold.map(|fold| fold.title.clone()).unwrap_or_default()
    }

    fn of(&mut self, sender: String, now: Now) -> &mut Fold {
        self.0.retain(|_, fold| !fold.is_over(now));
        let fold = self.0.entry(sender).or_insert_with(|| Fold {
            singles: VecDeque::new(),
            count: 0,
            told: 0,
            told_at: None,
            told_again: false,
            last: now.time,
            muted: false,
            title: String::new(),
        });
        fold.last = now.time;
        fold.singles.retain(|(at, _)| is_recent(*at, now));
        fold
    }
}

impl Fold {
    fn add(&mut self, count: u64) -> Vec<Key> {
        let singles: Vec<_> = self.singles.drain(..).map(|(_, key)| key).collect();
        self.count = self.count.saturating_add(singles.len() as u64);
        self.count = self.count.saturating_add(count);
        singles
    }

    /// Returns when there is more to tell: at once, a little later, and then each minute. One that a person took away comes back a minute later.
    fn due(&self, there: bool) -> Option<Time> {
        if self.count == self.told {
            return None;
        }
        let Some(at) = self.told_at else {
            return Some(self.last);
        };
        let wait_ms = if there && !self.told_again {
            SUM_MS
        } else {
            NOTICE_MS
        };
        Some(later(at, wait_ms))
    }

    /// Whether the sender has been silent for so long that it is as any other. A clock that was put back starts anew as well.
    fn is_over(&self, now: Now) -> bool {
        self.count == self.told && !is_recent(self.last, now)
    }
}

/// Returns whose words these are: of this agent's programs each is a sender of its own.
pub(super) fn sender_of(message: &NotifyMessage) -> String {
    match message.sender {
        Sender::Own => format!("{} {}", message.from, message.from_name),
        _ => message.from.clone(),
    }
}

/// Returns the key of a sender's one notice.
fn fold_key(sender: &str) -> Key {
    Key::new(format!("folded {sender}"))
}

fn is_recent(at: Time, now: Now) -> bool {
    (0..NOTICE_MS).contains(&(now.time.unix_millis() - at.unix_millis()))
}
