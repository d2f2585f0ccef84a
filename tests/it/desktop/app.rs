//! The app under test or an agent beside it, and the agent's API as a script would use it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::process::Program;

/// A running app, or an agent without a desktop.
pub(super) struct App {
    /// Its process.
    pub(super) program: Program,
    runtime_file: PathBuf,
}

impl App {
    /// Starts it, whose home is the folder `home`, and waits until it is ready.
    pub(super) async fn start(command: &mut Command, home: &Path) -> Result<Self> {
        let program = Program::start(command)?;
        program.line("ready").await?;
        Ok(Self {
            program,
            runtime_file: home.join("runtime.json"),
        })
    }

    /// Whether the file that tells where the agent answers is there.
    pub(super) fn has_runtime_file(&self) -> bool {
        self.runtime_file.exists()
    }

    /// Sends a request to the agent's API and returns its answer's body; `null` when it is empty.
    pub(super) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        // There is a provider already when another test of this process came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime: Value = serde_json::from_slice(&std::fs::read(&self.runtime_file)?)?;
        let member = |name: &str| {
            runtime
                .get(name)
                .and_then(Value::as_str)
                .context("the runtime file is whole")
        };
        let mut request = reqwest::Client::new()
            .request(method, format!("{}/api/v1/{path}", member("api")?))
            .bearer_auth(member("token")?);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)?
        })
    }
}
