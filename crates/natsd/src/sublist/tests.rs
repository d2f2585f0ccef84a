//! The tree against the plainest thing that does the same: a list that is searched whole.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Sub = Arc<Subscription<u32>>;

fn subscription(owner: u32, filter: &str, queue: Option<&str>) -> Sub {
    let filter = Filter::parse(filter.as_bytes()).expect("a filter");
    let queue = queue.map(|queue| queue.as_bytes().into());
    Arc::new(Subscription::new(owner, Class::Client, filter, queue, b"1"))
}

fn matches(tree: &Sublist<u32>, subject: &str) -> Matches<u32> {
    let mut matches = Matches::default();
    tree.collect(subject.as_bytes(), &mut matches);
    matches
}

fn owners(matches: &Matches<u32>) -> (BTreeSet<u32>, BTreeSet<(Vec<u8>, u32)>) {
    let plain = matches.plain.iter().map(|sub| sub.owner).collect();
    let groups = matches.groups.iter();
    let queued = groups.flat_map(|group| {
        group
            .local
            .iter()
            .map(|sub| (group.name.to_vec(), sub.owner))
    });
    (plain, queued.collect())
}

fn filters() -> impl Strategy<Value = String> {
    let token = prop::sample::select(&["a", "b", "*", "a*"][..]);
    (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(tokens, open)| {
        let filter = tokens.join(".");
        if open { format!("{filter}.>") } else { filter }
    })
}

fn subjects() -> impl Strategy<Value = String> {
    let token = prop::sample::select(&["a", "b", "c", "*", ">", ""][..]);
    prop::collection::vec(token, 1..5).prop_map(|tokens| tokens.join("."))
}

#[derive(Clone, Debug)]
enum Act {
    Insert(String, Option<&'static str>),
    Remove(prop::sample::Index),
}

fn acts() -> impl Strategy<Value = Act> {
    let queue = prop::option::of(prop::sample::select(&["q", "r"][..]));
    prop_oneof![
        3 => (filters(), queue).prop_map(|(filter, queue)| Act::Insert(filter, queue)),
        1 => any::<prop::sample::Index>().prop_map(Act::Remove),
    ]
}

proptest! {
    #[test]
    fn the_tree_finds_what_a_search_of_all_finds(acts in prop::collection::vec(acts(), 1..40), subjects in prop::collection::vec(subjects(), 1..20)) {
        let tree = Sublist::new();
        let mut all: Vec<Sub> = Vec::new();
        for (owner, act) in (0..).zip(acts) {
            let before = tree.generation();
            match act {
                Act::Insert(filter, queue) => {
                    let sub = subscription(owner, &filter, queue);
                    let same = |other: &&Sub| other.filter == sub.filter && other.queue == sub.queue;
                    let expected = all.iter().filter(same).count() + 1;
                    tree.insert(&sub, |changed| assert_eq!(changed.tally.clients as usize, expected));
                    all.push(sub);
                }
                Act::Remove(_) if all.is_empty() => continue,
                Act::Remove(index) => {
                    let sub = all.swap_remove(index.index(all.len()));
                    tree.remove(&sub, |_| {});
                    tree.remove(&sub, |_| panic!("removed twice"));
                }
            }
            prop_assert_ne!(tree.generation(), before);
        }
        prop_assert_eq!(tree.len(), all.len());
        for subject in &subjects {
            let fits = |sub: &&Sub| subject::is_publishable(subject.as_bytes()) && sub.filter.matches(subject.as_bytes());
            let (queued, plain): (Vec<_>, Vec<_>) = all.iter().filter(fits).partition(|sub| sub.queue.is_some());
            let expected = (
                plain.iter().map(|sub| sub.owner).collect(),
                queued.iter().map(|sub| (sub.queue.as_deref().unwrap_or_default().to_vec(), sub.owner)).collect(),
            );
            prop_assert_eq!(owners(&matches(&tree, subject)), expected);
        }
        for sub in &all {
            tree.remove(sub, |_| {});
        }
        prop_assert_eq!(tree.len(), 0);
        tree.for_each(|| {}, |changed| panic!("{} is left", changed.filter));
    }
}

#[test]
fn a_group_of_one_name_is_one_group_whatever_its_filters() {
    let tree = Sublist::new();
    for (owner, filter) in ["a.*", "a.b", ">"].into_iter().enumerate() {
        tree.insert(
            &subscription(u32::try_from(owner).expect("few"), filter, Some("q")),
            |_| {},
        );
    }
    let matches = matches(&tree, "a.b");
    assert_eq!(matches.groups.len(), 1);
    assert_eq!(matches.groups[0].local.len(), 3);
}

#[test]
fn a_weight_counts_for_so_many_members() {
    let tree = Sublist::new();
    let sub = subscription(1, "a", Some("q"));
    sub.set_weight(3);
    tree.insert(&sub, |changed| assert_eq!(changed.tally.clients, 3));
    tree.reweigh(&sub, 5, |changed| assert_eq!(changed.tally.clients, 5));
    tree.remove(&sub, |changed| assert_eq!(changed.tally, Tally::default()));
    tree.reweigh(&sub, 1, |_| panic!("it is gone"));
}

#[test]
fn deliveries_are_counted_from_the_beginning() {
    let sub = subscription(1, "a", None);
    assert_eq!(sub.count_delivery(), Delivery::Counted);
    assert!(!sub.limit(3));
    assert_eq!(sub.count_delivery(), Delivery::Counted);
    assert_eq!(sub.count_delivery(), Delivery::Last);
    assert_eq!(sub.count_delivery(), Delivery::Refused);
    assert!(sub.limit(2));
    assert!(subscription(1, "a", None).limit(0));
}
