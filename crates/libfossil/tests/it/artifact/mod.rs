//! Asks stock Fossil about the rules of structural artifacts: what it takes we take, what it refuses we refuse. Where we
//! differ on purpose, the case says so.

mod check_ins;
mod other_kinds;

use std::fs;

use libfossil::artifact::{self, Artifact, CheckIn, FileCard, Md5, Permission};
use libfossil::name::{HashName, RepoPath};
use libfossil::time::Timestamp;
use proptest::prelude::*;

use crate::stock::Lab;

/// Whether both agree on a case.
#[derive(Clone, Copy, PartialEq)]
enum Relation {
    Same,
    /// Stock takes it, we do not: the case's comment says why.
    Stricter,
    /// We take it, the stock release that tests run with does not.
    Newer,
}
use Relation::{Newer, Same, Stricter};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const D: &str = "D 2026-01-02T03:04:05\n";
const SUM: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// Returns `cards` with the checksum that makes an artifact of them.
fn sealed(cards: &[u8]) -> Vec<u8> {
    [cards, b"Z ", Md5::of(cards).to_string().as_bytes(), b"\n"].concat()
}

/// Returns whether stock takes `content` for a structural artifact.
fn stock_takes(lab: &Lab, content: &[u8]) -> bool {
    fs::write(lab.path("artifact"), content).expect("written");
    let said = lab.fossil(&["test-parse-manifest", "artifact"]);
    let (good, bad) = (
        said.contains("manifest_parse() worked"),
        said.contains("ERROR: "),
    );
    assert_ne!(good, bad, "{said}");
    good
}

fn assert_relation(lab: &Lab, what: &str, content: &[u8], relation: Relation) {
    let stock = stock_takes(lab, content);
    let ours = artifact::parse(content);
    let agreed = match relation {
        Same => stock == ours.is_ok(),
        Stricter => stock && ours.is_err(),
        Newer => !stock && ours.is_ok(),
    };
    assert!(
        agreed,
        "{what}: stock takes it: {stock}, ours: {:?}",
        ours.err()
    );
}

fn assert_cases(cases: Vec<(&str, String, Relation)>) {
    let lab = Lab::new();
    for (what, cards, relation) in cases {
        assert_relation(&lab, what, &sealed(cards.as_bytes()), relation);
    }
}

#[test]
fn rules_of_dates_are_those_of_stock() {
    let case = |date: &'static str, relation| (date, format!("C x\nD {date}\n"), relation);
    assert_cases(vec![
        case("2026-01-02T03:04:05.678", Same),
        case("2026-01-02T03:04:05.6789", Same),
        case("2026-01-02\\s03:04:05", Same),
        case("2026-01-02", Same),
        case("2026-01-02T", Same),
        case("2026-01-02T10:10", Same),
        case("2026-01-02T24:00:00", Same),
        case("2026-01-02T10:10:60", Same),
        case("2026-02-31T00:00:00", Same),
        case("2026-13-01T00:00:00", Same),
        case("2026-00-01T00:00:00", Same),
        case("2026-01-02T00:00:00+01:00", Same),
        case("2026-01-02T00:00:00-15:00", Same),
        case("2026-01-02T00:00:00Z", Same),
        case("2026-01-02T00:00:00X", Same),
        case("0000-01-01T00:00:00", Same),
        case("9999-12-31T23:59:59.999", Same),
        case("10000-02-01T00:00:00", Same),
        case("", Same),
        case("yesterday", Same),
        // The same artifact must mean the same everywhere and always.
        case("now", Stricter),
        // No version of Fossil writes these.
        case("2451545.5", Stricter),
        case("12:00", Stricter),
        case("-0001-02-01T00:00:00", Stricter),
    ]);
}

#[test]
fn rules_of_seals_and_signatures_are_those_of_stock() {
    let lab = Lab::new();
    let cards = format!("C x\n{D}F a {A}\nU u\n").into_bytes();
    let good = sealed(&cards);
    let seal = good[cards.len()..].to_vec();
    let check = |what: &str, parts: &[&[u8]], relation| {
        assert_relation(&lab, what, &parts.concat(), relation);
    };
    check("sealed", &[&good], Same);
    check("a wrong seal", &[&cards, b"Z ", &[b'0'; 32], b"\n"], Same);
    check(
        "an upper-case seal",
        &[&cards, &seal.to_ascii_uppercase()],
        Same,
    );
    check("no seal", &[&cards], Same);
    check("a seal twice", &[&sealed(&good)], Same);
    check("a line after the seal", &[&good, b"\n"], Same);
    check(
        "a space after the seal",
        &[&good[..good.len() - 1], b" \n"],
        Same,
    );
    check("no last newline", &[&good[..good.len() - 1]], Same);
    check("a line before", &[b"\n", &good], Same);
    check("nothing", &[], Same);
    check("a newline", &[b"\n"], Same);

    let head = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n";
    let tail = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";
    check("signed", &[head, &good, tail], Same);
    check(
        "signed, with an empty line more",
        &[head, &good, b"\n", tail],
        Same,
    );
    check("signed, without an end", &[head, &good], Same);
    check("signed, without headers", &[&head[..35], &good, tail], Same);
    check("signed twice", &[head, head, &good, tail], Same);
    check(
        "signed, no last newline",
        &[head, &good, &tail[..tail.len() - 1]],
        Same,
    );
    let crlf = String::from_utf8_lossy(head).replace('\n', "\r\n");
    check("signed elsewhere", &[crlf.as_bytes(), &good, tail], Same);
    // Fossil 2.26 and later take signatures made with SSH keys.
    let ssh = |text: &[u8]| {
        String::from_utf8_lossy(text)
            .replace("PGP", "SSH")
            .into_bytes()
    };
    check(
        "signed with an SSH key",
        &[&ssh(head), &good, &ssh(tail)],
        Newer,
    );
}

#[test]
fn what_we_write_stock_reads() {
    let lab = Lab::new();
    let file = |path: &[u8], permission, old: Option<&[u8]>| FileCard {
        path: RepoPath::new(path.to_vec()).expect("storable"),
        hash: Some(HashName::sha3_of(path)),
        permission,
        old_path: old.map(|old| RepoPath::new(old.to_vec()).expect("storable")),
    };
    let check_in = CheckIn {
        baseline: Some(HashName::sha1_of(b"baseline")),
        comment: Some("two\nlines, a \\ and \u{fc}".into()),
        date: Timestamp::from_unix_millis(-1),
        files: vec![
            file(b"z", Permission::Regular, Some(b"old name")),
            file(b"a b", Permission::Executable, None),
            file(b"caf\xe9", Permission::Symlink, Some(b"x")),
            FileCard {
                hash: None,
                ..file(b"gone", Permission::Executable, None)
            },
        ],
        mimetype: Some("text/x-markdown".into()),
        parents: vec![HashName::sha1_of(b"p"), HashName::sha3_of(b"q")],
        cherrypicks: Vec::new(),
        checksum: Some(Md5::of(b"")),
        tags: Vec::new(),
        user: Some("a user".into()),
    };
    let bytes = check_in.to_bytes();
    assert!(stock_takes(&lab, &bytes), "{}", bytes.escape_ascii());
    assert!(matches!(artifact::parse(&bytes), Ok(Artifact::CheckIn(_))));
}

proptest! {
    // Each case starts stock Fossil.
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn cards_put_together_at_random_are_judged_as_stock_does(
        picks in prop::collection::vec((0..32_usize, any::<bool>()), 1..7),
    ) {
        let mut cards: Vec<String> = picks.iter().map(|(pick, twist)| card(*pick, *twist)).collect();
        cards.sort();
        let lab = Lab::new();
        let content = sealed(cards.concat().as_bytes());
        prop_assert_eq!(stock_takes(&lab, &content), artifact::parse(&content).is_ok(), "{}", cards.concat());
    }
}

/// Returns one of many cards, most of them good; a twist makes another or a bad one of it.
fn card(pick: usize, twist: bool) -> String {
    let (hash, other) = if twist { (B, C) } else { (A, B) };
    match pick {
        0 => format!("A f{pick} page {hash}\n"),
        1 => format!("B {hash}\n"),
        2 => "C comment\n".into(),
        3..10 => D.into(),
        10 => format!("E 2026-01-01T00:00:00 {hash}\n"),
        11 => format!("F name {hash} w {other}\n"),
        12 => format!("F x{twist} {hash}\n"),
        13 => format!("G {hash}\n"),
        14 => "H title\n".into(),
        15 => format!("I {hash}\n"),
        16 => format!("J field {twist}\n"),
        17 => format!("K {hash}\n"),
        18 => "L Page\n".into(),
        19 => format!("M {hash}\n"),
        20 => "N text/plain\n".into(),
        21 => format!("P {hash} {other}\n"),
        22 => format!("Q +{hash}\n"),
        23 => format!("R {SUM}\n"),
        24 => "T +x *\n".into(),
        25 => format!("T +x {hash}\n"),
        26 => "T *x *\n".into(),
        27 | 28 => "U user\n".into(),
        29 | 30 => "W 4\ntext\n".into(),
        _ => format!("P {hash}\n"),
    }
}
