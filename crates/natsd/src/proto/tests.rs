//! What the parser promises: the same operations however the bytes are cut, and an end at every limit.

use proptest::prelude::*;

use super::write::{ACCOUNT, LinkHead, interest, link_message};
use super::*;

const LINE_MAX: usize = 64;
const PAYLOAD_MAX: usize = 32;

/// Feeds the pieces as a connection would and returns what came out, in words.
fn run<'a>(kind: Kind, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut parser = Parser::new(kind, LINE_MAX, PAYLOAD_MAX);
    let mut buffer = Vec::new();
    let mut out = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut from = 0;
        loop {
            match parser.next(&buffer[from..]) {
                Ok(Some((op, used))) => {
                    out.push(format!("{op:?}"));
                    from += used;
                }
                Ok(None) => break,
                Err(error) => {
                    out.push(error.to_string());
                    return out;
                }
            }
        }
        buffer.drain(..from);
    }
    out
}

fn one(kind: Kind, bytes: &[u8]) -> Vec<String> {
    run(kind, [bytes])
}

fn only(kind: Kind, bytes: &[u8]) -> String {
    let out = one(kind, bytes);
    assert_eq!(out.len(), 1, "{out:?}");
    out.into_iter().next().unwrap_or_default()
}

/// Operations of all kinds of connections, and what is none.
const PIECES: &[&[u8]] = &[
    b"PING\r\n",
    b"pong\n",
    b"PUB a 2\r\nhi\r\n",
    b"PUB a.b  r\t0\r\n\r\n",
    b"HPUB a 2 4\r\nabcd\r\n",
    b"HPUB a r 0 1\r\n\n\r\n",
    b"SUB a.> 1\r\n",
    b"SUB a q 1\r\n",
    b"UNSUB 1 5\r\n",
    b"UNSUB 1\r\n",
    b"CONNECT {}\r\n",
    b"INFO {\"a\":1}\r\n",
    b"+OK\r\n",
    b"-ERR 'x y'\r\n",
    b"LS+ a\r\n",
    b"LS+ a q 3\r\n",
    b"LS- a q\r\n",
    b"LMSG a 1\r\nx\r\n",
    b"LMSG a r 1\r\nx\r\n",
    b"LMSG a | q1 q2 1\r\nx\r\n",
    b"LMSG a + r q1 1\r\nx\r\n",
    b"HMSG a + r q1 1 2\r\nxy\r\n",
    b"RS+ $G a\r\n",
    b"RS+ $G a q 2\r\n",
    b"RS- $G a\r\n",
    b"RMSG $G a 1\r\nx\r\n",
    b"RMSG $G a | q 1\r\nx\r\n",
    b"HMSG $G a 1 2\r\nxy\r\n",
    b"LMSG o $G a + r q 1 2\r\nxy\r\n",
    b"LS+ o $G a q 2\r\n",
    b"LS- o $G a q\r\n",
    b"LS-  $G a q\r\n",
    b"A- x\r\n",
    b"PUB a 33\r\n",
    b"PUB a 1\r\nxy\r\n",
    b"PUB a 1234567890\r\n",
    b"\r\n",
    b" PING\r\n",
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
];

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Client), Just(Kind::Leaf), Just(Kind::Route)]
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => (0..LINE_MAX + 4).prop_map(|len| [b"SUB ".as_slice(), &vec![b'a'; len], b" 1\r\n"].concat()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

const QUEUES: &[&[u8]] = &[b"q1", b"q2"];

proptest! {
    #[test]
    fn every_split_gives_the_same_operations(kind in kinds(), bytes in streams(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = one(kind, &bytes);
        prop_assert_eq!(&run(kind, bytes.chunks(1)), &whole);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        prop_assert_eq!(run(kind, cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]])), whole);
    }

    #[test]
    fn every_split_in_two_gives_the_same_operations(kind in kinds(), bytes in streams()) {
        let whole = one(kind, &bytes);
        for cut in 0..=bytes.len() {
            let (one, two) = bytes.split_at(cut);
            prop_assert_eq!(&run(kind, [one, two]), &whole);
        }
    }

    #[test]
    fn what_is_written_to_a_link_is_read_back(
        reply in prop::option::of(Just(b"r".as_slice())),
        queues in prop::collection::vec(prop::sample::select(QUEUES), 0..3),
        header_len in 0..3_usize,
        on_route: bool,
        origin in prop::option::of(Just(b"away".as_slice())),
    ) {
        let origin = origin.filter(|_| on_route);
        let head = LinkHead { account: on_route.then_some(ACCOUNT), origin, subject: b"a.b", reply, queues: &queues, header_len, total: 3 };
        let mut bytes = Vec::new();
        link_message(&mut bytes, &head);
        bytes.extend_from_slice(b"xyz\r\n");
        let mut parser = Parser::new(if on_route { Kind::Route } else { Kind::Leaf }, LINE_MAX, PAYLOAD_MAX);
        let read = parser.next(&bytes);
        let Ok(Some((Op::Message(message), used))) = read else {
            return Err(TestCaseError::fail(format!("{read:?}")));
        };
        prop_assert_eq!(used, bytes.len());
        prop_assert_eq!((message.subject, message.reply, message.header_len), (b"a.b".as_slice(), reply, header_len));
        prop_assert_eq!(message.origin, origin);
        prop_assert_eq!(message.queues.collect::<Vec<_>>(), queues);
        prop_assert_eq!(message.payload, b"xyz");
    }
}

#[test]
fn each_kind_has_its_own_verbs() {
    assert_eq!(
        only(Kind::Client, b"LS+ a\r\n"),
        "Unknown Protocol Operation"
    );
    assert_eq!(
        only(Kind::Leaf, b"RS+ $G a\r\n"),
        "Unknown Protocol Operation"
    );
    assert_eq!(
        only(Kind::Route, b"PUB a 0\r\n\r\n"),
        "Unknown Protocol Operation"
    );
}

#[test]
fn another_protocol_is_found_out_before_its_line_ends() {
    for kind in [Kind::Client, Kind::Leaf, Kind::Route] {
        for bytes in [b"\x16\x03\x01".as_slice(), b"GET", b"PINGX", b" ", b"PU B"] {
            assert_eq!(only(kind, bytes), "Unknown Protocol Operation", "{bytes:?}");
        }
    }
}

#[test]
fn a_line_may_have_its_limit_and_no_byte_more() {
    let line = |len: usize| [b"SUB ".as_slice(), &vec![b'a'; len - 6], b" 1"].concat();
    assert!(one(Kind::Client, &line(LINE_MAX)).is_empty());
    assert_eq!(
        one(
            Kind::Client,
            &[&line(LINE_MAX), b"\r\n".as_slice()].concat()
        )
        .len(),
        1
    );
    assert_eq!(
        only(
            Kind::Client,
            &[&line(LINE_MAX + 1), b"\r\n".as_slice()].concat()
        ),
        "maximum control line exceeded"
    );
    assert_eq!(
        only(Kind::Client, &line(LINE_MAX + 2)),
        "maximum control line exceeded"
    );
}

#[test]
fn a_payload_over_the_limit_is_refused_before_it_comes() {
    assert!(one(Kind::Client, b"PUB a 32\r\n").is_empty());
    assert_eq!(
        only(Kind::Client, b"PUB a 33\r\n"),
        "Maximum Payload Violation"
    );
}

#[test]
fn malformed_arguments_are_refused() {
    for line in [
        "PUB",
        "PUB a",
        "PUB a -1",
        "PUB a +1",
        "PUB a 1x",
        "PUB a b c 1",
        "PUB a 9223372036854775808",
        "HPUB a 1",
        "HPUB a 5 4",
        "HPUB a b c 0 0",
        "SUB",
        "SUB a",
        "SUB a b c d",
        "UNSUB",
        "UNSUB 1 2 3",
    ] {
        let out = one(Kind::Client, format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(out, ["Unknown Protocol Operation"], "{line}");
    }
    for line in [
        "LS+",
        "LS+ a q",
        "LS+ a q x",
        "LS+ a q 1 2",
        "LS-",
        "LS- a q 1",
        "LMSG",
        "LMSG a",
        "LMSG a r x 1",
        "LMSG a + 1",
        "HMSG a 1",
        "HMSG a 2 1",
    ] {
        let out = one(Kind::Leaf, format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(out, ["Unknown Protocol Operation"], "{line}");
    }
    for line in [
        "RS+ $G",
        "RS+ $G a q",
        "RMSG $G",
        "RMSG $G a",
        "LMSG o $G a 1",
        "HMSG $G a 1",
        "LS+ o $G",
        "LS- o $G",
        "LS-  $G",
    ] {
        let out = one(Kind::Route, format!("{line}\r\n\r\n").as_bytes());
        assert_eq!(out, ["Unknown Protocol Operation"], "{line}");
    }
}

#[test]
fn interest_lines_are_written_and_read() {
    for (account, queue, weight, text) in [
        (None, None, 1, "LS+ a\r\n"),
        (None, Some(b"q".as_slice()), 2, "LS+ a q 2\r\n"),
        (None, Some(b"q"), 0, "LS- a q\r\n"),
        (Some(ACCOUNT), None, 0, "RS- $G a\r\n"),
        (Some(ACCOUNT), Some(b"q"), 7, "RS+ $G a q 7\r\n"),
    ] {
        let mut line = Vec::new();
        interest(&mut line, account, b"a", queue, weight);
        assert_eq!(String::from_utf8_lossy(&line), text);
        let kind = if account.is_some() {
            Kind::Route
        } else {
            Kind::Leaf
        };
        let mut parser = Parser::new(kind, LINE_MAX, PAYLOAD_MAX);
        let expected = Interest {
            origin: None,
            account: account.map(str::as_bytes),
            filter: b"a",
            queue,
            weight,
        };
        assert_eq!(
            parser.next(&line),
            Ok(Some((Op::Interest(expected), line.len())))
        );
    }
}

#[test]
fn the_end_of_interest_is_read_with_its_origin_and_without() {
    for (line, origin) in [
        ("LS- away $G a q\r\n", Some(b"away".as_slice())),
        ("LS-  $G a q\r\n", None),
        ("RS- $G a q\r\n", None),
    ] {
        let mut parser = Parser::new(Kind::Route, LINE_MAX, PAYLOAD_MAX);
        let expected = Interest {
            origin,
            account: Some(ACCOUNT.as_bytes()),
            filter: b"a",
            queue: Some(b"q"),
            weight: 0,
        };
        assert_eq!(
            parser.next(line.as_bytes()),
            Ok(Some((Op::Interest(expected), line.len()))),
            "{line}"
        );
    }
}
