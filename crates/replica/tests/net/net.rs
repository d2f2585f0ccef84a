//! A mesh in one thread: nodes that hold sets of numbers, a bus that loses, doubles, delays and parts, and a clock that jumps from
//! one event to the next. Its driver is bounded: a mesh that keeps itself busy for ever fails.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use edgesync_replica::{
    Announcement, Config, Counters, Effect, Failure, Fingerprint, Hello, Input, Moment, Notice,
    Origin, Outcome, Peer, PeerView, Project, PullId, Replica, Source, Tip, Topic, Trigger,
};

/// Steps within one run of the clock before it counts as a livelock.
const STEPS: usize = 200_000;

/// What the bus and the exchanges do, in percent and milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Exchanges that fail half-way.
    pub(crate) failing: u64,
    /// Longest delay of a message; those with different delays overtake each other.
    pub(crate) delay: u64,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        lost: 0,
        doubled: 0,
        failing: 0,
        delay: 2,
    };

    pub(crate) const MANY: Self = Self {
        lost: 25,
        doubled: 15,
        failing: 25,
        delay: 800,
    };
}

/// A reproducible stream of numbers (xorshift64*).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub(crate) fn pick(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a small number");
        usize::try_from(self.below(count)).expect("a small number")
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

pub(crate) struct Node {
    name: Peer,
    machine: Replica,
    pub(crate) set: BTreeSet<u64>,
    up: bool,
    /// What others may not have, whatever they ask.
    pub(crate) withheld: BTreeSet<u64>,
    pub(crate) poll: Duration,
    pub(crate) open: bool,
    /// It is a bridge; its set is the server's.
    pub(crate) bridge: bool,
    /// Something was committed that was not told yet.
    unseen: bool,
    /// It begins in a pause.
    pub(crate) paused: bool,
    part: usize,
    /// Which run this is; exchanges of an earlier one ended with it.
    started: u64,
}

enum Event {
    Arrives {
        to: usize,
        topic: Topic,
        body: Vec<u8>,
    },
    Ends {
        node: usize,
        pull: PullId,
        run: u64,
        source: Source,
        trigger: Trigger,
        /// What its node held when it began.
        brings: BTreeSet<u64>,
    },
}

/// A published message: who, when, where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) from: usize,
    pub(crate) topic: Topic,
}

pub(crate) struct Net {
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    /// Each hears only its neighbours.
    pub(crate) row: bool,
    /// A holder that says nothing and answers anyone.
    pub(crate) mute: Option<BTreeSet<u64>>,
    /// The number of messages that get lost next, whatever the faults.
    pub(crate) lose_next: usize,
    pub(crate) published: Vec<Published>,
    pub(crate) pulls: Vec<(usize, Source)>,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, Event>,
    next_event: u64,
    runs: u64,
}

pub(crate) fn project() -> Project {
    Project::parse("0123456789012345678901234567890123456789").expect("a project code")
}

/// A sum over the members, each scrambled: as in the library, only cheaper.
impl Node {
    /// A bridge tells in its own way what its server holds.
    fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = fingerprint(&self.set);
        if self.bridge {
            fingerprint.artifacts.reverse();
        }
        fingerprint
    }
}

pub(crate) fn fingerprint(set: &BTreeSet<u64>) -> Fingerprint {
    let mut sum = [0_u64; 4];
    for member in set {
        let mut state = *member;
        for lane in &mut sum {
            state = (state ^ (state >> 31))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(1);
            *lane = lane.wrapping_add(state ^ (state >> 29));
        }
    }
    let mut artifacts = [0; 32];
    for (bytes, lane) in artifacts.as_chunks_mut::<8>().0.iter_mut().zip(sum) {
        *bytes = lane.to_be_bytes();
    }
    Fingerprint {
        artifacts,
        unversioned: [0; 32],
    }
}

fn tip(set: &BTreeSet<u64>) -> Tip {
    Tip {
        rid: i64::try_from(set.len()).expect("a small set"),
        uuid: set.last().map(u64::to_string).unwrap_or_default(),
    }
}

impl Net {
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut net = Self {
            now: 1000,
            nodes: Vec::new(),
            faults: Faults::NONE,
            dice: Dice::new(seed),
            row: false,
            mute: None,
            lose_next: 0,
            published: Vec::new(),
            pulls: Vec::new(),
            events: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            next_event: 0,
            runs: seed,
        };
        for index in 0..count {
            let name = Peer::parse(&format!("peer-{index}")).expect("a name");
            net.nodes.push(Node {
                machine: Replica::new(Config::new(name.clone(), seed)),
                name,
                set: BTreeSet::new(),
                up: false,
                withheld: BTreeSet::new(),
                poll: Duration::from_secs(5),
                open: false,
                bridge: false,
                unseen: false,
                paused: false,
                part: 0,
                started: 0,
            });
        }
        net
    }

    pub(crate) fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.start(node));
    }

    /// Starts a node, or starts it again with nothing but its set.
    pub(crate) fn start(&mut self, index: usize) {
        self.runs += 1;
        let seed = self.runs;
        let node = &mut self.nodes[index];
        let config = Config {
            poll: node.poll,
            bridge: node.bridge,
            pull: !node.bridge,
            ..Config::new(node.name.clone(), seed)
        };
        node.machine = Replica::new(config);
        node.up = true;
        node.started = seed;
        let opened = Input::Opened {
            project: project(),
            fingerprint: node.fingerprint(),
            tip: tip(&node.set),
            open: node.open,
            unversioned: false,
        };
        if self.nodes[index].paused {
            self.tell(index, Input::Paused(project()));
        }
        self.tell(index, opened);
        self.tell(index, Input::Connected);
    }

    /// Ends a node without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].up = false;
    }

    pub(crate) fn commit(&mut self, index: usize, member: u64) {
        self.nodes[index].set.insert(member);
        self.changed(index, Origin::Watch);
    }

    /// Commits what nobody sees before something else has it looked at.
    pub(crate) fn commit_unseen(&mut self, index: usize, member: u64) {
        self.nodes[index].set.insert(member);
        self.nodes[index].unseen = true;
    }

    fn changed(&mut self, index: usize, origin: Origin) {
        let node = &self.nodes[index];
        let changed = Input::Changed {
            project: project(),
            fingerprint: node.fingerprint(),
            tip: tip(&node.set),
            origin,
        };
        self.tell(index, changed);
    }

    pub(crate) fn part(&mut self, index: usize, part: usize) {
        self.nodes[index].part = part;
    }

    /// Ends all parting; nodes are told of the new ways if `told`.
    pub(crate) fn heal(&mut self, told: bool) {
        self.nodes.iter_mut().for_each(|node| node.part = 0);
        if told {
            (0..self.nodes.len()).for_each(|node| self.tell(node, Input::Connected));
        }
    }

    pub(crate) fn tell(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        if node.up {
            node.machine.handle(Moment::from_millis(self.now), input);
            self.carry_out(index);
        }
    }

    fn carry_out(&mut self, index: usize) {
        while let Some(effect) = self.nodes[index].machine.next_effect() {
            match effect {
                Effect::Publish { topic, body, .. } => self.publish(index, topic, &body),
                Effect::Pull {
                    pull,
                    source,
                    trigger,
                    ..
                } => {
                    self.pulls.push((index, source.clone()));
                    let at = self.now + 5 + self.dice.below(45);
                    let run = self.nodes[index].started;
                    let ends = Event::Ends {
                        node: index,
                        pull,
                        run,
                        source,
                        trigger,
                        brings: self.nodes[index].set.clone(),
                    };
                    self.schedule(at, ends);
                }
            }
        }
    }

    fn publish(&mut self, from: usize, topic: Topic, body: &[u8]) {
        self.published.push(Published { from, topic });
        if self.lose_next > 0 {
            self.lose_next -= 1;
            return;
        }
        for to in 0..self.nodes.len() {
            if to == from || !self.hear(from, to) || self.dice.percent(self.faults.lost) {
                continue;
            }
            let copies = 1 + u64::from(self.dice.percent(self.faults.doubled));
            for _ in 0..copies {
                let at = self.now + 1 + self.dice.below(self.faults.delay);
                let body = body.to_vec();
                self.schedule(at, Event::Arrives { to, topic, body });
            }
        }
    }

    fn hear(&self, from: usize, to: usize) -> bool {
        self.nodes[from].up
            && self.nodes[to].up
            && self.nodes[from].part == self.nodes[to].part
            && (!self.row || from.abs_diff(to) == 1)
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse((at, self.next_event)));
        self.waiting.insert(self.next_event, event);
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + u64::try_from(duration.as_millis()).expect("a short time");
        for _ in 0..STEPS {
            let event = self.events.peek().map(|Reverse((at, _))| *at);
            let wake = self.wake();
            let Some(next) = event
                .into_iter()
                .chain(wake)
                .min()
                .filter(|next| *next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if event.is_some_and(|at| at <= self.now) {
                let Reverse((_, id)) = self.events.pop().expect("an event");
                let event = self.waiting.remove(&id).expect("what it is");
                self.happen(event);
            } else {
                for index in 0..self.nodes.len() {
                    if self.nodes[index].up {
                        self.nodes[index]
                            .machine
                            .tick(Moment::from_millis(self.now));
                        self.carry_out(index);
                    }
                }
            }
        }
        panic!("the mesh keeps itself busy");
    }

    fn wake(&self) -> Option<u64> {
        let up = self.nodes.iter().filter(|node| node.up);
        up.filter_map(|node| node.machine.wake())
            .map(Moment::as_millis)
            .min()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives { to, topic, body } => {
                let (notice, from) = match topic {
                    Topic::Commit => {
                        let (message, from) = Announcement::parse(&body).expect("an announcement");
                        (Notice::Announcement(message), from)
                    }
                    Topic::Hello => {
                        let (message, from) = Hello::parse(&body).expect("a hello");
                        (Notice::Hello(message), from)
                    }
                };
                self.tell(
                    to,
                    Input::Heard {
                        project: project(),
                        from,
                        notice,
                    },
                );
            }
            Event::Ends {
                node,
                pull,
                run,
                source,
                trigger,
                brings,
            } => {
                if self.nodes[node].up && self.nodes[node].started == run {
                    let outcome = self.exchange(node, &source, trigger, &brings);
                    self.tell(node, Input::Pulled { pull, outcome });
                }
            }
        }
    }

    fn exchange(
        &mut self,
        node: usize,
        source: &Source,
        trigger: Trigger,
        brings: &BTreeSet<u64>,
    ) -> Outcome {
        let offered = match source {
            Source::Anyone => {
                let Some(mute) = self.mute.as_mut() else {
                    return Outcome::Failed(Failure::NoResponders);
                };
                mute.extend(&self.nodes[node].set);
                mute.clone()
            }
            Source::Peer(name) | Source::Bridge(name) => {
                let from = self.nodes.iter().position(|node| node.name == *name);
                let Some(from) = from.filter(|from| self.hear(*from, node)) else {
                    return Outcome::Failed(Failure::NoResponders);
                };
                if matches!(source, Source::Bridge(_)) {
                    self.bring(brings, from);
                }
                &self.nodes[from].set - &self.nodes[from].withheld
            }
        };
        let mut missing: Vec<u64> = offered.difference(&self.nodes[node].set).copied().collect();
        let failing = self.dice.percent(self.faults.failing);
        if failing {
            missing.truncate(missing.len() / 2);
        }
        let received = u64::try_from(missing.len()).expect("a small number");
        // Whoever looks after an exchange also finds what was committed here meanwhile.
        if received > 0 || std::mem::take(&mut self.nodes[node].unseen) {
            self.nodes[node].set.extend(missing);
            self.changed(node, Origin::Pull(trigger));
        }
        match failing {
            true => Outcome::Failed(Failure::Other("cut off".to_owned())),
            false => Outcome::Complete { received },
        }
    }

    /// Gives the server behind a bridge what a node had.
    fn bring(&mut self, had: &BTreeSet<u64>, bridge: usize) {
        assert!(self.nodes[bridge].bridge, "told apart");
        let brought = had - &self.nodes[bridge].set;
        if !brought.is_empty() {
            self.nodes[bridge].set.extend(brought);
            self.changed(bridge, Origin::Push);
        }
    }

    pub(crate) fn all_equal(&self) -> bool {
        let mut sets = self.nodes.iter().map(|node| &node.set);
        let first = sets.next().expect("a node");
        sets.all(|set| set == first)
    }

    pub(crate) fn counters(&self, index: usize) -> Counters {
        let view = self.nodes[index].machine.view();
        view.first().expect("the project").counters
    }

    pub(crate) fn peers(&self, index: usize) -> Vec<PeerView> {
        let mut view = self.nodes[index].machine.view();
        view.remove(0).peers
    }

    /// Forgets what was counted until now.
    pub(crate) fn count_anew(&mut self) {
        self.published.clear();
        self.pulls.clear();
    }

    pub(crate) fn count(&self, topic: Topic) -> usize {
        self.published.iter().filter(|it| it.topic == topic).count()
    }
}
