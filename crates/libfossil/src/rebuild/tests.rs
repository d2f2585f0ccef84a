//! What comes out of contents does not depend on how they are expanded, nor does memory on how many there are.

use std::collections::BTreeMap;

use super::plan::{Bounds, Plan, Scope};
use super::stream::{self, Found};
use crate::db::{Error, Repository, Rid, Visibility};
use crate::samples::{self, NOW};

/// Versions of a text, each a delta on the one with half its number: a tree in which whatever is expanded first, something else has to wait
/// for a second delta.
fn branching(folder: &tempfile::TempDir) -> (Repository, Vec<Rid>) {
    let mut repo = samples::repository(folder.path());
    let version = |number: usize| -> Vec<u8> {
        let line = |at: usize| {
            format!(
                "line {at} of some text, version {}\n",
                number * usize::from(at == 50)
            )
        };
        (0..100).flat_map(|at| line(at).into_bytes()).collect()
    };
    let stored = repo.write(NOW, |tx| {
        let mut rids = Vec::new();
        for number in 0..63 {
            rids.push(tx.store(&version(number), Visibility::Public)?.rid);
        }
        for (number, rid) in rids.iter().enumerate().skip(1) {
            tx.deltify(*rid, rids[(number - 1) / 2])?;
        }
        Ok::<_, Error>(rids)
    });
    (repo, stored.expect("stored"))
}

fn found(repo: &Repository, plan: &Plan) -> BTreeMap<Rid, Result<(), String>> {
    let mut outcomes = BTreeMap::new();
    let done = stream::expand_all(
        &mut { repo },
        |repo| repo,
        plan,
        Scope::Everything,
        |_, outcome| {
            let found = match outcome.found {
                Found::Damaged(error) => Err(error.to_string()),
                _ => Ok(()),
            };
            assert!(outcomes.insert(outcome.rid, found).is_none(), "once each");
            Ok(())
        },
    );
    done.expect("the file can be read");
    outcomes
}

#[test]
fn contents_that_are_too_long_to_be_expanded_side_by_side_are_expanded_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (repo, rids) = branching(&folder);
    let usual = Plan::new(&repo, Scope::Everything).expect("a plan");
    assert_eq!((usual.trees.len(), usual.long_trees.len()), (1, 0));
    let short = Bounds {
        work_bytes: 1_000,
        ..Bounds::USUAL
    };
    let narrow = Bounds {
        kept_bytes: 10_000,
        ..Bounds::USUAL
    };
    let nothing = Bounds {
        work_bytes: 0,
        kept_bytes: 0,
    };
    let expected: BTreeMap<Rid, Result<(), String>> =
        rids.iter().map(|rid| (*rid, Ok(()))).collect();
    assert_eq!(found(&repo, &usual), expected);
    for bounds in [short, narrow, nothing] {
        let plan = Plan::within(&repo, Scope::Everything, bounds).expect("a plan");
        assert_eq!(
            (plan.trees.len(), plan.long_trees.len()),
            (0, 1),
            "{bounds:?}"
        );
        assert_eq!(plan.wanted().count(), rids.len());
        assert_eq!(found(&repo, &plan), expected, "{bounds:?}");
    }
}

#[test]
fn what_depends_on_damage_is_damaged_however_it_is_expanded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut repo, rids) = branching(&folder);
    let damaged = repo.write(NOW, |tx| {
        tx.execute(
            "UPDATE blob SET content=x'00000010ff' WHERE rid=?1",
            [rids[2]],
        )
    });
    damaged.expect("damaged");
    let nothing = Bounds {
        work_bytes: 0,
        kept_bytes: 0,
    };
    let usual = Plan::new(&repo, Scope::Everything).expect("a plan");
    let alone = Plan::within(&repo, Scope::Everything, nothing).expect("a plan");
    let (usual, alone) = (found(&repo, &usual), found(&repo, &alone));
    let lost = |outcomes: &BTreeMap<Rid, Result<(), String>>| {
        outcomes.values().filter(|it| it.is_err()).count()
    };
    // The second version of 63 has half of the others below it.
    assert_eq!((lost(&usual), lost(&alone)), (31, 31));
    assert_eq!(usual, alone);
}

#[cfg(target_os = "linux")]
#[test]
fn a_rebuild_holds_one_long_content_at_a_time() {
    const MIB: usize = 1 << 20;
    const LENGTH: usize = 24 * MIB;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut repo, _) = branching(&folder);
    for number in 0..5_u8 {
        let content = vec![b'0' + number; LENGTH];
        let stored = repo.write(NOW, |tx| tx.store(&content, Visibility::Public).map(drop));
        stored.expect("stored");
    }
    repo.release_memory().expect("released");
    // Each test is a process of its own, whose highest memory so far is forgotten here.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux forgets it");
    let before = highest_bytes();
    repo.rebuild(NOW, super::Trust::Nothing, |_, _| {})
        .expect("rebuilt");
    let taken = highest_bytes().saturating_sub(before);
    assert!(taken < 2 * LENGTH, "{} MiB were taken", taken / MIB);
}

/// Returns the most memory that this process has held.
#[cfg(target_os = "linux")]
fn highest_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("in kB")
        .trim()
        .parse::<usize>()
        .expect("a number")
        << 10
}
