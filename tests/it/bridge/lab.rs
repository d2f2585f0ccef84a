//! Stock servers with what they serve, and `edgesync bridge serve` before them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use edgesync_tests::{CertificateFiles, StockFossil, artifacts};
use serde_json::Value;

use crate::mesh::{Agent, Place, run, wait};
use crate::news::bus_url;

/// A stock server and its repository.
pub(super) struct Stock {
    server: StockFossil,
    pub(super) repository: PathBuf,
}

/// A running `edgesync bridge serve`.
pub(super) struct Bridge {
    process: Child,
    pub(super) ready: Value,
}

impl Stock {
    /// Serves a copy of the agents' repository, in which everybody has the rights of `letters`.
    pub(super) fn copy(place: &Place, letters: &str) -> Self {
        let repository = prepared_copy(place, letters);
        let server = StockFossil::start(&repository);
        Self { server, repository }
    }

    /// As [`Self::copy`], by TLS.
    pub(super) fn secure_copy(place: &Place, letters: &str, files: &CertificateFiles) -> Self {
        let repository = prepared_copy(place, letters);
        let server = StockFossil::secure(&repository, files);
        Self { server, repository }
    }

    /// Serves a new project.
    pub(super) fn new(place: &Place, name: &str) -> Self {
        let repository = place.home(0).join(name);
        run(place
            .fossil()
            .args(["new", "--admin-user", "ada"])
            .arg(&repository));
        prepare(place, &repository, "gio");
        let server = StockFossil::start(&repository);
        Self { server, repository }
    }

    /// Serves on `port`, or returns nothing when that is taken.
    pub(super) fn on(file: &Path, port: u16) -> Option<Self> {
        let server = StockFossil::on(file, port)?;
        let repository = file.to_path_buf();
        Some(Self { server, repository })
    }

    /// Gives everybody these rights instead.
    pub(super) fn lets(&self, place: &Place, letters: &str) {
        let_everybody(place, &self.repository, letters);
    }

    pub(super) fn port(&self) -> u16 {
        self.server.port
    }

    pub(super) fn url(&self, login: &str) -> String {
        self.server.url(login)
    }

    pub(super) fn artifacts(&self) -> Vec<String> {
        artifacts(&self.repository)
    }

    /// Stores a file in a check-in, with stock `fossil` on the server's machine.
    pub(super) fn commit(&self, place: &Place, name: &str, content: &[u8]) {
        self.commit_with(place, name, content, &[]);
    }

    /// As [`Self::commit`], in a check-in that is private. What is committed later is public again.
    pub(super) fn commit_privately(&self, place: &Place, name: &str) {
        self.commit_with(place, name, name.as_bytes(), &["--private"]);
        let mut back = place.fossil();
        back.current_dir(self.repository.with_extension("checkout"));
        run(back.args(["update", "trunk"]));
    }

    fn commit_with(&self, place: &Place, name: &str, content: &[u8], flags: &[&str]) {
        let checkout = self.repository.with_extension("checkout");
        let fossil = |arguments: &[&str]| {
            run(place.fossil().current_dir(&checkout).args(arguments));
        };
        if !checkout.exists() {
            std::fs::create_dir(&checkout).expect("a folder");
            let file = self.repository.to_str().expect("a path");
            fossil(&["open", "--force", file]);
        }
        std::fs::write(checkout.join(name), content).expect("written");
        fossil(&["add", name]);
        // Stock fails at once when stock, which serves, writes at that moment.
        wait(|| {
            let mut commit = place.fossil();
            commit.args(["commit", "-m", name, "--no-warnings", "--allow-fork"]);
            commit.args(flags);
            let output = commit.current_dir(&checkout).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let done = output.status.success();
            assert!(done || said.contains("database is locked"), "{said}");
            done
        });
    }
}

/// Makes a copy of the agents' repository that is ready to be served.
fn prepared_copy(place: &Place, letters: &str) -> PathBuf {
    let file = place.home(0).join("server.fossil");
    std::fs::copy(place.repository(0), &file).expect("copied");
    prepare(place, &file, letters);
    file
}

fn let_everybody(place: &Place, file: &Path, letters: &str) {
    for everyone in ["nobody", "anonymous"] {
        let give = ["user", "capabilities", everyone, letters, "-R"];
        run(place.fossil().args(give).arg(file));
    }
}

/// Gives everybody these rights, and `ada` a password.
fn prepare(place: &Place, file: &Path, letters: &str) {
    let_everybody(place, file, letters);
    let password = ["user", "password", "ada", "secret", "-R"];
    run(place.fossil().args(password).arg(file));
}

impl Bridge {
    /// Begins bridges on the bus of `agent`, whose home runs them, to `servers`.
    pub(super) fn start(place: &Place, agent: &Agent, servers: &[&str], flags: &[&str]) -> Self {
        Self::start_by(place.edgesync(0), place, agent, servers, flags)
    }

    /// As [`Self::start`], by this program.
    pub(super) fn start_by(
        mut command: Command,
        place: &Place,
        agent: &Agent,
        servers: &[&str],
        flags: &[&str],
    ) -> Self {
        // Each look at the server locks its file for a moment: more often, and a long commit there never gets it on a busy machine.
        command.args(["bridge", "serve", "--json", "--poll", "300ms"]);
        let host = agent.address("nats").trim_start_matches("nats://");
        // Not on the command line, where everybody on the machine reads it.
        let bus = format!("nats://{}@{host}", agent.bus_token());
        command.env("EDGESYNC_NATS_URL", bus);
        servers.iter().for_each(|url| {
            command.args(["--fossil-url", url]);
        });
        for id in &place.ids {
            command.args(["--trust", id]);
        }
        let mut process = command
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("edgesync starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let line = lines.next().expect("a line").expect("text");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(ready["event"], "ready", "{ready}");
        Self { process, ready }
    }

    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn project(&self, index: usize) -> &str {
        let code = &self.ready["bridges"][index]["project_code"];
        code.as_str().expect("a code")
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the id in whose name a home's bridges sign.
pub(super) fn bridge_id(place: &Place, number: usize) -> String {
    let id = run(place.edgesync(number).args(["bridge", "id"]));
    id.trim().to_owned()
}

/// Returns bytes that do not pack.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Returns the address of a project on an agent's bus.
pub(super) fn project_url(agent: &Agent, code: &str) -> String {
    let own = bus_url(agent);
    let (bus, _) = own.rsplit_once('/').expect("an address");
    format!("{bus}/{code}")
}
