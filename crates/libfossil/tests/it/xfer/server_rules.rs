//! What our server answers, card by card: refusals, order, what is stored and what is sent.

use libfossil::auth::AuthContext;
use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::{Request, Server};

use super::rig::{granted, now};
use crate::stock::Lab;
use crate::store::create;

pub(crate) const CODE: &str = "0123456789012345678901234567890123456789";
pub(crate) const VERSION: &str = "pragma client-version 22100 20230226 192424\n";

/// Sends plain text and returns the plain reply.
pub(crate) fn ask(repo: &mut Repository, auth: &AuthContext, text: impl AsRef<[u8]>) -> String {
    let request = Request {
        content_type: ContentType::Debug,
        body: text.as_ref().to_vec().into(),
        cookie: None,
    };
    let reply = Server::default()
        .exchange(repo, auth, request, now)
        .expect("an answer");
    String::from_utf8_lossy(&reply.body).into_owned()
}

pub(crate) fn project(repo: &Repository) -> String {
    repo.project_code().unwrap().to_string()
}

pub(crate) fn put(repo: &mut Repository, content: &[u8], visibility: Visibility) -> HashName {
    repo.write(now(), |tx| tx.store(content, visibility))
        .expect("stored")
        .name
}

fn has(repo: &Repository, hash: &HashName) -> bool {
    repo.rid(hash)
        .unwrap()
        .is_some_and(|rid| repo.is_available(rid).unwrap())
}

fn file(content: &[u8]) -> (HashName, Vec<u8>) {
    let hash = HashName::sha3_of(content);
    let mut card = format!("file {hash} {}\n", content.len()).into_bytes();
    card.extend_from_slice(content);
    (hash, card)
}

pub(crate) fn message(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn an_idle_pull_is_answered_by_version_and_time_alone() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let known: String = repo_names(&repo)
        .iter()
        .map(|hash| format!("igot {hash}\n"))
        .collect();
    let reply = ask(
        &mut repo,
        &granted("io"),
        format!("{VERSION}pull {CODE} {project}\n{known}"),
    );
    assert_eq!(
        reply,
        "pragma server-version 22900 20260821 000000\n# timestamp 2023-11-14T22:13:20 errors 0\n"
    );
}

fn repo_names(repo: &Repository) -> Vec<HashName> {
    (1..)
        .map_while(|rid| repo.name(libfossil::db::Rid::new(rid)).ok())
        .collect()
}

#[test]
fn strangers_may_do_nothing_and_are_told_so_in_stock_words() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let (hash, card) = file(b"content");
    let anyone = AuthContext::default();
    for (request, answer) in [
        (
            format!("pull {CODE} {project}\n"),
            "error not\\sauthorized\\sto\\sread\n",
        ),
        (
            format!("push {CODE} {project}\n"),
            "error not\\sauthorized\\sto\\swrite\n",
        ),
        (
            String::from_utf8(card).unwrap(),
            "error not\\sauthorized\\sto\\swrite\n",
        ),
        (
            "uvfile a 1 - 0 1\n".to_owned(),
            "error Write\\spermissions\\sfor\\sunversioned\\sfiles\\smissing\n",
        ),
        (
            "config /config 1\nx\n".to_owned(),
            "error not\\sauthorized\\sto\\spush\\sconfiguration\n",
        ),
        (
            "private\n".to_owned(),
            "error not\\sauthorized\\sto\\ssync\\sprivate\\scontent\n",
        ),
    ] {
        let reply = ask(&mut repo, &anyone, format!("{VERSION}{request}"));
        assert_eq!(
            reply,
            format!("{answer}# timestamp 2023-11-14T22:13:20 errors 1\n"),
            "{request}"
        );
    }
    for request in [
        "reqconfig /all\n",
        "pragma uv-hash 0123456789012345678901234567890123456789\n",
        "uvgimme a\n",
        "gimme ",
    ] {
        let reply = ask(&mut repo, &anyone, format!("{VERSION}{request}{hash}\n"));
        assert!(
            !reply.contains("config") && !reply.contains("uvigot") && !reply.contains("file "),
            "{reply}"
        );
    }
    assert!(!has(&repo, &hash));
    assert_eq!(repo.config("css").unwrap(), None);
}

#[test]
fn a_refused_clone_still_tells_the_project_so_that_the_next_request_can_be_signed() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let (server, project) = (repo.server_code().unwrap(), project(&repo));
    let reply = ask(
        &mut repo,
        &AuthContext::default(),
        format!("{VERSION}clone 3 1\n"),
    );
    let lines: Vec<&str> = reply.lines().collect();
    assert_eq!(
        lines[..2],
        [
            format!("push {server} {project}").as_str(),
            "error not\\sauthorized\\sto\\sclone"
        ]
    );
}

#[test]
fn rights_come_after_the_project_and_in_the_order_of_the_cards() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let wrong = ask(
        &mut repo,
        &AuthContext::default(),
        format!("pull {CODE} {CODE}\n"),
    );
    assert!(wrong.starts_with("error wrong\\sproject\n"));
    let reply = ask(
        &mut repo,
        &granted("o"),
        format!("pull {CODE} {project}\npush {CODE} {project}\n"),
    );
    assert!(
        reply.starts_with("message pull\\sonly\\s-\\snot\\sauthorized\\sto\\spush\n"),
        "{reply}"
    );
}

#[test]
fn a_reply_tells_the_time_when_it_is_made_not_when_its_request_came() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let (_, card) = file(b"something to store");
    let push = format!("{VERSION}push {CODE} {}\n", project(&repo));
    let request = Request {
        content_type: ContentType::Debug,
        body: message(&[push.as_bytes(), &card]).into(),
        cookie: None,
    };
    // A clock on which every look at it takes an hour.
    let looks = std::cell::Cell::new(0);
    let clock = || {
        looks.set(looks.get() + 1);
        Timestamp::from_unix_millis(now().unix_millis() + looks.get() * 3_600_000)
    };
    let reply = Server::default()
        .exchange(&mut repo, &granted("i"), request, clock)
        .expect("an answer");
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let last = Timestamp::from_unix_millis(now().unix_millis() + looks.get() * 3_600_000);
    let expected = format!("# timestamp {} errors 0", &last.to_string()[..19]);
    assert_eq!(text.lines().last(), Some(expected.as_str()));
    assert!(looks.get() > 1, "it was looked at before storing only");
}

#[test]
fn clone_contents_end_in_the_sequence_number_and_then_the_project() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    for number in 0..20 {
        put(
            &mut repo,
            format!("{number}").repeat(300).as_bytes(),
            Visibility::Public,
        );
    }
    let request = |seqno: &str| Request {
        content_type: ContentType::Packed,
        body: frame::encode(
            ContentType::Packed,
            format!("{VERSION}clone 3 {seqno}\n").into_bytes(),
        ),
        cookie: None,
    };
    let server = Server {
        max_download_bytes: Some(1000),
        ..Server::default()
    };
    let reply = server
        .exchange(&mut repo, &granted("g"), request("1"), now)
        .unwrap();
    assert_eq!(reply.content_type, ContentType::Plain);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    assert!(lines[0].starts_with("# timestamp"), "{lines:?}");
    assert!(lines[1].starts_with("push "), "{lines:?}");
    assert!(lines[2].contains("clone_seqno 1"), "{lines:?}");
    for seqno in ["0", "-1"] {
        let reply = server
            .exchange(&mut repo, &granted("g"), request(seqno), now)
            .unwrap();
        assert!(reply.refused.is_some(), "{seqno}");
    }
    let past = server
        .exchange(&mut repo, &granted("g"), request("999999"), now)
        .unwrap();
    assert!(String::from_utf8_lossy(&past.body).contains("clone_seqno 0\npush "));
}

#[test]
fn a_bad_command_is_quoted_and_what_else_was_sent_is_stored() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let push = format!("push {CODE} {}\n", project(&repo));
    let (hash, card) = file(b"content");
    let reply = ask(
        &mut repo,
        &granted("i"),
        message(&[push.as_bytes(), &card, b"\n"]),
    );
    assert_eq!(
        reply,
        "error bad\\scommand:\\s\\n\n# timestamp 2023-11-14T22:13:20 errors 1\n"
    );
    assert!(has(&repo, &hash));
    let reply = ask(&mut repo, &granted("i"), "what is this\n");
    assert!(
        reply.starts_with("error bad\\scommand:\\swhat\\sis\\sthis\\n\n"),
        "{reply}"
    );
}

#[test]
fn a_wrong_hash_rolls_the_whole_message_back() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let push = format!("push {CODE} {}\n", project(&repo));
    let (good, card) = file(b"good content");
    let (bad, _) = file(b"something else");
    let lie = format!("file {bad} 4\nlies");
    let reply = ask(
        &mut repo,
        &granted("i"),
        message(&[push.as_bytes(), &card, lie.as_bytes()]),
    );
    assert!(
        reply.starts_with(&format!(
            "error wrong\\shash\\son\\sreceived\\sartifact:\\s{bad}\n"
        )),
        "{reply}"
    );
    assert!(!has(&repo, &good) && !has(&repo, &bad));
    let cut = format!("file {good} 400\nshort");
    let reply = ask(
        &mut repo,
        &granted("i"),
        message(&[push.as_bytes(), &card, cut.as_bytes()]),
    );
    assert!(
        reply.starts_with("error malformed\\sfile\\sline\n"),
        "{reply}"
    );
    assert!(!has(&repo, &good));
}

#[test]
fn the_same_artifact_twice_counts_once() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let push = format!("push {CODE} {}\n", project(&repo));
    let (hash, card) = file(b"content");
    let body = message(&[push.as_bytes(), &card, &card]);
    for expected in [1, 0] {
        let request = Request {
            content_type: ContentType::Plain,
            body: body.clone().into(),
            cookie: None,
        };
        let reply = Server::default()
            .exchange(&mut repo, &granted("i"), request.clone(), now)
            .unwrap();
        assert_eq!(reply.received.artifacts, vec![hash; expected]);
    }
}

#[test]
fn a_delta_waits_for_its_source_and_is_served_only_then() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let (old, new) = (
        b"line\n".repeat(100),
        [b"line\n".repeat(100), b"more\n".to_vec()].concat(),
    );
    let (source, hash) = (HashName::sha3_of(&old), HashName::sha3_of(&new));
    let change = libfossil::blob::delta::encode(&old, &new);
    let card = [
        format!("file {hash} {source} {}\n", change.len()).as_bytes(),
        &change,
    ]
    .concat();
    let push = format!("push {CODE} {project}\n");
    let reply = ask(
        &mut repo,
        &granted("i"),
        message(&[VERSION.as_bytes(), push.as_bytes(), &card]),
    );
    assert!(reply.contains(&format!("gimme {source}\n")), "{reply}");
    let pull = format!("{VERSION}pull {CODE} {project}\ngimme {hash}\n");
    assert!(!ask(&mut repo, &granted("o"), &pull).contains("file "));
    let (_, card) = file(&old);
    ask(&mut repo, &granted("i"), message(&[push.as_bytes(), &card]));
    assert!(has(&repo, &hash));
    assert!(ask(&mut repo, &granted("o"), &pull).contains(&format!("file {hash} ")));
}

#[test]
fn private_content_stays_private() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let secret = put(&mut repo, b"private content", Visibility::Private);
    let pull = format!("{VERSION}pull {CODE} {project}\ngimme {secret}\n");
    let reply = ask(&mut repo, &granted("o"), &pull);
    assert!(
        reply.contains(&format!("igot {secret} 1\n")) && !reply.contains("private content"),
        "{reply}"
    );
    let asked = format!("{VERSION}pragma send-private\npull {CODE} {project}\ngimme {secret}\n");
    let refused = ask(&mut repo, &granted("o"), &asked);
    assert!(
        refused.contains("error not\\sauthorized\\sto\\ssync\\sprivate\\scontent\n"),
        "{refused}"
    );
    assert!(!refused.contains("private content"), "{refused}");
    let given = ask(&mut repo, &granted("ox"), &asked);
    assert!(
        given.contains(&format!("private\nfile {secret} 15\nprivate content")),
        "{given}"
    );
    let cloned = ask(&mut repo, &granted("g"), format!("{VERSION}clone 2 1\n"));
    assert!(!cloned.contains("private content"), "{cloned}");

    // Without the right nothing that is called private is stored, not even as public.
    let (hash, card) = file(b"someone's secret");
    let push = format!("push {CODE} {project}\nprivate\n");
    ask(&mut repo, &granted("i"), message(&[push.as_bytes(), &card]));
    assert!(!has(&repo, &hash));
    ask(
        &mut repo,
        &granted("ix"),
        message(&[push.as_bytes(), &card]),
    );
    let rid = repo.rid(&hash).unwrap().unwrap();
    assert!(repo.is_private(rid).unwrap());
    ask(
        &mut repo,
        &granted("i"),
        format!("push {CODE} {project}\nigot {hash}\n"),
    );
    assert!(!repo.is_private(rid).unwrap());
}

#[test]
fn shunned_content_is_neither_stored_nor_sent_nor_asked_for() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let project = project(&repo);
    let (hash, card) = file(b"shunned content");
    let row = format!("1000 '{hash}' scom NULL");
    ask(
        &mut repo,
        &granted("a"),
        format!("config /shun {}\n{row}\n", row.len()),
    );
    assert!(repo.is_shunned(&hash).unwrap());
    let push = format!("push {CODE} {project}\nigot {hash}\n");
    let reply = ask(&mut repo, &granted("i"), message(&[push.as_bytes(), &card]));
    assert!(
        !reply.contains("gimme") && !reply.contains("error "),
        "{reply}"
    );
    assert_eq!(repo.rid(&hash).unwrap(), None);
    let reply = ask(
        &mut repo,
        &granted("o"),
        format!("pull {CODE} {project}\ngimme {hash}\n"),
    );
    assert!(!reply.contains(hash.as_str()), "{reply}");
}

#[test]
fn unknown_names_become_phantoms_within_bounds_and_are_asked_for() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mut text = format!("push {CODE} {}\n", project(&repo));
    for number in 0..700_u32 {
        text.push_str(&format!(
            "igot {}\n",
            HashName::sha1_of(&number.to_le_bytes())
        ));
    }
    let reply = ask(&mut repo, &granted("i"), &text);
    assert_eq!(
        reply
            .lines()
            .filter(|line| line.starts_with("gimme "))
            .count(),
        500
    );
    assert_eq!(repo_names(&repo).len(), 701);
}

#[test]
fn a_pull_gathers_what_is_loose_into_clusters_first() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    repo.write(now(), |tx| {
        (0..950).try_for_each(|number| {
            tx.store(format!("content {number}").as_bytes(), Visibility::Public)
                .map(|_| ())
        })
    })
    .unwrap();
    let pull = format!("{VERSION}pull {CODE} {}\n", project(&repo));
    let reply = ask(&mut repo, &granted("o"), &pull);
    assert_eq!(
        reply
            .lines()
            .filter(|line| line.starts_with("igot "))
            .count(),
        2,
        "{reply}"
    );
    let clusters = ask(
        &mut repo,
        &granted("o"),
        format!("{pull}pragma req-clusters\n"),
    );
    assert!(
        clusters.contains("# sending-clusters\n# end-of-clusters\n"),
        "{clusters}"
    );
    drop(repo);
    lab.assert_sound(&lab.path("a.fossil"));
    let stock = lab.fossil(&[
        "test-clusters",
        "-R",
        lab.path("a.fossil").to_str().unwrap(),
    ]);
    assert!(!stock.contains("error"), "{stock}");
}

#[test]
fn what_exceeds_the_budget_is_named_so_that_it_is_asked_for_again() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hashes: Vec<HashName> = (0..5_u8)
        .map(|number| put(&mut repo, &[number; 900], Visibility::Public))
        .collect();
    let gimmes: String = hashes
        .iter()
        .map(|hash| format!("gimme {hash}\n"))
        .collect();
    let text = format!("{VERSION}pull {CODE} {}\n{gimmes}", project(&repo));
    let request = Request {
        content_type: ContentType::Debug,
        body: text.into(),
        cookie: None,
    };
    let server = Server {
        max_download_bytes: Some(1500),
        ..Server::default()
    };
    let reply = server
        .exchange(&mut repo, &granted("o"), request.clone(), now)
        .unwrap();
    let reply = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(
        hashes
            .iter()
            .filter(|hash| reply.contains(&format!("file {hash} ")))
            .count(),
        2,
        "{reply}"
    );
    assert_eq!(
        hashes
            .iter()
            .filter(|hash| reply.contains(&format!("igot {hash}")))
            .count(),
        3,
        "{reply}"
    );
}

#[test]
fn the_oldest_form_of_a_clone_names_everything() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hash = put(&mut repo, b"content", Visibility::Public);
    let reply = ask(&mut repo, &granted("g"), format!("{VERSION}clone\n"));
    let (push, names) = (
        reply.find("push ").unwrap(),
        reply.find(&format!("igot {hash}\n")).unwrap(),
    );
    assert!(push < names, "{reply}");
}
