//! What each link is told that this server wants.
//!
//! A link is told of a filter when the first who wants it comes and when the last one goes, and of a queue group whenever the
//! number of its members changes. Who counts depends on the other end: a leafnode hears of everybody but itself, the members of
//! its own cluster, and, if it is isolated, all other leafnodes; a hub and a member of our cluster hear only of our clients and
//! of our own leafnodes.

use std::collections::HashMap;
use std::sync::Arc;

use super::Audience;
use super::terms::{Terms, finds_loops};
use crate::proto::write;
use crate::subject::Filter;
use crate::sublist::{Changed, Class};

/// A filter, and of a queue group its name.
type Key = (Filter, Option<Arc<[u8]>>);

/// Who is at the other end of a link.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) audience: Audience,
    /// Its cluster.
    pub(crate) cluster: Option<Arc<[u8]>>,
    pub(crate) terms: Arc<Terms>,
}

/// A leafnode link that has changed its mind, which is why interest changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) link: u64,
    pub(crate) class: Class,
    pub(crate) cluster: Option<&'a Arc<[u8]>>,
    /// How many members the link stands for now; 0 if it wants nothing any more.
    pub(crate) weight: u32,
}

/// What one link wants of a filter.
#[derive(Debug)]
struct Want {
    link: u64,
    class: Class,
    cluster: Option<Arc<[u8]>>,
    weight: u32,
}

/// A link that is told, and what it was told last.
#[derive(Debug)]
struct Told<C> {
    conn: C,
    other: Other,
    announced: HashMap<Key, u32>,
}

/// All links. `C` is what a line is sent to.
#[derive(Debug)]
pub(crate) struct Interest<C> {
    links: HashMap<u64, Told<C>>,
    /// What leafnodes and hubs want, to tell none of its own interest. Routes and clients are never left out.
    wants: HashMap<Key, Vec<Want>>,
}

impl<C> Interest<C> {
    pub(crate) fn new() -> Self {
        Self {
            links: HashMap::new(),
            wants: HashMap::new(),
        }
    }

    /// Says whether there is nobody to tell and nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.wants.is_empty()
    }

    /// Adds a link. [`Self::tell`] has to follow for all that is wanted already, before anything can change.
    pub(crate) fn join(&mut self, link: u64, conn: C, other: Other) {
        let told = Told {
            conn,
            other,
            announced: HashMap::new(),
        };
        self.links.insert(link, told);
    }

    /// Takes a link out. What it wanted goes as its subscriptions do.
    pub(crate) fn leave(&mut self, link: u64) {
        self.links.remove(&link);
    }

    /// Tells one link, if it has to know, how things stand with one filter; `send` appends the line.
    pub(crate) fn tell(&mut self, link: u64, now: &Changed<'_>, send: impl FnOnce(&C, &[u8])) {
        let key = key(now);
        let wants = self.wants.get(&key).map(Vec::as_slice).unwrap_or_default();
        if let Some(told) = self.links.get_mut(&link) {
            told.update(link, key, now, wants, send);
        }
    }

    /// Takes in that interest changed, and tells all links that have to know; `send` appends the line for one.
    pub(crate) fn changed(
        &mut self,
        now: &Changed<'_>,
        by: Option<By<'_>>,
        mut send: impl FnMut(&C, &[u8]),
    ) {
        let key = key(now);
        if let Some(by) = by {
            self.remember(&key, by);
        }
        let wants = self.wants.get(&key).map(Vec::as_slice).unwrap_or_default();
        for (link, told) in &mut self.links {
            told.update(*link, key.clone(), now, wants, &mut send);
        }
    }

    fn remember(&mut self, key: &Key, by: By<'_>) {
        let wants = self.wants.entry(key.clone()).or_default();
        wants.retain(|want| want.link != by.link);
        if by.weight > 0 {
            wants.push(Want {
                link: by.link,
                class: by.class,
                cluster: by.cluster.cloned(),
                weight: by.weight,
            });
        }
        if wants.is_empty() {
            self.wants.remove(key);
        }
    }
}

fn key(now: &Changed<'_>) -> Key {
    (now.filter.clone(), now.queue.cloned())
}

impl<C> Told<C> {
    fn update(
        &mut self,
        link: u64,
        key: Key,
        now: &Changed<'_>,
        wants: &[Want],
        send: impl FnOnce(&C, &[u8]),
    ) {
        let count = if self.other.may_hear_of(now.filter) {
            self.other.count(link, now, wants)
        } else {
            0
        };
        let weight = if now.queue.is_some() {
            count
        } else {
            count.min(1)
        };
        let before = if weight > 0 {
            self.announced.insert(key, weight)
        } else {
            self.announced.remove(&key)
        };
        if before.unwrap_or(0) != weight {
            let mut line = Vec::with_capacity(64);
            let queue = now.queue.map(AsRef::as_ref);
            write::interest(
                &mut line,
                self.other.account(),
                now.filter.as_bytes(),
                queue,
                weight,
            );
            send(&self.conn, &line);
        }
    }
}

impl Other {
    /// Returns the account that lines name; on leafnode links none does.
    fn account(&self) -> Option<&'static str> {
        (self.audience == Audience::Route).then_some(write::ACCOUNT)
    }

    /// Says whether interest in a filter may be announced. A hub refuses a leafnode that asks for more than it may have; a
    /// leafnode sends what it may of what a hub asks.
    fn may_hear_of(&self, filter: &Filter) -> bool {
        finds_loops(filter.as_bytes())
            || match self.audience {
                Audience::Route => true,
                Audience::Hub => self.terms.into.lets_all(filter),
                Audience::Spoke { .. } => self.terms.into.lets_some(filter),
            }
    }

    /// Returns how many want a filter, of those that this end hears of.
    fn count(&self, link: u64, now: &Changed<'_>, wants: &[Want]) -> u32 {
        let (spokes, hubs, routes) = match self.audience {
            Audience::Route | Audience::Hub => (true, false, false),
            Audience::Spoke { isolated } => {
                let leaves = !isolated || finds_loops(now.filter.as_bytes());
                (leaves, leaves, true)
            }
        };
        let counted = |class| match class {
            Class::Spoke => spokes,
            Class::Hub => hubs,
            Class::Route => routes,
            Class::Client => true,
        };
        let tally = &now.tally;
        let all = [
            (Class::Client, tally.clients),
            (Class::Spoke, tally.spokes),
            (Class::Hub, tally.hubs),
            (Class::Route, tally.routes),
        ];
        let all = all
            .into_iter()
            .filter(|(class, _)| counted(*class))
            .fold(0_u32, |sum, (_, count)| sum.saturating_add(count));
        let own = |want: &&Want| {
            want.link == link
                || (self.audience != Audience::Route
                    && want.cluster.is_some()
                    && want.cluster == self.cluster)
        };
        let own = wants
            .iter()
            .filter(|want| counted(want.class))
            .filter(own)
            .fold(0_u32, |sum, want| sum.saturating_add(want.weight));
        all.saturating_sub(own)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Audience;
    use super::super::terms::Terms;
    use super::{By, Interest, Other};
    use crate::subject::Filter;
    use crate::sublist::{Changed, Class, Tally};

    /// Links by name, and what they were told.
    struct Hub {
        interest: Interest<u64>,
        told: Vec<(u64, String)>,
    }

    impl Hub {
        fn new(links: &[(u64, Class, Option<&str>, bool)]) -> Self {
            let mut interest = Interest::new();
            for (link, class, cluster, isolated) in links {
                let audience = match class {
                    Class::Spoke => Audience::Spoke {
                        isolated: *isolated,
                    },
                    Class::Hub => Audience::Hub,
                    _ => Audience::Route,
                };
                let other = Other {
                    audience,
                    cluster: cluster.map(|name| Arc::from(name.as_bytes())),
                    terms: Arc::new(Terms::default()),
                };
                interest.join(*link, *link, other);
            }
            Self {
                interest,
                told: Vec::new(),
            }
        }

        /// Changes one filter and returns what each link is told.
        fn change(
            &mut self,
            filter: &str,
            queue: Option<&str>,
            tally: Tally,
            by: Option<(u64, Class, Option<&str>, u32)>,
        ) -> Vec<(u64, String)> {
            let filter = Filter::parse(filter.as_bytes()).expect("a filter");
            let queue: Option<Arc<[u8]>> = queue.map(|name| Arc::from(name.as_bytes()));
            let cluster = by.and_then(|(_, _, cluster, _)| cluster);
            let cluster: Option<Arc<[u8]>> = cluster.map(|name| Arc::from(name.as_bytes()));
            let by = by.map(|(link, class, _, weight)| By {
                link,
                class,
                cluster: cluster.as_ref(),
                weight,
            });
            let now = Changed {
                filter: &filter,
                queue: queue.as_ref(),
                tally,
            };
            let told = &mut self.told;
            self.interest.changed(&now, by, |link, line| {
                let line = String::from_utf8_lossy(line).trim_end().to_owned();
                told.push((*link, line));
            });
            let mut told = std::mem::take(&mut self.told);
            told.sort();
            told
        }
    }

    fn clients(clients: u32) -> Tally {
        Tally {
            clients,
            ..Tally::default()
        }
    }

    fn line(link: u64, line: &str) -> (u64, String) {
        (link, line.to_owned())
    }

    #[test]
    fn plain_interest_is_told_when_it_begins_and_ends() {
        let mut hub = Hub::new(&[(1, Class::Spoke, None, false)]);
        assert_eq!(hub.change("a", None, clients(1), None), [line(1, "LS+ a")]);
        assert_eq!(hub.change("a", None, clients(2), None), []);
        assert_eq!(hub.change("a", None, clients(1), None), []);
        assert_eq!(hub.change("a", None, clients(0), None), [line(1, "LS- a")]);
    }

    #[test]
    fn a_group_is_told_with_every_change_of_its_weight() {
        let mut hub = Hub::new(&[(1, Class::Spoke, None, false)]);
        let mut told = |count| hub.change("a", Some("q"), clients(count), None);
        assert_eq!(told(1), [line(1, "LS+ a q 1")]);
        assert_eq!(told(3), [line(1, "LS+ a q 3")]);
        assert_eq!(told(2), [line(1, "LS+ a q 2")]);
        assert_eq!(told(0), [line(1, "LS- a q")]);
    }

    #[test]
    fn a_link_does_not_hear_of_itself_or_its_own_cluster() {
        let mut hub = Hub::new(&[
            (1, Class::Spoke, Some("x"), false),
            (2, Class::Spoke, Some("x"), false),
            (3, Class::Spoke, None, false),
        ]);
        let spokes = |spokes| Tally {
            spokes,
            ..Tally::default()
        };
        let by = |link, weight| Some((link, Class::Spoke, Some("x"), weight));
        assert_eq!(
            hub.change("a", None, spokes(1), by(1, 1)),
            [line(3, "LS+ a")]
        );
        assert_eq!(hub.change("a", None, spokes(2), by(2, 1)), []);
        let third = Some((3, Class::Spoke, None, 1));
        assert_eq!(
            hub.change("a", None, spokes(3), third),
            [line(1, "LS+ a"), line(2, "LS+ a")]
        );
        assert_eq!(hub.change("a", None, spokes(2), by(1, 0)), []);
        assert_eq!(
            hub.change("a", None, spokes(1), by(2, 0)),
            [line(3, "LS- a")]
        );
    }

    #[test]
    fn a_member_of_the_cluster_hears_of_clients_and_leafnodes_with_the_account() {
        let mut hub = Hub::new(&[(1, Class::Route, Some("x"), false)]);
        let tally = Tally {
            clients: 1,
            spokes: 1,
            hubs: 4,
            routes: 5,
        };
        let by = Some((2, Class::Spoke, Some("x"), 1));
        assert_eq!(
            hub.change("a", Some("q"), tally, by),
            [line(1, "RS+ $G a q 2")]
        );
    }

    #[test]
    fn a_hub_hears_only_of_clients_and_our_own_leafnodes() {
        let mut hub = Hub::new(&[(1, Class::Hub, None, false), (2, Class::Spoke, None, false)]);
        let from_elsewhere = Tally {
            routes: 1,
            hubs: 1,
            ..Tally::default()
        };
        let other_hub = Some((9, Class::Hub, None, 1));
        assert_eq!(
            hub.change("a", None, from_elsewhere, other_hub),
            [line(2, "LS+ a")]
        );
        let and_a_leafnode = Tally {
            spokes: 1,
            ..from_elsewhere
        };
        let by = Some((2, Class::Spoke, None, 1));
        assert_eq!(
            hub.change("a", None, and_a_leafnode, by),
            [line(1, "LS+ a")]
        );
    }

    #[test]
    fn an_isolated_leafnode_hears_of_other_leafnodes_only_to_find_loops() {
        let mut hub = Hub::new(&[(1, Class::Spoke, None, true)]);
        let spokes = Tally {
            spokes: 1,
            ..Tally::default()
        };
        let by = Some((2, Class::Spoke, None, 1));
        assert_eq!(hub.change("a", None, spokes, by), []);
        assert_eq!(
            hub.change("$LDS.x", None, spokes, by),
            [line(1, "LS+ $LDS.x")]
        );
    }

    #[test]
    fn nothing_is_remembered_of_interest_that_ended() {
        let mut hub = Hub::new(&[(1, Class::Spoke, None, false)]);
        let spokes = Tally {
            spokes: 1,
            ..Tally::default()
        };
        hub.change("a", None, spokes, Some((1, Class::Spoke, None, 1)));
        hub.change(
            "a",
            None,
            Tally::default(),
            Some((1, Class::Spoke, None, 0)),
        );
        hub.interest.leave(1);
        assert!(hub.interest.is_empty());
    }
}
