//! Who may depend on whom. The table is the house's plan; a dependency that it does not name fails here, so that a wall
//! comes down only by a decision that shows in this file.

use std::collections::BTreeSet;

use crate::root;

/// Each of our packages with those of ours that it may depend on, in tests and builds too.
const ARROWS: &[(&str, &[&str])] = &[
    ("libfossil", &[]),
    ("natsd", &[]),
    // Itself, so that its own tests have the bus in memory.
    ("edgesync-bus", &["edgesync-bus"]),
    (
        "edgesync-bridge",
        &["edgesync-bus", "edgesync-tests", "libfossil"],
    ),
    ("edgesync-replica", &[]),
    ("edgesync-notify", &["libfossil"]),
    ("edgesync-tunnel", &[]),
    (
        "edgesync-agent",
        &[
            "edgesync-bridge",
            "edgesync-bus",
            "edgesync-notify",
            "edgesync-replica",
            // Here and elsewhere: the stock programs that tests stand beside.
            "edgesync-tests",
            "edgesync-tunnel",
            "libfossil",
            "natsd",
        ],
    ),
    (
        "edgesync",
        &["edgesync-agent", "edgesync-tests", "libfossil"],
    ),
    ("edgesync-desktop", &["edgesync-agent"]),
    ("edgesync-xtask", &[]),
    ("edgesync-house", &[]),
    // These run the built programs; libfossil is their second opinion on a file.
    ("edgesync-tests", &["libfossil"]),
];

/// Outside crates that belong to one of our packages alone.
const ONLY_IN: &[(&str, &str)] = &[("iroh", "edgesync-tunnel"), ("tauri", "edgesync-desktop")];

/// Outside crates that one of our packages must do without: libfossil has no async, no network and no randomness.
const NEVER_IN: &[(&str, &[&str])] = &[(
    "libfossil",
    &["axum", "getrandom", "hyper", "rand", "reqwest", "tokio"],
)];

/// Crates that may be nowhere in the tree: `ring` is the only TLS cryptography, and it builds without a system library.
const NOWHERE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

/// One of our packages and everything that its manifest names as a dependency.
struct Package {
    name: String,
    depends_on: BTreeSet<String>,
}

/// Returns what is wrong with these packages, which are all of ours.
fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for Package { name, depends_on } in packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(package, _)| package == name) else {
            wrong.push(format!("{name} is not in the table of packages"));
            continue;
        };
        for dependency in depends_on.iter().map(String::as_str) {
            let owner = ONLY_IN.iter().find(|(outside, _)| *outside == dependency);
            let barred = NEVER_IN
                .iter()
                .any(|(package, outside)| package == name && outside.contains(&dependency));
            if ours.contains(dependency) && !allowed.contains(&dependency)
                || owner.is_some_and(|(_, owner)| owner != name)
                || barred
            {
                wrong.push(format!("{name} may not depend on {dependency}"));
            }
        }
    }
    wrong
}

/// Returns the crates of a `Cargo.lock` that may be nowhere.
fn banned_in_lock(lock: &str) -> Vec<&str> {
    lock.lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| NOWHERE.contains(name))
        .collect()
}

fn our_packages() -> Vec<Package> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo describes this workspace");
    metadata
        .packages
        .into_iter()
        .map(|package| Package {
            name: package.name.to_string(),
            depends_on: package.dependencies.into_iter().map(|it| it.name).collect(),
        })
        .collect()
}

#[test]
fn packages_depend_only_on_what_the_plan_allows() {
    let packages = our_packages();
    assert!(packages.len() > 1, "cargo named no packages");
    assert_eq!(wrong_arrows(&packages), Vec::<String>::new());
}

#[test]
fn the_tree_holds_one_tls_library() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    assert!(
        lock.contains("name = \"ring\""),
        "ring is how we know this read the real file"
    );
    assert_eq!(banned_in_lock(&lock), Vec::<&str>::new());
}

#[test]
fn a_wrong_arrow_is_seen() {
    let package = |name: &str, depends_on: &[&str]| Package {
        name: name.to_owned(),
        depends_on: depends_on.iter().map(|&it| it.to_owned()).collect(),
    };
    let wrong = wrong_arrows(&[
        package("libfossil", &["edgesync-agent", "tokio", "sha1"]),
        package("edgesync-agent", &["libfossil", "tauri", "tokio"]),
        package("edgesync-spare", &[]),
    ]);
    assert_eq!(
        wrong,
        [
            "libfossil may not depend on edgesync-agent",
            "libfossil may not depend on tokio",
            "edgesync-agent may not depend on tauri",
            "edgesync-spare is not in the table of packages",
        ]
    );
}

#[test]
fn a_second_tls_library_is_seen() {
    let lock = "[[package]]\nname = \"ring\"\n[[package]]\nname = \"openssl-sys\"\n";
    assert_eq!(banned_in_lock(lock), ["openssl-sys"]);
}
