//! Rules of the protocol that are easily missed: what a lock is worth, what no cluster may name, what is said only once, which rights do not
//! follow from others, how a client's message begins and ends, what a stock server makes of a mistake.

use libfossil::auth::AuthContext;
use libfossil::db::{Repository, Visibility};
use libfossil::name::HashName;
use libfossil::time::Timestamp;
use libfossil::xfer::client::{Response, SyncError};
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::{Client, Request, Server};

use super::project::{add_user, on, private_names, run, stock_project};
use super::rig::{self, Loopback, PULL, PUSH, SYNC, granted, now};
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

/// Returns the plain text of a request.
fn text_of(request: &Request) -> Vec<u8> {
    frame::decode(request.content_type, request.body.clone())
        .expect("a message")
        .to_vec()
}

/// Content that does not become smaller.
fn noise(seed: u32, bytes: u32) -> Vec<u8> {
    (0..bytes / 20)
        .flat_map(|at| {
            let hash = HashName::sha1_of(&[seed, at].map(u32::to_le_bytes).concat());
            hash.as_str().as_bytes()[..20].to_vec()
        })
        .collect()
}

#[test]
fn a_request_tells_its_version_first_something_random_last_and_stays_as_short_as_stocks() {
    let lab = Lab::new();
    let mut here = create(&lab, "here.fossil");
    let mut there = create(&lab, "there.fossil");
    let longest = 30_000;
    for seed in 0..40 {
        put(&mut here, &noise(seed, longest), Visibility::Public);
    }
    let mut texts = Vec::new();
    let mut client = Client::new(SYNC, rig::login("tester", "secret"));
    let summary = rig::drive(&mut client, &mut here, |request| {
        texts.push(text_of(request));
        rig::ours(&mut there, &AuthContext::default(), request)
    })
    .expect("synced");
    // The first check-in as well, and none of them twice.
    assert_eq!(summary.artifacts_sent, 41);
    assert!(texts.len() >= 5, "{}", texts.len());
    for text in texts {
        assert!(
            text.len() < 250_000 + 2 * longest as usize,
            "{}",
            text.len()
        );
        let text = String::from_utf8(text).expect("text");
        let mut lines = text.lines();
        let mut first = lines.next().expect("a line");
        if first.starts_with("login ") {
            first = lines.next().expect("a line");
        }
        let version = first.strip_prefix("pragma client-version ");
        let words: Vec<u32> = version
            .expect("the version")
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect();
        assert!(words[0] >= 20_000 && words[1] >= 20_200_413, "{first}");
        // It may stand right behind content that does not end in a line.
        let last = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once("# "));
        let last = last.map(|(_, last)| last);
        assert!(
            last.is_some_and(|last| last.len() == 40 && last.bytes().all(|b| b.is_ascii_hexdigit())),
            "{last:?}"
        );
        assert!(
            !text.contains("\ncfile "),
            "a stock server does not link those"
        );
    }
}

#[test]
fn what_a_stock_server_says_to_a_wrong_hash_is_an_error_and_it_has_stored_nothing() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    let ours = lab.path("ours.fossil");
    let (mut repo, _) = rig::clone(&ours, PULL, None, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .expect("cloned");
    let before = lab.artifacts(&theirs);
    put(&mut repo, b"right content", Visibility::Public);
    on(&lab, &theirs, "user capabilities nobody gio");
    let mut client = Client::new(PUSH, None);
    let said = rig::drive(&mut client, &mut repo, |request| {
        let text = String::from_utf8(text_of(request)).expect("text");
        let body = text.replace("right content", "wrong content").into_bytes();
        let request = Request {
            body: frame::encode(request.content_type, body),
            ..request.clone()
        };
        rig::stock(&lab, &theirs, &request)
    });
    assert!(matches!(said, Err(SyncError::WebPage(_))), "{said:?}");
    assert_eq!(lab.artifacts(&theirs), before);
}

#[test]
fn empty_lines_and_comments_in_a_reply_are_passed_over() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let hash = HashName::sha3_of(b"content");
    let mut replies = [
        format!("\n# hello\n\nigot {hash}\n\n"),
        format!("file {hash} 7\ncontent\n\n# bye\n"),
    ]
    .into_iter();
    let mut client = Client::new(PULL, None);
    let summary = rig::drive(&mut client, &mut repo, |_| Response {
        content_type: "application/x-fossil-uncompressed".into(),
        body: replies.next().unwrap_or_else(|| "# end\n".into()).into(),
    });
    assert_eq!(summary.expect("pulled").artifacts_received, 1);
    assert!(repo.rid(&hash).unwrap().is_some());
}

#[test]
fn whose_content_it_is_and_by_which_login_is_kept_with_it() {
    let lab = Lab::new();
    let mut here = create(&lab, "here.fossil");
    let mut there = create(&lab, "there.fossil");
    put(&mut here, b"content", Visibility::Public);
    let mut nonces = Vec::new();
    let mut client = Client::new(PUSH, rig::login("tester", "secret"));
    rig::drive(&mut client, &mut here, |request| {
        let text = String::from_utf8(text_of(request)).expect("text");
        let nonce = text.lines().next().and_then(|line| line.split(' ').nth(2));
        nonces.extend(nonce.map(str::to_owned));
        rig::ours(&mut there, &AuthContext::default(), request)
    })
    .expect("pushed");
    let path = lab.path("there.fossil");
    let kept = lab.query(
        &path,
        "SELECT nonce FROM blob JOIN rcvfrom USING(rcvid) JOIN user USING(uid)
          WHERE login='tester' AND nonce IS NOT NULL",
    );
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(nonces.contains(&kept[0]), "{nonces:?}");
}

#[test]
fn a_check_in_that_is_tagged_private_elsewhere_is_private_as_with_stock() {
    let lab = Lab::new();
    let (theirs, _) = stock_project(&lab, "theirs");
    let ours = lab.path("ours.fossil");
    let (mut repo, _) = rig::clone(&ours, PULL, None, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .expect("cloned");
    let server = Loopback::serve(ours.clone(), Server::default());
    on(&lab, &ours, "user capabilities nobody gio");
    let stock = lab.path("stock.fossil");
    let clone = ["clone", &server.url(None), stock.to_str().unwrap()];
    lab.fossil(&[&clone[..], &["-A", "ada"]].concat());
    on(&lab, &theirs, "tag add --raw private tip --user ada");
    rig::drive(&mut Client::new(PULL, None), &mut repo, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .expect("pulled");
    let private = private_names(&lab, &ours);
    assert_eq!(private.len(), 1, "{private:?}");
    on(
        &lab,
        &stock,
        &format!("pull {} --user ada", server.url(None)),
    );
    assert_eq!(private_names(&lab, &stock), private);
}

#[test]
fn an_unversioned_file_over_the_limit_is_named_and_comes_alone() {
    let lab = Lab::new();
    let ours = lab.path("ours.fossil");
    drop(create(&lab, "ours.fossil"));
    add_user(&lab, &ours, "eve", "oy", "pw");
    on(&lab, &ours, "user capabilities nobody gio");
    for (name, seed) in [("one.bin", 1), ("two.bin", 2), ("three.bin", 3)] {
        std::fs::write(lab.path(name), noise(seed, 60_000)).unwrap();
        let file = lab.path(name).display().to_string();
        on(
            &lab,
            &ours,
            &format!("uv add {file} --as {name} --user tester"),
        );
    }
    let server = Server {
        max_download_bytes: Some(70_000),
        ..Server::default()
    };
    let mut repo = rig::open(&ours);
    let wish = "uvgimme one.bin\nuvgimme two.bin\nuvgimme three.bin\n";
    let request = Request {
        content_type: ContentType::Debug,
        body: format!("{VERSION}{wish}").into(),
        cookie: None,
    };
    let reply = server.exchange(&mut repo, &granted("oy"), request, now);
    let reply = String::from_utf8_lossy(&reply.expect("an answer").body).into_owned();
    for (card, times) in [
        ("uvfile one.bin ", 1),
        ("uvfile three.bin ", 0),
        ("uvigot three.bin ", 1),
    ] {
        assert_eq!(reply.matches(card).count(), times, "{card}");
    }
    drop(repo);

    let server = Loopback::serve(ours.clone(), server);
    let theirs = lab.path("theirs.fossil");
    let clone = ["clone", &server.url(None), theirs.to_str().unwrap()];
    lab.fossil(&[&clone[..], &["-A", "ada", "-u"]].concat());
    assert_eq!(on(&lab, &theirs, "uv hash"), on(&lab, &ours, "uv hash"));
}

#[test]
fn what_stock_sends_as_a_delta_on_itself_stays_missing_and_all_else_comes() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    let ours = lab.path("ours.fossil");
    let carry = |request: &Request| rig::stock(&lab, &theirs, request);
    let (mut repo, _) = rig::clone(&ours, PULL, None, carry).expect("cloned");
    let text = "A file that is longer than what stock always sends whole.\n".repeat(5);
    std::fs::write(work.join("before.txt"), &text).unwrap();
    run(&lab, &work, "add before.txt");
    run(&lab, &work, "commit -m brought --no-warnings --user ada");
    run(&lab, &work, "mv --hard before.txt after.txt");
    let old = "commit -m renamed --no-warnings --user ada --allow-older --date-override 2001-01-01";
    run(&lab, &work, old);

    let came = rig::drive(&mut Client::new(PULL, None), &mut repo, carry).expect("pulled");
    let name = HashName::sha3_of(text.as_bytes());
    let rid = repo.rid(&name).unwrap().expect("its name is known");
    assert!(repo.is_phantom(rid).unwrap());
    assert_eq!((came.missing, came.artifacts_received), (1, 2));
}

#[test]
fn who_sends_a_delta_on_itself_is_not_asked_for_the_same_at_once() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let name = HashName::sha3_of(b"content");
    let change = libfossil::blob::delta::encode(b"content", b"content");
    let push = format!("push {CODE} {}\n", project(&repo));
    let mut message = format!("{push}file {name} {name} {}\n", change.len()).into_bytes();
    message.extend_from_slice(&change);
    let reply = ask(&mut repo, &granted("io"), message);
    assert!(
        reply.contains("errors 0") && !reply.contains("gimme"),
        "{reply}"
    );
    let later = ask(&mut repo, &granted("io"), push);
    assert!(later.contains(&format!("gimme {name}\n")), "{later}");
}
