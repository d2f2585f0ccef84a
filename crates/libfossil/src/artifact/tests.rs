//! What is written is read back, and no bytes upset the parser. Whether the rules are the right ones is asked of stock
//! Fossil by the integration tests.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::name::{HashName, RepoPath};
use crate::text::Text;
use crate::time::Timestamp;

fn hashes() -> impl Strategy<Value = HashName> {
    any::<(u8, bool)>().prop_map(|(n, sha3)| {
        if sha3 {
            HashName::sha3_of(&[n])
        } else {
            HashName::sha1_of(&[n])
        }
    })
}

/// Text without NUL, which artifacts can't hold.
fn texts() -> impl Strategy<Value = Text<'static>> {
    vec(1..=255_u8, 0..20).prop_map(Text::new)
}

fn dates() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_i64..253_402_300_800_000).prop_map(Timestamp::from_unix_millis)
}

fn paths() -> impl Strategy<Value = RepoPath<'static>> {
    vec(vec(1..=255_u8, 1..6), 1..4)
        .prop_map(|parts| parts.join(&b'/'))
        .prop_filter_map("a storable path", |path| RepoPath::new(path).ok())
}

fn permissions() -> impl Strategy<Value = Permission> {
    prop::sample::select(vec![
        Permission::Regular,
        Permission::Executable,
        Permission::Symlink,
    ])
}

fn tags(
    targets: impl Strategy<Value = Option<HashName>>,
) -> impl Strategy<Value = Vec<Tag<'static>>> {
    let kinds = prop::sample::select(vec![TagKind::Propagate, TagKind::Once, TagKind::Cancel]);
    let key = ("sym-[a-z ]{1,8}", kinds, targets);
    btree_map(
        key.prop_map(|(name, kind, target)| (kind, name, target)),
        option::of(texts()),
        1..6,
    )
    .prop_map(|tags| {
        tags.into_iter()
            .map(|((kind, name, target), value)| Tag {
                kind,
                name: name.into(),
                target,
                value,
            })
            .collect()
    })
}

prop_compose! {
    fn check_ins()(
        baseline in option::of(hashes()),
        comment in texts(),
        date in dates(),
        files in btree_map(paths(), (hashes(), permissions(), option::of(paths())), 0..8),
        mimetype in option::of(texts()),
        parents in vec(hashes(), 0..4),
        cherrypicks in vec((any::<bool>(), hashes(), option::of(hashes())), 0..3),
        checksum in option::of(any::<[u8; 3]>()),
        tags in tags(option::of(hashes())),
        user in "[a-z ]{1,9}",
    ) -> CheckIn<'static> {
        let files = files
            .into_iter()
            .map(|(path, (hash, permission, old_path))| FileCard { path, hash: Some(hash), permission, old_path })
            .collect();
        let cherrypicks = cherrypicks
            .into_iter()
            .map(|(backout, target, baseline)| Cherrypick { backout, target, baseline })
            .collect();
        CheckIn {
            baseline, comment: Some(comment), date, files, mimetype, parents, cherrypicks,
            checksum: checksum.map(|bytes| Md5::of(&bytes)), tags, user: Some(user.into()),
        }
    }
}

proptest! {
    #[test]
    fn a_check_in_reads_back_as_written(check_in in check_ins()) {
        let bytes = check_in.to_bytes();
        prop_assert!(may_be_structural(&bytes));
        let parsed = parse(&bytes);
        prop_assert_eq!(parsed.clone(), Ok(Artifact::CheckIn(sorted(check_in.clone()))));
        if let Ok(Artifact::CheckIn(parsed)) = parsed {
            prop_assert_eq!(parsed.to_bytes(), bytes.clone());
            prop_assert_eq!(parsed.into_owned(), sorted(check_in));
        }
    }

    #[test]
    fn a_control_artifact_reads_back_as_written(date in dates(), tags in tags(hashes().prop_map(Some)), user in "[a-z ]{1,9}") {
        let control = Control { date, tags, user: user.into() };
        let bytes = control.to_bytes();
        let Ok(Artifact::Control(parsed)) = parse(&bytes) else {
            return Err(TestCaseError::fail("not a control artifact"));
        };
        prop_assert_eq!(parsed.tags.len(), control.tags.len());
        prop_assert_eq!(parsed.to_bytes(), bytes.clone());
    }

    #[test]
    fn a_cluster_reads_back_as_written(members in prop::collection::btree_set(hashes(), 1..20)) {
        let cluster = Cluster { members: members.into_iter().collect() };
        let bytes = cluster.to_bytes();
        prop_assert_eq!(parse(&bytes), Ok(Artifact::Cluster(cluster)));
    }

    #[test]
    fn no_bytes_upset_the_parser(content: Vec<u8>, cards in "([A-Z]( [a-z0-9*+./\\\\-]{0,8}){0,4}\n){1,6}") {
        prop_assert!(parse(&content).is_err());
        // Sealed, so that the parser gets past the checksum.
        let sum = Md5::of(cards.as_bytes());
        let sealed = format!("{cards}Z {sum}\n");
        let _ = parse(sealed.as_bytes());
    }

    #[test]
    fn a_changed_byte_makes_it_plain(check_in in check_ins(), at: prop::sample::Index, change in 1..=255_u8) {
        let mut bytes = check_in.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(parse(&bytes).is_err());
    }
}

/// Returns a check-in with nothing in it.
fn empty() -> CheckIn<'static> {
    CheckIn {
        baseline: None,
        comment: None,
        date: Timestamp::from_unix_millis(0),
        files: Vec::new(),
        mimetype: None,
        parents: Vec::new(),
        cherrypicks: Vec::new(),
        checksum: None,
        tags: Vec::new(),
        user: None,
    }
}

/// Returns `check_in` with its tags in the order that they are written in.
fn sorted(mut check_in: CheckIn<'static>) -> CheckIn<'static> {
    check_in
        .tags
        .sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    check_in
}

#[test]
fn a_check_in_of_nothing_but_a_date_is_still_one() {
    let check_in = empty();
    assert_eq!(parse(&check_in.to_bytes()), Ok(Artifact::CheckIn(check_in)));
}

#[test]
fn too_many_parents_are_refused() {
    let check_in = CheckIn {
        comment: Some("octopus".into()),
        parents: vec![HashName::sha1_of(b""); crate::limits::MAX_PARENTS + 1],
        ..empty()
    };
    assert_eq!(
        parse(&check_in.to_bytes()),
        Err(ParseError::Line {
            line: 3,
            fault: Fault::TooManyParents
        })
    );
}

#[test]
fn a_million_files_are_over_the_limit_and_refused_before_they_are_read() {
    let card = format!("F name {}\n", HashName::sha1_of(b""));
    let text = [
        b"C x\n".to_vec(),
        card.repeat(crate::limits::MAX_STRUCTURAL_BYTES / card.len() + 1)
            .into(),
    ]
    .concat();
    let sealed = [&text, &b"Z "[..], &[b'0'; 32], b"\n"].concat();
    assert_eq!(parse(&sealed), Err(ParseError::TooLarge(sealed.len())));
}
