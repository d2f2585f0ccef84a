//! The bus over a NATS server. One subscription hears the answers to all requests; the client reconnects by itself, for ever.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use async_nats::rustls::ClientConfig;
use async_nats::{
    Client, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError,
    StatusCode,
};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use crate::heard::{Heard, inward};
use crate::message::check_subject;
use crate::{Bus, Headers, Message, Publish, Request, RequestError, SendError, Subscription};

/// How many messages of one subscription the client holds until they are taken over, see [`Heard`]: more than it reads in one turn, a few MiB.
const SUBSCRIBER_CAPACITY: usize = 128 << 10;

/// How long the server may take to answer a flush.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// How a connection is made.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `nats://HOST:PORT`, of several servers of one cluster perhaps.
    pub urls: Vec<String>,
    /// Who we are to the server.
    pub login: Login,
    /// Whose certificates count, and that the server must have one; without this, TLS is spoken where the server or its URL wants it, and the
    /// system's authorities count.
    pub tls: Option<Arc<ClientConfig>>,
    /// What the server shows as our name.
    pub name: String,
}

/// Who a client is to a server.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// Nobody in particular.
    #[default]
    None,
    /// Who knows this token.
    Token(String),
    /// A user with a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// Whom the text of a `.creds` file says: a JWT, and the seed that signs the server's nonce.
    Creds(String),
}

/// Shows no secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token"),
            Self::User { name, .. } => write!(f, "User({name})"),
            Self::Creds(_) => f.write_str("Creds"),
        }
    }
}

/// What the connection to a server meets with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The server does not let us in.
    Refused,
    /// It cannot be made, for this reason.
    Failed(String),
    /// It stands, and the server denies something; in its words.
    Denied(String),
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server does not let us in.
    #[error("{url} refuses us: the token or login is wrong or missing")]
    Unauthorized {
        /// The address.
        url: String,
    },
    /// The address is none.
    #[error("{url:?} is no address of a NATS server")]
    Address {
        /// What was given.
        url: String,
    },
    /// What is given as the text of a `.creds` file is none.
    #[error("the credentials for {url} are none")]
    Creds {
        /// The address.
        url: String,
    },
    /// Nobody answers there, or not as a NATS server.
    #[error("no NATS server answers at {url}: {source}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the client says.
        source: async_nats::ConnectError,
    },
    /// The connection ended as soon as it was made.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// A bus over a NATS server.
pub struct Nats {
    line: Line,
    listener: AbortHandle,
}

/// The connection to a server.
#[derive(Clone)]
pub(crate) struct Line {
    client: Client,
    answers: Arc<Answers>,
    tells: Tells,
    /// Longest message, in bytes, of whoever knows of servers behind this one.
    most: Arc<AtomicUsize>,
}

/// What a connection tells of itself, as it is heard.
#[derive(Clone)]
struct Tells {
    connected: watch::Receiver<bool>,
    trouble: watch::Receiver<Option<Trouble>>,
    lost: Arc<AtomicU64>,
}

/// What a connection tells of itself.
struct Told {
    connected: watch::Sender<bool>,
    trouble: watch::Sender<Option<Trouble>>,
    /// Messages that were dropped because they came faster than they were taken.
    lost: Arc<AtomicU64>,
}

/// Who waits for the answer to which request.
struct Answers {
    /// What the inboxes of this bus begin with, dot included.
    prefix: String,
    waiting: Mutex<HashMap<String, oneshot::Sender<async_nats::Message>>>,
}

/// A place among those who wait, given up when dropped.
struct Place<'a> {
    answers: &'a Answers,
    inbox: &'a str,
}

impl Nats {
    /// Connects to a server.
    ///
    /// # Errors
    /// [`ConnectError`]. After the first success the connection is made again whenever it ends.
    pub async fn connect(connection: &Connection) -> Result<Self, ConnectError> {
        let (options, tells) = options(connection, true);
        let client = open(options, connection).await?;
        let answers = Answers::new(&client);
        let hears = client.subscribe(format!("{}*", answers.prefix));
        let inboxes = hears.await.map_err(|_| SendError::Closed)?;
        let shared = Arc::clone(&answers);
        let listener = tokio::spawn(shared.hear(inboxes));
        Ok(Self {
            line: Line::new(client, answers, tells),
            listener: listener.abort_handle(),
        })
    }

    /// Returns a bus over another server, which is connected to as soon as that can be, and over and over. Both buses hear answers at the
    /// inboxes of both.
    ///
    /// # Errors
    /// [`ConnectError`] when the connection can never be: an address that is none.
    pub async fn beside(&self, connection: &Connection) -> Result<Self, ConnectError> {
        let (options, tells) = options(connection, false);
        let client = open(options.retry_on_initial_connect(), connection).await?;
        let answers = Arc::clone(&self.line.answers);
        let (other, shared) = (client.clone(), Arc::clone(&answers));
        let listener = tokio::spawn(async move {
            // Taken when the connection stands; it fails only when the client has ended.
            if let Ok(inboxes) = other.subscribe(format!("{}*", shared.prefix)).await {
                drop(other);
                shared.hear(inboxes).await;
            }
        });
        Ok(Self {
            line: Line::new(client, answers, tells),
            listener: listener.abort_handle(),
        })
    }

    /// Returns whether there is a connection, now and as that changes.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.line.tells.connected.clone()
    }

    /// Returns where to say, in bytes, how long a message may be for servers behind this one, which the server itself does not tell of.
    pub fn most(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.line.most)
    }

    /// Returns what the connection has last met with, and each time that it meets with something.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.line.tells.trouble.clone()
    }
}

impl Line {
    fn new(client: Client, answers: Arc<Answers>, tells: Tells) -> Self {
        Self {
            client,
            answers,
            tells,
            most: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    fn max_payload(&self) -> usize {
        let most = self.most.load(Ordering::Relaxed);
        self.client.max_payload().min(most)
    }

    async fn send(&self, publish: Publish) -> Result<(), SendError> {
        if !*self.tells.connected.borrow() {
            return Err(SendError::Closed);
        }
        publish.check(self.max_payload())?;
        let Publish {
            subject,
            reply,
            headers,
            payload,
        } = publish;
        let headers = outward(&headers)?;
        let sent = match (reply, headers) {
            (Some(reply), Some(headers)) => {
                self.client
                    .publish_with_reply_and_headers(subject, reply, headers, payload)
                    .await
            }
            (Some(reply), None) => {
                self.client
                    .publish_with_reply(subject, reply, payload)
                    .await
            }
            (None, Some(headers)) => {
                self.client
                    .publish_with_headers(subject, headers, payload)
                    .await
            }
            (None, None) => self.client.publish(subject, payload).await,
        };
        sent.map_err(|_| SendError::Closed)
    }

    async fn ask(&self, request: Request) -> Result<Message, RequestError> {
        let timeout = request.timeout;
        let inbox = request.inbox.clone();
        let (place, answer) = self.answers.wait(&inbox)?;
        let mut connected = self.tells.connected.clone();
        self.send(request.into_publish()).await?;
        let answer = tokio::select! {
            answer = tokio::time::timeout(timeout, answer) => answer,
            _ = connected.wait_for(|connected| !connected) => return Err(SendError::Closed.into()),
        };
        drop(place);
        let answer = answer
            .map_err(|_| RequestError::TimedOut)?
            .map_err(|_| SendError::Closed)?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(RequestError::NoResponders);
        }
        Ok(inward(answer))
    }

    /// Asks nobody something: the server says so after it has worked through what came before.
    pub(crate) async fn round_trip(&self) -> Result<(), SendError> {
        let inbox = self.new_inbox();
        let request = Request {
            // Nobody else can hear it, and we hear our own messages not.
            subject: self.new_inbox(),
            inbox,
            headers: Headers::new(),
            payload: bytes::Bytes::new(),
            timeout: FLUSH_TIMEOUT,
        };
        match self.ask(request).await {
            Ok(_) | Err(RequestError::NoResponders) => Ok(()),
            Err(RequestError::Send(error)) => Err(error),
            Err(RequestError::TimedOut) => Err(SendError::Closed),
        }
    }

    async fn listen(&self, subject: &str, queue: Option<&str>) -> Result<Subscription, SendError> {
        check_subject(subject)?;
        let subject = subject.to_owned();
        let messages = match queue {
            Some(queue) => {
                check_subject(queue)?;
                self.client.queue_subscribe(subject, queue.to_owned()).await
            }
            None => self.client.subscribe(subject).await,
        };
        let messages = messages.map_err(|_| SendError::Closed)?;
        Ok(Subscription::new(Heard::new(messages, self.clone())))
    }

    fn new_inbox(&self) -> String {
        let fresh = self.client.new_inbox();
        let token = fresh.rsplit('.').next().unwrap_or_default();
        format!("{}{token}", self.answers.prefix)
    }

    /// Counts a message that was dropped.
    pub(crate) fn lost_one(&self) {
        self.tells.lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bus for Nats {
    fn publish(&self, publish: Publish) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(self.line.send(publish))
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Message, RequestError>> {
        Box::pin(self.line.ask(request))
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, SendError>> {
        Box::pin(self.line.listen(subject, queue))
    }

    fn new_inbox(&self) -> String {
        self.line.new_inbox()
    }

    fn max_payload(&self) -> usize {
        self.line.max_payload()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(self.line.round_trip())
    }

    fn lost(&self) -> u64 {
        self.line.tells.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // Its subscription would keep the connection open.
        self.listener.abort();
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("connected", &*self.line.tells.connected.borrow())
            .finish_non_exhaustive()
    }
}

impl Answers {
    fn new(client: &Client) -> Arc<Self> {
        Arc::new(Self {
            prefix: format!("{}.", client.new_inbox()),
            waiting: Mutex::default(),
        })
    }

    /// Hands out answers until the subscription ends.
    async fn hear(self: Arc<Self>, mut inboxes: async_nats::Subscriber) {
        while let Some(message) = inboxes.next().await {
            self.give(message);
        }
    }

    fn wait<'a>(
        &'a self,
        inbox: &'a str,
    ) -> Result<(Place<'a>, oneshot::Receiver<async_nats::Message>), SendError> {
        if !inbox.starts_with(&self.prefix) {
            return Err(SendError::Subject(inbox.to_owned()));
        }
        let (give, answer) = oneshot::channel();
        self.waiting().insert(inbox.to_owned(), give);
        let place = Place {
            answers: self,
            inbox,
        };
        Ok((place, answer))
    }

    fn give(&self, message: async_nats::Message) {
        let waiting = self.waiting().remove(message.subject.as_str());
        if let Some(waiting) = waiting {
            // Who does not wait any longer gave the place up an instant ago.
            let _ = waiting.send(message);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<async_nats::Message>>> {
        // Nothing here leaves it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.answers.waiting().remove(self.inbox);
    }
}

/// Returns the client's options, and what it will tell.
fn options(connection: &Connection, connected: bool) -> (ConnectOptions, Tells) {
    let (tell, connected) = watch::channel(connected);
    let (trouble, troubles) = watch::channel(None);
    let lost = Arc::default();
    let told = Arc::new(Told {
        connected: tell,
        trouble,
        lost: Arc::clone(&lost),
    });
    let tells = Tells {
        connected,
        trouble: troubles,
        lost,
    };
    let options = ConnectOptions::new()
        .name(&connection.name)
        .no_echo()
        .subscription_capacity(SUBSCRIBER_CAPACITY)
        .ignore_discovered_servers()
        .event_callback(move |event| {
            let told = Arc::clone(&told);
            async move { told.note(&event) }
        });
    let options = match &connection.tls {
        Some(config) => options
            .require_tls(true)
            .tls_client_config(ClientConfig::clone(config)),
        None => options,
    };
    (options, tells)
}

async fn open(options: ConnectOptions, connection: &Connection) -> Result<Client, ConnectError> {
    let url = connection.urls.join(",");
    let options = match connection.login.clone() {
        Login::None => options,
        Login::Token(token) => options.token(token),
        Login::User { name, password } => options.user_and_password(name, password),
        Login::Creds(text) => match options.credentials(&text) {
            Ok(options) => options,
            Err(_) => return Err(ConnectError::Creds { url }),
        },
    };
    // One by one, so that the address that is none is named.
    let servers: Result<Vec<ServerAddr>, _> = connection.urls.iter().map(|it| it.parse()).collect();
    let Ok(servers) = servers else {
        return Err(ConnectError::Address { url });
    };
    let client = options.connect(servers).await;
    client.map_err(|source| match source.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ConnectError::Unauthorized { url }
        }
        ConnectErrorKind::ServerParse => ConnectError::Address { url },
        _ => ConnectError::Unreachable { url, source },
    })
}

impl Told {
    fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.trouble.send_replace(None);
                self.connected.send_replace(true);
            }
            Event::Disconnected | Event::Closed => {
                self.connected.send_replace(false);
            }
            Event::ClientError(ClientError::Other(text)) => {
                // The client tells the kind of its error by the kind's own text.
                let refused = [
                    ConnectErrorKind::AuthorizationViolation,
                    ConnectErrorKind::Authentication,
                ];
                let refused = refused.iter().any(|kind| kind.to_string() == *text);
                self.trouble.send_replace(Some(match refused {
                    true => Trouble::Refused,
                    false => Trouble::Failed(text.clone()),
                }));
            }
            Event::SlowConsumer(_) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.trouble.send_replace(Some(Trouble::Refused));
            }
            Event::ServerError(ServerError::Other(text)) => {
                self.trouble
                    .send_replace(Some(Trouble::Denied(text.clone())));
            }
            _ => {}
        }
    }
}

fn outward(headers: &Headers) -> Result<Option<HeaderMap>, SendError> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let refused = || SendError::Header(name.to_owned());
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        map.append(HeaderName::from_str(name).map_err(|_| refused())?, value);
    }
    Ok(Some(map))
}
