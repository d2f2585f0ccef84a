//! Pieces become contents, within bounds, and leave nothing behind.

use proptest::prelude::*;

use super::*;
use crate::name::HashName;
use crate::samples::repository;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + seconds * 1000)
}

fn name(text: &str) -> ContentName {
    ContentName::Artifact(HashName::sha3_of(text.as_bytes()))
}

#[test]
fn a_content_becomes_whole_across_openings_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository(folder.path());
    let name = name("0123456789");
    assert!(Pieces::existing(&repo, at(0)).unwrap().is_none());
    let mut pieces = Pieces::open(&repo, at(0)).unwrap();
    assert!(!pieces.put(&name, 0, b"01").unwrap(), "nobody expects it");
    assert!(pieces.expect(&name, 10).unwrap());
    assert!(pieces.put(&name, 4, b"456").unwrap());
    pieces.close().unwrap();
    let mut pieces = Pieces::existing(&repo, at(60)).unwrap().expect("kept");
    assert_eq!(pieces.gaps(&name).unwrap(), Some(vec![0..4, 7..10]));
    assert_eq!(pieces.assemble(&name).unwrap(), None);
    assert!(pieces.put(&name, 7, b"789").unwrap() && pieces.put(&name, 0, b"0123").unwrap());
    assert_eq!(
        pieces.assemble(&name).unwrap().as_deref(),
        Some(&b"0123456789"[..])
    );
    pieces.forget(&name).unwrap();
    pieces.close().unwrap();
    assert!(!path_beside(repo.path()).exists());
}

#[test]
fn pieces_beyond_the_end_or_over_others_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository(folder.path());
    let mut pieces = Pieces::open(&repo, at(0)).unwrap();
    let name = name("x");
    pieces.expect(&name, 10).unwrap();
    assert!(pieces.put(&name, 2, b"234").unwrap());
    for (offset, bytes) in [
        (0, &b"0123"[..]),
        (4, b"45"),
        (9, b"90"),
        (u32::MAX, b"0"),
        (0, b""),
    ] {
        assert!(!pieces.put(&name, offset, bytes).unwrap(), "{offset}");
    }
    assert_eq!(pieces.gaps(&name).unwrap(), Some(vec![0..2, 5..10]));
}

#[test]
fn what_was_untouched_for_longest_makes_room_and_what_nobody_touches_goes() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository(folder.path());
    let most = u32::try_from(MAX_CONTENT_BYTES).unwrap();
    for (seconds, text) in [(0, "a"), (1, "b"), (2, "c")] {
        let mut pieces = Pieces::open(&repo, at(seconds)).unwrap();
        assert!(pieces.expect(&name(text), most).unwrap());
    }
    let mut pieces = Pieces::open(&repo, at(3)).unwrap();
    assert_eq!(pieces.gaps(&name("a")).unwrap(), None, "it made room");
    assert!(pieces.gaps(&name("c")).unwrap().is_some());
    assert!(
        !pieces.expect(&name("d"), most + 1).unwrap(),
        "no artifact is as long"
    );
    let pieces = Pieces::open(&repo, at(8 * 24 * 3600)).unwrap();
    assert_eq!(pieces.gaps(&name("c")).unwrap(), None);
    pieces.close().unwrap();
    assert!(!path_beside(repo.path()).exists());
}

#[test]
fn a_damaged_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository(folder.path());
    fs::write(path_beside(repo.path()), vec![7; 5000]).unwrap();
    let mut pieces = Pieces::open(&repo, at(0)).unwrap();
    assert!(pieces.expect(&name("x"), 1).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_pieces_come_the_whole_is_the_content(
        (content, order) in proptest::collection::vec(any::<u8>(), 1..200).prop_flat_map(|content| {
            let starts: Vec<usize> = (0..content.len()).step_by(7).collect();
            (Just(content), Just(starts).prop_shuffle())
        })
    ) {
        let folder = tempfile::tempdir().unwrap();
        let repo = repository(folder.path());
        let mut pieces = Pieces::open(&repo, at(0)).unwrap();
        let name = name("any");
        pieces.expect(&name, u32::try_from(content.len()).unwrap()).unwrap();
        for start in order {
            prop_assert_eq!(pieces.assemble(&name).unwrap(), None);
            let end = content.len().min(start + 7);
            prop_assert!(pieces.put(&name, u32::try_from(start).unwrap(), &content[start..end]).unwrap());
        }
        prop_assert_eq!(pieces.assemble(&name).unwrap(), Some(Bytes::from(content)));
    }
}
