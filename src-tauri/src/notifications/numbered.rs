//! Notifications on systems that are told a name for each one they show, and that call back: macOS and Windows. What both have in
//! common is here, so that it runs in tests on any system.
//!
//! Each notification gets a number that no other one of this run has. Of one that was replaced or taken down nothing is heard any more:
//! a click on an old one must not answer a new question.

use std::collections::HashMap;

use edgesync_agent::api::NotifierInfo;
use edgesync_agent::{Heard, Notification, NotificationKey as Key};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Wish, Wishes};

/// What a button is called: this, and its place.
const BUTTON: &str = "answer-";

/// What the system tells of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Happened {
    /// A click beside the buttons.
    Clicked,
    /// A press of the button at this place.
    Pressed(usize),
    /// It is gone.
    Closed {
        /// Whether a person took it away.
        by_person: bool,
    },
}

/// Where the system tells of the notification with this number.
pub(super) type Teller = UnboundedSender<(u64, Happened)>;

/// What a system does.
pub(super) trait System: Send + 'static {
    /// Asks for the permission to show notifications.
    fn begin(&mut self) -> impl Future<Output = anyhow::Result<NotifierInfo>> + Send;

    /// Shows a notification. That it can't be shown is told as [`Happened::Closed`].
    fn show(&mut self, number: u64, notification: &Notification);

    /// Takes a notification off the screen and out of the system's list.
    fn take_down(&mut self, number: u64);
}

/// Starts the task. Needs a runtime around it. `make` is given the way by which the system tells what happened.
pub(super) fn start<S: System>(
    make: impl FnOnce(Teller) -> S,
) -> (Wishes, UnboundedReceiver<Heard>) {
    let (wishes, wished) = Wishes::new();
    let (heard, hearing) = unbounded_channel();
    let (teller, told) = unbounded_channel();
    let screen = Screen {
        system: make(teller),
        heard,
        is_ready: false,
        last: 0,
        shown: HashMap::new(),
        numbers: HashMap::new(),
    };
    tokio::spawn(screen.run(wished, told));
    (wishes, hearing)
}

/// What is on the screen.
struct Screen<S> {
    system: S,
    heard: UnboundedSender<Heard>,
    is_ready: bool,
    /// The last number that was given.
    last: u64,
    shown: HashMap<u64, Key>,
    numbers: HashMap<Key, u64>,
}

impl<S: System> Screen<S> {
    async fn run(
        mut self,
        mut wishes: UnboundedReceiver<Wish>,
        mut told: UnboundedReceiver<(u64, Happened)>,
    ) {
        self.wake().await;
        loop {
            tokio::select! {
                Some((number, happened)) = told.recv() => self.hear(number, &happened),
                wish = wishes.recv() => match wish {
                    Some(Wish::Wake) => self.wake().await,
                    Some(Wish::Show(notification)) => self.show(&notification),
                    Some(Wish::Withdraw(key)) => self.withdraw(&key),
                    None => break,
                },
            }
        }
        // The agent has stopped: nobody would hear of a click any more.
        for number in self.shown.keys() {
            self.system.take_down(*number);
        }
    }

    async fn wake(&mut self) {
        if self.is_ready {
            return;
        }
        match self.system.begin().await {
            Ok(service) => {
                self.is_ready = true;
                self.tell(Heard::Ready(service));
            }
            Err(error) => tracing::info!("no notifications: {error:#}"),
        }
    }

    fn show(&mut self, notification: &Notification) {
        if !self.is_ready {
            // When the permission comes, the agent gives this again.
            return;
        }
        // A new one instead of another text for the old one: only that is sure to be noticed.
        self.withdraw(&notification.key);
        self.last += 1;
        self.shown.insert(self.last, notification.key.clone());
        self.numbers.insert(notification.key.clone(), self.last);
        self.system.show(self.last, notification);
    }

    fn withdraw(&mut self, key: &Key) {
        if let Some(number) = self.numbers.remove(key) {
            self.shown.remove(&number);
            self.system.take_down(number);
        }
    }

    fn hear(&mut self, number: u64, happened: &Happened) {
        let Some(key) = self.shown.get(&number).cloned() else {
            return;
        };
        match happened {
            Happened::Pressed(place) => self.tell(Heard::Pressed(key, *place)),
            Happened::Clicked => {
                // Not every system takes away what was clicked.
                self.withdraw(&key);
                self.tell(Heard::Clicked(key));
            }
            Happened::Closed { by_person } => {
                self.shown.remove(&number);
                self.numbers.remove(&key);
                self.tell(Heard::Closed {
                    key,
                    by_person: *by_person,
                });
            }
        }
    }

    fn tell(&self, heard: Heard) {
        // An agent that has stopped wants to know nothing any more.
        let _ = self.heard.send(heard);
    }
}

/// Returns what the button at `place` is called.
pub(super) fn name_of_button(place: usize) -> String {
    format!("{BUTTON}{place}")
}

/// Returns what a press of what is called `name` means; other names are a click's.
pub(super) fn press_of(name: &str) -> Happened {
    let place = name
        .strip_prefix(BUTTON)
        .and_then(|place| place.parse().ok());
    place.map_or(Happened::Clicked, Happened::Pressed)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use edgesync_agent::Notifier as _;
    use edgesync_agent::api::Priority;

    use super::*;

    /// Stands in for a system: notes what it is to do, in order.
    struct Noted {
        acts: Arc<Mutex<Vec<String>>>,
        refuses: bool,
    }

    impl System for Noted {
        async fn begin(&mut self) -> anyhow::Result<NotifierInfo> {
            anyhow::ensure!(!std::mem::take(&mut self.refuses), "switched off");
            Ok(NotifierInfo {
                name: "stand-in".into(),
                buttons: true,
            })
        }

        fn show(&mut self, number: u64, notification: &Notification) {
            let act = format!("show {number} {}", notification.text);
            self.acts.lock().unwrap().push(act);
        }

        fn take_down(&mut self, number: u64) {
            self.acts.lock().unwrap().push(format!("take {number}"));
        }
    }

    /// A notifier with a stand-in for the system, and the keys that the agent gives.
    struct Lab {
        notifier: Wishes,
        heard: UnboundedReceiver<Heard>,
        teller: Teller,
        acts: Arc<Mutex<Vec<String>>>,
    }

    impl Lab {
        fn start(refuses: bool) -> Self {
            let acts = Arc::<Mutex<Vec<String>>>::default();
            let (mut teller, noted) = (None, Arc::clone(&acts));
            let (notifier, heard) = start(|given| {
                teller = Some(given);
                Noted {
                    acts: noted,
                    refuses,
                }
            });
            Self {
                notifier,
                heard,
                teller: teller.unwrap(),
                acts,
            }
        }

        fn show(&self, key: &Key, text: &str) {
            self.notifier.show(Notification {
                key: key.clone(),
                title: "ci · demo".into(),
                text: text.into(),
                buttons: vec!["Yes".into()],
                priority: Priority::Urgent,
                stays: true,
                in_place: false,
            });
        }

        /// Returns what the system had to do since the last call, once all that was wished before is done.
        async fn acts(&mut self) -> Vec<String> {
            let is_marker = |act: &String| act.ends_with("marker");
            self.show(&Key::new("marker"), "marker");
            while !self.acts.lock().unwrap().iter().any(is_marker) {
                tokio::task::yield_now().await;
            }
            let mut acts = self.acts.lock().unwrap();
            let mut done = std::mem::take(&mut *acts);
            done.retain(|act| !is_marker(act));
            done
        }
    }

    #[tokio::test]
    async fn a_press_counts_for_what_is_shown_and_not_for_what_was_replaced_or_withdrawn() {
        let mut lab = Lab::start(false);
        assert!(matches!(lab.heard.recv().await, Some(Heard::Ready(_))));
        let (asked, other) = (Key::new("question"), Key::new("other"));
        lab.show(&asked, "first");
        lab.show(&asked, "again");
        lab.show(&other, "other");
        lab.notifier.withdraw(&other);
        assert_eq!(
            lab.acts().await,
            [
                "show 1 first",
                "take 1",
                "show 2 again",
                "show 3 other",
                "take 3"
            ]
        );
        for stale in [1, 3, 99] {
            lab.teller.send((stale, Happened::Pressed(0))).unwrap();
            lab.teller
                .send((stale, Happened::Closed { by_person: true }))
                .unwrap();
        }
        lab.teller.send((2, press_of(&name_of_button(1)))).unwrap();
        assert_eq!(
            lab.heard.recv().await,
            Some(Heard::Pressed(asked.clone(), 1))
        );
        lab.teller
            .send((2, Happened::Closed { by_person: true }))
            .unwrap();
        let closed = Heard::Closed {
            key: asked,
            by_person: true,
        };
        assert_eq!(lab.heard.recv().await, Some(closed));
        assert!(lab.heard.is_empty());
    }

    #[tokio::test]
    async fn what_was_clicked_is_taken_down_and_what_is_left_goes_with_the_agent() {
        let mut lab = Lab::start(false);
        assert!(matches!(lab.heard.recv().await, Some(Heard::Ready(_))));
        let (clicked, left) = (Key::new("clicked"), Key::new("left"));
        lab.show(&clicked, "a");
        lab.show(&left, "b");
        assert_eq!(lab.acts().await, ["show 1 a", "show 2 b"]);
        lab.teller
            .send((1, press_of("whatever a click is called")))
            .unwrap();
        assert_eq!(lab.heard.recv().await, Some(Heard::Clicked(clicked)));
        assert_eq!(lab.acts().await.first().map(String::as_str), Some("take 1"));
        drop(lab.notifier);
        assert_eq!(lab.heard.recv().await, None);
        assert!(lab.acts.lock().unwrap().contains(&"take 2".to_owned()));
    }

    #[tokio::test]
    async fn without_permission_nothing_is_shown_and_it_is_asked_for_again() {
        let mut lab = Lab::start(true);
        let key = Key::new("question");
        lab.show(&key, "too early");
        lab.notifier.wake();
        assert!(matches!(lab.heard.recv().await, Some(Heard::Ready(_))));
        lab.show(&key, "now");
        assert_eq!(lab.acts().await, ["show 1 now"]);
    }
}
