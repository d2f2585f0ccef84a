//! Deltas and packed content against stock Fossil: each applies and unpacks what the other made.

use std::fs;

use libfossil::blob::{codec, delta};
use libfossil::limits::MAX_CONTENT_BYTES;
use proptest::prelude::*;

use crate::stock::Lab;

/// Returns what stock makes of `source` with `delta`, if it applies it.
fn stock_apply(lab: &Lab, source: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let target = lab.path("target");
    fs::write(lab.path("source"), source).expect("written");
    fs::write(lab.path("delta"), delta).expect("written");
    fs::write(&target, b"").expect("written");
    let output = lab
        .command(
            target.parent().expect("a directory"),
            &["test-delta-apply", "source", "delta", "target"],
        )
        .output()
        .expect("fossil runs");
    output
        .status
        .success()
        .then(|| fs::read(target).expect("read"))
}

/// Returns the delta that stock makes from `source` to `target`.
fn stock_encode(lab: &Lab, source: &[u8], target: &[u8]) -> Vec<u8> {
    fs::write(lab.path("source"), source).expect("written");
    fs::write(lab.path("target"), target).expect("written");
    lab.fossil(&["test-delta-create", "source", "target", "delta"]);
    fs::read(lab.path("delta")).expect("read")
}

fn assert_both_ways(lab: &Lab, source: &[u8], target: &[u8]) {
    let ours = delta::encode(source, target);
    assert_eq!(
        stock_apply(lab, source, &ours).as_deref(),
        Some(target),
        "stock applies ours"
    );
    let theirs = stock_encode(lab, source, target);
    assert_eq!(
        delta::apply(source, &theirs, MAX_CONTENT_BYTES).as_deref(),
        Ok(target),
        "we apply theirs"
    );
}

/// Returns bytes that repeat nothing.
fn noise(length: u32) -> Vec<u8> {
    (0..length)
        .flat_map(|n| {
            n.wrapping_mul(2_654_435_761)
                .rotate_left(n % 31)
                .to_be_bytes()
        })
        .collect()
}

#[test]
fn deltas_are_applied_in_both_directions() {
    let lab = Lab::new();
    let text = include_bytes!("delta.rs");
    let edited = String::from_utf8_lossy(text)
        .replace("stock", "the reference program")
        .into_bytes();
    let noise = noise(30_000);
    for (source, target) in [
        (&b""[..], &b""[..]),
        (b"", b"something"),
        (b"something", b""),
        (b"0123456789abcdef", b"0123456789abcdef0123456789abcdef"),
        (text, &edited),
        (&edited, text),
        (&noise, &[&noise[60_000..], &noise[..60_000]].concat()),
        (&noise, text),
        (&[0; 100_000], &[0; 70_000]),
    ] {
        assert_both_ways(&lab, source, target);
    }
}

#[test]
fn our_deltas_are_about_as_short_as_those_of_stock() {
    let lab = Lab::new();
    let text = String::from_utf8_lossy(include_bytes!("artifact/mod.rs")).into_owned();
    for (from, to) in [
        ("stock", "the reference program"),
        ("    ", "\t"),
        ("Same", "Equal"),
    ] {
        let target = text.replace(from, to);
        let ours = delta::encode(text.as_bytes(), target.as_bytes()).len();
        let theirs = stock_encode(&lab, text.as_bytes(), target.as_bytes()).len();
        assert!(
            ours <= theirs + theirs / 10,
            "{from:?}: ours {ours}, theirs {theirs}"
        );
    }
}

#[test]
fn packed_content_in_a_stock_repository_is_unpacked() {
    let lab = Lab::new();
    lab.fossil(&["init", "r.fossil"]);
    lab.fossil(&["open", "r.fossil", "--workdir", "w"]);
    let work = lab.path("w");
    let content = noise(5000);
    fs::write(work.join("noise"), &content).expect("written");
    lab.fossil_in(&work, &["add", "noise"]);
    lab.fossil_in(&work, &["commit", "-m", "noise", "--no-warnings"]);
    let db = rusqlite::Connection::open(lab.path("r.fossil")).expect("opened");
    let mut blobs = db
        .prepare("SELECT size, content FROM blob WHERE size >= 0")
        .expect("prepared");
    let mut sizes = Vec::new();
    let rows = blobs
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("queried");
    for row in rows {
        let (size, packed): (i64, Vec<u8>) = row.expect("a row");
        let unpacked = codec::unpack(&packed, MAX_CONTENT_BYTES).expect("unpacked");
        assert_eq!(i64::try_from(unpacked.len()), Ok(size));
        sizes.push(unpacked.len());
    }
    assert!(sizes.contains(&content.len()), "{sizes:?}");
}

proptest! {
    // Each case starts stock Fossil several times.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn deltas_of_random_edits_are_applied_in_both_directions(
        words in prop::collection::vec("[a-c]{1,5}", 20..200),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[a-z]{0,30}"), 0..6),
    ) {
        let source = words.join(" ").into_bytes();
        let mut changed = words;
        for (at, word) in edits {
            let at = at.index(changed.len());
            changed[at] = word;
        }
        assert_both_ways(&Lab::new(), &source, changed.join(" ").as_bytes());
    }

    #[test]
    fn commands_of_any_kind_mean_the_same_to_both(
        source in prop::collection::vec(any::<u8>(), 1..60),
        commands in prop::collection::vec(commands(), 0..6),
    ) {
        let (mut body, mut target) = (Vec::new(), Vec::new());
        for command in &commands {
            match command {
                Command::Copy(from, to) => {
                    let (a, b) = (from.index(source.len()), to.index(source.len() + 1));
                    let bytes = &source[a.min(b)..a.max(b)];
                    body.extend(format!("{}@{},", number(bytes.len()), number(a.min(b))).bytes());
                    target.extend_from_slice(bytes);
                }
                Command::Literal(bytes) => {
                    body.extend(format!("{}:", number(bytes.len())).bytes());
                    body.extend_from_slice(bytes);
                    target.extend_from_slice(bytes);
                }
            }
        }
        let sum = number(delta::checksum(&target) as usize);
        let delta = [format!("{}\n", number(target.len())).as_bytes(), &body, sum.as_bytes(), b";"].concat();
        prop_assert_eq!(delta::apply(&source, &delta, 2000), Ok(target.clone()));
        prop_assert_eq!(stock_apply(&Lab::new(), &source, &delta), Some(target));
    }
}

/// A command of a delta.
#[derive(Debug, Clone)]
enum Command {
    /// Copies what is between two places of the source.
    Copy(prop::sample::Index, prop::sample::Index),
    Literal(Vec<u8>),
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        any::<(prop::sample::Index, prop::sample::Index)>()
            .prop_map(|(from, to)| Command::Copy(from, to)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Command::Literal),
    ]
}

/// Returns `number` in the digits of deltas.
fn number(number: usize) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    let rest = if number < 64 {
        String::new()
    } else {
        self::number(number / 64)
    };
    format!("{rest}{}", char::from(DIGITS[number % 64]))
}
