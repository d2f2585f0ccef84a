//! The running agent's API, as a client of it.

use edgesync_agent::Runtime;
use edgesync_agent::api::{Code, ErrorBody, MadeOffer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::home;
use crate::error::{Failure, Kind, OrFail, chain, hint_from_page};

/// A connection to the agent that runs for this user.
pub(crate) struct AgentApi {
    client: reqwest::Client,
    pub(crate) runtime: Runtime,
}

impl AgentApi {
    /// Finds the running agent.
    pub(crate) fn find() -> Result<Self, Failure> {
        let runtime = Runtime::read(&home()?)
            .or_fail(Kind::Failed, "the runtime file")?
            .ok_or_else(|| {
                Failure::new(Kind::Unreachable, "no agent is running")
                    .hint("start one: edgesync sync start -R FILE")
            })?;
        Self::at(runtime)
    }

    /// Talks to the agent that this runtime file tells of.
    pub(crate) fn at(runtime: Runtime) -> Result<Self, Failure> {
        Ok(Self {
            client: web_client(reqwest::ClientBuilder::no_proxy)?,
            runtime,
        })
    }

    /// Sends `GET` and reads the answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.send(self.client.get(self.url(path))).await?;
        response
            .json()
            .await
            .or_fail(Kind::Remote, "the agent's answer")
    }

    /// Sends `POST` without a body and returns the whole answer.
    pub(crate) async fn post(&self, path: &str) -> Result<reqwest::Response, Failure> {
        self.send(self.client.post(self.url(path)).json(&Nothing {}))
            .await
    }

    /// Sends `POST` with a body and reads the answer.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request = self.client.post(self.url(path)).json(body);
        let answer = self.send(request).await?.json().await;
        answer.or_fail(Kind::Remote, "the agent's answer")
    }

    /// Sends `POST` with a body; there is no answer but that it was taken.
    pub(crate) async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.send(self.client.post(self.url(path)).json(body))
            .await
            .map(drop)
    }

    /// Sends `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(self.client.delete(self.url(path)))
            .await
            .map(drop)
    }

    /// Whether the agent was built with the app's page.
    pub(crate) async fn page_is_built(&self) -> Result<bool, Failure> {
        let request = self.client.get(format!("{}/", self.runtime.api));
        let text = self
            .send(request)
            .await?
            .text()
            .await
            .or_fail(Kind::Remote, "the agent's page")?;
        Ok(text.contains("<script"))
    }

    /// Opens a stream of JSON lines.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let response = self.send(self.client.get(self.url(path))).await?;
        Ok(Lines::of(response))
    }

    /// Has the agent make an offer that counts no longer than what comes with it is kept, nor than this process runs.
    pub(crate) async fn hold_offer(
        &self,
        path: &str,
        wish: &impl Serialize,
    ) -> Result<(MadeOffer, Lines), Failure> {
        let request = self.client.post(self.url(&format!("{path}?held=true")));
        let mut lines = Lines::of(self.send(request.json(wish)).await?);
        let made = lines.next().await?;
        let made = made.ok_or_else(|| Failure::new(Kind::Remote, "the agent made no offer"))?;
        Ok((made, lines))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.runtime.api)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        let response = request
            .bearer_auth(&self.runtime.token)
            .send()
            .await
            .map_err(|error| {
                // The address of a request means nothing to who reads this.
                let why = chain(&error.without_url());
                Failure::new(
                    Kind::Unreachable,
                    format!("the agent does not answer: {why}"),
                )
                .hint("edgesync doctor says what is wrong")
            })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match response.json::<ErrorBody>().await {
            Ok(body) => Err(body.error.into()),
            Err(_) => Err(Failure::new(
                Kind::Remote,
                format!("the agent answered with {status}"),
            )),
        }
    }
}

/// Returns an HTTP client. What talks to this machine must leave out the environment's proxies.
pub(crate) fn web_client(
    adapt: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, Failure> {
    // The provider is the process's; that somebody set it before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    adapt(reqwest::Client::builder())
        .build()
        .or_fail(Kind::Failed, "the HTTP client")
}

/// The empty body of requests that say everything in their path.
#[derive(Serialize)]
struct Nothing {}

/// A stream of JSON lines.
pub(crate) struct Lines {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Lines {
    fn of(response: reqwest::Response) -> Self {
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    /// Returns the next line, or nothing when the agent has ended the stream.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .or_fail(Kind::Remote, "the agent's events")
                    .map(Some);
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => return Ok(None),
                // Only one that is gone leaves its sentence unfinished.
                Err(_) => return Err(stopped()),
            }
        }
    }
}

/// Returns the failure of a command whose agent ended while it was at work.
pub(crate) fn stopped() -> Failure {
    Failure::new(Kind::Unreachable, "the agent stopped")
}

/// Returns the command line's kind for the API's code.
pub(crate) fn kind(code: Code) -> Kind {
    match code {
        Code::NotFound => Kind::NotFound,
        Code::Conflict => Kind::Conflict,
        Code::Unauthorized | Code::Forbidden | Code::RemoteLogin | Code::Unpaired => Kind::Refused,
        Code::Repository => Kind::Repository,
        Code::Remote | Code::RemoteAddress => Kind::Remote,
        Code::Unreachable | Code::NoPeer => Kind::Unreachable,
        _ => Kind::Failed,
    }
}

impl From<edgesync_agent::api::Error> for Failure {
    fn from(error: edgesync_agent::api::Error) -> Self {
        Self {
            kind: kind(error.code),
            message: error.message,
            hint: error.hint.as_deref().map(hint_from_page),
        }
    }
}
