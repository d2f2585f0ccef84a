//! The inside of the window, by WebDriver. The driver joins an app that runs already and was started with [`Webview::allow`],
//! so that the test keeps the app's output and end in its own hand.

use std::process::Command;

use anyhow::{Context as _, Result};
use edgesync_tests::free_port;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::process::{GRACE, LOOK_EVERY, Program, until};

/// Where an app lets a driver in.
pub(super) struct Door {
    port: u16,
}

/// A session in the app's window. The driver ends with this.
pub(super) struct Webview {
    client: Client,
    _driver: Program,
}

impl Door {
    /// Has the app that `command` starts let a driver in.
    pub(super) fn open(command: &mut Command) -> Self {
        let port = free_port();
        command
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env("WEBKIT_INSPECTOR_SERVER", format!("127.0.0.1:{port}"));
        Self { port }
    }

    /// Starts a driver and gives it the window that is open.
    pub(super) async fn enter(&self) -> Result<Webview> {
        let port = free_port();
        let driver = Program::start(
            Command::new("WebKitWebDriver")
                .arg(format!("--port={port}"))
                .arg(format!("--target=127.0.0.1:{}", self.port)),
        )?;
        until("the driver listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await?;
        let session = ClientBuilder::new(HttpConnector::new());
        let address = format!("http://127.0.0.1:{port}");
        let client = tokio::time::timeout(GRACE, session.connect(&address))
            .await
            .context("no session came")??;
        Ok(Webview {
            client,
            _driver: driver,
        })
    }
}

impl Webview {
    /// Waits for an element and returns it.
    pub(super) async fn element(&self, selector: &str) -> Result<Element> {
        Ok(self
            .client
            .wait()
            .at_most(GRACE)
            .for_element(Locator::Css(selector))
            .await?)
    }

    /// Waits for a button with this label and presses it.
    pub(super) async fn press(&self, label: &str) -> Result<()> {
        let button = format!("//button[normalize-space()='{label}']");
        let found = self
            .client
            .wait()
            .at_most(GRACE)
            .for_element(Locator::XPath(&button));
        Ok(found.await?.click().await?)
    }

    /// Types a text into a field.
    pub(super) async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        Ok(self.element(selector).await?.send_keys(text).await?)
    }

    /// The page's address without its fragment, which holds the token.
    pub(super) async fn address(&self) -> Result<String> {
        let mut url = self.client.current_url().await?;
        url.set_fragment(None);
        Ok(url.to_string())
    }

    /// Waits until the page's address, without its fragment, ends with `end`.
    pub(super) async fn arrived(&self, end: &str) -> Result<()> {
        let arrive = async {
            while !self.address().await?.ends_with(end) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::time::timeout(GRACE, arrive)
            .await
            .with_context(|| format!("not at {end}"))?
    }

    /// Runs a script in the page and returns its value.
    pub(super) async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, vec![]).await?)
    }

    /// Returns what Tauri answers when the page calls one of its commands.
    pub(super) async fn tauri_answer(&self, command: &str) -> Result<String> {
        let script = "
            const [command, done] = arguments;
            const tauri = window.__TAURI_INTERNALS__;
            if (!tauri) done('not there');
            else tauri.invoke(command).then(() => done('done'), (refusal) => done(`refused: ${refusal}`));";
        let answer = self
            .client
            .execute_async(script, vec![json!(command)])
            .await?;
        answer
            .as_str()
            .map(ToOwned::to_owned)
            .context("the answer is text")
    }

    /// Ends the session. The window stays.
    pub(super) async fn leave(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}
