//! The machine's part for one project: when to speak, what to make of what is heard, and whom to ask next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::{Effect, Notice, Origin, PullId, Source, Topic, Trigger};
use crate::held::Held;
use crate::peer::PeerState;
use crate::random::Random;
use crate::{
    Announcement, Config, Counters, Failure, Fingerprint, Hello, Moment, Outcome, Peer, Project,
    ProjectView, Stamp, Tip, Why, limits,
};

/// What all projects of a machine share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) outbox: VecDeque<Effect>,
    /// Exchanges under way, over all projects.
    pub(crate) running: usize,
    /// Projects of which a person wants no exchanges.
    pub(crate) paused: BTreeSet<Project>,
    pub(crate) connected: bool,
    pub(crate) next_pull: u64,
    pub(crate) stamp: Stamp,
}

/// How a project takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Whether peers that say no hello are asked too.
    pub(crate) open: bool,
    /// Whether unversioned files count, whatever the configuration says.
    pub(crate) unversioned: bool,
}

/// The machine's part for one project.
#[derive(Debug)]
pub(crate) struct ProjectState {
    project: Project,
    held: Held,
    /// Whether peers that say no hello are asked too.
    open: bool,
    /// Whether unversioned files count.
    unversioned: bool,
    peers: BTreeMap<Peer, PeerState>,
    /// Those that say no hello, together.
    anyone: PeerState,
    /// What was told last, and with it no news.
    told: Option<Fingerprint>,
    announce: Option<Moment>,
    /// When that was told last.
    announced: Option<Moment>,
    /// When the others are told that this peer is there.
    start: Option<Moment>,
    beat: Moment,
    poll: Moment,
    reply: Option<Reply>,
    counters: Counters,
}

/// An answer to a hello that waits for another peer to give it.
#[derive(Debug, Clone, Copy)]
struct Reply {
    at: Moment,
    why: Why,
    /// Another that holds the same may give it.
    shared: bool,
}

impl Common {
    fn next_stamp(&mut self) -> Stamp {
        self.stamp.seq += 1;
        self.stamp
    }
}

impl ProjectState {
    /// A project that takes part from now on. It says hello at once, and looks whom to ask.
    pub(crate) fn new(
        now: Moment,
        common: &mut Common,
        project: Project,
        (mine, tip): (Fingerprint, Tip),
        manner: Manner,
    ) -> Self {
        let Manner { open, unversioned } = manner;
        let unversioned = unversioned || common.config.unversioned;
        let mut anyone = PeerState::default();
        if open {
            anyone.want(Trigger::Poll);
        }
        Self {
            project,
            held: Held::new(mine.seen(unversioned), tip),
            open,
            unversioned,
            peers: BTreeMap::new(),
            anyone,
            told: None,
            announce: None,
            announced: None,
            start: Some(now),
            beat: now + common.random.around(limits::BEAT),
            poll: now + common.random.around(common.config.poll),
            reply: None,
            counters: Counters::default(),
        }
    }

    /// How often what happened.
    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// The content changed.
    pub(crate) fn changed(
        &mut self,
        now: Moment,
        common: &Common,
        (mine, tip): (Fingerprint, Tip),
        origin: Origin,
    ) {
        let mine = mine.seen(self.unversioned);
        if !self.held.change(mine, tip) {
            return;
        }
        // What a pull brought is counted at its end, also when somebody looked before.
        if !matches!(origin, Origin::Pull(_)) {
            self.counters.arrivals.count(origin);
        }
        if common.config.push {
            // The first of a burst is told at once, what follows it together.
            let rested = self.announced.map(|at| at + limits::BURST);
            self.announce.get_or_insert(rested.unwrap_or(now).max(now));
            if self.open {
                self.anyone.want(Trigger::Change);
            }
        }
        // What a pull brought its source brings to the bridge, too; should that fail, the bridge's next hello leads to an exchange.
        if common.config.bring && !matches!(origin, Origin::Pull(_)) {
            let bridges = self.peers.values_mut().filter(|peer| peer.bridge);
            bridges.for_each(|peer| peer.want(Trigger::Change));
        }
    }

    /// A peer said something.
    pub(crate) fn heard(&mut self, now: Moment, common: &mut Common, from: &Peer, notice: &Notice) {
        let (stamp, theirs, trigger, bridge) = match notice {
            Notice::Announcement(it) => (it.stamp, it.fingerprint, Trigger::Announce, it.bridge),
            Notice::Hello(it) => {
                let trigger = match it.why {
                    Why::PollReply => Trigger::Poll,
                    _ => Trigger::Hello,
                };
                (Some(it.stamp), it.fingerprint, trigger, it.bridge)
            }
        };
        self.make_room(from);
        let peer = self.peers.entry(from.clone()).or_default();
        if !peer.hear(now, stamp) {
            return;
        }
        if matches!(notice, Notice::Hello(it) if it.why == Why::Bye) {
            self.lost(from);
            return;
        }
        peer.bridge = bridge;
        peer.theirs = theirs.map(|theirs| theirs.seen(self.unversioned));
        let announced = trigger == Trigger::Announce;
        self.counters.heard += u64::from(announced);
        let wanted = common.config.pull || (bridge && common.config.bring);
        if wanted && (announced || peer.theirs.is_some()) {
            peer.want(trigger);
        }
        let equal = peer.equals(self.held.now());
        if equal {
            // It spoke for all who hold the same.
            self.reply = self.reply.filter(|reply| !reply.shared);
        }
        // A bridge asks nobody.
        if let Notice::Hello(hello) = notice
            && !bridge
        {
            self.consider_reply(now, common, hello.why, equal);
        }
    }

    /// Has a hello answered that came from a peer with other content, or from one that wants to know who is there.
    fn consider_reply(&mut self, now: Moment, common: &mut Common, why: Why, equal: bool) {
        let shared = why != Why::Start;
        if !why.asks() || (shared && (equal || !common.config.push)) {
            return;
        }
        let spread = common.random.up_to(limits::REPLY_SPREAD);
        let reply = self.reply.get_or_insert(Reply {
            at: now + spread,
            why: Why::Reply,
            shared,
        });
        reply.shared &= shared;
        if why == Why::Poll {
            reply.why = Why::PollReply;
        }
    }

    /// Makes room for one more peer.
    fn make_room(&mut self, newcomer: &Peer) {
        if self.peers.len() < limits::PEERS || self.peers.contains_key(newcomer) {
            return;
        }
        let idle = self.peers.iter().filter(|(_, peer)| peer.running.is_none());
        let oldest = idle.min_by_key(|(_, peer)| peer.heard);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            self.peers.remove(&oldest);
        }
    }

    /// A peer is gone.
    pub(crate) fn lost(&mut self, name: &Peer) {
        if let Some(peer) = self.peers.get_mut(name) {
            peer.wanted = None;
            // What is under way ends first.
            peer.gone = true;
            if peer.running.is_none() {
                self.peers.remove(name);
            }
        }
    }

    /// There is a new way to others: they should hear soon what is here.
    pub(crate) fn connected(&mut self, now: Moment, common: &mut Common) {
        let at = now + common.random.up_to(limits::LINK_SPREAD);
        self.start.get_or_insert(at);
    }

    /// A person wants an exchange now.
    pub(crate) fn asked(&mut self, now: Moment, common: &Common) {
        self.poll = now;
        if common.config.pull {
            self.held.forget_past();
            let mine = self.held.now();
            let others = self.peers.values_mut().filter(|peer| !peer.equals(mine));
            others.for_each(PeerState::insist);
        }
        if self.open {
            self.anyone.insist();
        }
    }

    /// An exchange of this project ended. Returns whether it was one of this project's.
    pub(crate) fn pulled(
        &mut self,
        now: Moment,
        common: &mut Common,
        pull: PullId,
        outcome: &Outcome,
    ) -> bool {
        let runs = |peer: &PeerState| peer.running.is_some_and(|running| running.pull == pull);
        let of_anyone = runs(&self.anyone);
        let peer = match of_anyone {
            true => Some(&mut self.anyone),
            false => self.peers.values_mut().find(|peer| runs(peer)),
        };
        let Some(peer) = peer else { return false };
        common.running = common.running.saturating_sub(1);
        match outcome {
            Outcome::Complete { received } => {
                self.counters.received += received;
                match peer.running.filter(|_| *received > 0) {
                    Some(running) => self.counters.arrivals.count(Origin::Pull(running.trigger)),
                    None => self.counters.fruitless += 1,
                }
                peer.complete(now, self.held.now());
            }
            Outcome::Failed(Failure::NoResponders) if of_anyone => peer.give_up(),
            Outcome::Failed(failure) => {
                self.counters.failed += 1;
                let error = match failure {
                    Failure::NoResponders => "it does not answer".to_owned(),
                    Failure::Other(error) => error.clone(),
                };
                peer.fail(now, error, &mut common.random);
            }
        }
        if peer.gone {
            self.peers
                .retain(|_, peer| !peer.gone || peer.running.is_some());
        }
        true
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Moment, common: &mut Common) {
        self.peers
            .retain(|_, peer| peer.forgotten_at().is_none_or(|at| at > now));
        if !common.connected {
            return;
        }
        if common.paused.contains(&self.project) {
            self.ask(now, common);
            return;
        }
        let hello = self.due_hello(now, common);
        // A hello that tells what was not announced yet would have it found by chance.
        if self.announce.is_some_and(|at| at <= now || hello.is_some()) {
            self.announce = None;
            self.announced = Some(now);
            if self.told != Some(self.held.now()) {
                self.announce(common);
            }
        }
        if let Some(why) = hello {
            self.say_hello(common, why);
            self.beat = now + common.random.around(limits::BEAT);
        }
        self.ask(now, common);
    }

    /// Returns why hello should be said now, if it should.
    fn due_hello(&mut self, now: Moment, common: &mut Common) -> Option<Why> {
        let mut why = None;
        if self.reply.is_some_and(|reply| reply.at <= now) {
            why = self.reply.take().map(|reply| reply.why);
        }
        if self.beat <= now {
            why = Some(Why::Beat);
        }
        if self.poll <= now {
            self.poll = now + common.random.around(common.config.poll);
            self.look_around(common);
            why = Some(Why::Poll);
        }
        if self.start.is_some_and(|at| at <= now) {
            self.start = None;
            why = Some(Why::Start);
        }
        why
    }

    /// Has all those asked who may hold something else.
    fn look_around(&mut self, common: &Common) {
        if common.config.pull {
            let others = self.peers.values_mut();
            others
                .filter(|peer| peer.theirs.is_some() && peer.promises(&self.held))
                .for_each(|peer| peer.want(Trigger::Poll));
        }
        if self.open {
            self.anyone.want(Trigger::Poll);
        }
    }

    /// Begins the exchanges that are due; during a pause those alone that a person asked for.
    fn ask(&mut self, now: Moment, common: &mut Common) {
        let paused = common.paused.contains(&self.project);
        let may = |peer: &PeerState| !paused || peer.is_wish();
        if may(&self.anyone)
            && self.anyone.is_due(now, &self.held)
            && common.running < limits::PULLS
        {
            Self::begin(
                &self.project,
                common,
                &mut self.counters,
                (&mut self.anyone, self.held.now()),
                Source::Anyone,
            );
        }
        let mut due: Vec<Peer> = Vec::new();
        for (name, peer) in &mut self.peers {
            if may(peer) && peer.is_due(now, &self.held) {
                due.push(name.clone());
            }
        }
        due.sort_by_key(|name| self.peers.get(name).map(PeerState::rank));
        for name in due {
            let running = self.peers.values().filter_map(|peer| peer.running);
            if running.clone().count() >= limits::PULLS_OF_PROJECT
                || common.running >= limits::PULLS
            {
                return;
            }
            let theirs = self.peers.get(&name).and_then(|peer| peer.theirs);
            // Another with the same content is being asked. Should that fail, this one is next.
            if theirs.is_some() && running.clone().any(|running| running.theirs == theirs) {
                continue;
            }
            if let Some(peer) = self.peers.get_mut(&name) {
                let source = match peer.bridge {
                    true => Source::Bridge(name),
                    false => Source::Peer(name),
                };
                let asked = (peer, self.held.now());
                Self::begin(&self.project, common, &mut self.counters, asked, source);
            }
        }
    }

    fn begin(
        project: &Project,
        common: &mut Common,
        counters: &mut Counters,
        (peer, mine): (&mut PeerState, Fingerprint),
        source: Source,
    ) {
        common.next_pull += 1;
        common.running += 1;
        counters.pulls += 1;
        let pull = PullId(common.next_pull);
        let trigger = peer.begin(pull, mine);
        common.outbox.push_back(Effect::Pull {
            pull,
            project: project.clone(),
            source,
            trigger,
        });
    }

    fn announce(&mut self, common: &mut Common) {
        self.told = Some(self.held.now());
        self.counters.announced += 1;
        let announcement = Announcement {
            tip: self.held.tip().clone(),
            peer_id: common.config.me.to_string(),
            fingerprint: Some(self.held.now()),
            bridge: common.config.bridge,
            stamp: Some(common.next_stamp()),
        };
        self.publish(common, Topic::Commit, announcement.to_bytes());
    }

    /// Says hello.
    pub(crate) fn say_hello(&mut self, common: &mut Common, why: Why) {
        self.counters.hellos += 1;
        let hello = Hello {
            peer_id: common.config.me.to_string(),
            fingerprint: common.config.push.then_some(self.held.now()),
            bridge: common.config.bridge,
            why,
            stamp: common.next_stamp(),
        };
        self.publish(common, Topic::Hello, hello.to_bytes());
    }

    fn publish(&self, common: &mut Common, topic: Topic, body: Vec<u8>) {
        common.outbox.push_back(Effect::Publish {
            project: self.project.clone(),
            topic,
            body,
        });
    }

    /// Returns when [`ProjectState::tick`] has something to do again.
    pub(crate) fn wake(&self, common: &Common) -> Option<Moment> {
        let forgotten = self
            .peers
            .values()
            .filter_map(PeerState::forgotten_at)
            .min();
        if !common.connected {
            return forgotten;
        }
        let peers = self.peers.values().chain([&self.anyone]);
        if common.paused.contains(&self.project) {
            let wishes = peers.filter(|peer| peer.is_wish());
            return wishes.filter_map(PeerState::wake).chain(forgotten).min();
        }
        let retry = peers.filter_map(PeerState::wake).min();
        [
            forgotten,
            retry,
            self.announce,
            self.start,
            self.reply.map(|reply| reply.at),
            Some(self.beat),
            Some(self.poll),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns what people see.
    pub(crate) fn view(&self) -> ProjectView {
        let peers = self.peers.iter();
        ProjectView {
            project: self.project.clone(),
            counters: self.counters,
            held: self.held.now(),
            peers: peers
                .map(|(name, peer)| peer.view(name, &self.held))
                .collect(),
        }
    }

    /// Returns how many exchanges are under way.
    pub(crate) fn running(&self) -> usize {
        let peers = self.peers.values().chain([&self.anyone]);
        peers.filter(|peer| peer.running.is_some()).count()
    }
}
