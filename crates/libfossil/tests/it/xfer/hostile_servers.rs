//! Servers that lie, stall, or are none: our client ends with a typed error, and the repository is as it was.

use libfossil::db::Repository;
use libfossil::name::HashName;
use libfossil::xfer::client::{Response, Summary, SyncError};
use libfossil::xfer::{Client, Request};

use super::rig::{self, PULL, SYNC};
use crate::stock::Lab;
use crate::store::create;

fn plain(text: impl AsRef<[u8]>) -> Response {
    Response {
        content_type: "application/x-fossil-uncompressed".into(),
        body: text.as_ref().to_vec().into(),
    }
}

fn sync(
    repo: &mut Repository,
    mut server: impl FnMut(usize) -> Response,
) -> Result<Summary, SyncError> {
    let mut round = 0;
    rig::drive(&mut Client::new(SYNC, None), repo, |_: &Request| {
        round += 1;
        server(round)
    })
}

#[test]
fn what_is_no_sync_reply_is_named_for_what_it_is() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let page = |content_type: &str| Response {
        content_type: content_type.into(),
        body: "<html><head><title>Welcome to\n the hotel</title>".into(),
    };
    for reply in [
        page("text/html; charset=utf-8"),
        page("application/x-fossil-uncompressed"),
    ] {
        let error = sync(&mut repo, |_| reply.clone()).unwrap_err();
        assert!(
            matches!(&error, SyncError::WebPage(Some(title)) if title == "Welcome to the hotel"),
            "{error:?}"
        );
    }
    assert!(matches!(
        sync(&mut repo, |_| plain("")),
        Err(SyncError::Empty)
    ));
    let empty = Response {
        content_type: "application/x-fossil".into(),
        body: vec![0; 4].into(),
    };
    assert!(matches!(
        sync(&mut repo, |_| empty.clone()),
        Err(SyncError::Empty)
    ));
    let bomb = Response {
        content_type: "application/x-fossil".into(),
        body: vec![0xff; 100].into(),
    };
    assert!(matches!(
        sync(&mut repo, |_| bomb.clone()),
        Err(SyncError::Frame(_))
    ));
}

#[test]
fn errors_of_the_server_are_told_apart() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    assert!(matches!(
        sync(&mut repo, |_| plain("error login\\sfailed\n")),
        Err(SyncError::LoginFailed)
    ));
    assert!(matches!(
        sync(&mut repo, |_| plain("error wrong\\sproject\n")),
        Err(SyncError::WrongProject)
    ));
    let read = sync(&mut repo, |_| plain("error not\\sauthorized\\sto\\sread\n"));
    assert!(matches!(read, Err(SyncError::NotAuthorized(_))));
    let other = sync(&mut repo, |_| plain("error out\\sof\\sorder\n"));
    assert!(matches!(other, Err(SyncError::Remote(text)) if text == "out of order"));
    for text in ["what\n", "file x\n", "reqconfig /all\n", "push 1 2\n"] {
        assert!(
            matches!(
                sync(&mut repo, |_| plain(text)),
                Err(SyncError::Malformed(_))
            ),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_hash_in_a_reply_stores_nothing_of_it() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let (good, bad) = (HashName::sha3_of(b"good"), HashName::sha3_of(b"bad"));
    let reply = plain(format!("file {good} 4\ngoodfile {bad} 4\nlies"));
    assert!(matches!(
        sync(&mut repo, |_| reply.clone()),
        Err(SyncError::Malformed(_))
    ));
    assert_eq!(repo.rid(&good).unwrap(), None);
}

#[test]
fn a_server_that_always_wants_more_is_left() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let mine = repo.name(libfossil::db::Rid::new(1)).unwrap();
    let elsewhere = HashName::sha1_of(b"not here");
    for wanted in [mine, elsewhere] {
        let summary = sync(&mut repo, |_| plain(format!("gimme {wanted}\n"))).unwrap();
        assert!(summary.rounds < 10, "{summary:?}");
    }
}

#[test]
fn a_server_that_always_promises_more_is_left() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let summary = sync(&mut repo, |round| {
        plain(format!(
            "igot {}\n",
            HashName::sha1_of(&round.to_le_bytes())
        ))
    })
    .unwrap();
    assert!(summary.rounds < 10 && summary.missing > 0, "{summary:?}");
    let same = HashName::sha1_of(b"never comes");
    let summary = sync(&mut repo, |_| plain(format!("igot {same}\n"))).unwrap();
    assert!(summary.rounds < 10, "{summary:?}");
    let wanted = plain("uvigot a 5 0123456789012345678901234567890123456789 5\n");
    let goal = libfossil::xfer::client::Goal {
        unversioned: true,
        ..PULL
    };
    let summary = rig::drive(&mut Client::new(goal, None), &mut repo, |_| wanted.clone()).unwrap();
    assert!(summary.rounds < 10, "{summary:?}");
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let private = HashName::sha3_of(b"private");
    let row = "2000000000 'css' value 'x'";
    let reply = format!(
        "private\nfile {private} 7\nprivateuvfile a 5 {} 1 0\nxconfig /config {}\n{row}\nclone_seqno 5\n",
        HashName::sha1_of(b"x"),
        row.len()
    );
    sync(&mut repo, |_| plain(&reply)).unwrap();
    assert_eq!(repo.rid(&private).unwrap(), None);
    assert_eq!(repo.unversioned().unwrap(), []);
    assert_eq!(repo.config("css").unwrap(), None);
}

#[test]
fn a_clone_that_never_advances_is_left() {
    let lab = Lab::new();
    for (number, seqno) in ["clone_seqno 1\n", "clone_seqno 7\n"]
        .into_iter()
        .enumerate()
    {
        let mut repo = rig::new_clone(&lab.path(&format!("{number}.fossil")));
        let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
        let reply = plain(format!(
            "{seqno}push {} {}\n",
            "1".repeat(40),
            "2".repeat(40)
        ));
        let error = rig::drive(&mut client, &mut repo, |_| reply.clone()).unwrap_err();
        assert!(matches!(error, SyncError::Stalled), "{error:?}");
    }
}

#[test]
fn a_clone_with_other_content_than_its_names_promise_is_refused_at_its_end() {
    let lab = Lab::new();
    let mut repo = rig::new_clone(&lab.path("a.fossil"));
    let mut client = rig::start_clone(&mut repo, PULL, None).unwrap();
    let packed = libfossil::blob::codec::pack(b"other content");
    let head = format!(
        "cfile {} 13 {}\n",
        HashName::sha3_of(b"this content"),
        packed.len()
    );
    let tail = format!(
        "clone_seqno 0\npush {} {}\n",
        "1".repeat(40),
        "2".repeat(40)
    );
    let reply = plain([head.as_bytes(), &packed, tail.as_bytes()].concat());
    let rest = plain("# nothing more\n");
    let mut round = 0;
    let error = rig::drive(&mut client, &mut repo, |_| {
        round += 1;
        if round == 1 {
            reply.clone()
        } else {
            rest.clone()
        }
    })
    .unwrap_err();
    assert!(
        matches!(
            error,
            SyncError::Repository(libfossil::db::Error::HashMismatch { .. })
        ),
        "{error:?}"
    );
    assert!(libfossil::xfer::client::is_partial_clone(&repo).unwrap());
}
