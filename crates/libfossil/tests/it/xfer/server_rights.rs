//! Who may do what at our server: logins, locks on leaves, configuration.

use libfossil::auth::AuthContext;
use libfossil::name::HashName;
use libfossil::xfer::frame::ContentType;
use libfossil::xfer::{Request, Server, login};

use super::rig::{granted, now};
use super::server_rules::{CODE, VERSION, ask, message};
use crate::stock::Lab;
use crate::store::create;

#[test]
fn logins_are_checked_and_failures_look_alike() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let code = repo.project_code().unwrap();
    let tail = format!("{VERSION}pull {CODE} {code}\n");
    let signed = |user: &str, password: &str, tail: &str| {
        let secret = login::shared_secret(&code, user, password);
        let card = libfossil::xfer::card::Card::Login(login::sign(user, &secret, tail.as_bytes()));
        [card.to_bytes(), tail.as_bytes().to_vec()].concat()
    };
    let anyone = AuthContext::default();
    assert!(ask(&mut repo, &anyone, signed("tester", "secret", &tail)).contains("igot "));
    let failed = "error login\\sfailed\n# timestamp 2023-11-14T22:13:20 errors 1\n";
    for (user, password) in [
        ("tester", "wrong"),
        ("stranger", "secret"),
        ("developer", ""),
        ("reader", "kptw"),
    ] {
        assert_eq!(
            ask(&mut repo, &anyone, signed(user, password, &tail)),
            failed,
            "{user}"
        );
    }
    // A card taken from one message is worth nothing in another.
    let card = signed("tester", "secret", &tail);
    let moved = message(&[
        card.split_inclusive(|byte| *byte == b'\n').next().unwrap(),
        tail.as_bytes(),
        b"# more\n",
    ]);
    assert_eq!(ask(&mut repo, &anyone, moved), failed);
    let once = String::from_utf8(signed("tester", "secret", &tail)).unwrap();
    let twice = signed("tester", "secret", &once);
    assert!(ask(&mut repo, &anyone, twice).starts_with("error multiple\\slogin\\scards\n"));
    let anonymous = format!("login anonymous {CODE} {CODE}\n{tail}");
    assert!(ask(&mut repo, &anyone, anonymous).starts_with("error not\\sauthorized\\sto\\sread\n"));
}

#[test]
fn the_login_cookie_signs_the_whole_message() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let code = repo.project_code().unwrap();
    let text = format!("{VERSION}pull {CODE} {code}\n");
    let secret = login::shared_secret(&code, "tester", "secret");
    let cookie = Some(login::to_cookie(&login::sign(
        "tester",
        &secret,
        text.as_bytes(),
    )));
    let mut try_it = |body: String| {
        let request = Request {
            content_type: ContentType::Debug,
            body: body.into(),
            cookie: cookie.clone(),
        };
        Server::default()
            .exchange(&mut repo, &AuthContext::default(), request, now)
            .unwrap()
    };
    let reply = try_it(text.clone());
    assert_eq!((reply.user.as_str(), reply.refused), ("tester", None));
    assert_eq!(
        try_it(format!("{text}# more\n")).refused.as_deref(),
        Some("login failed")
    );
}

#[test]
fn locks_on_leaves_are_given_kept_and_returned() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let leaf = repo.name(libfossil::db::Rid::new(1)).unwrap();
    let (mine, yours) = ("a".repeat(40), "b".repeat(40));
    let lock = |client: &str| format!("{VERSION}pragma ci-lock {leaf} {client}\n");
    assert!(!ask(&mut repo, &granted("io"), lock(&mine)).contains("fail"));
    assert!(!ask(&mut repo, &granted("io"), lock(&mine)).contains("fail"));
    let reply = ask(&mut repo, &granted("io"), lock(&yours));
    assert!(
        reply.contains("pragma ci-lock-fail tester 1700000000\n"),
        "{reply}"
    );
    assert!(!ask(&mut repo, &granted("o"), lock(&yours)).contains("ci-lock"));
    ask(
        &mut repo,
        &granted("io"),
        format!("pragma ci-unlock {mine}\n"),
    );
    assert!(!ask(&mut repo, &granted("io"), lock(&yours)).contains("fail"));
    let unknown = format!(
        "pragma ci-lock {} {mine}\npragma ci-lock x y\n",
        HashName::sha3_of(b"no check-in")
    );
    assert!(!ask(&mut repo, &granted("io"), unknown).contains("error "));
}

#[test]
fn configuration_goes_only_to_those_who_may_have_it() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let secret = repo.user("tester").unwrap().unwrap().secret;
    let reader = ask(
        &mut repo,
        &granted("o"),
        "reqconfig /all\nreqconfig /user\n",
    );
    assert!(
        reader.contains("config /config ")
            && !reader.contains("/user")
            && !reader.contains(&secret),
        "{reader}"
    );
    let admin = ask(&mut repo, &granted("a"), "reqconfig /user\n");
    assert!(admin.contains("config /user ") && admin.contains(&secret));
    let rows = [
        "2000000000 'css' value 'new'",
        "2000000000 'diff-command' value 'rm'",
        "2000000000 'project-code' value 'x'",
    ];
    for row in rows {
        ask(
            &mut repo,
            &granted("a"),
            format!("config /config {}\n{row}\n", row.len()),
        );
    }
    let old = "1000 'css' value 'old'";
    ask(
        &mut repo,
        &granted("a"),
        format!("config /config {}\n{old}\n", old.len()),
    );
    assert_eq!(repo.config("css").unwrap().as_deref(), Some("new"));
    assert_eq!(repo.config("diff-command").unwrap(), None);
    assert!(repo.project_code().is_ok());
}
