//! One round trip with a stock Fossil server: a POST, its redirects, and an answer that is judged before anyone reads it as a
//! sync reply. A page of a captive portal is no peer, and a secret goes to no host but the one it was given for.

use std::error::Error as _;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use crate::limits;

/// HTTP clients for Fossil servers.
#[derive(Debug, Clone)]
pub struct Http {
    /// For servers on this machine, which a proxy would look for on its own.
    direct: Client,
    /// For all others, by way of the environment's proxy where there is one.
    outside: Client,
}

/// A request to a server.
#[derive(Debug, Clone)]
pub struct Post {
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// The `Cookie` header.
    pub cookie: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// A server's answer.
#[derive(Debug)]
pub enum Answer {
    /// A sync reply.
    Reply {
        /// The `Content-Type` header.
        content_type: String,
        /// The body.
        body: Bytes,
    },
    /// The repository is at another host. Nothing was sent there: the request may carry a login for this one.
    Elsewhere,
}

/// A round trip failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields are who answered, and with what; the words above show them"
)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{host} can't be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// What is there does not speak TLS.
    #[error("{host} answers, but not with TLS")]
    NoTls { host: String },
    /// The server's certificate does not prove who it is.
    #[error("{host} can't be trusted: {reason}")]
    Certificate { host: String, reason: String },
    /// The server took too long.
    #[error("{host} did not answer in time")]
    Slow { host: String },
    /// The server wants HTTP authentication.
    #[error("{host} wants a login before it talks to Fossil (HTTP 401)")]
    Unauthorized { host: String },
    /// The server refused.
    #[error("{host} answered {status}")]
    Status { host: String, status: u16 },
    /// The answer is a web page or something else.
    #[error("{host} answered with {kind}, which is no sync reply")]
    NotFossil { host: String, kind: String },
    /// The answer is too long.
    #[error("the reply of {host} is over the limit")]
    TooLarge { host: String },
    /// The server sends us around in circles.
    #[error("{host} redirects too often")]
    Redirects { host: String },
    /// The server sends us to a place that we do not go to.
    #[error("{host} redirects to {to}, which is not allowed")]
    Redirect { host: String, to: String },
}

impl HttpError {
    /// Returns whether it may go away by itself. A page that is no Fossil server's may: it can be a network's login page.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                !(400..500).contains(status) || matches!(status, 408 | 425 | 429)
            }
            Self::Unreachable { .. } | Self::Slow { .. } | Self::NotFossil { .. } => true,
            Self::NoTls { .. }
            | Self::Certificate { .. }
            | Self::Unauthorized { .. }
            | Self::TooLarge { .. }
            | Self::Redirects { .. }
            | Self::Redirect { .. } => false,
        }
    }

    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => {
                Some("Check the address and the network.")
            }
            Self::NoTls { .. } => {
                Some("Check the port; if the server has no TLS, its address begins with http://.")
            }
            Self::Certificate { .. } => Some(
                "Check the address and this machine's clock; a certificate of your own has to be among the system's trusted ones.",
            ),
            Self::Unauthorized { .. } => Some(
                "Check the remote's user and password; the server may be behind another login.",
            ),
            Self::Status {
                status: 404 | 405, ..
            } => Some("Check the address: it is the one that “fossil clone” takes."),
            Self::NotFossil { .. } => {
                Some("Check the address; a network's login page answers like this too.")
            }
            Self::Redirect { .. } => Some("Use the address that the server really has."),
            Self::Status { .. } | Self::TooLarge { .. } | Self::Redirects { .. } => None,
        }
    }
}

impl Http {
    /// Returns the clients, with `ring` for TLS and the system's certificates.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new() -> reqwest::Result<Self> {
        // Fails only when one is installed already, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("EdgeSync/", env!("CARGO_PKG_VERSION")))
                .http1_title_case_headers()
                .redirect(redirect::Policy::none())
                .referer(false)
                // One connection for each round trip, as stock does. The work between two of them may take longer than a
                // server keeps a connection, and a POST on one that it has just closed can't be told from a lost one.
                .pool_max_idle_per_host(0)
                .connect_timeout(limits::CONNECT_DEADLINE)
                .read_timeout(limits::REPLY_STALL)
                .timeout(limits::ROUND_TRIP_DEADLINE)
        };
        Ok(Self {
            direct: builder().no_proxy().build()?,
            outside: builder().build()?,
        })
    }

    /// Sends `post` to `server`, following redirects on the same host, and returns the answer with the address that gave it.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn post(&self, server: &Url, post: &Post) -> Result<(Answer, Url), HttpError> {
        let mut url = server.clone();
        for _ in 0..=limits::REDIRECTS {
            let response = self.send(&url, post).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
                let host = host_of(&url);
                return Ok((read(response, &host).await?, url));
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            let next = redirected(&url, location.unwrap_or_default())?;
            if !same_host(&url, &next) {
                return Ok((Answer::Elsewhere, next));
            }
            url = next;
        }
        Err(HttpError::Redirects {
            host: host_of(&url),
        })
    }

    async fn send(&self, url: &Url, post: &Post) -> Result<Response, HttpError> {
        let client = if is_here(url) {
            &self.direct
        } else {
            &self.outside
        };
        let mut request = client
            .post(url.clone())
            .header(CONTENT_TYPE, post.content_type)
            .body(post.body.clone());
        if let Some(cookie) = &post.cookie {
            request = request.header(COOKIE, cookie);
        }
        request.send().await.map_err(|error| failure(&error, url))
    }
}

/// Reads a final answer.
async fn read(mut response: Response, host: &str) -> Result<Answer, HttpError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            return Err(HttpError::Unauthorized {
                host: host.to_owned(),
            });
        }
        status => {
            return Err(HttpError::Status {
                host: host.to_owned(),
                status: status.as_u16(),
            });
        }
    }
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("no content type")
        .to_owned();
    if !content_type.starts_with("application/x-fossil") {
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .chars()
            .take(80)
            .collect();
        return Err(HttpError::NotFossil {
            host: host.to_owned(),
            kind,
        });
    }
    let too_large = |length: u64| length > limits::REPLY_BYTES as u64;
    if response.content_length().is_some_and(too_large) {
        return Err(HttpError::TooLarge {
            host: host.to_owned(),
        });
    }
    let mut body = BytesMut::new();
    let url = response.url().clone();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failure(&error, &url))?
    {
        if too_large(body.len() as u64 + chunk.len() as u64) {
            return Err(HttpError::TooLarge {
                host: host.to_owned(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer::Reply {
        content_type,
        body: body.freeze(),
    })
}

/// Returns where a redirect leads, if that is a place to go to.
fn redirected(from: &Url, location: &str) -> Result<Url, HttpError> {
    let refused = || HttpError::Redirect {
        host: host_of(from),
        to: location.chars().take(200).collect(),
    };
    let mut to = from.join(location).map_err(|_| refused())?;
    let scheme_allowed =
        to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    if location.is_empty() || !scheme_allowed || to.host_str().is_none_or(str::is_empty) {
        return Err(refused());
    }
    // A login in the address would be the server's wish, not the user's.
    to.set_username("")
        .and_then(|()| to.set_password(None))
        .map_err(|()| refused())?;
    to.set_query(None);
    to.set_fragment(None);
    if let Some(path) = to.path().strip_suffix("/xfer").map(ToOwned::to_owned) {
        to.set_path(&path);
    }
    Ok(to)
}

/// Whether a secret for `from` may go to `to`: the same host and port, or the same host now with TLS.
fn same_host(from: &Url, to: &Url) -> bool {
    let upgraded = from.scheme() == "http" && to.scheme() == "https" && to.port().is_none();
    from.host() == to.host()
        && (upgraded || from.port_or_known_default() == to.port_or_known_default())
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns host and port of an address, as people write them.
#[must_use]
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn failure(error: &reqwest::Error, url: &Url) -> HttpError {
    let host = host_of(url);
    if error.is_timeout() && !error.is_connect() {
        return HttpError::Slow { host };
    }
    if let Some(error) = tls_failure(error) {
        return match error {
            rustls::Error::InvalidCertificate(error) => HttpError::Certificate {
                host,
                reason: untrusted(error),
            },
            // What comes first from a server that speaks plain HTTP is an error page of its own.
            rustls::Error::InvalidMessage(_) => HttpError::NoTls { host },
            other => HttpError::Unreachable {
                host,
                reason: other.to_string(),
            },
        };
    }
    // The innermost cause is the one that says something: "connection refused", "certificate expired".
    let mut reason = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        reason.clear();
        // Writing into a string cannot fail.
        let _ = write!(reason, "{inner}");
        cause = inner.source();
    }
    if reason.is_empty() {
        reason = if error.is_timeout() {
            "no connection in time".to_owned()
        } else {
            "the connection failed".to_owned()
        };
    }
    HttpError::Unreachable { host, reason }
}

/// Returns what TLS has to say about a failure, which hides in errors of input and output.
fn tls_failure(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let hidden = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = hidden.and_then(|hidden| hidden.downcast_ref()) {
            return Some(found);
        }
        cause = match hidden {
            Some(hidden) => Some(hidden),
            None => inner.source(),
        };
    }
    None
}

/// Returns in plain words why a certificate proves nothing.
fn untrusted(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Error;
    match error {
        Error::Expired | Error::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        Error::UnknownIssuer => "nobody that this system trusts signed its certificate".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("an address")
    }

    #[test]
    fn a_secret_stays_with_its_host_and_goes_along_to_tls() {
        let from = url("http://example.org/a");
        assert!(same_host(&from, &url("http://example.org/b")));
        assert!(same_host(&from, &url("http://example.org:80/b")));
        assert!(same_host(&from, &url("https://example.org/a")));
        for other in [
            "http://example.org:8080/a",
            "https://example.org:8443/a",
            "http://sub.example.org/a",
            "http://example.com/a",
        ] {
            assert!(!same_host(&from, &url(other)), "{other}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_repository_and_never_out_of_tls_or_out_of_the_web() {
        let plain = url("http://example.org/a");
        let secure = url("https://example.org/a");
        for (from, location, to) in [
            (&plain, "/b", "http://example.org/b"),
            (&plain, "http://example.org/b/xfer", "http://example.org/b"),
            (&plain, "https://example.org/a", "https://example.org/a"),
            (&secure, "b?x#y", "https://example.org/b"),
            (
                &secure,
                "https://eve:pw@example.org/b",
                "https://example.org/b",
            ),
            (&plain, "//example.com/xfer", "http://example.com/"),
        ] {
            let led = redirected(from, location).map(|url| url.to_string());
            assert_eq!(led.as_deref(), Ok(to), "{location}");
        }
        for (from, location) in [
            (&secure, "http://example.org/a"),
            (&plain, ""),
            (&plain, "file:///etc/passwd"),
            (&plain, "ssh://example.org/a"),
            (&plain, "http://"),
        ] {
            let refused = redirected(from, location);
            assert!(
                matches!(refused, Err(HttpError::Redirect { .. })),
                "{location}: {refused:?}"
            );
        }
    }

    /// Answers one request on each of two connections, keeps each until the test has `read` the answer, and says when it has
    /// `closed` one.
    fn forgetful_server(read: mpsc::Receiver<()>, closed: mpsc::Sender<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream
                        .read_exact(&mut byte)
                        .expect("a request without a body");
                    head.extend_from_slice(&byte);
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-fossil\r\nContent-Length: 0\r\n\r\n")
                    .expect("the answer leaves");
                read.recv().expect("the test reads");
                drop(stream);
                closed.send(()).expect("the test waits");
            }
        });
        address
    }

    #[test]
    fn a_server_may_close_its_connection_between_two_round_trips() {
        let (read, readings) = mpsc::channel();
        let (closed, closings) = mpsc::channel();
        let address = forgetful_server(readings, closed);
        let server = url(&format!("http://{address}/"));
        let post = Post {
            content_type: "application/x-fossil",
            cookie: None,
            body: Bytes::new(),
        };
        let http = Http::new().expect("clients");
        // As in the command line: nothing looks at the connections while a reply is worked on.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        for _ in 0..2 {
            let (answer, _) = runtime
                .block_on(http.post(&server, &post))
                .expect("an answer");
            assert!(matches!(answer, Answer::Reply { .. }));
            read.send(()).expect("the server keeps the connection");
            closings.recv().expect("the server closes");
        }
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for here in [
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://[::1]:8/",
        ] {
            assert!(is_here(&url(here)), "{here}");
        }
        assert!(!is_here(&url("http://localhost.example.org/")));
    }
}
