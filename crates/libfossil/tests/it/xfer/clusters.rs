//! A server whose clusters are not announced: our client asks for them when what it misses cannot be had by its name.

use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::client::{Response, Summary};
use libfossil::xfer::{Client, Request, frame};

use super::rig::{self, PULL, granted, now};
use super::server_rules::put;
use crate::stock::Lab;
use crate::store::create;

/// Makes a repository whose contents are all named by clusters, and no cluster is loose: as after the loss of the latest one.
fn clustered(lab: &Lab) -> Repository {
    let mut repo = create(lab, "theirs.fossil");
    repo.write(now(), |tx| {
        for number in 0..150 {
            tx.store(format!("content {number}").as_bytes(), Visibility::Public)?;
        }
        tx.make_clusters().map(|_| ())
    })
    .unwrap();
    drop(repo);
    let path = lab.path("theirs.fossil");
    lab.query_write(&path, "DELETE FROM unclustered");
    rig::open(&path)
}

/// Pulls, and returns in which rounds the clusters were asked for.
fn pull(
    ours: &mut Repository,
    mut answer: impl FnMut(&Request) -> Response,
) -> (Summary, Vec<usize>) {
    let (mut round, mut asked) = (0, Vec::new());
    let summary = rig::drive(&mut Client::new(PULL, None), ours, |request| {
        let text = frame::decode(request.content_type, request.body.clone()).unwrap();
        if String::from_utf8_lossy(&text).contains("pragma req-clusters\n") {
            asked.push(round);
        }
        round += 1;
        answer(request)
    })
    .unwrap();
    (summary, asked)
}

#[test]
fn clusters_are_asked_for_once_when_something_cannot_be_had() {
    let lab = Lab::new();
    let mut theirs = clustered(&lab);
    let mut ours = create(&lab, "ours.fossil");
    let serve = |theirs: &mut Repository, request: &_| rig::ours(theirs, &granted("o"), request);

    // As long as nothing is missing there is no reason to.
    let (summary, asked) = pull(&mut ours, |request| serve(&mut theirs, request));
    assert_eq!((summary.artifacts_received, asked), (0, vec![]));

    let lost = HashName::sha3_of(b"nobody has this");
    ours.write(now(), |tx| tx.phantom(&lost, Visibility::Public))
        .unwrap();
    // Something new brings the exchange to a third round.
    put(&mut theirs, b"not clustered yet", Visibility::Public);
    let (summary, asked) = pull(&mut ours, |request| serve(&mut theirs, request));
    assert_eq!(asked, [2], "{summary:?}");
    assert_eq!((summary.artifacts_received, summary.missing), (152, 1));
    lab.assert_sound(&lab.path("ours.fossil"));
}

#[test]
fn a_server_that_does_not_know_how_is_not_asked_for_clusters() {
    let lab = Lab::new();
    drop(clustered(&lab));
    let mut ours = create(&lab, "ours.fossil");
    let lost = HashName::sha3_of(b"nobody has this");
    ours.write(now(), |tx| tx.phantom(&lost, Visibility::Public))
        .unwrap();
    let path = lab.path("theirs.fossil");
    put(
        &mut rig::open(&path),
        b"not clustered yet",
        Visibility::Public,
    );
    lab.query_write(&path, "UPDATE user SET cap='o' WHERE login='nobody'");
    let (summary, asked) = pull(&mut ours, |request| rig::stock(&lab, &path, request));
    assert_eq!((summary.artifacts_received, asked), (1, vec![]));
    assert_eq!((summary.missing, summary.rounds), (1, 2));
}
