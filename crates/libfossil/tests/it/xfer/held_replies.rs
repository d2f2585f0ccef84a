//! Clones that ask on before they store: what they hold back meanwhile is neither lost when the exchange ends early nor missed when the
//! program is killed.

use std::path::Path;

use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::xfer::client::{Response, Step, SyncError, is_partial_clone};
use libfossil::xfer::{Client, Request, Server};

use super::rig::{self, PULL};
use super::server_rules::put;
use crate::stock::Lab;
use crate::store::create;

/// A server whose replies hold one content each, but for the first two, which bring more than that.
struct Source {
    repo: Repository,
    contents: Vec<HashName>,
}

impl Source {
    fn new(lab: &Lab) -> Self {
        let mut repo = create(lab, "theirs.fossil");
        let noise = |content: u32| -> Vec<u8> {
            let hash = |at: u32| HashName::sha1_of(&(content * 1000 + at).to_le_bytes());
            let hashes = (0..40).map(hash);
            hashes.flat_map(|hash| hash.as_bytes().to_vec()).collect()
        };
        let contents = (0..12)
            .map(|content| put(&mut repo, &noise(content), Visibility::Public))
            .collect();
        Self { repo, contents }
    }

    fn answer(&mut self, request: &Request) -> Response {
        let server = Server {
            max_download_bytes: Some(1_000),
            budget: None,
        };
        let reply = server
            .exchange(
                &mut self.repo,
                &rig::granted("goh"),
                request.clone(),
                rig::now,
            )
            .expect("an answer");
        Response {
            content_type: reply.content_type.as_str().to_owned(),
            body: reply.body,
        }
    }

    fn held_by(&self, clone: &Repository) -> usize {
        let is_held = |name: &&HashName| clone.rid(name).unwrap().is_some();
        self.contents.iter().filter(is_held).count()
    }
}

fn send(client: &mut Client, repo: &mut Repository, now: Timestamp) -> Request {
    match client.next(repo, now, [0; 20]).expect("a request") {
        Step::Send(request) => request,
        other => panic!("done too early: {other:?}"),
    }
}

/// Makes a clone that has stored the replies to its first requests and holds that to the last of `rounds`.
fn begin(source: &mut Source, path: &Path, rounds: usize) -> (Client, Repository, usize) {
    let mut repo = rig::new_clone(path);
    let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
    let mut stored = 0;
    for _ in 0..rounds {
        let request = send(&mut client, &mut repo, rig::now());
        stored = source.held_by(&repo);
        let response = source.answer(&request);
        client.receive(&mut repo, response, rig::now()).unwrap();
    }
    assert_eq!(source.held_by(&repo), stored, "the last reply is held");
    assert!(stored > 0);
    (client, repo, stored)
}

/// Goes on with the clone at `path`. Returns how many artifacts it still got.
fn finish(source: &mut Source, path: &Path) -> usize {
    let mut repo = rig::open(path);
    assert!(is_partial_clone(&repo).unwrap());
    let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
    let rest = rig::drive(&mut client, &mut repo, |request| source.answer(request)).unwrap();
    assert_eq!(source.held_by(&repo), source.contents.len());
    assert!(repo.verify(|_, _| {}).unwrap().problems.is_empty());
    rest.artifacts_received
}

fn later(millis: i64) -> Timestamp {
    rig::now().saturating_add_millis(millis)
}

#[test]
fn a_clone_asks_on_before_it_stores_and_stores_after_a_moment() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let (mut client, mut repo, stored) = begin(&mut source, &lab.path("ours.fossil"), 3);
    client.catch_up(&mut repo, later(1)).unwrap();
    assert!(!client.is_behind(later(1)));
    assert_eq!(source.held_by(&repo), stored, "more may come at once");
    let request = send(&mut client, &mut repo, later(1));
    assert!(client.is_behind(later(5_000)));
    client.catch_up(&mut repo, later(5_000)).unwrap();
    assert!(source.held_by(&repo) > stored);
    assert!(!client.is_behind(later(10_000)));
    let stored = source.held_by(&repo);
    let response = source.answer(&request);
    client.receive(&mut repo, response, later(5_000)).unwrap();
    client.put_away(&mut repo, later(5_000)).unwrap();
    assert!(
        source.held_by(&repo) > stored,
        "the request asked for what follows"
    );
}

#[test]
fn replies_that_come_quickly_are_stored_together_and_nothing_is_left_out() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let path = lab.path("ours.fossil");
    let (repo, summary) = rig::clone(&path, PULL, None, |request| source.answer(request)).unwrap();
    assert!(summary.rounds > source.contents.len() / 2, "{summary:?}");
    assert_eq!(source.held_by(&repo), source.contents.len());
    drop(repo);
    let receipts = lab.query(&path, "SELECT count(*) FROM rcvfrom");
    assert!(
        receipts[0].parse::<usize>().unwrap() < 5,
        "{receipts:?} transactions for {} replies",
        summary.rounds
    );
    lab.assert_equal(&lab.path("theirs.fossil"), &path);
}

#[test]
fn what_a_killed_clone_held_comes_again() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let path = lab.path("ours.fossil");
    let (client, repo, stored) = begin(&mut source, &path, 5);
    drop((client, repo));
    let all = lab.artifacts(&lab.path("theirs.fossil")).len();
    let rest = finish(&mut source, &path);
    assert!(rest < all && rest >= source.contents.len() - stored);
    lab.assert_equal(&lab.path("theirs.fossil"), &path);
}

#[test]
fn a_clone_that_ends_early_loses_nothing_that_came() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let path = lab.path("ours.fossil");
    let (mut client, mut repo, stored) = begin(&mut source, &path, 5);
    send(&mut client, &mut repo, rig::now());
    client.put_away(&mut repo, rig::now()).unwrap();
    let kept = source.held_by(&repo);
    assert!(kept > stored + 1);
    drop((client, repo));
    assert_eq!(finish(&mut source, &path), source.contents.len() - kept);
}

#[test]
fn a_bad_reply_takes_nothing_of_the_good_ones_before_it_along() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let path = lab.path("ours.fossil");
    for text in ["nonsense\n", "error no\\smore\n", ""] {
        let _ = std::fs::remove_file(&path);
        let (mut client, mut repo, stored) = begin(&mut source, &path, 4);
        send(&mut client, &mut repo, rig::now());
        let response = Response {
            content_type: "application/x-fossil-uncompressed".into(),
            body: text.into(),
        };
        let error = client.receive(&mut repo, response, rig::now()).unwrap_err();
        let is_named = matches!(
            error,
            SyncError::Malformed(_) | SyncError::Remote(_) | SyncError::Empty
        );
        assert!(is_named, "{text}: {error:?}");
        assert!(source.held_by(&repo) > stored, "{text}");
        drop((client, repo));
        finish(&mut source, &path);
    }
}

#[test]
fn a_clone_that_goes_backwards_is_left_with_what_came() {
    let lab = Lab::new();
    let mut source = Source::new(&lab);
    let path = lab.path("ours.fossil");
    let (mut client, mut repo, stored) = begin(&mut source, &path, 4);
    let request = send(&mut client, &mut repo, rig::now());
    let reply = source.answer(&request);
    client
        .receive(&mut repo, reply.clone(), rig::now())
        .unwrap();
    send(&mut client, &mut repo, rig::now());
    let again = client.receive(&mut repo, reply, rig::now());
    assert!(matches!(again, Err(SyncError::Stalled)), "{again:?}");
    assert!(source.held_by(&repo) > stored + 1);
    drop((client, repo));
    finish(&mut source, &path);
}
