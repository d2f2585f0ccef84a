//! What one message may cost at most: names, wishes, deltas that wait for their source.

use libfossil::auth::AuthContext;
use libfossil::db::{Repository, Visibility};
use libfossil::limits::{
    MAX_DELTA_OUTPUT_BYTES, MAX_NAMES, MAX_NEW_PHANTOMS, MAX_REPLIED_NAMES, MAX_WAITING_CHAIN,
    MAX_WAITING_DELTAS,
};
use libfossil::name::HashName;
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::{Client, Request, Server};

use super::rig::{PULL, drive, granted, now};
use super::server_rules::{CODE, VERSION, ask, project, put};
use crate::stock::Lab;
use crate::store::create;
use libfossil::xfer::client::{Response, SyncError};

/// More names than are taken.
const TOO_MANY: usize = 2 * MAX_NAMES;

/// Returns `igot` cards for names that nothing has.
fn igots(count: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut text = Vec::with_capacity(count * 46);
    for number in 0..count {
        // Spread like hashes, so that no index is filled in order.
        let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(text, "igot {spread:016x}{number:024x}").unwrap();
    }
    text
}

/// The most memory that this process has had so far, in bytes. Each test is a process of its own.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

/// Hands our server a plain message, and returns how much memory it took beside that.
fn send(repo: &mut Repository, auth: &AuthContext, text: Vec<u8>) -> (Vec<u8>, usize) {
    let request = Request {
        content_type: ContentType::Plain,
        body: text.into(),
        cookie: None,
    };
    let before = peak_bytes();
    let reply = Server::default()
        .exchange(repo, auth, request, now)
        .expect("an answer");
    (reply.body.to_vec(), peak_bytes() - before)
}

fn phantoms(lab: &Lab) -> usize {
    lab.query(&lab.path("a.fossil"), "SELECT count(*) FROM phantom")[0]
        .parse()
        .unwrap()
}

#[test]
fn ten_million_names_from_someone_who_may_push_cost_a_bounded_amount() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mut text = format!("{VERSION}push {CODE} {}\n", project(&repo)).into_bytes();
    text.extend(igots(10 * MAX_NAMES));
    let (reply, memory) = send(&mut repo, &granted("i"), text);
    let gimmes = reply.split(|byte| *byte == b'\n');
    assert_eq!(
        gimmes.filter(|line| line.starts_with(b"gimme ")).count(),
        500
    );
    assert_eq!(phantoms(&lab), MAX_NEW_PHANTOMS);
    assert!(memory < 150 << 20, "{memory}");
    // And the next request is answered.
    let idle = format!("{VERSION}pull {CODE} {}\n", project(&repo));
    assert!(ask(&mut repo, &granted("o"), idle).contains("errors 0"));
}

#[test]
fn names_from_someone_who_may_do_nothing_cost_nothing() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mut text = VERSION.as_bytes().to_vec();
    text.extend(igots(TOO_MANY));
    let (_, memory) = send(&mut repo, &AuthContext::default(), text);
    assert_eq!(phantoms(&lab), 0);
    assert!(memory < 10 << 20, "{memory}");
}

#[test]
fn what_a_client_names_within_the_limit_is_not_named_back() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hash = put(&mut repo, b"content", Visibility::Public);
    let pull = format!("{VERSION}pull {CODE} {}\n", project(&repo));
    let named = format!("igot {hash}\n").into_bytes();
    for (before, is_named) in [(1000, false), (MAX_NAMES, true)] {
        let text = [pull.clone().into_bytes(), igots(before), named.clone()].concat();
        let (reply, _) = send(&mut repo, &granted("o"), text);
        let reply = String::from_utf8_lossy(&reply);
        assert_eq!(reply.contains(hash.as_str()), is_named, "{before}");
    }
}

#[test]
fn asking_very_often_for_what_waits_gets_one_answer() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let (source, hash) = (HashName::sha3_of(b"unknown"), HashName::sha3_of(b"waiting"));
    let push = format!("push {CODE} {}\n", project(&repo));
    ask(
        &mut repo,
        &granted("i"),
        format!("{push}file {hash} {source} 6\n1\n1:a;"),
    );
    let wishes = format!("gimme {hash}\n").repeat(500_000);
    let text = format!("{VERSION}pull {CODE} {}\n{wishes}", project(&repo));
    let (reply, memory) = send(&mut repo, &granted("o"), text.into_bytes());
    assert!(!String::from_utf8_lossy(&reply).contains(hash.as_str()));
    assert!(memory < 30 << 20, "{memory}");
}

#[test]
fn a_server_that_names_very_many_is_listened_to_for_a_while() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mut names = igots(TOO_MANY);
    names.extend(b"# timestamp 2023-11-14T22:13:20 errors 0\n");
    let names = bytes::Bytes::from(names);
    let (before, mut rounds) = (peak_bytes(), 0);
    let summary = drive(&mut Client::new(PULL, None), &mut repo, |_| {
        rounds += 1;
        Response {
            content_type: "application/x-fossil-uncompressed".to_owned(),
            body: names.clone(),
        }
    })
    .expect("an end");
    assert!(rounds < 10, "{rounds}");
    assert_eq!(summary.artifacts_received, 0);
    // A reply adds no more than a message may, and says the same the next time.
    assert!(phantoms(&lab) <= MAX_REPLIED_NAMES, "{}", phantoms(&lab));
    let memory = peak_bytes() - before;
    assert!(memory < 150 << 20, "{memory}");
}

#[test]
fn a_reply_of_very_many_lines_is_refused() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let lines = bytes::Bytes::from(b"message a\n".repeat(1_000_000));
    let refused = drive(&mut Client::new(PULL, None), &mut repo, |_| Response {
        content_type: "application/x-fossil-uncompressed".to_owned(),
        body: lines.clone(),
    });
    assert!(
        matches!(refused, Err(SyncError::Malformed(_))),
        "{refused:?}"
    );
}

/// Returns a card with an artifact that nobody has, as a delta on another one.
fn dangling(number: usize, source: &HashName) -> (HashName, String) {
    let text = format!("{number:08}");
    let hash = HashName::sha3_of(text.as_bytes());
    let change = libfossil::blob::delta::encode(b"", text.as_bytes());
    let change = String::from_utf8(change).unwrap();
    (
        hash,
        format!("file {hash} {source} {}\n{change}", change.len()),
    )
}

fn waiting(lab: &Lab) -> usize {
    lab.query(&lab.path("a.fossil"), "SELECT count(*) FROM delta")[0]
        .parse()
        .unwrap()
}

#[test]
fn so_many_deltas_wait_for_their_source_and_no_more() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let push = format!("{VERSION}push {CODE} {}\n", project(&repo));
    let half: usize = MAX_WAITING_DELTAS / 2;
    for part in 0..3 {
        let cards: String = (part * half..(part + 1) * half + 10)
            .map(|number| dangling(number, &HashName::sha1_of(&number.to_le_bytes())).1)
            .collect();
        let good = format!("good {part}");
        let hash = HashName::sha3_of(good.as_bytes());
        let text = format!("{push}{cards}file {hash} {}\n{good}", good.len());
        let reply = ask(&mut repo, &granted("i"), text);
        // The session goes on, and what needs not wait is stored.
        assert!(reply.contains("errors 0"), "{reply}");
        assert!(
            repo.is_available(repo.rid(&hash).unwrap().unwrap())
                .unwrap()
        );
    }
    assert_eq!(waiting(&lab), MAX_WAITING_DELTAS);
    // One source comes: there is room for another one.
    let text = 0_usize.to_le_bytes();
    let source = format!("file {} 8\n", HashName::sha1_of(&text));
    let source = [push.as_bytes(), source.as_bytes(), &text].concat();
    ask(&mut repo, &granted("i"), source);
    let (hash, card) = dangling(99_999_999, &HashName::sha1_of(b"one more"));
    ask(&mut repo, &granted("i"), format!("{push}{card}"));
    assert!(repo.rid(&hash).unwrap().is_some());
}

#[test]
fn a_chain_of_waiting_deltas_has_an_end() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mut text = format!("{VERSION}push {CODE} {}\n", project(&repo));
    let mut source = HashName::sha1_of(b"the first");
    for number in 0..2 * MAX_WAITING_CHAIN {
        let (hash, card) = dangling(number, &source);
        text.push_str(&card);
        source = hash;
    }
    let reply = ask(&mut repo, &granted("i"), text);
    assert!(reply.contains("errors 0"), "{reply}");
    // One had to go, and the next one waits for that one.
    let name = |number: usize| dangling(number, &source).0;
    let row = repo.rid(&name(MAX_WAITING_CHAIN)).unwrap().unwrap();
    assert!(repo.is_phantom(row).unwrap());
    // Its first source settles all of it.
    let push = format!("{VERSION}push {CODE} {}\n", project(&repo));
    let first = HashName::sha1_of(b"the first");
    ask(
        &mut repo,
        &granted("i"),
        format!("{push}file {first} 9\nthe first"),
    );
    let last = dangling(MAX_WAITING_CHAIN - 1, &first).0;
    assert_eq!(
        &repo.content(repo.rid(&last).unwrap().unwrap()).unwrap()[..],
        b"00000249"
    );
}

/// Length of the content that short deltas copy.
const COPIED: usize = 16 << 20;

/// Returns a short delta that makes a copy of the content with a mark at its end, and what the copy is called.
fn copy(source: &[u8], mark: u8) -> (HashName, Vec<u8>) {
    let copy = [source, &[mark]].concat();
    (
        HashName::sha3_of(&copy),
        libfossil::blob::delta::encode(source, &copy),
    )
}

/// A long content, and short deltas that make more of it than one message may.
struct Copies {
    long: Vec<u8>,
    source: HashName,
    all: Vec<(HashName, Vec<u8>)>,
}

impl Copies {
    fn new() -> Self {
        let long = vec![b'x'; COPIED];
        let count = u8::try_from(fitting() + 2).unwrap();
        Self {
            source: HashName::sha3_of(&long),
            all: (0..count).map(|mark| copy(&long, mark)).collect(),
            long,
        }
    }

    fn cards<'c>(&self, copies: impl IntoIterator<Item = &'c (HashName, Vec<u8>)>) -> Vec<u8> {
        let mut text = Vec::new();
        for (hash, change) in copies {
            let head = format!("file {hash} {} {}\n", self.source, change.len());
            text.extend([head.as_bytes(), change].concat());
        }
        text
    }
}

/// How many copies one message may bring.
fn fitting() -> usize {
    usize::try_from(MAX_DELTA_OUTPUT_BYTES / COPIED as u64).unwrap()
}

fn is_here(repo: &Repository, hash: &HashName) -> bool {
    let row = repo.rid(hash).unwrap();
    row.is_some_and(|row| repo.is_available(row).unwrap())
}

fn wish((hash, _): &(HashName, Vec<u8>)) -> String {
    format!("gimme {hash}\n")
}

#[test]
fn of_pushed_deltas_that_come_to_very_much_the_rest_is_asked_for_again() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let copies = Copies::new();
    put(&mut repo, &copies.long, Visibility::Public);
    let push = format!("{VERSION}push {CODE} {}\n", project(&repo)).into_bytes();
    let text = [push.clone(), copies.cards(&copies.all)].concat();
    assert!(text.len() < 20_000, "{}", text.len());
    let reply = ask(&mut repo, &granted("i"), text);
    assert!(reply.contains("errors 0"), "{reply}");
    let (taken, left) = copies.all.split_at(fitting());
    assert_eq!(reply.matches("gimme ").count(), left.len(), "{reply}");
    assert!(left.iter().all(|copy| reply.contains(&wish(copy))));
    assert!(taken.iter().all(|(hash, _)| is_here(&repo, hash)));
    ask(
        &mut repo,
        &granted("i"),
        [push, copies.cards(left)].concat(),
    );
    assert!(left.iter().all(|(hash, _)| is_here(&repo, hash)));
}

#[test]
fn of_pulled_deltas_that_come_to_very_much_the_rest_is_asked_for_in_the_same_exchange() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let copies = Copies::new();
    put(&mut repo, &copies.long, Visibility::Public);
    let mut answered = Vec::new();
    let answer = |request: &Request| {
        let asked = frame::decode(request.content_type, request.body.clone()).unwrap();
        let asked = String::from_utf8_lossy(&asked).into_owned();
        let wanted = copies.all.iter().filter(|copy| asked.contains(&wish(copy)));
        let wanted: Vec<_> = wanted.collect();
        let names: String = match answered.is_empty() {
            true => copies
                .all
                .iter()
                .map(|(hash, _)| format!("igot {hash}\n"))
                .collect(),
            false => String::new(),
        };
        answered.push(wanted.len());
        let body = [
            names.into_bytes(),
            copies.cards(wanted),
            b"# end\n".to_vec(),
        ]
        .concat();
        Response {
            content_type: "application/x-fossil-uncompressed".to_owned(),
            body: body.into(),
        }
    };
    let summary = drive(&mut Client::new(PULL, None), &mut repo, answer).expect("an end");
    let all = copies.all.len();
    assert_eq!(answered, [0, all, all - fitting()]);
    assert_eq!((summary.artifacts_received, summary.missing), (all, 0));
}
