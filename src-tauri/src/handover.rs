//! A second start: the home's lock is held, so the app asks the agent that runs already to show its window, and ends. The
//! lock and the agent's API do it; no other channel between the two.

use std::time::Duration;

use anyhow::{Context as _, bail};
use edgesync_agent::Runtime;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tauri::http::{Method, Request, StatusCode, header};

use crate::lines;

/// How long the first app may take until it can show its window: it may have been started in the same second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the running agent to show its window.
///
/// # Errors
/// When that agent has no desktop, or does not answer.
pub(crate) async fn ask(running: &Runtime) -> anyhow::Result<()> {
    tokio::time::timeout(PATIENCE, ask_until_answered(running))
        .await
        .with_context(|| {
            format!(
                "EdgeSync runs already (process {}) but does not show its window",
                running.pid
            )
        })?
}

async fn ask_until_answered(running: &Runtime) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        match open_window(&client, running).await {
            Ok(StatusCode::NO_CONTENT) => {
                lines::print(&format!(
                    "already running (process {}), its window is open",
                    running.pid
                ));
                return Ok(());
            }
            Ok(StatusCode::NOT_IMPLEMENTED) => bail!(
                "an agent without a desktop runs already (process {}); stop it to start the app, or open its page in a browser",
                running.pid
            ),
            Ok(status) => tracing::debug!("the running agent answers {status}"),
            Err(error) => tracing::debug!("the running agent can't be asked: {error:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends the request once.
async fn open_window(
    client: &Client<HttpConnector, String>,
    running: &Runtime,
) -> anyhow::Result<StatusCode> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/api/v1/shell/open-window", running.api))
        .header(header::AUTHORIZATION, format!("Bearer {}", running.token))
        .body(String::new())?;
    Ok(client.request(request).await?.status())
}
