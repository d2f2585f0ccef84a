//! Three devices and a bus that loses, doubles and delays, in a network that falls apart and heals, with an asker that dies and comes
//! back: in the end every store holds the same resolution, and it is what `ask` returned.

use std::collections::BTreeMap;

use edgesync_notify::desk::{Desk, Effect, Now, digest};
use edgesync_notify::keyring::Author;
use edgesync_notify::message::{Fields, Kind, Message};
use edgesync_notify::name::MessageId;
use edgesync_notify::question::{self, Standing, Told};
use proptest::prelude::*;

use crate::lab::{Agent, address, at, ring};

const AGENTS: usize = 3;
const ASKER: usize = 0;

/// How wrong clocks are at most.
const MONTH_MS: i64 = 30 * 86_400_000;

/// A device: what it has stored, in order, and its desk, unless it is down.
struct Node {
    agent: Agent,
    stored: Vec<Message>,
    desk: Option<Desk>,
}

struct World {
    nodes: Vec<Node>,
    /// On the bus: to whom, and what.
    flying: Vec<(usize, Message)>,
    /// Which pairs hear each other.
    cut: [[bool; AGENTS]; AGENTS],
    now: i64,
    /// By how many milliseconds each device's clock is ahead.
    ahead: [i64; AGENTS],
    /// What `ask` returned.
    returned: Vec<Message>,
    next: u32,
    question: Fields,
}

/// One step of the schedule.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Somebody answers, with yes or no.
    Answer(usize, bool),
    /// A message on the bus arrives, `twice` or once.
    Deliver(usize, bool),
    /// A message on the bus is lost.
    Lose(usize),
    /// Two devices hear each other no more, or again.
    Cut(usize, usize, bool),
    /// Two devices that hear each other exchange their repositories.
    Replicate(usize, usize),
    /// A device dies, or comes back.
    Die(usize),
    Return(usize),
    /// Time goes by, in milliseconds.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..AGENTS;
    prop_oneof![
        3 => (node.clone(), any::<bool>()).prop_map(|(who, yes)| Step::Answer(who, yes)),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, twice)| Step::Deliver(which, twice)),
        2 => any::<usize>().prop_map(Step::Lose),
        3 => (node.clone(), node.clone(), any::<bool>()).prop_map(|(a, b, cut)| Step::Cut(a, b, cut)),
        3 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Replicate(a, b)),
        1 => node.clone().prop_map(Step::Die),
        2 => node.prop_map(Step::Return),
        2 => (1..20_000_i64).prop_map(Step::Wait),
    ]
}

impl World {
    fn new(expires: bool, ahead: [i64; AGENTS]) -> Self {
        let agents = [
            Agent::new(1, "ci"),
            Agent::new(2, "Ada"),
            Agent::new(3, "Bob"),
        ];
        let mut question = agents[ASKER].asks(1, "Deploy?", &["Yes", "No"]);
        question.kind = Kind::Approval;
        question.timestamp = at(1000 + ahead[ASKER]);
        question.expires_at = expires.then(|| at(30_000 + ahead[ASKER]));
        let nodes = agents.map(|agent| Node {
            agent,
            stored: Vec::new(),
            desk: None,
        });
        let mut world = Self {
            nodes: nodes.into(),
            flying: Vec::new(),
            cut: [[false; AGENTS]; AGENTS],
            now: 1000,
            ahead,
            returned: Vec::new(),
            next: 2,
            question,
        };
        for who in 0..AGENTS {
            world.come_back(who);
        }
        let question = world.nodes[ASKER].agent.signs(&world.question);
        world.send(ASKER, question);
        world
    }

    fn time(&self, who: usize) -> Now {
        Now {
            wall: at(self.now + self.ahead[who]),
            steady: at(self.now),
        }
    }

    fn send(&mut self, who: usize, message: Message) {
        let now = self.time(who);
        if let Some(desk) = &mut self.nodes[who].desk {
            let effects = desk.send(message, now);
            self.perform(who, effects);
        }
    }

    fn perform(&mut self, who: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store(messages) => self.nodes[who].stored.extend(messages),
                Effect::Publish(message) => {
                    let hears = (0..AGENTS).filter(|&to| to != who && !self.cut[who][to]);
                    self.flying.extend(hears.map(|to| (to, message.clone())));
                }
                Effect::Resolved { resolution, .. } if who == ASKER => {
                    self.returned.push(resolution);
                }
                _ => {}
            }
        }
    }

    fn come_back(&mut self, who: usize) {
        let now = self.time(who);
        let keyring = ring(
            &self
                .nodes
                .iter()
                .map(|node| &node.agent)
                .collect::<Vec<_>>(),
        );
        let node = &mut self.nodes[who];
        if node.desk.is_some() {
            return;
        }
        let mut desk = Desk::new(node.agent.me(), keyring);
        for message in &node.stored {
            desk.recall(message, Author::of(message), digest(message), now);
        }
        let effects = desk.resume(now);
        node.desk = Some(desk);
        self.perform(who, effects);
    }

    /// Brings to `to` what `from` has and it lacks, as the sync of two repositories does.
    fn copy(&mut self, from: usize, to: usize) {
        let now = self.time(to);
        let has = |node: &Node, id: MessageId| node.stored.iter().any(|message| message.id == id);
        let source = &self.nodes[from];
        let missing: Vec<Message> = source
            .stored
            .iter()
            .filter(|message| !has(&self.nodes[to], message.id))
            .cloned()
            .collect();
        for message in missing {
            self.nodes[to].stored.push(message.clone());
            if let Some(desk) = &mut self.nodes[to].desk {
                let effects = desk.found(message, now);
                self.perform(to, effects);
            }
        }
    }

    fn answer(&mut self, who: usize, yes: bool) {
        let n = self.next;
        self.next += 1;
        let id = if yes { "yes" } else { "no" };
        let seen = self.nodes[who]
            .stored
            .iter()
            .any(|message| message.id == self.question.id);
        if seen {
            let answer = self.nodes[who].agent.answers(n, &self.question, id);
            let answer = self.nodes[who].agent.signs(&answer);
            self.send(who, answer);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Answer(who, yes) => self.answer(who, yes),
            Step::Deliver(which, twice) if !self.flying.is_empty() => {
                let which = which % self.flying.len();
                let (to, message) = self.flying.swap_remove(which);
                for _ in 0..=usize::from(twice) {
                    let now = self.time(to);
                    if let Some(desk) = &mut self.nodes[to].desk {
                        let effects = desk.receive(&address(&message), message.clone(), now);
                        self.perform(to, effects);
                    }
                }
            }
            Step::Lose(which) if !self.flying.is_empty() => {
                let which = which % self.flying.len();
                self.flying.swap_remove(which);
            }
            Step::Cut(a, b, cut) => {
                self.cut[a][b] = cut;
                self.cut[b][a] = cut;
            }
            Step::Replicate(a, b) if a != b && !self.cut[a][b] => {
                self.copy(a, b);
                self.copy(b, a);
            }
            Step::Deliver(..) | Step::Lose(_) | Step::Replicate(..) => {}
            Step::Die(who) => self.nodes[who].desk = None,
            Step::Return(who) => self.come_back(who),
            Step::Wait(ms) => {
                self.now += ms;
                for who in 0..AGENTS {
                    let now = self.time(who);
                    if let Some(desk) = &mut self.nodes[who].desk {
                        let effects = desk.tick(now);
                        self.perform(who, effects);
                    }
                }
            }
        }
    }

    /// Lets the network heal, everybody come back, and everything that was ever stored reach everybody.
    fn heal(&mut self) {
        self.cut = [[false; AGENTS]; AGENTS];
        for who in 0..AGENTS {
            self.step(Step::Return(who));
        }
        self.step(Step::Wait(1));
        for _ in 0..AGENTS {
            for a in 0..AGENTS {
                for b in 0..AGENTS {
                    self.step(Step::Replicate(a, b));
                }
            }
        }
    }

    /// Returns what each device holds of the question's fate.
    fn fates(&self) -> Vec<Standing> {
        let fate = |node: &Node| {
            let told: Vec<(&Message, Author)> = node
                .stored
                .iter()
                .map(|message| (message, Author::of(message)))
                .collect();
            let told = told.iter().map(|(message, author)| Told {
                fields: message,
                author: *author,
            });
            let question = told.clone().find(|it| it.fields.id == self.question.id);
            question::standing(question.expect("the question is everywhere"), told, false)
        };
        self.nodes.iter().map(fate).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_store_ends_with_what_ask_returned(
        expires in any::<bool>(),
        ahead in prop::array::uniform3(-MONTH_MS..MONTH_MS),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(expires, ahead);
        for step in steps {
            world.step(step);
        }
        world.heal();
        // Somebody answers at last, unless the question is decided.
        world.answer(2, true);
        world.heal();
        let fates = world.fates();
        let ids: BTreeMap<MessageId, usize> =
            world.returned.iter().map(|it| (it.id, 1)).collect();
        prop_assert_eq!(ids.len(), 1, "ask returned {:?}", world.returned);
        prop_assert_eq!(world.returned.len(), 1);
        let decided = Standing::Resolved(world.returned[0].id);
        prop_assert!(fates.iter().all(|fate| *fate == decided), "{:?}", fates);
        for node in &world.nodes {
            let mine = node.stored.iter().find(|it| it.id == world.returned[0].id);
            prop_assert_eq!(mine, Some(&world.returned[0]));
        }
    }
}

#[test]
fn two_answers_in_two_halves_of_the_network_come_to_one() {
    let mut world = World::new(false, [0; AGENTS]);
    world.step(Step::Replicate(0, 1));
    world.step(Step::Replicate(0, 2));
    world.flying.clear();
    world.step(Step::Cut(0, 1, true));
    world.step(Step::Cut(1, 2, true));
    world.step(Step::Answer(1, true));
    world.step(Step::Answer(2, false));
    while !world.flying.is_empty() {
        world.step(Step::Deliver(0, false));
    }
    assert_eq!(world.returned.len(), 1);
    assert_eq!(
        world.returned[0].body, "no",
        "the answer that reached the asker"
    );
    world.heal();
    assert_eq!(world.fates(), [Standing::Resolved(world.returned[0].id); 3]);
    let late = |node: &Node| {
        node.stored
            .iter()
            .any(|it| it.body == "yes" && it.kind == Kind::Answer)
    };
    assert!(world.nodes.iter().all(late), "the other is kept everywhere");
    assert_eq!(world.returned.len(), 1);
}
