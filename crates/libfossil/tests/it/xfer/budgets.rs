//! Exchanges where no message may be long: none is, and all arrives, also when it is cut off and gone on with.

use libfossil::auth::AuthContext;
use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::xfer::client::{Goal, Response, Step, Summary, SyncError};
use libfossil::xfer::{Budget, Client, MIN_BUDGET_BYTES, Request, Server};
use proptest::prelude::*;

use super::rig::{self, SYNC, granted, new_clone, now, start_clone};
use super::server_rules::put;
use crate::stock::Lab;
use crate::store::create;

/// More requests than any exchange here needs; reaching it is a livelock.
const MAX_REQUESTS: usize = 6000;

const EVERYTHING: Goal = Goal {
    private: true,
    unversioned: true,
    ..SYNC
};

/// Bytes that do not pack, different for each seed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Carries messages between a client and our server, several at once where the client lets it, and checks their length.
struct Line<'a> {
    server: &'a mut Repository,
    auth: AuthContext,
    budget: usize,
    /// Requests that are answered before the line breaks.
    patience: usize,
    most_at_once: usize,
    longest: usize,
}

impl<'a> Line<'a> {
    fn new(server: &'a mut Repository, letters: &str, budget: usize) -> Self {
        Self {
            server,
            auth: granted(letters),
            budget,
            patience: MAX_REQUESTS,
            most_at_once: 0,
            longest: 0,
        }
    }

    fn carry(&mut self, request: &Request) -> Response {
        let server = Server {
            budget: Some(Budget::of(self.budget)),
            ..Server::default()
        };
        let reply = server
            .exchange(self.server, &self.auth, request.clone(), now)
            .expect("an answer");
        self.longest = self.longest.max(request.body.len()).max(reply.body.len());
        assert!(
            request.body.len() <= self.budget,
            "request of {}",
            request.body.len()
        );
        assert!(
            reply.body.len() <= self.budget,
            "reply of {}",
            reply.body.len()
        );
        Response {
            content_type: reply.content_type.as_str().to_owned(),
            body: reply.body,
        }
    }

    /// Returns nothing when the line broke.
    fn drive(
        &mut self,
        client: &mut Client,
        repo: &mut Repository,
        order: u64,
    ) -> Result<Option<Summary>, SyncError> {
        let mut answers: Vec<Response> = Vec::new();
        for number in 0..MAX_REQUESTS {
            if number >= self.patience {
                return Ok(None);
            }
            let random = [u8::try_from(number % 256).unwrap(); 20];
            match client.next(repo, now(), random)? {
                Step::Send(request) => {
                    answers.push(self.carry(&request));
                    self.most_at_once = self.most_at_once.max(answers.len());
                    if !client.awaits_answer() {
                        continue;
                    }
                }
                Step::Done(summary) => return Ok(Some(summary)),
                _ => {}
            }
            let chosen = usize::try_from(order).unwrap_or(0).wrapping_add(number) % answers.len();
            let answer = answers.swap_remove(chosen);
            client.receive(repo, answer, now())?;
        }
        panic!(
            "no end after {MAX_REQUESTS} requests: {:?}",
            client.progress()
        );
    }
}

fn sync(
    client: &mut Repository,
    server: &mut Repository,
    goal: Goal,
    letters: &str,
    budget: usize,
) -> Result<Summary, SyncError> {
    let mut machine = Client::new(goal, None).within(Budget::of(budget));
    let mut line = Line::new(server, letters, budget);
    line.drive(&mut machine, client, 1)
        .map(|summary| summary.expect("nothing broke"))
}

fn pair(lab: &Lab) -> (Repository, Repository) {
    (create(lab, "client.fossil"), create(lab, "server.fossil"))
}

fn put_uv(repo: &mut Repository, name: &str, content: &[u8]) {
    let hash = HashName::sha3_of(content);
    repo.write(now(), |tx| tx.put_unversioned(name, 1000, &hash, content))
        .unwrap();
}

fn contents(repo: &Repository) -> Vec<(HashName, bool)> {
    let database = rusqlite::Connection::open(repo.path()).unwrap();
    let mut query = database
        .prepare("SELECT uuid, rid IN private FROM blob WHERE size>=0 AND rid NOT IN (SELECT rid FROM tagxref WHERE tagid=7) ORDER BY 1")
        .unwrap();
    let rows = query
        .query_map([], |row| {
            let name: String = row.get(0)?;
            Ok((HashName::parse(name.as_bytes()).unwrap(), row.get(1)?))
        })
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn assert_equal(lab: &Lab, a: &Repository, b: &Repository) {
    assert_eq!(contents(a), contents(b));
    assert_eq!(a.unversioned().unwrap(), b.unversioned().unwrap());
    for repo in [a, b] {
        lab.assert_sound(repo.path());
        assert!(!libfossil::pieces::path_beside(repo.path()).exists());
    }
}

#[test]
fn a_large_artifact_crosses_in_pieces_four_at_a_time_both_ways() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    put(&mut client, &noise(1, 2 << 20), Visibility::Public);
    put(&mut server, &noise(2, 2 << 20), Visibility::Public);
    let mut machine = Client::new(SYNC, None).within(Budget::of(256 << 10));
    let mut line = Line::new(&mut server, "io", 256 << 10);
    line.drive(&mut machine, &mut client, 3).unwrap();
    assert_eq!(line.most_at_once, 4);
    assert!(line.longest > 128 << 10, "pieces are worth their trip");
    assert_equal(&lab, &client, &server);
    let again = sync(&mut client, &mut server, SYNC, "io", 256 << 10).unwrap();
    assert_eq!((again.artifacts_sent, again.artifacts_received), (0, 0));
}

#[test]
fn a_large_unversioned_file_crosses_in_pieces_both_ways() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    put_uv(&mut client, "here", &noise(1, 300_000));
    put_uv(&mut server, "there", &noise(2, 300_000));
    let summary = sync(&mut client, &mut server, EVERYTHING, "ioxy", 65_536).unwrap();
    assert_eq!(
        (summary.unversioned_sent, summary.unversioned_received),
        (1, 1)
    );
    assert_equal(&lab, &client, &server);
}

#[test]
fn what_was_cut_off_goes_on_where_it_was() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    let bytes = 40 * 60_000;
    put(&mut client, &noise(1, bytes), Visibility::Public);
    put(&mut server, &noise(2, bytes), Visibility::Public);
    let mut moved = 0;
    for _ in 0..2 {
        let mut machine = Client::new(SYNC, None).within(Budget::of(65_536));
        let mut line = Line::new(&mut server, "io", 65_536);
        line.patience = 60;
        let ended = line.drive(&mut machine, &mut client, 1).unwrap();
        assert_eq!(ended, None, "it was cut off");
        moved += machine.progress().received_bytes + machine.progress().sent_bytes;
    }
    let summary = sync(&mut client, &mut server, SYNC, "io", 65_536).unwrap();
    moved += summary.received_bytes + summary.sent_bytes;
    assert_equal(&lab, &client, &server);
    // Two contents, and for each break what was on its way.
    let twice = u64::try_from(2 * bytes).unwrap();
    assert!(moved < twice + 12 * 65_536, "{moved} of {twice}");
}

#[test]
fn a_clone_with_long_contents_is_whole_after_breaks_and_another_server() {
    let lab = Lab::new();
    let mut server = create(&lab, "server.fossil");
    for seed in 0..40 {
        put(&mut server, &noise(seed, 5_000), Visibility::Public);
    }
    put(&mut server, &noise(99, 400_000), Visibility::Public);
    put_uv(&mut server, "file", &noise(98, 100_000));
    // The same project, with other row numbers.
    let mut other = create(&lab, "other.fossil");
    rusqlite::Connection::open(other.path())
        .unwrap()
        .execute(
            "UPDATE config SET value=?1 WHERE name='server-code'",
            ["5".repeat(40)],
        )
        .unwrap();
    sync(&mut other, &mut server, EVERYTHING, "iox", 1 << 20).unwrap();

    let mut clone = new_clone(&lab.path("clone.fossil"));
    let goal = Goal {
        unversioned: true,
        ..Goal::default()
    };
    for (patience, elsewhere) in [(3, false), (5, true), (MAX_REQUESTS, false)] {
        let repo = if elsewhere { &mut other } else { &mut server };
        let mut machine = start_clone(&mut clone, goal, None)
            .unwrap()
            .within(Budget::of(65_536));
        let mut line = Line::new(repo, "g", 65_536);
        line.patience = patience;
        let ended = line.drive(&mut machine, &mut clone, 2).unwrap();
        assert_eq!(ended.is_some(), patience == MAX_REQUESTS);
    }
    assert_equal(&lab, &clone, &server);
}

#[test]
fn a_clone_that_has_all_but_a_long_content_goes_on_with_that() {
    let lab = Lab::new();
    let mut server = create(&lab, "server.fossil");
    let long = put(&mut server, &noise(99, 400_000), Visibility::Public);
    for seed in 0..40 {
        put(&mut server, &noise(seed, 5_000), Visibility::Public);
    }
    // After each number of requests that leaves something to be done.
    for patience in 1.. {
        let mut clone = new_clone(&lab.path(&format!("{patience}.fossil")));
        let mut drive = |patience| {
            let machine = start_clone(&mut clone, Goal::default(), None);
            let mut machine = machine.unwrap().within(Budget::of(65_536));
            let mut line = Line::new(&mut server, "g", 65_536);
            line.patience = patience;
            line.drive(&mut machine, &mut clone, 2).unwrap()
        };
        if drive(patience).is_some() {
            assert!(patience > 10, "nothing was left to be interrupted");
            break;
        }
        let summary = drive(MAX_REQUESTS).expect("it ends");
        assert_eq!(summary.missing, 0, "after {patience} requests");
        assert!(clone.rid(&long).unwrap().is_some());
        assert_equal(&lab, &clone, &server);
    }
}

#[test]
fn private_and_shunned_contents_are_not_given_away_in_pieces() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    let private = put(&mut server, &noise(1, 100_000), Visibility::Private);
    let shunned = put(&mut server, &noise(2, 100_000), Visibility::Public);
    rusqlite::Connection::open(server.path())
        .unwrap()
        .execute(
            "INSERT INTO shun(uuid, mtime) VALUES(?1, 1)",
            [shunned.as_str()],
        )
        .unwrap();
    // The client knows both names and asks for them.
    client
        .write(now(), |tx| {
            tx.phantom(&private, Visibility::Public)?;
            tx.phantom(&shunned, Visibility::Public).map(drop)
        })
        .map_err(|error: libfossil::db::Error| error)
        .unwrap();
    let project = server.project_code().unwrap();
    for name in [private, shunned] {
        let request = format!(
            "pragma client-version 22900 20260821 0\npragma edgesync-budget 65536\npull {0} {project}\npragma edgesync-range {name} 0 1000\n",
            "0".repeat(40)
        );
        let request = Request {
            content_type: libfossil::xfer::frame::ContentType::Plain,
            body: request.into_bytes().into(),
            cookie: None,
        };
        let reply = rig::ours(&mut server, &granted("io"), &request);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("edgesync-piece"), "{text}");
    }
    let summary = sync(&mut client, &mut server, SYNC, "io", 65_536).unwrap();
    assert_eq!(summary.artifacts_received, 0);
    sync(&mut client, &mut server, EVERYTHING, "iox", 65_536).unwrap();
    let rid = client.rid(&private).unwrap().unwrap();
    assert!(client.is_available(rid).unwrap());
}

#[test]
fn pieces_that_make_another_content_are_dropped_and_asked_for_anew() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    put(&mut server, &noise(1, 200_000), Visibility::Public);
    let mut machine = Client::new(SYNC, None).within(Budget::of(65_536));
    let mut line = Line::new(&mut server, "io", 65_536);
    let mut bad = 0;
    let error = loop {
        match machine.next(&mut client, now(), [1; 20]).unwrap() {
            Step::Send(request) => {
                let mut answer = line.carry(&request);
                let message = libfossil::xfer::frame::decode(
                    libfossil::xfer::frame::ContentType::Packed,
                    answer.body.clone(),
                )
                .unwrap();
                if let Some(at) = message
                    .windows(14)
                    .position(|word| word == b"edgesync-piece")
                {
                    let mut changed = message.to_vec();
                    changed[at + 5000] ^= 1;
                    bad += 1;
                    answer.body = libfossil::xfer::frame::encode(
                        libfossil::xfer::frame::ContentType::Packed,
                        changed,
                    );
                }
                if let Err(error) = machine.receive(&mut client, answer, now()) {
                    break error;
                }
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(
        bad > 1 && error.to_string().contains("wrong hash"),
        "{error}"
    );
    sync(&mut client, &mut server, SYNC, "io", 65_536).unwrap();
    assert_equal(&lab, &client, &server);
}

#[test]
fn who_may_not_push_leaves_no_pieces() {
    let lab = Lab::new();
    let (mut client, mut server) = pair(&lab);
    put(&mut client, &noise(1, 200_000), Visibility::Public);
    let summary = sync(&mut client, &mut server, SYNC, "o", 65_536).unwrap();
    assert!(summary.push_refused);
    assert!(client.has_unsent().unwrap());
    let project = server.project_code().unwrap();
    let hash = HashName::sha3_of(b"x");
    for line in [
        format!("edgesync-piece {hash} 0 1\nx"),
        format!("pragma edgesync-oversize {hash} 1\n"),
        format!("pragma edgesync-uv f 1 {hash} 1\n"),
        format!("edgesync-piece uv:{hash} 0 1\nx"),
    ] {
        let request = format!("pull {0} {project}\n{line}", "0".repeat(40));
        let request = Request {
            content_type: libfossil::xfer::frame::ContentType::Plain,
            body: request.into_bytes().into(),
            cookie: None,
        };
        let reply = rig::ours(&mut server, &granted("o"), &request);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.starts_with("error "), "{line}: {text}");
    }
    assert!(!libfossil::pieces::path_beside(server.path()).exists());
}

#[test]
fn a_stock_server_gets_what_fits_and_is_not_taken_to_have_the_rest() {
    let lab = Lab::new();
    let (mut client, server) = pair(&lab);
    let path = server.path().to_owned();
    drop(server);
    lab.query_write(&path, "UPDATE user SET cap='gio' WHERE login='nobody'");
    let small = put(&mut client, &noise(1, 20_000), Visibility::Public);
    let large = put(&mut client, &noise(2, 200_000), Visibility::Public);
    let mut machine = Client::new(SYNC, None).within(Budget::of(65_536));
    let summary = rig::drive(&mut machine, &mut client, |request| {
        assert!(request.body.len() <= 65_536);
        rig::stock(&lab, &path, request)
    })
    .unwrap();
    assert!(
        summary
            .messages
            .iter()
            .any(|text| text.contains("too long")),
        "{summary:?}"
    );
    let there = lab.artifacts(&path);
    assert!(there.contains(&small.to_string()) && !there.contains(&large.to_string()));
    assert!(
        client.has_unsent().unwrap(),
        "it still waits for another way"
    );
}

#[derive(Clone, Debug)]
struct Stock {
    sizes: Vec<usize>,
    private: Vec<usize>,
    files: Vec<usize>,
}

fn stock() -> impl Strategy<Value = Stock> {
    let size = || prop_oneof![8 => 0..600_usize, 3 => 600..9_000_usize, 1 => 9_000..90_000_usize];
    (
        proptest::collection::vec(size(), 0..160),
        proptest::collection::vec(size(), 0..6),
        proptest::collection::vec(size(), 0..12),
    )
        .prop_map(|(sizes, private, files)| Stock {
            sizes,
            private,
            files,
        })
}

fn fill(repo: &mut Repository, stock: &Stock, seed: u64) {
    let text = |kind: u64, number: usize, bytes: usize| {
        let mut text = format!("{seed} {kind} {number}\n").into_bytes();
        text.extend(noise(seed + u64::try_from(number).unwrap(), bytes));
        text
    };
    let stored: libfossil::db::Result<()> = repo.write(now(), |tx| {
        for (number, bytes) in stock.sizes.iter().enumerate() {
            tx.store(&text(1, number, *bytes), Visibility::Public)?;
        }
        for (number, bytes) in stock.private.iter().enumerate() {
            tx.store(&text(2, number, *bytes), Visibility::Private)?;
        }
        Ok(())
    });
    stored.unwrap();
    for (number, bytes) in stock.files.iter().enumerate() {
        put_uv(
            repo,
            &format!("file-{seed}-{number}"),
            &text(3, number, *bytes),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn no_message_is_over_any_budget_and_both_sides_end_equal(
        here in stock(), there in stock(), budget in MIN_BUDGET_BYTES..70_000, order: u64, patience in 1..40_usize
    ) {
        let lab = Lab::new();
        let (mut client, mut server) = pair(&lab);
        fill(&mut client, &here, 1);
        fill(&mut server, &there, 1000);
        for patience in [patience, MAX_REQUESTS] {
            let mut machine = Client::new(EVERYTHING, None).within(Budget::of(budget));
            let mut line = Line::new(&mut server, "ioxy", budget);
            line.patience = patience;
            line.drive(&mut machine, &mut client, order).unwrap();
        }
        prop_assert!(contents(&client) == contents(&server), "the artifacts differ");
        prop_assert!(client.unversioned().unwrap() == server.unversioned().unwrap());
    }
}
