//! The machine that judges what arrives. Messages and times go in, effects come out; the same machine runs in the agent and in
//! tests on a virtual clock.
//!
//! A question is decided by the desk of the agent that asked it, and by nobody else: the first valid answer to reach that desk
//! wins, and the resolution is stored in one step with it. Answers that come later are kept and called late.
//!
//! The desk changes with each input, before its effects are done. If storing fails, throw it away and make a new one from what the
//! repository holds.

mod budget;
mod judge;
mod time;

use std::collections::{BTreeMap, HashMap};

use libfossil::time::Timestamp;

use crate::keyring::{Author, Distrust, Keyring};
use crate::message::{Fields, Kind, Message, MessageError};
use crate::name::{MessageId, ThreadId};
use crate::question::{self, Told};
use crate::sign::Signer;
use crate::subject::Address;

pub use budget::Budget;
pub use time::{CLOCKS_AGREE_MS, Now};

use budget::{Budgets, Spent};
use time::Clocks;

/// Who sits at the desk.
#[derive(Debug)]
pub struct Me {
    /// The agent's endpoint id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The key that it signs with.
    pub signer: Signer,
}

/// What is to be done, in order. Where storing fails, the rest is not to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Store these, all or none.
    Store(Vec<Message>),
    /// Say it on the bus; that nobody hears it is no failure.
    Publish(Message),
    /// Say on the bus that this message is here.
    Acknowledge(Message),
    /// Show it to the people here.
    Show(Message),
    /// A question is decided: its asker is told, and whoever still shows it takes it down.
    Resolved {
        /// The question.
        question: MessageId,
        /// The message that says how.
        resolution: Message,
    },
    /// An answer came after its question was decided. It is kept.
    Late(Message),
    /// Another's question ends at another time than was thought: more is known of its asker's clock.
    EndMoved(MessageId),
    /// A message was not taken.
    Refused {
        /// Its id.
        id: MessageId,
        /// Who is said to have sent it.
        from: String,
        /// Why.
        refusal: Refusal,
    },
    /// A sender sends more than anybody reads: these messages are not shown.
    Folded {
        /// Who.
        sender: String,
        /// Its name for people.
        name: String,
        /// How many more messages.
        count: u64,
    },
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not from where it says.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// It came on the subject of another project or thread.
    #[error("it came on the subject of another project or thread")]
    OtherSubject,
    /// Another message has its id.
    #[error("another message has its id")]
    SameId,
    /// It carries our own key, and we did not write it.
    #[error("it carries the key of this agent, which did not write it")]
    NotOurs,
    /// It answers with something that was not offered.
    #[error("the question does not offer this answer")]
    NotOffered,
    /// Its sender may not answer.
    #[error("its sender may not answer here")]
    MayNotAnswer,
    /// It answers a question of another project or thread.
    #[error("the question is of another project or thread")]
    OtherQuestion,
    /// It says what became of a question that somebody else asked.
    #[error("only who asked the question says what became of it")]
    NotTheAsker,
    /// The question is decided already.
    #[error("the question is decided already")]
    Decided,
    /// There is no such question to take back.
    #[error("there is no such question of this agent that waits")]
    NoQuestion,
    /// What was to be said breaks a rule.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// How a message got here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// Written at a front of this agent.
    Here,
    /// Heard on the bus.
    Bus,
    /// Found in the repository.
    Repository,
}

/// What is known of a question that waits.
#[derive(Debug, Clone)]
struct Waiting {
    fields: Fields,
    author: Author,
    /// When it stops to wait, on the steady clock.
    end: Option<Timestamp>,
}

impl Waiting {
    fn told(&self) -> Told<'_> {
        Told {
            fields: &self.fields,
            author: self.author,
        }
    }

    fn is_over(&self, now: Now) -> bool {
        self.end.is_some_and(|end| end <= now.steady)
    }
}

/// The machine.
#[derive(Debug)]
pub struct Desk {
    me: Me,
    keyring: Keyring,
    /// Every message that is stored, with a digest of its text.
    known: HashMap<MessageId, u64>,
    /// Questions without a resolution, whoever asked.
    waiting: BTreeMap<MessageId, Waiting>,
    /// Resolutions by the question they are about, with who signed them; they may come before their question.
    resolutions: HashMap<MessageId, Vec<(Fields, Author)>>,
    /// The message of each thread that was stored last.
    last: HashMap<ThreadId, MessageId>,
    /// Answers to our own questions that were stored before anybody judged them, in that order.
    unjudged: Vec<(Fields, Author)>,
    budgets: Budgets,
    clocks: Clocks,
}

impl Desk {
    /// Returns a desk that knows no messages yet.
    #[must_use]
    pub fn new(me: Me, keyring: Keyring) -> Self {
        Self {
            me,
            keyring,
            known: HashMap::new(),
            waiting: BTreeMap::new(),
            resolutions: HashMap::new(),
            last: HashMap::new(),
            unjudged: Vec::new(),
            budgets: Budgets::default(),
            clocks: Clocks::default(),
        }
    }

    /// Returns who sits here.
    #[must_use]
    pub fn me(&self) -> &Me {
        &self.me
    }

    /// Returns the keys that are known here.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Replaces the keys that are known here; holds for what arrives from now on.
    pub fn set_keyring(&mut self, keyring: Keyring) {
        self.keyring = keyring;
    }

    /// Remembers a stored message. Called for each one, in the order in which they were stored, before anything else; then
    /// [`Desk::resume`].
    pub fn recall(&mut self, fields: &Fields, author: Author, digest: u64, now: impl Into<Now>) {
        if self.known.insert(fields.id, digest).is_none() {
            self.note(fields, author, now.into());
            if fields.reply_to.is_some() && fields.kind != Kind::Resolution {
                self.unjudged.push((fields.clone(), author));
            }
        }
    }

    /// Judges what was stored while nobody sat here.
    pub fn resume(&mut self, now: impl Into<Now>) -> Vec<Effect> {
        let now = now.into();
        let mut effects = Vec::new();
        for (answer, author) in std::mem::take(&mut self.unjudged) {
            let Some(question) = answer.reply_to.and_then(|id| self.own(&id)) else {
                continue;
            };
            if question::answers(&answer, &question)
                && self
                    .judge(&answer, author, Arrival::Repository, &question, now)
                    .is_ok()
            {
                self.decide_by_answer(&question, &answer, now, &mut effects);
            }
        }
        effects.extend(self.tick(now));
        effects
    }

    /// Takes a message that was written at a front of this agent.
    pub fn send(&mut self, message: Message, now: impl Into<Now>) -> Vec<Effect> {
        self.take(message, Arrival::Here, now.into())
    }

    /// Takes a message from the bus.
    pub fn receive(
        &mut self,
        address: &Address,
        message: Message,
        now: impl Into<Now>,
    ) -> Vec<Effect> {
        if address.project != message.project || address.thread != message.thread.short() {
            return vec![refused(&message, Refusal::OtherSubject)];
        }
        self.take(message, Arrival::Bus, now.into())
    }

    /// Takes a message that replication brought into the repository.
    pub fn found(&mut self, message: Message, now: impl Into<Now>) -> Vec<Effect> {
        self.take(message, Arrival::Repository, now.into())
    }

    /// Takes back a question of this agent.
    pub fn cancel(&mut self, question: &MessageId, now: impl Into<Now>) -> Vec<Effect> {
        let now = now.into();
        let mut effects = self.tick(now);
        if let Some(question) = self.own(question) {
            self.decide(&question, judge::cancelled(), now, &mut effects);
        }
        effects
    }

    /// Returns what is due by now: questions that expired, and notices about floods.
    pub fn tick(&mut self, now: impl Into<Now>) -> Vec<Effect> {
        let now = now.into();
        let expired: Vec<Fields> = self
            .waiting
            .values()
            .filter(|it| self.is_own(it) && it.is_over(now))
            .map(|it| it.fields.clone())
            .collect();
        let mut effects = Vec::new();
        for question in expired {
            let outcome = judge::expired(&question);
            self.decide(&question, outcome, now, &mut effects);
        }
        effects.extend(self.budgets.notices(now.steady));
        effects
    }

    /// Returns when [`Desk::tick`] has something to do next, on the steady clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let questions = self.waiting.values().filter(|it| self.is_own(it));
        questions
            .filter_map(|it| it.end)
            .chain(self.budgets.next_due())
            .min()
    }

    /// Returns whether a question waits.
    #[must_use]
    pub fn waits(&self, question: &MessageId) -> bool {
        self.waiting.contains_key(question)
    }

    /// Returns when a question that waits is over, on the steady clock: of our own, when this desk decides it; of others', as far as can be told here.
    #[must_use]
    pub fn end_of(&self, question: &MessageId) -> Option<Timestamp> {
        self.waiting.get(question)?.end
    }

    /// Returns the message that the next one of a thread comes after.
    #[must_use]
    pub fn last_of(&self, thread: &ThreadId) -> Option<MessageId> {
        self.last.get(thread).copied()
    }

    fn take(&mut self, message: Message, arrival: Arrival, now: Now) -> Vec<Effect> {
        let mut effects = self.tick(now);
        let digest = digest(&message);
        match self.known.get(&message.id) {
            Some(known) if *known == digest => return effects,
            Some(_) => {
                effects.push(refused(&message, Refusal::SameId));
                return effects;
            }
            None => {}
        }
        let author = Author::of(&message);
        match self.check(&message, author, arrival) {
            Err(refusal) => {
                effects.push(refused(&message, refusal));
                // It is in the repository, whatever we think of it; it is looked at once.
                if arrival == Arrival::Repository {
                    self.known.insert(message.id, digest);
                }
            }
            Ok(()) => self.admit(message, author, digest, arrival, now, &mut effects),
        }
        effects
    }

    /// Checks where the message is from.
    fn check(&self, message: &Message, author: Author, arrival: Arrival) -> Result<(), Refusal> {
        let ours = author == Author::Key(self.me.signer.key());
        if arrival == Arrival::Here {
            // What became of a question is said by this desk, not by a front.
            let may = ours && message.kind != Kind::Resolution;
            return if may { Ok(()) } else { Err(Refusal::NotOurs) };
        }
        if ours {
            return Err(Refusal::NotOurs);
        }
        match self.keyring.device(author, &message.from, &message.project) {
            Ok(_) => Ok(()),
            Err(Distrust::Unsigned) if self.keyring.admits_unsigned(&message.project) => Ok(()),
            Err(distrust) => Err(distrust.into()),
        }
    }

    /// Takes in a message from somebody who is let in.
    fn admit(
        &mut self,
        message: Message,
        author: Author,
        digest: u64,
        arrival: Arrival,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = self.check_role(&message, author) {
            effects.push(refused(&message, refusal));
            return;
        }
        let shown = arrival == Arrival::Here
            || match self.budgets.spend(&message, now.steady) {
                Spent::Within => true,
                Spent::Over => false,
                Spent::First(notice) => {
                    effects.push(*notice);
                    false
                }
            };
        if !shown && arrival == Arrival::Bus {
            // Its sender has it stored; replication brings it.
            return;
        }
        let question = message
            .reply_to
            .and_then(|id| self.waiting.get(&id).cloned());
        let verdict = question
            .as_ref()
            .filter(|question| question::answers(&message, &question.fields))
            .filter(|question| arrival == Arrival::Here || self.is_own(question))
            .map(|question| self.judge(&message, author, arrival, &question.fields, now));
        if let Some(Err(refusal)) = verdict {
            effects.push(refused(&message, refusal));
            return;
        }
        let late = verdict.is_none() && self.is_late(&message);
        if late && arrival == Arrival::Here {
            effects.push(refused(&message, Refusal::Decided));
            return;
        }
        self.known.insert(message.id, digest);
        if arrival == Arrival::Bus && author.key().is_some() {
            effects.extend(self.learn_clock(&message.from, message.timestamp, now));
        }
        self.note(&message, author, now);
        let first = effects.len();
        if let Some(question) = question.filter(|it| verdict.is_some() && self.is_own(it)) {
            self.decide_by_answer(&question.fields, &message, now, effects);
        }
        store_first(effects, first, &message, arrival);
        if arrival == Arrival::Bus || shown && self.still_asks(&message, now) {
            effects.push(Effect::Acknowledge(message.clone()));
        }
        self.tell(message, author, arrival, late, shown, effects);
    }

    /// Says what follows for people and others once a message is stored.
    fn tell(
        &self,
        message: Message,
        author: Author,
        arrival: Arrival,
        late: bool,
        shown: bool,
        effects: &mut Vec<Effect>,
    ) {
        if arrival == Arrival::Here {
            effects.push(Effect::Publish(message.clone()));
        }
        if late {
            effects.push(Effect::Late(message));
        } else if message.kind == Kind::Resolution {
            let asker = |it: &Waiting| question::resolves(told(&message, author), it.told());
            if let Some(question) = message.reply_to
                && self.waiting.get(&question).is_none_or(asker)
            {
                effects.push(Effect::Resolved {
                    question,
                    resolution: message,
                });
            }
        } else if arrival != Arrival::Here
            && shown
            && message.kind != Kind::Answer
            && !message.action_response
            && (!message.is_question() || self.waiting.contains_key(&message.id))
        {
            effects.push(Effect::Show(message));
        }
    }

    /// Keeps what a stored message says about questions.
    fn note(&mut self, fields: &Fields, author: Author, now: Now) {
        self.last.insert(fields.thread, fields.id);
        if fields.is_question() {
            let question = Told { fields, author };
            let decided = self.resolutions.get(&fields.id).is_some_and(|them| {
                them.iter().any(|(fields, author)| {
                    question::resolves(
                        Told {
                            fields,
                            author: *author,
                        },
                        question,
                    )
                })
            });
            if !decided {
                let fields = fields.clone();
                let own = author == Author::Key(self.me.signer.key());
                let end = self.clocks.end_of(&fields, own, now);
                let waiting = Waiting {
                    fields,
                    author,
                    end,
                };
                self.waiting.insert(waiting.fields.id, waiting);
            }
        }
        if let (Kind::Resolution, Some(question)) = (fields.kind, fields.reply_to) {
            let told = Told { fields, author };
            if self
                .waiting
                .get(&question)
                .is_some_and(|it| question::resolves(told, it.told()))
            {
                self.waiting.remove(&question);
            }
            let known = self.resolutions.entry(question).or_default();
            known.push((fields.clone(), author));
        }
    }

    /// Whether it is another's question that a person here can still answer: its asker wants to know that somebody has it, however it came.
    fn still_asks(&self, message: &Fields, now: Now) -> bool {
        let waiting = self.waiting.get(&message.id);
        waiting.is_some_and(|it| !self.is_own(it) && !it.is_over(now))
    }

    /// Whether it answers a question that is decided.
    fn is_late(&self, message: &Fields) -> bool {
        let answers = message.kind == Kind::Answer || message.action_response;
        let decided = |id| self.resolutions.contains_key(&id) && !self.waiting.contains_key(&id);
        answers && message.reply_to.is_some_and(decided)
    }

    /// Returns the question if it is ours and waits.
    fn own(&self, id: &MessageId) -> Option<Fields> {
        self.waiting
            .get(id)
            .filter(|it| self.is_own(it))
            .map(|it| it.fields.clone())
    }

    fn is_own(&self, question: &Waiting) -> bool {
        question.author == Author::Key(self.me.signer.key())
    }
}

/// Puts the message into the storing that follows from it, so that both happen or neither.
fn store_first(effects: &mut Vec<Effect>, from: usize, message: &Message, arrival: Arrival) {
    if arrival == Arrival::Repository {
        return;
    }
    let stores = effects
        .iter_mut()
        .skip(from)
        .find_map(|effect| match effect {
            Effect::Store(messages) => Some(messages),
            _ => None,
        });
    match stores {
        Some(messages) => messages.insert(0, message.clone()),
        None => effects.insert(from, Effect::Store(vec![message.clone()])),
    }
}

fn refused(message: &Message, refusal: Refusal) -> Effect {
    Effect::Refused {
        id: message.id,
        from: message.from.clone(),
        refusal,
    }
}

fn told(message: &Message, author: Author) -> Told<'_> {
    Told {
        fields: message,
        author,
    }
}

/// Returns a digest of a message's text, to tell another message with the same id from the same one again.
#[must_use]
pub fn digest(message: &Message) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, message.to_wire().as_bytes());
    digest
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
