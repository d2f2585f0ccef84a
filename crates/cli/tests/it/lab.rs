//! A place for one test: a folder with a home in it, the programs under test, and the agents that they started.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own.
pub(crate) struct Lab {
    folder: TempDir,
}

/// Returns Python with the stock clients that judge.
pub(crate) fn python() -> PathBuf {
    let home = std::env::var_os("HOME").expect("a home folder");
    let python = PathBuf::from(home).join(".cache/edgesync/python/bin/python");
    assert!(
        python.exists(),
        "{} is missing: scripts/setup.sh test makes it",
        python.display()
    );
    python
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("home")).expect("a home");
        fs::create_dir(folder.path().join("here")).expect("a folder to work in");
        Self { folder }
    }

    /// Returns the path of a name in the folder that commands run in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("here").join(name)
    }

    /// Writes a file below the folder that commands run in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
        fs::write(path, content).expect("written");
    }

    /// Returns a program, to be run with `args` in this place.
    pub(crate) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .args(args)
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .env("EDGESYNC_HOME", self.folder.path().join("home/edgesync"))
            .env_remove("XDG_RUNTIME_DIR")
            .env("USER", "ada")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// Returns the program under test, to be run with `args`.
    pub(crate) fn edgesync_command(&self, args: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_edgesync"), args)
    }

    /// Runs the program under test as somebody whom the permissions of files bind, which they do not bind root.
    pub(crate) fn run_bound(&self, args: &[&str]) -> Ran {
        let probe = Command::new("id").arg("-u").output().expect("id runs");
        if probe.stdout != b"0\n" {
            return self.run(args);
        }
        let bounds = ["--bounding-set", "-dac_override,-dac_read_search"];
        let program = [env!("CARGO_BIN_EXE_edgesync")];
        Ran::of(&mut self.command("setpriv", &[&bounds[..], &program, args].concat()))
    }

    /// Runs the program under test.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.edgesync_command(args))
    }

    /// Runs the program under test in a folder below the usual one.
    pub(crate) fn run_in(&self, folder: &str, args: &[&str]) -> Ran {
        Ran::of(self.edgesync_command(args).current_dir(self.path(folder)))
    }

    /// Runs the program under test with text on its standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self
            .edgesync_command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("edgesync starts");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes()).expect("written to it");
        drop(stdin);
        Ran::from(child.wait_with_output().expect("it ends"))
    }

    /// Runs the program under test, which must succeed, and returns what it printed.
    pub(crate) fn edgesync(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(
            ran.code, 0,
            "edgesync {args:?}: {}{}",
            ran.stdout, ran.stderr
        );
        ran.stdout
    }

    /// Runs the program under test with `--json`, which must succeed, and returns what it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.edgesync(&args)).expect("JSON")
    }

    /// Runs stock fossil, which must succeed, and returns what it printed.
    pub(crate) fn fossil(&self, args: &[&str]) -> String {
        self.fossil_in("", args)
    }

    /// Returns stock fossil, to be run with `args`.
    pub(crate) fn fossil_command(&self, args: &[&str]) -> Command {
        self.command("fossil", args)
    }

    /// Runs stock fossil in a folder below the usual one.
    pub(crate) fn fossil_in(&self, folder: &str, args: &[&str]) -> String {
        let mut command = self.command("fossil", args);
        let ran = Ran::of(command.current_dir(self.path(folder)));
        assert_eq!(ran.code, 0, "fossil {args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Lets stock fossil make a repository with some history: a branch, a merge, a deletion, a rename, odd names.
    pub(crate) fn stock_history(&self, repository: &str) {
        self.fossil(&["new", "--date-override", "2024-05-01 10:00:00", repository]);
        fs::create_dir(self.path("work")).expect("a folder");
        let fossil = |args: &[&str]| self.fossil_in("work", args);
        let mut minute = 0;
        let mut commit = |args: &[&str]| {
            minute += 1;
            let date = format!("2024-05-01 12:{minute:02}:00");
            let mut all = vec!["commit", "--no-warnings", "--date-override", &date];
            all.extend(args);
            self.fossil_in("work", &all);
        };
        fossil(&["open", &format!("../{repository}")]);
        fossil(&["settings", "allow-symlinks", "on"]);
        self.write("work/src/main.rs", "fn main() {}\n");
        self.write("work/a b.txt", "with a space\n");
        self.write("work/größe.txt", "unicode\n");
        self.write("work/run.sh", "#!/bin/sh\n");
        make_executable(&self.path("work/run.sh"));
        symlink("src/main.rs", &self.path("work/link"));
        fossil(&["add", "."]);
        commit(&[
            "-m",
            "First files, with a comment that is rather long so that it has to be wrapped somewhere",
        ]);
        self.write("work/src/main.rs", "fn main() { println!(); }\n");
        fossil(&["rm", "--hard", "a b.txt"]);
        commit(&[
            "-m",
            "feature work\nin two lines",
            "--branch",
            "feature",
            "--tag",
            "rel-1",
        ]);
        fossil(&["update", "trunk"]);
        fossil(&["mv", "--hard", "run.sh", "walk.sh"]);
        commit(&["-m", "rename"]);
        fossil(&["merge", "feature"]);
        commit(&["-m", "merge the feature"]);
        self.write("work/src/main.rs", "// other\n");
        commit(&["-m", "on trunk"]);
    }
}

/// A program that has run.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the program runs"))
    }

    /// Returns the error that the program printed as JSON.
    pub(crate) fn error(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).expect("JSON");
        value["error"].clone()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// A running agent. It is killed with the test that started it.
pub(crate) struct Agent {
    child: Child,
    lines: BufReader<ChildStdout>,
    log: PathBuf,
    /// What it printed up to and with the line that says it is ready.
    pub(crate) said: Vec<String>,
}

impl Agent {
    /// Starts `edgesync sync start` with these arguments and waits until it is ready.
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Self {
        Self::run(lab, &[&["sync", "start"], args].concat())
    }

    /// Starts the program with these arguments, which make it an agent, and waits until it is ready.
    pub(crate) fn run(lab: &Lab, args: &[&str]) -> Self {
        let log = lab.path("../agent.log");
        let mut child = lab
            .edgesync_command(args)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("edgesync starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut agent = Self {
            child,
            lines,
            log,
            said: Vec::new(),
        };
        loop {
            let mut line = String::new();
            let read = agent.lines.read_line(&mut line).expect("a line");
            if read == 0 {
                let log = fs::read_to_string(&agent.log).expect("its log");
                panic!(
                    "the agent ended before it was ready: {:?} {log}",
                    agent.said
                );
            }
            let ready = line.starts_with("ready") || line.contains("\"event\":\"ready\"");
            agent.said.push(line.trim_end().to_owned());
            if ready {
                return agent;
            }
        }
    }

    /// Returns the last line that it printed as JSON.
    pub(crate) fn ready(&self) -> Value {
        serde_json::from_str(self.said.last().expect("a line")).expect("JSON")
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Returns the most memory that it has held so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.expect("a peak").trim().trim_end_matches(" kB");
        kib.parse::<usize>().expect("a number") * 1024
    }

    /// Returns the address of its listener for Fossil clients.
    pub(crate) fn http(&self) -> &str {
        let address = self.said.iter().find_map(|line| line.strip_prefix("http "));
        address.expect("it serves").trim()
    }

    /// Waits until it has ended, and returns its exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

pub(crate) fn symlink(target: &str, at: &Path) {
    std::os::unix::fs::symlink(target, at).expect("a symbolic link");
}
