//! The Fossil server behind a bridge: its address, the bridge's account there, and one request to it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use libfossil::name::ProjectCode;
use libfossil::xfer::card::Card;
use libfossil::xfer::frame::{self, ContentType, FrameError};
use libfossil::xfer::login;
use reqwest::Url;
use tokio::time::timeout;

use crate::http::{Answer, Http, HttpError, Post, host_of};

/// The bridge's account on the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The login.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A Fossil server with one project.
#[derive(Debug, Clone)]
pub struct FossilServer {
    /// The address that `fossil clone` takes, without a login.
    pub url: Url,
    /// In whose name requests are made that name nobody; without one, as anybody.
    pub account: Option<Account>,
    /// The project that has to be there.
    pub project: ProjectCode,
    /// What requests are made with.
    pub http: Http,
}

/// The server did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The round trip failed.
    #[error("the Fossil server does not answer: {0}")]
    Http(#[from] HttpError),
    /// The server sends us to another host.
    #[error("the Fossil server {host} redirects to another host, {to}; a bridge does not follow")]
    Elsewhere {
        /// The server.
        host: String,
        /// The other host.
        to: String,
    },
    /// It took too long.
    #[error("the Fossil server {host} did not answer within {} s", after.as_secs())]
    Slow {
        /// The server.
        host: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// There is nothing in the answer.
    #[error("the Fossil server's answer is empty")]
    Empty,
    /// The answer is no message.
    #[error("the Fossil server's answer can't be read: {0}")]
    Frame(#[from] FrameError),
}

impl FossilServer {
    /// Makes one request and returns the body of the reply, as it came.
    ///
    /// # Errors
    /// [`ServerError`].
    pub(crate) async fn ask(
        &self,
        content_type: ContentType,
        body: Bytes,
        patience: Duration,
    ) -> Result<(ContentType, Bytes), ServerError> {
        let post = Post {
            content_type: content_type.as_str(),
            cookie: None,
            body,
        };
        let host = || host_of(&self.url);
        let asked = timeout(patience, self.http.post(&self.url, &post)).await;
        let asked = asked.map_err(|_| ServerError::Slow {
            host: host(),
            after: patience,
        })?;
        match asked? {
            (Answer::Reply { content_type, body }, _) if !body.is_empty() => {
                Ok((ContentType::parse(&content_type)?, body))
            }
            (Answer::Reply { .. }, _) => Err(ServerError::Empty),
            (Answer::Elsewhere, to) => Err(ServerError::Elsewhere {
                host: host(),
                to: host_of(&to),
            }),
        }
    }

    /// Returns the body that carries `message`, in the name of the account where there is one.
    pub(crate) fn body(&self, message: &[u8]) -> Bytes {
        let mut whole = Vec::new();
        if let Some(Account { user, password }) = &self.account {
            let secret = login::shared_secret(&self.project, user, password);
            whole = Card::Login(login::sign(user, &secret, message)).to_bytes();
        }
        whole.extend_from_slice(message);
        frame::encode(ContentType::Packed, whole)
    }
}
