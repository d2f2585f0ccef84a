//! Two meshes meet: whose repository is kept, and how everybody comes to it without losing a message.

use edgesync_notify::keyring::{Device, Distrust, Keyring, Scope};
use edgesync_notify::message::Message;
use edgesync_notify::moved::{Mesh, MeshId, Moved, MovedError, to_follow};
use edgesync_notify::store::{self, NewStore, Store};
use libfossil::db::Repository;
use libfossil::name::ProjectCode;
use std::collections::BTreeSet;

use crate::lab::{Agent, at, project, ring};

fn mesh(n: u8) -> Mesh {
    Mesh {
        id: format!("{n:02x}").repeat(16).parse().expect("an id"),
        project: ProjectCode::from_random([n; 20]),
    }
}

fn record(by: &Agent, from: u8, to: u8) -> Moved {
    Moved::signed(&mesh(from), &mesh(to), &by.id(), at(0), &by.signer()).expect("a record")
}

fn repository(folder: &tempfile::TempDir, mesh: &Mesh) -> Repository {
    let new = NewStore {
        project_code: mesh.project,
        server_code: ProjectCode::from_random([99; 20]),
        password: "secret",
    };
    let path = folder.path().join(format!("{}.fossil", mesh.id));
    store::create(&path, &new, at(0)).expect("a repository")
}

#[test]
fn the_mesh_with_the_lower_id_keeps_its_repository_whoever_looks() {
    let (low, high) = (mesh(1), mesh(2));
    assert!(high.gives_way_to(&low) && !low.gives_way_to(&high));
    assert!(!low.gives_way_to(&low));
    // Two meshes that share their messages already have nothing to move.
    let same = Mesh {
        id: high.id.clone(),
        project: low.project,
    };
    assert!(!same.gives_way_to(&low));
    let ada = Agent::new(1, "ada");
    let upward = Moved::signed(&low, &high, &ada.id(), at(0), &ada.signer());
    assert_eq!(upward, Err(MovedError::Upward));
    for bad in [
        "",
        "xyz",
        &"A".repeat(32),
        &"a".repeat(65),
        "../../../../../../../../../../etc",
    ] {
        assert_eq!(bad.parse::<MeshId>(), Err(MovedError::MeshId), "{bad}");
    }
}

#[test]
fn a_record_is_read_as_it_is_written_and_nothing_in_it_can_be_changed() {
    let (ada, eve) = (Agent::new(1, "ada"), Agent::new(9, "eve"));
    let moved = record(&ada, 2, 1);
    let text = moved.to_file();
    assert_eq!(Moved::read(text.as_bytes()).expect("read"), moved);
    let trusted = ring(&[&ada]);
    assert_eq!(moved.check(&trusted), Ok(()));
    assert_eq!(record(&eve, 2, 1).check(&trusted), Err(Distrust::Stranger));

    let elsewhere = text.replace(&mesh(1).project.to_string(), mesh(3).project.as_ref());
    let elsewhere = Moved::read(elsewhere.as_bytes()).expect("the form is good");
    assert_eq!(elsewhere.check(&trusted), Err(Distrust::BadSignature));
    let other_name = text.replace(&ada.id(), &eve.id());
    let other_name = Moved::read(other_name.as_bytes()).expect("the form is good");
    assert_eq!(other_name.check(&trusted), Err(Distrust::BadSignature));
    let upward = text.replace(&mesh(1).id.to_string(), &"ff".repeat(16));
    assert_eq!(Moved::read(upward.as_bytes()), Err(MovedError::Upward));
    for bad in [
        "",
        "{}",
        "[]",
        &text.replace("\"v\": 1", "\"v\": 2"),
        &text.replace("\"sig\"", "\"gis\""),
    ] {
        assert!(Moved::read(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn who_answers_in_some_projects_only_moves_nobody() {
    let phone = Agent::new(3, "phone");
    let mut keyring = Keyring::new();
    keyring.admit(Device {
        scope: Scope::Projects(BTreeSet::from([project()])),
        ..phone.device()
    });
    assert_eq!(
        record(&phone, 2, 1).check(&keyring),
        Err(Distrust::OtherProject)
    );
    keyring.admit(Device {
        may_answer: false,
        ..phone.device()
    });
    assert_eq!(
        record(&phone, 2, 1).check(&keyring),
        Err(Distrust::OtherProject)
    );
}

#[test]
fn all_members_come_to_the_lowest_mesh_in_whatever_order_they_hear() {
    let (ada, ben, eve) = (
        Agent::new(1, "ada"),
        Agent::new(2, "ben"),
        Agent::new(9, "eve"),
    );
    let trusted = ring(&[&ada, &ben]);
    let records = [
        record(&ada, 9, 5),
        record(&ben, 9, 3),
        record(&ben, 5, 3),
        record(&eve, 9, 1),
    ];
    let end = |order: &[usize]| {
        let mut here = mesh(9).project;
        // Each record is heard alone, and followed at once.
        for known in 1..=order.len() {
            let known = order.iter().take(known).map(|at| &records[*at]);
            while let Some(moved) = to_follow(known.clone(), &here, &trusted) {
                here = moved.to().project;
            }
        }
        here
    };
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 2, 3], [2, 0, 3, 1]] {
        assert_eq!(end(&order), mesh(3).project, "{order:?}");
    }
}

#[test]
fn what_was_said_in_the_old_place_after_the_move_is_carried_over_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let ada = Agent::new(1, "ada");
    let moved = record(&ada, 2, 1);
    let said = |n: u32| -> Message { ada.signs(&ada.says(n, n, "words")) };
    let (mut old, mut new) = (repository(&folder, &mesh(2)), repository(&folder, &mesh(1)));
    Store::add_move(&mut old, &moved, at(1)).expect("stored");
    Store::add_move(&mut old, &moved, at(2)).expect("is there");
    assert_eq!(
        Store::moves(&old).expect("read"),
        std::slice::from_ref(&moved)
    );
    Store::add_move(&mut old, &record(&ada, 2, 0), at(3)).expect("stored");
    assert_eq!(Store::moves(&old).expect("read").len(), 2);

    let mut behind = Store::read(&old).expect("read");
    behind
        .add(&mut old, &[said(1), said(2)], at(4))
        .expect("stored");
    let mut ahead = Store::read(&new).expect("read");
    ahead
        .add(&mut new, &[said(1), said(3)], at(4))
        .expect("stored");
    let carried = ahead.lacks(&behind, &old).expect("read");
    assert_eq!(carried, [said(2)]);
    ahead.add(&mut new, &carried, at(5)).expect("stored");
    assert_eq!(ahead.lacks(&behind, &old).expect("read"), []);
    // Records are no messages.
    assert_eq!((behind.heads().len(), behind.bad_files()), (2, 0));
}
