//! A delta from a stock peer whose source is not here, or is here and not for everyone: the exchange ends well, nobody gets what he may
//! not have, and stock finds the file sound.

use std::path::{Path, PathBuf};

use libfossil::db::Visibility;
use libfossil::name::HashName;
use libfossil::xfer::{Client, Server};

use super::project::{add_user, check_out, commit, on, private_names, stock_project};
use super::rig::{self, Loopback, PULL, granted};
use super::server_rules::{CODE, VERSION, ask, project, put};
use crate::stock::Lab;
use crate::store::create;

/// A project that we serve, and a stock clone of it with a file of two versions, of which only the first was pushed.
struct Two {
    lab: Lab,
    ours: PathBuf,
    theirs: PathBuf,
    server: Loopback,
    old: HashName,
    new: HashName,
}

fn version(number: usize) -> String {
    format!("{}version {number}\n", "a line of the file\n".repeat(200))
}

impl Two {
    fn new() -> Self {
        let lab = Lab::new();
        let (ours, _) = stock_project(&lab, "ours");
        let server = Loopback::serve(ours.clone(), Server::default());
        let theirs = lab.path("theirs.fossil");
        let path = theirs.to_str().unwrap();
        lab.fossil(&["clone", &server.url(None), path, "-A", "ada"]);
        let work = check_out(&lab, &theirs, "work");
        commit(&lab, &work, "ada", "file", version(1));
        let two = Self {
            old: name(&version(1)),
            new: name(&version(2)),
            lab,
            ours,
            theirs,
            server,
        };
        two.sync();
        commit(&two.lab, &work, "ada", "file", version(2));
        // As if a cluster named it: the client says no more that it holds it.
        two.change(
            &two.theirs,
            "DELETE FROM unclustered WHERE rid=(SELECT rid FROM blob WHERE uuid='OLD')",
        );
        two
    }

    fn sync(&self) {
        let url = self.server.url(Some(("ada", "secret")));
        on(&self.lab, &self.theirs, &format!("sync {url} --user ada"));
    }

    /// Pushes the second version, which comes as a delta on the first.
    fn push_delta(&self) {
        self.sync();
        assert!(self.server.came_as_delta(&self.new, &self.old));
    }

    /// Changes a repository behind everyone's back; `OLD` stands for the first version.
    fn change(&self, repo: &Path, sql: &str) {
        self.lab
            .query_write(repo, &sql.replace("OLD", self.old.as_str()));
    }

    /// Takes the first version out of our repository, so that its name or nothing is left.
    fn lose(&self, sql: &str) {
        // What is a delta on it would go with it.
        self.change(
            &self.ours,
            "DELETE FROM unclustered WHERE rid IN (SELECT rid FROM blob WHERE uuid='OLD')",
        );
        self.change(&self.ours, sql);
    }

    /// Has stock clone what we serve, as someone who may read.
    fn clone(&self, name: &str) -> PathBuf {
        let clone = self.lab.path(name);
        let path = clone.to_str().unwrap();
        self.lab
            .fossil(&["clone", &self.server.url(None), path, "-A", "eve"]);
        clone
    }

    fn holds(&self, repo: &Path, hash: &HashName) -> bool {
        self.lab.artifacts(repo).contains(&hash.to_string())
    }
}

fn name(text: &str) -> HashName {
    HashName::sha3_of(text.as_bytes())
}

#[test]
fn a_missing_source_is_asked_for_and_comes_in_the_same_exchange() {
    let two = Two::new();
    two.lose("DELETE FROM blob WHERE uuid='OLD'");
    two.push_delta();
    two.lab.assert_equal(&two.ours, &two.theirs);
    assert!(two.holds(&two.ours, &two.old) && two.holds(&two.ours, &two.new));
}

#[test]
fn a_source_of_which_only_the_name_is_here_is_asked_for_too() {
    let two = Two::new();
    two.lose(
        "UPDATE blob SET size=-1, content=NULL, rcvid=0 WHERE uuid='OLD'; INSERT INTO phantom SELECT rid FROM blob WHERE uuid='OLD'",
    );
    two.push_delta();
    two.lab.assert_equal(&two.ours, &two.theirs);
}

#[test]
fn a_delta_on_something_private_becomes_whole_and_its_source_stays_private() {
    let two = Two::new();
    two.lose("INSERT INTO private SELECT rid FROM blob WHERE uuid='OLD'");
    two.push_delta();
    assert_eq!(private_names(&two.lab, &two.ours), [two.old.to_string()]);
    let on_it = format!(
        "SELECT count(*) FROM delta JOIN blob ON blob.rid=srcid WHERE uuid='{}' AND delta.rid NOT IN private",
        two.old
    );
    assert_eq!(two.lab.query(&two.ours, &on_it), ["0"]);
    two.lab.assert_sound(&two.ours);
    let clone = two.clone("clone.fossil");
    assert!(two.holds(&clone, &two.new) && !two.holds(&clone, &two.old));
    two.lab.assert_sound(&clone);
}

#[test]
fn a_delta_on_something_shunned_is_dropped_and_the_rest_arrives() {
    let two = Two::new();
    two.change(
        &two.ours,
        "INSERT INTO shun(uuid, mtime) VALUES('OLD', 1700000000)",
    );
    on(&two.lab, &two.ours, "rebuild");
    two.push_delta();
    assert!(!two.holds(&two.ours, &two.new) && !two.holds(&two.ours, &two.old));
    let tip = |repo: &Path| {
        two.lab
            .query(repo, "SELECT uuid FROM leaf JOIN blob USING(rid)")
    };
    assert_eq!(tip(&two.ours), tip(&two.theirs));
    two.lab.assert_sound(&two.ours);
    let clone = two.clone("clone.fossil");
    assert!(!two.holds(&clone, &two.old));
    two.lab.assert_sound(&clone);
}

#[test]
fn a_waiting_delta_is_in_no_clone_and_no_pull_of_a_stock_client() {
    let two = Two::new();
    let change = libfossil::blob::delta::encode(b"not here", version(3).as_bytes());
    let waiting = name(&version(3));
    let mut repo = rig::open(&two.ours);
    let push = format!(
        "{VERSION}push {CODE} {}\nfile {waiting} {} {}\n",
        project(&repo),
        name("not here"),
        change.len()
    );
    let reply = ask(
        &mut repo,
        &granted("i"),
        [push.as_bytes(), &change].concat(),
    );
    assert!(reply.contains("errors 0"), "{reply}");
    drop(repo);
    let clone = two.clone("clone.fossil");
    two.lab.assert_sound(&clone);
    two.sync();
    let pull = two.server.url(None);
    on(
        &two.lab,
        &two.theirs,
        &format!("pull {pull} --verily --user ada"),
    );
    for repo in [&clone, &two.theirs] {
        let known = format!("SELECT uuid FROM blob WHERE uuid='{waiting}' AND size>=0");
        assert_eq!(two.lab.query(repo, &known), Vec::<String>::new());
        two.lab.assert_sound(repo);
    }
}

#[test]
fn what_waited_for_something_that_comes_as_private_does_not_depend_on_it() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let (old, new) = (version(1), version(2));
    let change = libfossil::blob::delta::encode(old.as_bytes(), new.as_bytes());
    let head = |line: String, repo: &_| format!("{VERSION}push {CODE} {}\n{line}", project(repo));
    let line = format!("file {} {} {}\n", name(&new), name(&old), change.len());
    let text = [head(line, &repo).as_bytes(), &change].concat();
    ask(&mut repo, &granted("i"), text);
    let line = format!("private\nfile {} {}\n{old}", name(&old), old.len());
    let text = head(line, &repo);
    ask(&mut repo, &granted("ix"), text);
    let path = lab.path("a.fossil");
    assert_eq!(private_names(&lab, &path), [name(&old).to_string()]);
    assert_eq!(lab.query(&path, "SELECT count(*) FROM delta"), ["0"]);
    lab.assert_sound(&path);
    let clone = ask(&mut repo, &granted("g"), format!("{VERSION}clone 2 1\n"));
    assert!(clone.contains(&format!("file {} ", name(&new))), "{clone}");
    assert!(!clone.contains(name(&old).as_str()), "{clone}");
}

#[test]
fn our_client_asks_a_stock_server_for_the_source_of_a_delta() {
    let lab = Lab::new();
    let (theirs, work) = stock_project(&lab, "theirs");
    add_user(&lab, &theirs, "eve", "io", "pw");
    commit(&lab, &work, "ada", "file", version(1));
    let path = lab.path("ours.fossil");
    let (repo, _) = rig::clone(&path, PULL, None, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .expect("cloned");
    drop(repo);
    let old = name(&version(1));
    lab.query_write(&path, &format!("DELETE FROM blob WHERE uuid='{old}'"));
    commit(&lab, &work, "ada", "file", version(2));
    let mut repo = rig::open(&path);
    let waits = put(&mut repo, b"something else", Visibility::Public);
    let mut client = Client::new(PULL, None);
    let summary = rig::drive(&mut client, &mut repo, |request| {
        rig::stock(&lab, &theirs, request)
    })
    .expect("pulled");
    assert_eq!((summary.artifacts_received, summary.missing), (3, 0));
    let mut here = lab.artifacts(&path);
    here.retain(|hash| *hash != waits.to_string());
    assert_eq!(here, lab.artifacts(&theirs));
    lab.assert_sound(&path);
}
