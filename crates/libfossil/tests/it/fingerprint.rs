//! The fingerprint: equal for equal sets however they came, kept up as cheaply as read anew.

use libfossil::db::{Receipt, Repository, Visibility};
use libfossil::fingerprint::{Fingerprint, Fingerprints};
use libfossil::name::HashName;
use proptest::prelude::*;

use crate::stock::Lab;
use crate::store::{create, now};

fn anew(repo: &Repository) -> Fingerprint {
    Fingerprints::default().read(repo).unwrap()
}

fn store(repo: &mut Repository, content: &[u8], visibility: Visibility) {
    repo.write(now(), |tx| tx.store(content, visibility))
        .unwrap();
}

#[test]
fn it_is_the_sum_of_the_hashed_names_and_says_nothing_of_order() {
    let lab = Lab::new();
    let (mut a, mut b) = (create(&lab, "a.fossil"), create(&lab, "b.fossil"));
    let empty = anew(&a);
    assert_eq!(empty, anew(&b));
    for text in ["one", "two", "three"] {
        store(&mut a, text.as_bytes(), Visibility::Public);
    }
    for text in ["three", "one"] {
        store(&mut b, text.as_bytes(), Visibility::Public);
    }
    assert_ne!(anew(&a), anew(&b));
    store(&mut b, b"two", Visibility::Public);
    assert_eq!(anew(&a), anew(&b));
    assert_ne!(anew(&a), empty);
}

#[test]
fn an_unversioned_file_changes_its_own_part_alone() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let before = anew(&repo);
    let hash = HashName::sha3_of(b"x");
    repo.write(now(), |tx| tx.put_unversioned("f", 1, &hash, b"x"))
        .unwrap();
    let after = anew(&repo);
    assert_eq!(before.artifacts, after.artifacts);
    assert_ne!(before.unversioned, after.unversioned);
    assert_ne!(before.combined(), after.combined());
}

#[test]
fn clusters_do_not_count() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    for number in 0..120 {
        store(
            &mut repo,
            format!("file {number}").as_bytes(),
            Visibility::Public,
        );
    }
    let mut kept = Fingerprints::default();
    let before = kept.read(&repo).unwrap();
    let made: libfossil::db::Result<usize> = repo.write(now(), |tx| {
        let clusters = tx.make_clusters()?;
        Ok(clusters)
    });
    let clusters = made.unwrap();
    assert!(clusters > 0);
    assert_eq!(kept.read(&repo).unwrap(), before);
    assert_eq!(anew(&repo), before);
}

/// Something that happens to a repository.
#[derive(Clone, Debug)]
enum Event {
    Store(u8, bool),
    Name(u8),
    Publish(u8),
    Hide(u8),
    Shun(u8),
    Rebuild,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..12_u8, any::<bool>()).prop_map(|(which, private)| Event::Store(which, private)),
        3 => (0..12_u8).prop_map(Event::Name),
        1 => (0..12_u8).prop_map(Event::Publish),
        1 => (0..12_u8).prop_map(Event::Hide),
        1 => (0..12_u8).prop_map(Event::Shun),
        1 => Just(Event::Rebuild),
    ];
    proptest::collection::vec(event, 1..12)
}

fn happen(repo: &mut Repository, event: &Event) {
    let text = |which: u8| format!("content {which}").into_bytes();
    let name = |which: u8| HashName::sha3_of(&text(which));
    repo.write(now(), |tx| {
        tx.set_receipt(Receipt::received(None, None, None));
        match event {
            Event::Store(which, private) => {
                let visibility = if *private {
                    Visibility::Private
                } else {
                    Visibility::Public
                };
                match tx.store_named(&name(*which), &text(*which), visibility) {
                    Ok(_) | Err(libfossil::db::Error::Shunned { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Event::Name(which) => {
                tx.phantom(&name(*which), Visibility::Public)?;
            }
            Event::Publish(which) => {
                if let Some(rid) = tx.rid(&name(*which))? {
                    tx.make_public(rid)?;
                }
            }
            Event::Hide(which) => {
                if let Some(rid) = tx.rid(&name(*which))? {
                    tx.make_private(rid)?;
                }
            }
            Event::Shun(_) | Event::Rebuild => {}
        }
        Ok(())
    })
    .unwrap();
    match event {
        Event::Shun(which) => {
            rusqlite::Connection::open(repo.path())
                .unwrap()
                .execute(
                    "INSERT OR IGNORE INTO shun(uuid, mtime) VALUES(?1, 1)",
                    [name(*which).as_str()],
                )
                .unwrap();
        }
        Event::Rebuild => {
            repo.rebuild(now(), libfossil::rebuild::Trust::Nothing, |_, _| {})
                .unwrap();
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn kept_up_or_read_anew_it_is_the_same(events in events()) {
        let lab = Lab::new();
        let mut repo = create(&lab, "a.fossil");
        let mut kept = Fingerprints::default();
        for event in &events {
            happen(&mut repo, event);
            prop_assert_eq!(kept.read(&repo).unwrap(), anew(&repo), "{:?}", event);
        }
    }
}
