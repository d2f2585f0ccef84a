//! Bridges between a bus in memory and a stock `fossil server`.

mod lab;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edgesync_bus::Headers;
use libfossil::xfer::client::Credentials;
use libfossil::xfer::frame::{self, ContentType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Barrier, Notify};

use crate::envelope::{STATUS, content_type};
use crate::http::Http;
use crate::{Account, Fault, Standing, limits, project_at};
use edgesync_tests::StockFossil;
use lab::{Bridged, Lab, PATIENCE, Setting, listening, stands};

/// An answer that says nothing.
const COMMENT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-fossil-debug\r\nConnection: close\r\nContent-Length: 5\r\n\r\n# ok\n";

/// A clone as the Go product begins it.
const GO_CLONE: &str = "pragma client-version 22800 20260101 0\nclone 3 1\n";

/// Returns bytes that do not pack.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn ada() -> Account {
    Account {
        user: "ada".to_owned(),
        password: "secret".to_owned(),
    }
}

#[tokio::test]
async fn a_clone_a_push_and_a_pull_go_through_and_stock_holds_the_same() {
    let Bridged {
        lab,
        caller,
        server: _server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    lab.clone(&caller, "a.fossil").await.expect("cloned");
    lab.clone(&caller, "b.fossil").await.expect("cloned");
    let pushed = lab.store("a.fossil", b"what a made");
    lab.sync(&caller, "a.fossil").await.expect("pushed");
    lab.sync(&caller, "b.fossil").await.expect("pulled");
    for name in ["server.fossil", "a.fossil", "b.fossil"] {
        assert!(lab.artifacts(name).contains(&pushed), "{name}");
    }
    assert_eq!(lab.artifacts("a.fossil"), lab.artifacts("server.fossil"));
    let checked = lab.fossil(&["test-integrity", "b.fossil"]);
    assert!(checked.contains(" 0 errors"), "{checked}");
}

#[tokio::test]
async fn what_is_longer_than_the_bus_allows_travels_in_parts_both_ways() {
    let Bridged {
        lab,
        caller,
        server: _server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    lab.clone(&caller, "a.fossil").await.expect("cloned");
    lab.clone(&caller, "b.fossil").await.expect("cloned");
    let long = lab.store("a.fossil", &noise(3_000_000));
    lab.sync(&caller, "a.fossil").await.expect("pushed");
    assert!(lab.artifacts("server.fossil").contains(&long), "up");
    lab.sync(&caller, "b.fossil").await.expect("pulled");
    assert!(lab.artifacts("b.fossil").contains(&long), "down");
    lab.clone(&caller, "c.fossil").await.expect("cloned");
    assert!(lab.artifacts("c.fossil").contains(&long), "cloned");
}

#[tokio::test]
async fn go_form_requests_get_packed_answers_and_a_clear_word_when_those_are_too_long() {
    let Bridged {
        lab,
        project,
        caller,
        server: _server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    let clone = caller.go(GO_CLONE).await;
    assert_eq!(content_type(&clone), Ok(ContentType::Packed));
    let message = frame::decode(ContentType::Packed, clone.payload).expect("a message");
    let text = String::from_utf8_lossy(&message);
    assert!(
        text.contains("cfile ") && text.contains(project.as_str()),
        "{text}"
    );
    lab.clone(&caller, "a.fossil").await.expect("cloned");
    lab.store("a.fossil", &noise(3_000_000));
    lab.sync(&caller, "a.fossil").await.expect("pushed");
    let refused = caller.go(GO_CLONE).await;
    let status = refused.headers.get(STATUS).expect("a failure");
    assert!(status.contains("max-download"), "{status}");
    let card = frame::decode(ContentType::Packed, refused.payload).expect("a message");
    assert!(card.starts_with(b"error the\\sreply\\shas"), "{card:?}");
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_anybody_waits_is_promised_and_comes_once() {
    let lab = Lab::new();
    let project = lab.repository("server.fossil", "gio");
    let (listener, port) = listening().await;
    let (requests, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (seen, released) = (Arc::clone(&requests), Arc::clone(&release));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = read_request(&mut stream).await;
            // The look at the server is no caller's request.
            if asked.len() < 200_000 {
                stream.write_all(COMMENT).await.expect("sent");
                continue;
            }
            seen.fetch_add(1, Ordering::SeqCst);
            released.notified().await;
            stream.write_all(COMMENT).await.expect("sent");
        }
    });
    let setting = Setting {
        promise: Duration::from_millis(20),
        ..Setting::default()
    };
    lab.bridge(project, port, setting).await;
    let caller = lab.caller(project, "gio");
    // Longer than one message, so that it comes in parts as well.
    let long = b"# a long comment\n".repeat(20_000);
    let body = frame::encode(ContentType::Plain, long);
    let asked = caller.ask(ContentType::Plain, body);
    let promised = async {
        let mut promised = caller.promised.subscribe();
        let thrice = tokio::time::timeout(PATIENCE, promised.wait_for(|count| *count >= 3));
        thrice.await.expect("in time").expect("promised");
        release.notify_one();
    };
    let (response, ()) = tokio::join!(asked, promised);
    assert_eq!(response.expect("an answer").body, &b"# ok\n"[..]);
    assert_eq!(requests.load(Ordering::SeqCst), 1, "asked once");
}

#[tokio::test]
async fn a_servers_reply_comes_back_byte_for_byte() {
    let lab = Lab::new();
    let project = lab.repository("server.fossil", "gio");
    let reply = b"not even packed, \0 and none of our business".to_vec();
    let sent = reply.clone();
    let (listener, port) = listening().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-fossil-debug\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                sent.len()
            );
            stream.write_all(head.as_bytes()).await.expect("sent");
            stream.write_all(&sent).await.expect("sent");
        }
    });
    lab.bridge(project, port, Setting::default()).await;
    let caller = lab.caller(project, "gio");
    let body = frame::encode(ContentType::Packed, b"# hello\n".to_vec());
    let response = caller
        .ask(ContentType::Packed, body)
        .await
        .expect("an answer");
    assert_eq!(response.content_type, "application/x-fossil-debug");
    assert_eq!(response.body, reply);
}

#[tokio::test]
async fn a_server_that_wants_a_login_is_reached_by_the_bridges_account_or_the_callers() {
    let Bridged {
        lab,
        mut caller,
        bridge,
        server: _server,
        ..
    } = Bridged::new("", Setting::default()).await;
    let blind = stands(&mut bridge.standing(), |it| *it != Standing::Starting).await;
    assert!(matches!(blind, Standing::Blind(_)), "{blind:?}");
    let refused = lab.clone(&caller, "refused.fossil").await;
    assert!(
        refused
            .expect_err("refused")
            .contains("not authorized to clone")
    );
    caller.login = Some(Credentials {
        user: "ada".to_owned(),
        password: "secret".to_owned(),
    });
    lab.clone(&caller, "own.fossil")
        .await
        .expect("with a login of its own");
    let before = lab.artifacts("server.fossil");
    lab.store("own.fossil", b"with a wrong password");
    caller.login = Some(Credentials {
        user: "ada".to_owned(),
        password: "wrong".to_owned(),
    });
    assert!(lab.sync(&caller, "own.fossil").await.is_err());
    assert_eq!(lab.artifacts("server.fossil"), before);
    lab.stop.cancel();

    let account = Some(ada());
    let setting = Setting {
        account,
        ..Setting::default()
    };
    let Bridged {
        lab,
        caller,
        bridge,
        server: _server,
        ..
    } = Bridged::new("", setting).await;
    stands(&mut bridge.standing(), |it| matches!(it, Standing::Up(_))).await;
    lab.clone(&caller, "a.fossil")
        .await
        .expect("with the bridge's account");
    let pushed = lab.store("a.fossil", b"lent");
    lab.sync(&caller, "a.fossil").await.expect("pushed");
    assert!(lab.artifacts("server.fossil").contains(&pushed));
    let users = lab.fossil(&["user", "list", "-R", "a.fossil"]);
    assert!(
        !users.contains("ada"),
        "the account's rights are not the caller's: {users}"
    );
}

#[tokio::test]
async fn who_lacks_a_right_changes_nothing_on_the_server() {
    let account = Some(ada());
    let setting = Setting {
        account,
        ..Setting::default()
    };
    let Bridged {
        lab,
        project,
        server: _server,
        ..
    } = Bridged::new("", setting).await;
    lab.clone(&lab.caller(project, "go"), "a.fossil")
        .await
        .expect("cloned");
    let before = lab.artifacts("server.fossil");
    lab.store("a.fossil", b"not for you");
    let reader = lab.caller(project, "go");
    let summary = lab
        .sync(&reader, "a.fossil")
        .await
        .expect("goes on without sending");
    assert!(summary.push_refused);
    let stranger = lab.caller(project, "none");
    let refused = lab.sync(&stranger, "a.fossil").await.expect_err("refused");
    assert_eq!(refused, "you have no rights here");
    assert_eq!(lab.artifacts("server.fossil"), before);
}

#[tokio::test]
async fn a_server_names_its_project_also_to_who_may_not_clone() {
    let lab = Lab::new();
    for (name, letters) in [("open.fossil", "gio"), ("closed.fossil", "")] {
        let project = lab.repository(name, letters);
        let server = lab.serve(name);
        let url = format!("http://127.0.0.1:{}/", server.port).parse();
        let http = Http::new().expect("clients");
        let found = project_at(&http, &url.expect("an address"), [9; 20]).await;
        assert_eq!(found, Ok(project), "{name}");
    }
}

/// Stands before a server, and answers the first `refusals` requests 400, as a new stock server may. Returns its address.
async fn refusing_first(server: &StockFossil, refusals: usize) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let behind = server.port;
    tokio::spawn(async move {
        for count in 0.. {
            let (mut client, _) = listener.accept().await.expect("a request");
            if count < refusals {
                let read = client.read(&mut [0; 65536]).await;
                assert_ne!(read.expect("a request"), 0);
                let answer =
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                client.write_all(answer).await.expect("an answer");
                client.shutdown().await.expect("an end");
                // What is not read when a connection is closed takes its answer away.
                let _ = client.read_to_end(&mut Vec::new()).await;
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", behind))
                    .await
                    .expect("it runs");
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn a_new_server_that_trips_over_its_first_requests_is_asked_again() {
    let lab = Lab::new();
    let project = lab.repository("server.fossil", "gio");
    let server = lab.serve("server.fossil");
    let http = Http::new().expect("clients");
    for (refusals, found) in [(2, true), (limits::FIRST_TRIES, false)] {
        let url = refusing_first(&server, refusals).await.parse();
        let asked = project_at(&http, &url.expect("an address"), [9; 20]).await;
        assert_eq!(asked.ok(), found.then_some(project), "{refusals}");
    }
}

#[tokio::test]
async fn another_project_is_told_apart_and_not_cloned() {
    let lab = Lab::new();
    let other = lab.repository("other.fossil", "gio");
    lab.repository("server.fossil", "gio");
    let server = lab.serve("server.fossil");
    let bridge = lab.bridge(other, server.port, Setting::default()).await;
    let standing = stands(&mut bridge.standing(), |it| *it != Standing::Starting).await;
    assert_eq!(standing, Standing::Down(Fault::Project(other)));
    let refused = lab.clone(&lab.caller(other, "gio"), "a.fossil").await;
    let refused = refused.expect_err("refused");
    assert!(refused.contains("has the project"), "{refused}");
    assert_eq!(lab.artifacts("a.fossil"), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_and_one_that_comes_back_is_used_again() {
    let Bridged {
        lab,
        caller,
        bridge,
        server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    let port = server.port;
    let mut standing = bridge.standing();
    stands(&mut standing, |it| matches!(it, Standing::Up(_))).await;
    lab.clone(&caller, "a.fossil").await.expect("cloned");
    drop(server);
    let pushed = lab.store("a.fossil", b"waits for the server");
    let before = lab.artifacts("a.fossil");
    let failed = lab
        .sync(&caller, "a.fossil")
        .await
        .expect_err("nobody answers");
    assert!(failed.contains("can't be reached"), "{failed}");
    assert_eq!(lab.artifacts("a.fossil"), before);
    stands(&mut standing, |it| {
        matches!(it, Standing::Down(Fault::Server(_)))
    })
    .await;
    let _server =
        StockFossil::on(&lab.path("server.fossil"), port).expect("the port is free again");
    lab.sync(&caller, "a.fossil")
        .await
        .expect("it answers again");
    assert!(lab.artifacts("server.fossil").contains(&pushed));
    stands(&mut standing, |it| matches!(it, Standing::Up(_))).await;
    assert!(bridge.counts().borrow().failed >= 1);
}

#[tokio::test]
async fn what_changes_on_the_server_is_noticed_whoever_changed_it() {
    let poll = Duration::from_millis(50);
    let setting = Setting {
        poll,
        ..Setting::default()
    };
    let Bridged {
        lab,
        bridge,
        server: _server,
        ..
    } = Bridged::new("gio", setting).await;
    let mut standing = bridge.standing();
    let first = stands(&mut standing, |it| matches!(it, Standing::Up(_))).await;
    lab.store("server.fossil", b"made at the server");
    let second = stands(&mut standing, |it| *it != first).await;
    let Standing::Up(holds) = &second else {
        panic!("{second:?}")
    };
    let made = libfossil::name::HashName::sha3_of(b"made at the server");
    assert_eq!(holds.newest, Some(made));
    std::fs::write(lab.path("note.txt"), "unversioned").expect("written");
    lab.fossil(&["uv", "add", "note.txt", "-R", "server.fossil"]);
    let third = stands(&mut standing, |it| *it != second).await;
    let Standing::Up(now) = third else { panic!() };
    assert_eq!(now.artifacts, holds.artifacts);
    assert_ne!(now.unversioned, holds.unversioned);
}

#[tokio::test]
async fn what_a_caller_pushes_is_noticed_without_waiting_for_the_poll() {
    let Bridged {
        lab,
        bridge,
        caller,
        server: _server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    let mut standing = bridge.standing();
    let first = stands(&mut standing, |it| matches!(it, Standing::Up(_))).await;
    lab.clone(&caller, "a.fossil").await.expect("cloned");
    lab.store("a.fossil", b"pushed");
    lab.sync(&caller, "a.fossil").await.expect("pushed");
    stands(&mut standing, |it| {
        *it != first && matches!(it, Standing::Up(_))
    })
    .await;
}

#[tokio::test]
async fn two_projects_are_kept_apart() {
    let lab = Lab::new();
    let (one, two) = (
        lab.repository("1.fossil", "gio"),
        lab.repository("2.fossil", "gio"),
    );
    let servers = [lab.serve("1.fossil"), lab.serve("2.fossil")];
    lab.bridge(one, servers[0].port, Setting::default()).await;
    lab.bridge(two, servers[1].port, Setting::default()).await;
    let callers = [lab.caller(one, "gio"), lab.caller(two, "gio")];
    let (first, second) = tokio::join!(
        lab.clone(&callers[0], "a.fossil"),
        lab.clone(&callers[1], "b.fossil"),
    );
    first.expect("cloned");
    second.expect("cloned");
    assert_eq!(lab.artifacts("a.fossil"), lab.artifacts("1.fossil"));
    assert_eq!(lab.artifacts("b.fossil"), lab.artifacts("2.fossil"));
}

/// Reads a request to its end.
async fn read_request(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(at) = head {
            let text = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
            if bytes.len() >= at + 4 + length {
                return bytes;
            }
        }
        if stream.read_buf(&mut bytes).await.expect("bytes") == 0 {
            return bytes;
        }
    }
}

#[tokio::test]
async fn after_the_first_answer_requests_reach_the_server_side_by_side_and_never_too_many_at_once()
{
    let lab = Lab::new();
    let project = lab.repository("server.fossil", "gio");
    let (listener, port) = listening().await;
    // After the first, answers only when as many as are allowed are there together.
    let together = Arc::new(Barrier::new(limits::SERVER_REQUESTS));
    let (present, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("a connection");
        read_request(&mut first).await;
        let second = tokio::time::timeout(Duration::from_millis(300), listener.accept());
        if second.await.is_ok() {
            most.store(usize::MAX, Ordering::SeqCst);
        }
        first.write_all(COMMENT).await.expect("sent");
        drop(first);
        while let Ok((mut stream, _)) = listener.accept().await {
            let (together, present) = (Arc::clone(&together), Arc::clone(&present));
            let most = Arc::clone(&most);
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let now = present.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                together.wait().await;
                present.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(COMMENT).await.expect("sent");
            });
        }
    });
    let setting = Setting::default();
    lab.bridge(project, port, setting).await;
    let caller = lab.caller(project, "gio");
    let body = frame::encode(ContentType::Packed, b"# hello\n".to_vec());
    // The look at the server is one request more.
    let count = 4 * limits::SERVER_REQUESTS;
    let asked = (0..count).map(|_| caller.send(Headers::new(), body.clone(), false));
    let all = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked));
    let answers = all.await.expect("all are answered");
    assert!(
        answers
            .iter()
            .all(|answer| answer.headers.get(STATUS).is_none())
    );
    assert_eq!(seen.load(Ordering::SeqCst), limits::SERVER_REQUESTS);
}

#[tokio::test]
async fn what_is_no_message_is_answered_as_an_error_and_not_passed_on() {
    let Bridged {
        lab: _lab,
        bridge,
        caller,
        server: _server,
        ..
    } = Bridged::new("gio", Setting::default()).await;
    for bad in [&b"\xff\xff\xff\xff\0\0\0\0"[..], b"junk that is longer"] {
        let answer = caller
            .send(Headers::new(), Bytes::copy_from_slice(bad), false)
            .await;
        assert!(answer.headers.get(STATUS).is_some());
        assert!(!answer.payload.is_empty());
    }
    assert_eq!(bridge.counts().borrow().answered, 0);
}
