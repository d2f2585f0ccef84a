//! The machine as its driver holds it: inputs and the time go in, effects come out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::project::{Common, Manner, ProjectState};
use crate::random::Random;
use crate::{Config, Counters, Effect, Input, Moment, Project, ProjectView, Stamp, Why};

/// The replication machine of one agent.
///
/// After each [`handle`](Replica::handle) and [`tick`](Replica::tick) the driver takes the effects until there are none, and calls `tick` again
/// at [`wake`](Replica::wake). A machine begins without a bus; [`Input::Connected`] gives it one.
#[derive(Debug)]
pub struct Replica {
    common: Common,
    projects: BTreeMap<Project, ProjectState>,
    /// What was counted for projects that were closed.
    closed: Counters,
}

impl Replica {
    /// Returns a machine that knows nothing yet.
    pub fn new(config: Config) -> Self {
        let mut random = Random::new(config.seed);
        let stamp = Stamp {
            run: random.next(),
            seq: 0,
        };
        Self {
            common: Common {
                config,
                random,
                outbox: VecDeque::new(),
                running: 0,
                paused: BTreeSet::new(),
                connected: false,
                next_pull: 0,
                stamp,
            },
            projects: BTreeMap::new(),
            closed: Counters::default(),
        }
    }

    /// Takes in a fact, and does what is due.
    pub fn handle(&mut self, now: Moment, input: Input) {
        let common = &mut self.common;
        match input {
            Input::Opened {
                project,
                fingerprint,
                tip,
                open,
                unversioned,
            } => {
                let holds = (fingerprint, tip);
                let manner = Manner { open, unversioned };
                let state = ProjectState::new(now, common, project.clone(), holds, manner);
                if let Some(before) = self.projects.insert(project, state) {
                    common.running = common.running.saturating_sub(before.running());
                    self.closed += before.counters();
                }
            }
            Input::Closed(project) => {
                if let Some(mut state) = self.projects.remove(&project) {
                    common.running = common.running.saturating_sub(state.running());
                    common.paused.remove(&project);
                    if common.connected {
                        state.say_hello(common, Why::Bye);
                    }
                    self.closed += state.counters();
                }
            }
            Input::Changed {
                project,
                fingerprint,
                tip,
                origin,
            } => {
                if let Some(state) = self.projects.get_mut(&project) {
                    state.changed(now, common, (fingerprint, tip), origin);
                }
            }
            Input::Heard {
                project,
                from,
                notice,
            } => {
                let own = from == common.config.me;
                let state = self.projects.get_mut(&project).filter(|_| !own);
                if let Some(state) = state {
                    state.heard(now, common, &from, &notice);
                }
            }
            Input::Pulled { pull, outcome } => {
                for state in self.projects.values_mut() {
                    if state.pulled(now, common, pull, &outcome) {
                        break;
                    }
                }
            }
            Input::Asked(which) => {
                let chosen = |name: &Project| which.as_ref().is_none_or(|which| which == name);
                let projects = self.projects.iter_mut();
                projects
                    .filter(|(name, _)| chosen(name))
                    .for_each(|(_, state)| state.asked(now, common));
            }
            Input::Connected => {
                common.connected = true;
                self.greet_all(now);
            }
            Input::Disconnected => common.connected = false,
            Input::Lost(peer) => self
                .projects
                .values_mut()
                .for_each(|state| state.lost(&peer)),
            Input::Paused(project) => drop(common.paused.insert(project)),
            Input::Resumed(project) => self.resume(now, &project),
        }
        self.tick(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Moment) {
        for state in self.projects.values_mut() {
            state.tick(now, &mut self.common);
        }
    }

    /// Returns when [`tick`](Replica::tick) has something to do again.
    pub fn wake(&self) -> Option<Moment> {
        let projects = self.projects.values();
        projects.filter_map(|state| state.wake(&self.common)).min()
    }

    /// Takes the next effect.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.common.outbox.pop_front()
    }

    /// Returns what people see of each project.
    pub fn view(&self) -> Vec<ProjectView> {
        self.projects.values().map(ProjectState::view).collect()
    }

    /// Returns what people see of one project.
    pub fn view_of(&self, project: &Project) -> Option<ProjectView> {
        self.projects.get(project).map(ProjectState::view)
    }

    /// Returns how often what happened, in all projects since the start; those that were closed count as well.
    pub fn counters(&self) -> Counters {
        let mut counters = self.closed;
        self.projects
            .values()
            .for_each(|state| counters += state.counters());
        counters
    }

    /// Whether a person wants no exchanges of this project now.
    pub fn is_paused(&self, project: &Project) -> bool {
        self.common.paused.contains(project)
    }

    fn resume(&mut self, now: Moment, project: &Project) {
        let was_paused = self.common.paused.remove(project);
        if let Some(state) = self.projects.get_mut(project).filter(|_| was_paused) {
            state.connected(now, &mut self.common);
        }
    }

    fn greet_all(&mut self, now: Moment) {
        for state in self.projects.values_mut() {
            state.connected(now, &mut self.common);
        }
    }
}
