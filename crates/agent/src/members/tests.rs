//! Who is a member by which records.

use std::sync::Arc;

use edgesync_tunnel::{PeerId, Ticket};
use proptest::prelude::*;

use super::record::MeshId;
use super::roll::Roll;
use super::*;
use crate::api::Role;
use crate::events::Events;
use crate::limits;
use crate::pair::DeviceName;
use crate::samples::keys;
use crate::trust::{EndpointId, Register, Trust};

fn id(seed: u8) -> EndpointId {
    keys(seed).id()
}

fn name(seed: u8) -> DeviceName {
    format!("agent {seed}").parse().expect("a name")
}

fn vouch(by: u8, member: u8, capabilities: &str, at: i64) -> Record {
    let says = Statement::Vouch {
        member: id(member),
        name: name(member),
        capabilities: capabilities.to_owned(),
        projects: vec![],
        at,
    };
    Record::sign(&keys(by), says).expect("signed")
}

fn revoke(by: u8, member: u8, at: i64) -> Record {
    Record::sign(
        &keys(by),
        Statement::Revoke {
            member: id(member),
            at,
        },
    )
    .expect("signed")
}

fn mesh(by: u8, id: u8, at: i64) -> Record {
    let says = Statement::Mesh {
        id: MeshId::from([id; 16]),
        name: name(by),
        notify: None,
        at,
    };
    Record::sign(&keys(by), says).expect("signed")
}

fn ticket(of: u8, port: u16) -> Ticket {
    let mut ticket = Ticket::of(PeerId::from(*id(of).as_bytes()));
    ticket.addresses.insert(([127, 0, 0, 1], port).into());
    ticket
}

fn place(by: u8, port: u16, at: i64) -> Record {
    let says = Statement::Place {
        ticket: ticket(by, port).to_string(),
        role: Role::Peer,
        at,
    };
    Record::sign(&keys(by), says).expect("signed")
}

fn roll(me: u8, records: &[Record]) -> Roll {
    Roll::new(id(me), records.iter().cloned())
}

fn members(me: u8, records: &[Record]) -> Vec<EndpointId> {
    roll(me, records).view().members.into_keys().collect()
}

fn sorted<const N: usize>(seeds: [u8; N]) -> Vec<EndpointId> {
    let mut ids: Vec<EndpointId> = seeds.into_iter().map(id).collect();
    ids.sort();
    ids
}

/// Says what an agent says to revoke another, and returns all records then.
fn revoked_by(by: u8, member: u8, records: &[Record]) -> Vec<Record> {
    let says = roll(by, records).to_revoke(id(member), 1000);
    let new = says
        .into_iter()
        .map(|says| Record::sign(&keys(by), says).expect("signed"));
    records.iter().cloned().chain(new).collect()
}

/// 1 and 2 are paired, and 2 and 3.
fn chain() -> Vec<Record> {
    vec![
        vouch(1, 2, "gio", 1),
        vouch(2, 1, "gio", 1),
        vouch(2, 3, "gio", 2),
        vouch(3, 2, "gio", 2),
    ]
}

#[test]
fn two_pairings_make_three_members() {
    assert_eq!(members(1, &chain()), sorted([2, 3]));
    assert_eq!(members(2, &chain()), sorted([1, 3]));
    assert_eq!(members(3, &chain()), sorted([1, 2]));
    assert_eq!(
        members(4, &chain()),
        [],
        "a stranger believes nobody of them"
    );
    let one = roll(1, &chain()).view();
    assert_eq!(one.members[&id(3)].letters("any"), "gio");
    assert_eq!(one.members[&id(3)].vouched_by, [id(2)].into());
}

#[test]
fn strangers_can_say_what_they_want() {
    let mut records = chain();
    records.extend([
        vouch(9, 8, "gio", 1),
        vouch(9, 1, "gio", 1),
        revoke(9, 2, 5),
        mesh(9, 0, 1),
    ]);
    assert_eq!(members(1, &records), sorted([2, 3]));
    assert_eq!(roll(1, &records).view().mesh, None);
}

#[test]
fn nobody_gives_more_than_he_has() {
    let records = [vouch(1, 2, "go", 1), vouch(2, 3, "gio", 2)];
    assert_eq!(
        members(1, &records),
        [id(2)],
        "who may not write everywhere vouches for nobody"
    );
    let records = [vouch(1, 2, "gio", 1), vouch(2, 3, "giosx", 2)];
    assert_eq!(
        roll(1, &records).view().members[&id(3)].letters("any"),
        "gio"
    );
    // For a project alone.
    let says = Statement::Vouch {
        member: id(4),
        name: name(4),
        capabilities: "gio".to_owned(),
        projects: vec!["p".to_owned()],
        at: 1,
    };
    let records = [
        Record::sign(&keys(1), says).expect("signed"),
        vouch(4, 5, "gio", 2),
        revoke(4, 1, 3),
    ];
    let view = roll(1, &records).view();
    assert_eq!(
        (
            view.members[&id(4)].letters("p"),
            view.members[&id(4)].letters("q")
        ),
        ("gio".to_owned(), String::new())
    );
    assert_eq!(view.members.len(), 1, "and its word counts for nothing");
}

#[test]
fn the_newest_word_on_somebodys_rights_counts() {
    let mut records = vec![
        vouch(1, 2, "gio", 1),
        vouch(1, 2, "o", 5),
        vouch(1, 2, "gios", 3),
    ];
    assert_eq!(roll(1, &records).view().members[&id(2)].letters("any"), "o");
    records.push(vouch(1, 2, "go", 6));
    assert_eq!(
        roll(1, &records).view().members[&id(2)].letters("any"),
        "go"
    );
}

#[test]
fn a_revoked_member_is_none_for_everyone_and_for_ever() {
    let mut records = revoked_by(1, 3, &chain());
    records.extend([vouch(2, 3, "gio", 2000), vouch(1, 3, "gio", 3000)]);
    for me in [1, 2] {
        let view = roll(me, &records).view();
        assert!(
            !view.members.contains_key(&id(3)) && view.revoked.contains_key(&id(3)),
            "{me}"
        );
    }
    let own = roll(3, &records).view();
    assert!(
        own.members.is_empty() && own.revoked.contains_key(&id(3)),
        "it is told, and is alone then"
    );
}

#[test]
fn whom_the_revoked_had_vouched_for_stays() {
    let records = [chain(), vec![mesh(2, 7, 1)]].concat();
    let records = revoked_by(1, 2, &records);
    assert_eq!(members(1, &records), [id(3)]);
    let view = roll(1, &records).view();
    assert_eq!(
        view.mesh.expect("the mesh goes on").id,
        MeshId::from([7; 16])
    );
    assert_eq!(view.members[&id(3)].name, name(3));
}

/// These are paired, one after the other.
fn paired(pairs: &[(u8, u8)]) -> Vec<Record> {
    let both = pairs.iter().zip(1..);
    both.flat_map(|((one, other), at)| {
        [
            vouch(*one, *other, "gio", at),
            vouch(*other, *one, "gio", at),
        ]
    })
    .collect()
}

/// Asserts that each of `who` has the others of `who` for members and nobody else.
fn are_together<const N: usize>(who: [u8; N], records: &[Record]) {
    for me in who {
        let mut others = sorted(who);
        others.retain(|it| *it != id(me));
        assert_eq!(members(me, records), others, "as {me} has it");
    }
}

#[test]
fn whoever_of_a_row_revokes_whomever_the_others_stay_together() {
    let three = [chain(), vec![mesh(2, 7, 1), place(1, 5, 1)]].concat();
    let records = revoked_by(1, 2, &three);
    are_together([1, 3], &records);
    let view = roll(3, &records).view();
    assert_eq!(view.mesh, roll(1, &records).view().mesh);
    assert!(view.mesh.is_some() && view.places.contains_key(&id(1)));
    assert!(view.revoked.contains_key(&id(2)));
    assert_eq!(members(2, &records), []);

    let four = paired(&[(1, 2), (2, 3), (3, 4)]);
    for by in 1..5 {
        for gone in (1..5).filter(|it| *it != by) {
            let records = revoked_by(by, gone, &four);
            let mut rest = [1, 2, 3, 4].into_iter().filter(|it| *it != gone);
            let rest: [u8; 3] = std::array::from_fn(|_| rest.next().expect("three"));
            are_together(rest, &records);
        }
    }
}

#[test]
fn who_revokes_all_by_whom_others_know_it_stays_with_them() {
    // A ring: 1 and 3 know each other by 2 and by 4.
    let ring = paired(&[(1, 2), (2, 3), (3, 4), (4, 1)]);
    let records = revoked_by(1, 4, &revoked_by(1, 2, &ring));
    are_together([1, 3], &records);
    // A row, from one end on.
    let row = paired(&[(1, 2), (2, 3), (3, 4)]);
    are_together([1, 4], &revoked_by(1, 3, &revoked_by(1, 2, &row)));
}

#[test]
fn two_that_revoke_the_same_one_unheard_by_each_other_stay_with_those_that_know_them_by_it() {
    let star = paired(&[(2, 1), (2, 3), (2, 4)]);
    let records = [revoked_by(1, 2, &star), revoked_by(4, 2, &star)].concat();
    are_together([1, 3, 4], &records);
}

#[test]
fn two_that_revoke_each_other_are_both_out() {
    let one = revoked_by(1, 2, &chain());
    let records = [one, revoked_by(2, 1, &chain())].concat();
    for me in [1, 2, 3] {
        assert_eq!(members(me, &records), [], "as {me} has it");
    }
    let row = paired(&[(1, 2), (2, 3), (3, 4)]);
    let records = [revoked_by(1, 2, &row), revoked_by(2, 1, &row)].concat();
    are_together([3, 4], &records);
}

#[test]
fn who_stayed_by_the_word_of_one_that_he_revoked_can_be_revoked() {
    let records = revoked_by(1, 2, &paired(&[(1, 2), (2, 3), (3, 4)]));
    are_together([3, 4], &revoked_by(4, 1, &records));
    // By one that it keeps, and that has no other who speaks for it.
    assert_eq!(
        members(3, &revoked_by(3, 1, &revoked_by(1, 2, &chain()))),
        []
    );
}

#[test]
fn a_key_that_was_revoked_by_one_who_stands_without_it_lets_nobody_in() {
    let stolen = 2;
    let mesh = paired(&[(1, stolen), (1, 4), (4, stolen)]);
    let attack = [
        vouch(stolen, 8, "gio", 2000),
        vouch(8, 9, "gio", 2000),
        vouch(9, 8, "gio", 2000),
        vouch(8, stolen, "gio", 2000),
        revoke(8, stolen, 2000),
        revoke(9, stolen, 2000),
        revoke(9, 8, 2000),
    ];
    for by in [1, 4] {
        let records = [revoked_by(by, stolen, &mesh), attack.to_vec()].concat();
        assert_eq!(members(1, &records), [id(4)], "{by} revoked it");
    }
    // Not even when the thief revokes the one who stands: all that is left to it is to part others.
    let attack = [
        attack.to_vec(),
        vec![revoke(9, 4, 2001), revoke(8, 4, 2001)],
    ]
    .concat();
    let records = [revoked_by(4, stolen, &mesh), attack].concat();
    assert_eq!(members(1, &records), []);
    // Nor when it gives itself up.
    let records = [chain(), vec![revoke(2, 2, 10), revoke(1, 2, 10)]].concat();
    assert_eq!(members(3, &records), []);
}

#[test]
fn who_stays_by_the_word_of_one_that_he_revoked_has_no_more_rights_than_by_that() {
    let records = [
        vouch(3, 2, "gio", 1),
        vouch(2, 1, "giosx", 1),
        vouch(1, 4, "giosx", 1),
        revoke(1, 2, 5),
    ];
    let view = roll(3, &records).view();
    let letters = |of: u8| view.members[&id(of)].letters("any");
    assert_eq!(
        (letters(1), letters(4)),
        ("gio".to_owned(), "gio".to_owned())
    );
    // Who may not write everywhere revokes nobody.
    let records = [vouch(3, 2, "gio", 1), vouch(2, 1, "go", 1), revoke(1, 2, 5)];
    assert_eq!(members(3, &records), sorted([1, 2]));
}

#[test]
fn rights_that_were_reduced_do_not_undo_a_revocation() {
    let mut records = chain();
    records.push(revoke(2, 3, 10));
    assert!(roll(1, &records).view().revoked.contains_key(&id(3)));
    records.push(vouch(1, 2, "o", 20));
    assert!(roll(1, &records).view().revoked.contains_key(&id(3)));
}

#[test]
fn the_lower_mesh_wins_and_its_newest_name_counts() {
    let records = [chain(), vec![mesh(1, 9, 1), mesh(2, 7, 2), mesh(3, 7, 5)]].concat();
    for me in [1, 2, 3] {
        let mesh = roll(me, &records).view().mesh.expect("a mesh");
        assert_eq!((mesh.id, mesh.name), (MeshId::from([7; 16]), name(3)));
    }
}

#[test]
fn where_a_member_is_it_says_itself_and_its_newest_word_counts() {
    let mut roll = roll(1, &chain());
    let old = place(3, 7, 10);
    roll.add(old.clone()).expect("room");
    let newer = place(3, 8, 20);
    let replaced = Some(old.id());
    assert_eq!(roll.add(newer.clone()), Ok(roll::Added::New { replaced }));
    assert_eq!(roll.add(old), Ok(roll::Added::Known));
    // Nobody speaks of another's place, and no stranger of his own.
    let says = Statement::Place {
        ticket: ticket(2, 9).to_string(),
        role: Role::Peer,
        at: 30,
    };
    roll.add(Record::sign(&keys(3), says).expect("signed"))
        .expect("room");
    assert!(roll.view().places.is_empty());
    roll.add(place(3, 8, 40)).expect("room");
    roll.add(place(9, 8, 20)).expect("room");
    let places = roll.view().places;
    let ports: Vec<_> = places
        .iter()
        .map(|(at, it)| (*at, it.ticket.clone()))
        .collect();
    assert_eq!(ports, [(id(3), ticket(3, 8))]);
    roll.add(revoke(1, 3, 50)).expect("room");
    assert!(roll.view().places.is_empty());
}

#[test]
fn a_place_is_told_once_and_later_than_the_one_before() {
    let mut roll = roll(1, &chain());
    let says = roll.to_be_at("one", Role::Peer, 100).expect("new");
    roll.add(Record::sign(&keys(1), says).expect("signed"))
        .expect("room");
    assert_eq!(roll.to_be_at("one", Role::Peer, 200), None);
    assert!(roll.to_be_at("one", Role::Leaf, 200).is_some());
    // The clock was put back.
    let says = roll.to_be_at("two", Role::Peer, 50).expect("new");
    assert!(matches!(says, Statement::Place { at: 101, .. }), "{says:?}");
}

#[test]
fn a_full_roll_still_takes_revocations_of_those_whose_word_counts() {
    let flood =
        (0..limits::RECORDS).map(|at| vouch(9, 8, "gio", i64::try_from(at).expect("small")));
    let mut roll = Roll::new(id(1), flood.chain([vouch(1, 2, "gio", 1)]));
    assert_eq!(roll.add(vouch(1, 4, "gio", 1)), Err(roll::Full));
    assert_eq!(roll.add(revoke(9, 2, 1)), Err(roll::Full));
    assert_eq!(
        roll.add(revoke(1, 2, 1)),
        Ok(roll::Added::New { replaced: None })
    );
    assert_eq!(roll.add(revoke(1, 2, 1)), Ok(roll::Added::Known));
    assert!(roll.view().members.is_empty());
}

#[test]
fn records_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        crate::state::StateDb::open(&folder.path().join("agent.db"))
            .expect("a database")
            .0
    };
    let before = place(2, 1, 1);
    let records = [chain(), vec![place(2, 2, 2)]].concat();
    store::keep(&open(), std::slice::from_ref(&before), &[]).expect("written");
    store::keep(&open(), &records, &[before.id()]).expect("written");
    store::keep(&open(), &records, &[]).expect("written again");
    let read = Roll::new(id(1), store::records(&open()).expect("read"));
    assert_eq!(read.fingerprint(), roll(1, &records).fingerprint());
}

#[test]
fn a_new_identity_in_an_old_folder_begins_with_no_mesh() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = || {
        let state = crate::state::StateDb::open(&folder.path().join("agent.db"));
        Arc::new(state.expect("a database").0)
    };
    // 1 and 2 have each revoked the other.
    let records = [chain(), vec![revoke(1, 2, 5), revoke(2, 1, 6)]].concat();
    store::keep(&state(), &records, &[]).expect("written");
    let open = |seed: u8| {
        let state = state();
        let register = Register::open(Arc::clone(&state), None, None).expect("read");
        let (trust, events) = (Arc::new(Trust::new(register)), Arc::new(Events::new()));
        let members = Members::open(Arc::new(keys(seed)), state, trust, events, name(seed));
        members.expect("opened").have().len()
    };
    assert_eq!(open(1), records.len());
    assert_eq!(open(3), records.len());
    assert_eq!(open(9), 0);
    assert_eq!(open(1), 0, "they are forgotten for good");
}

/// What any of five agents may say.
fn any_record() -> impl Strategy<Value = Record> {
    let rights = prop::sample::select(vec!["gio", "go", "o", "giosx", ""]);
    let seeds = (1_u8..6, 1_u8..6, 0_i64..6);
    prop_oneof![
        4 => (seeds.clone(), rights).prop_map(|((by, member, at), rights)| vouch(by, member, rights, at)),
        1 => seeds.clone().prop_map(|(by, member, at)| revoke(by, member, at)),
        1 => seeds.clone().prop_map(|(by, id, at)| mesh(by, id, at)),
        1 => seeds.prop_map(|(by, port, at)| place(by, port.into(), at)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_change_nothing(records in prop::collection::vec(any_record(), 0..24), order in any::<u64>(), again in 0_usize..24) {
        let mut one = Roll::new(id(1), []);
        for record in &records {
            one.add(record.clone()).expect("room");
        }
        let mut shuffled = records.clone();
        let mut seed = order;
        shuffled.sort_by_cached_key(|_| { seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); seed >> 33 });
        let mut other = Roll::new(id(1), []);
        for record in shuffled.iter().chain(records.iter().take(again)) {
            other.add(record.clone()).expect("room");
        }
        prop_assert_eq!(one.view(), other.view());
        prop_assert_eq!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn more_records_never_bring_a_revoked_member_back(records in prop::collection::vec(any_record(), 1..24), cut in 0_usize..24) {
        let fewer = roll(1, &records[..cut.min(records.len())]).view();
        let all = roll(1, &records).view();
        for gone in fewer.revoked.keys() {
            prop_assert!(all.revoked.contains_key(gone));
            prop_assert!(!all.members.contains_key(gone));
        }
    }

    #[test]
    fn a_revocation_gives_nobody_more_than_there_was_before_any(records in prop::collection::vec(any_record(), 1..24)) {
        let vouched = |it: &&Record| !matches!(it.says(), Statement::Revoke { .. });
        let most = roll(1, &records.iter().filter(vouched).cloned().collect::<Vec<_>>()).view().members;
        for (id, member) in roll(1, &records).view().members {
            let had = &most[&id];
            prop_assert!(member.everywhere.is_subset(&had.everywhere));
            for (project, rights) in &member.in_projects {
                prop_assert!(rights.is_subset(&had.in_projects[project]));
            }
        }
    }

    #[test]
    fn a_revocation_gives_to_nobody_but_its_author(records in prop::collection::vec(any_record(), 1..24), by in 1_u8..6, member in 1_u8..6) {
        let before = roll(1, &records).view().members;
        let after = roll(1, &[records, vec![revoke(by, member, 9)]].concat()).view().members;
        let has = |of: &std::collections::BTreeMap<_, Member>| of.get(&id(by)).map(|it| it.everywhere.clone());
        // Who comes back brings along whom it vouches for.
        if has(&after).is_none() || has(&after) == has(&before) {
            for (id, it) in after {
                prop_assert!(before.get(&id).is_some_and(|had| it.everywhere.is_subset(&had.everywhere)));
            }
        }
    }

    #[test]
    fn what_a_key_says_that_was_revoked_here_gives_nothing(records in prop::collection::vec(any_record(), 1..24), stolen in 2_u8..6, rest in prop::collection::vec(any_record(), 0..8)) {
        let records = revoked_by(1, stolen, &records);
        let own = rest.into_iter().filter(|it| [id(stolen), id(8), id(9)].contains(&it.by()));
        let attack = [vouch(stolen, 8, "gio", 9), vouch(8, 9, "gio", 9), revoke(8, stolen, 9), revoke(9, 8, 9), revoke(9, stolen, 9)];
        let after = roll(1, &records.iter().cloned().chain(own).chain(attack).collect::<Vec<_>>()).view().members;
        let before = roll(1, &records).view().members;
        for (id, it) in after {
            prop_assert!(before.get(&id).is_some_and(|had| it.everywhere.is_subset(&had.everywhere)));
        }
    }

    #[test]
    fn a_revocation_takes_one_member_and_no_other(records in prop::collection::vec(any_record(), 1..24), member in 2_u8..6) {
        let before = roll(1, &records).view();
        let after = roll(1, &revoked_by(1, member, &records)).view();
        prop_assert!(after.revoked.contains_key(&id(member)) || before.revoked.contains_key(&id(1)));
        for (other, had) in before.members.iter().filter(|(other, _)| **other != id(member)) {
            let has = after.members.get(other);
            prop_assert_eq!(has.map(|it| (&it.everywhere, &it.name)), Some((&had.everywhere, &had.name)));
        }
        prop_assert_eq!(before.mesh, after.mesh);
    }
}
