//! The machine's hands: it hears the agent's events, the clock and the screen, and does what the machine says. An answer goes the same
//! way as one over the API.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::machine::{Effect, Machine, Now};
use crate::api::{
    Event, MessageKind, NotifierInfo, NotifyMessage, QuestionState, ReplyNotify, Sender, Time,
    TimeOfDay,
};
use crate::events::Events;
use crate::notifier::{Heard, Notifier};
use crate::notify::Post;
use crate::shell::Shell;

/// The longest sleep: what the system's clock did meanwhile shows then.
const NAP: Duration = Duration::from_secs(60);

/// What fronts tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A person has this thread before the eyes.
    Seen(String),
    /// Somebody wants to see a notification.
    Test,
}

/// Notifications of a running agent.
#[derive(Debug)]
pub(crate) struct Notifications {
    inputs: UnboundedSender<Input>,
    service: Mutex<Option<NotifierInfo>>,
}

/// What notifications need of the agent.
pub(crate) struct Place {
    pub(crate) post: Arc<Post>,
    pub(crate) events: Arc<Events>,
    pub(crate) shell: Arc<dyn Shell>,
    pub(crate) stopped: CancellationToken,
}

impl Notifications {
    /// Returns the notifications that go to `notifier`, of which `heard` tells, and the task that makes them.
    pub(crate) fn new(
        place: Place,
        notifier: Arc<dyn Notifier>,
        heard: UnboundedReceiver<Heard>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (inputs, told) = unbounded_channel();
        let notifications = Arc::new(Self {
            inputs,
            service: Mutex::default(),
        });
        let driver = Driver {
            machine: Machine::default(),
            place,
            notifier,
            notifications: Arc::clone(&notifications),
        };
        (notifications, driver.run(heard, told))
    }

    /// Tells something. Nothing comes of it when the agent is stopping.
    pub(crate) fn tell(&self, input: Input) {
        let _ = self.inputs.send(input);
    }

    /// Returns who shows notifications, if somebody does.
    pub(crate) fn service(&self) -> Option<NotifierInfo> {
        self.service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_service(&self, service: Option<NotifierInfo>) {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner) = service;
    }
}

struct Driver {
    machine: Machine,
    place: Place,
    notifier: Arc<dyn Notifier>,
    notifications: Arc<Notifications>,
}

impl Driver {
    async fn run(
        mut self,
        mut heard: UnboundedReceiver<Heard>,
        mut told: UnboundedReceiver<Input>,
    ) {
        let mut events = self.place.events.listen();
        let settings = self.place.post.settings();
        let effects = self.machine.choose(settings, now());
        self.perform(effects).await;
        self.look().await;
        loop {
            let present = now();
            let due = self.machine.next_due(present).map_or(NAP, |due| {
                let ms = due.unix_millis().saturating_sub(present.time.unix_millis());
                Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(NAP)
            });
            let effects = tokio::select! {
                () = self.place.stopped.cancelled() => return,
                event = events.recv() => match event {
                    Ok(event) => match self.take(&event) {
                        Some(effects) => effects,
                        None => {
                            self.look().await;
                            continue;
                        }
                    },
                    Err(RecvError::Lagged(_)) => {
                        self.look().await;
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                },
                Some(heard) = heard.recv() => self.hear(heard),
                Some(input) = told.recv() => match input {
                    Input::Seen(thread) => self.machine.seen(&thread),
                    Input::Test => self.machine.test(now()),
                },
                () = tokio::time::sleep(due) => self.machine.tick(now()),
            };
            self.perform(effects).await;
        }
    }

    /// Tells the machine of an event. Returns nothing when the questions that wait are to be read anew.
    fn take(&mut self, event: &Event) -> Option<Vec<Effect>> {
        let effects = match event {
            Event::Message { message, show } => {
                let mut effects = match &message.reply_to {
                    Some(question)
                        if message.sender == Sender::Own && message.kind == MessageKind::Answer =>
                    {
                        self.machine.answered_here(question)
                    }
                    _ => Vec::new(),
                };
                if *show {
                    effects.extend(self.machine.arrived(NotifyMessage::clone(message), now()));
                }
                effects
            }
            // It ends at another time than was thought; it may not have been shown yet.
            Event::Question { message } if message.question == Some(QuestionState::Open) => {
                return None;
            }
            Event::Question { message } => self.machine.changed(message, now()),
            Event::Folded {
                from,
                from_name,
                count,
            } => self.machine.folded(from, from_name, *count, now()),
            Event::Thread { thread } if thread.done => self.machine.put_away(&thread.id),
            // What is put back waits again, and so may what is no longer muted.
            Event::Thread { .. } | Event::NotifySettings { .. } => return None,
            _ => Vec::new(),
        };
        Some(effects)
    }

    fn hear(&mut self, heard: Heard) -> Vec<Effect> {
        match &heard {
            Heard::Ready(service) => self.notifications.set_service(Some(service.clone())),
            Heard::Gone => self.notifications.set_service(None),
            _ => {}
        }
        self.machine.heard(heard, now())
    }

    /// Reads anew what people chose and which questions wait.
    async fn look(&mut self) {
        let mut effects = self.machine.choose(self.place.post.settings(), now());
        match self.place.post.questions().await {
            Ok(questions) => effects.extend(self.machine.waiting(questions, now())),
            Err(error) => tracing::warn!(%error, "the questions that wait can't be read"),
        }
        self.perform(effects).await;
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        let mut open: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = open.pop_front() {
            match effect {
                Effect::Show(notification) => self.notifier.show(notification),
                Effect::Wake => self.notifier.wake(),
                Effect::Withdraw(key) => self.notifier.withdraw(&key),
                Effect::Open(thread) => {
                    if let Err(error) = self.place.shell.open_inbox(thread.as_deref()) {
                        tracing::warn!(%error, "the window can't be opened");
                    }
                }
                Effect::Answer {
                    key,
                    question,
                    thread,
                    action,
                } => {
                    let wish = ReplyNotify {
                        to: Some(question),
                        action: Some(action),
                        ..ReplyNotify::default()
                    };
                    let refused = self.place.post.reply(thread, wish).await.err();
                    open.extend(self.machine.answered(&key, refused.as_ref(), now()));
                }
            }
        }
    }
}

fn now() -> Now {
    let time = Time::now();
    Now {
        time,
        local: local(time),
    }
}

/// Returns what clocks on the wall show at an instant.
fn local(time: Time) -> TimeOfDay {
    let instant = jiff::Timestamp::from_millisecond(time.unix_millis()).unwrap_or_default();
    let wall = instant.to_zoned(jiff::tz::TimeZone::system());
    let minutes = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
    TimeOfDay::from_minutes(u16::try_from(minutes).unwrap_or(0))
}
