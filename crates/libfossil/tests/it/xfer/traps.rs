//! Rules of the protocol that are easily missed: what a lock is worth, what no cluster may name, what is said only once, which rights do not
//! follow from others.

use libfossil::auth::AuthContext;
use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::xfer::frame::ContentType;
use libfossil::xfer::{Request, Server};

use super::rig::{granted, now};
use super::server_rules::{CODE, VERSION, ask, project, put};
use crate::stock::Lab;
use crate::store::create;

/// Sends plain text at a time that is `seconds` after the usual one.
fn ask_after(repo: &mut Repository, auth: &AuthContext, text: String, seconds: i64) -> String {
    let request = Request {
        content_type: ContentType::Debug,
        body: text.into(),
        cookie: None,
    };
    let later = || Timestamp::from_unix_millis(now().unix_millis() + seconds * 1000);
    let reply = Server::default().exchange(repo, auth, request, later);
    String::from_utf8_lossy(&reply.expect("an answer").body).into_owned()
}

#[test]
fn a_lock_counts_for_a_minute_or_as_long_as_the_project_says() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let leaf = repo.name(libfossil::db::Rid::new(1)).unwrap();
    let lock = |client: &str| format!("{VERSION}pragma ci-lock {leaf} {}\n", client.repeat(40));
    let granted = granted("io");
    ask_after(&mut repo, &granted, lock("a"), 0);
    assert!(ask_after(&mut repo, &granted, lock("b"), 59).contains("ci-lock-fail"));
    assert!(!ask_after(&mut repo, &granted, lock("b"), 61).contains("ci-lock-fail"));
    repo.write(now(), |tx| tx.set_config("lock-timeout", "10"))
        .unwrap();
    assert!(ask_after(&mut repo, &granted, lock("a"), 70).contains("ci-lock-fail"));
    assert!(!ask_after(&mut repo, &granted, lock("a"), 72).contains("ci-lock-fail"));
}

#[test]
fn a_hundred_loose_artifacts_make_a_cluster_and_neither_private_ones_nor_mere_names_are_in_it() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    // The first check-in is loose as well.
    for number in 0..98 {
        put(
            &mut repo,
            format!("public {number}").as_bytes(),
            Visibility::Public,
        );
    }
    let mut names: String = (0..50_u32)
        .map(|number| format!("igot {}\n", HashName::sha1_of(&number.to_le_bytes())))
        .collect();
    for number in 0..50 {
        put(
            &mut repo,
            format!("private {number}").as_bytes(),
            Visibility::Private,
        );
    }
    names.insert_str(0, &format!("push {CODE} {}\n", project(&repo)));
    ask(&mut repo, &granted("i"), names);
    let pull = format!("{VERSION}pull {CODE} {}\n", project(&repo));
    let igots = |reply: &str| {
        reply
            .lines()
            .filter(|line| line.starts_with("igot "))
            .count()
    };
    assert_eq!(igots(&ask(&mut repo, &granted("o"), &pull)), 99);
    put(&mut repo, b"one more", Visibility::Public);
    assert_eq!(igots(&ask(&mut repo, &granted("o"), &pull)), 1);
    let path = lab.path("a.fossil");
    let named = lab.query(
        &path,
        "SELECT count(*) FROM blob WHERE rid NOT IN (SELECT rid FROM unclustered)
           AND rid NOT IN (SELECT rid FROM private) AND size>=0",
    );
    assert_eq!(named, ["100"]);
    let of_names = lab.query(
        &path,
        "SELECT count(*) FROM phantom JOIN unclustered USING(rid)",
    );
    assert_eq!(of_names, ["50"]);
}

#[test]
fn what_is_asked_for_twice_in_a_message_comes_once() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hash = put(&mut repo, b"content", Visibility::Public);
    let gimme = format!("gimme {hash}\n").repeat(3);
    let pull = format!("{VERSION}pull {CODE} {}\n{gimme}", project(&repo));
    let reply = ask(&mut repo, &granted("o"), &pull);
    assert_eq!(
        reply.matches(&format!("file {hash} ")).count(),
        1,
        "{reply}"
    );
    assert!(!reply.contains(&format!("igot {hash}")), "{reply}");
}

#[test]
fn a_hash_in_capitals_is_none() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hash = put(&mut repo, b"content", Visibility::Public);
    let shout = hash.as_str().to_ascii_uppercase();
    let pull = format!("{VERSION}pull {CODE} {}\ngimme {shout}\n", project(&repo));
    let reply = ask(&mut repo, &granted("o"), &pull);
    assert!(!reply.contains("file "), "{reply}");
}

#[test]
fn neither_setup_nor_writing_gives_the_right_to_change_unversioned_files() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let text = format!("{VERSION}pragma uv-hash {CODE}\n").repeat(2);
    for (letters, word) in [
        ("s", "uv-pull-only"),
        ("a", "uv-pull-only"),
        ("io", "uv-pull-only"),
        ("oy", "uv-push-ok"),
    ] {
        let reply = ask(&mut repo, &granted(letters), &text);
        assert_eq!(
            reply.matches("pragma uv-pu").count(),
            1,
            "{letters}: {reply}"
        );
        assert!(reply.contains(word), "{letters}: {reply}");
    }
    let write = "uvfile a.txt 1000 da39a3ee5e6b4b0d3255bfef95601890afd80709 0 0\n";
    assert!(ask(&mut repo, &granted("s"), write).starts_with("error Write"));
    assert!(repo.unversioned().unwrap().is_empty());
}

#[test]
fn that_a_file_which_was_never_here_was_removed_is_no_news() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let reply = ask(&mut repo, &granted("oy"), "uvfile never.txt 1000 - 0 1\n");
    assert!(!reply.contains("error "), "{reply}");
    let empty = HashName::sha1_of(b"");
    assert_eq!(repo.unversioned_hash().unwrap(), empty.to_string());
}

#[test]
fn concealed_addresses_need_a_right_of_their_own() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let row = "2000000000 'abc' content 'ada@example.org'";
    ask(
        &mut repo,
        &granted("ae"),
        format!("config /concealed {}\n{row}\n", row.len()),
    );
    let wish = "reqconfig /email\n";
    assert!(!ask(&mut repo, &granted("o"), wish).contains("ada@example.org"));
    assert!(ask(&mut repo, &granted("oe"), wish).contains("ada@example.org"));
}
