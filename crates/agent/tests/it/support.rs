//! A started agent in a folder of its own, the stock `fossil` program, and HTTP as raw as a test needs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgesync_agent::api::{Event, Repository};
use edgesync_agent::{Agent, Config, Headless, Home, Runtime, Subscription};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A folder that goes away with the test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        // Canonical, because the agent shows canonical paths.
        self.folder
            .path()
            .canonicalize()
            .expect("a folder")
            .join(name)
    }

    pub(crate) fn home(&self) -> Home {
        Home::at(self.path("home")).expect("a home")
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(self.home())
    }

    /// Runs stock `fossil`, which has to succeed, and returns what it printed.
    pub(crate) fn fossil<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let output = edgesync_tests::fossil(folder)
            .args(arguments)
            .env("FOSSIL_HOME", self.folder.path())
            .env("HOME", self.folder.path())
            .output()
            .expect("fossil is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "fossil failed: {text}");
        text
    }

    /// Makes a repository with stock `fossil`, with one check-in of one file after the initial one.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        self.fossil(&self.path(""), [OsStr::new("init"), file.as_os_str()]);
        self.check_in(&file, "hello.txt", "hello\n");
        file
    }

    /// Checks a file in with stock `fossil`, by way of a check-out that is made where needed.
    pub(crate) fn check_in(&self, repository: &Path, file: &str, text: &str) {
        let checkout = repository.with_extension("checkout");
        if !checkout.exists() {
            std::fs::create_dir(&checkout).expect("a folder");
            self.fossil(
                &checkout,
                [
                    OsStr::new("open"),
                    OsStr::new("--nosync"),
                    repository.as_os_str(),
                ],
            );
        }
        std::fs::write(checkout.join(file), text).expect("written");
        self.fossil(&checkout, ["add", file]);
        self.fossil(
            &checkout,
            [
                "commit",
                "--nosync",
                "--no-warnings",
                "--allow-fork",
                "-m",
                &format!("change {file}"),
            ],
        );
    }
}

/// Starts an agent without a desktop.
pub(crate) async fn start(config: Config) -> Agent {
    Agent::start(config, Arc::new(Headless))
        .await
        .expect("the agent starts")
}

/// Returns a request with the right host and token, and further lines for its head.
pub(crate) fn request(
    runtime: &Runtime,
    method: &str,
    path: &str,
    lines: &str,
    body: &str,
) -> String {
    let host = runtime.api.trim_start_matches("http://");
    let token = &runtime.token;
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    )
}

pub(crate) async fn ask(runtime: &Runtime, method: &str, path: &str, body: &str) -> String {
    raw(
        &runtime.api,
        request(
            runtime,
            method,
            path,
            "Content-Type: application/json\r\n",
            body,
        ),
    )
    .await
}

/// Calls the API and returns the status code and the answer.
pub(crate) async fn call(
    agent: &Agent,
    method: &str,
    path: &str,
    body: serde_json::Value,
) -> (u16, serde_json::Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = ask(agent.runtime(), method, &format!("/api/v1{path}"), &body).await;
    let text = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (
        status(&answer),
        serde_json::from_str(text).unwrap_or_default(),
    )
}

/// Returns the first event that `wanted` takes. A test that waits in vain is ended by the runner.
pub(crate) async fn event<T>(
    events: &mut Subscription,
    mut wanted: impl FnMut(&Event) -> Option<T>,
) -> T {
    loop {
        let event = events.next().await.expect("the agent runs");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

/// Returns the first event in which a repository is as wanted.
pub(crate) async fn repository_event(
    events: &mut Subscription,
    mut wanted: impl FnMut(&Repository) -> bool,
) -> Repository {
    event(events, |event| match event {
        Event::Repository { repository } if wanted(repository) => Some(repository.clone()),
        Event::Status(status) => status
            .repositories
            .iter()
            .find(|repository| wanted(repository))
            .cloned(),
        _ => None,
    })
    .await
}

/// Sends `request` as it is and returns all that comes back until the other side closes.
pub(crate) async fn raw(address: &str, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .expect("connected");
    stream.write_all(request.as_ref()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the status code of a raw answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
