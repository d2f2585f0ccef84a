//! What the server holds, as far as a small pull tells: a hash of the names in its reply. It changes when something new is there, and that is
//! all that agents need to know; what is new they ask for themselves.

use std::collections::BTreeSet;

use bytes::Bytes;
use libfossil::name::{HashName, ProjectCode, ProjectCodeError};
use libfossil::xfer::PEER_VERSION;
use libfossil::xfer::card::{Card, CloneRequest, Pragma};
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::parse::{Item, Items};

use reqwest::Url;
use tokio::time::sleep;

use crate::http::{Http, HttpError};
use crate::limits;
use crate::server::{FossilServer, ServerError};

/// The hash of an empty set of unversioned files: a server that has some names them all.
const NO_FILES: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/// Longest text of a server that is shown, in characters.
const TEXT: usize = 200;

/// What a server holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// Stands for its artifacts.
    pub artifacts: [u8; 32],
    /// Stands for its unversioned files.
    pub unversioned: [u8; 32],
    /// An artifact that is new since the last change.
    pub newest: Option<HashName>,
    names: BTreeSet<HashName>,
}

/// How a bridge stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// The server was not asked yet.
    #[default]
    Starting,
    /// The server answers.
    Up(Holds),
    /// The server answers, but does not let the bridge look; the text is its reason. Agents do not hear what changes there.
    Blind(String),
    /// The server does not answer, or not as the project's.
    Down(Fault),
}

/// Why a server is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It did not answer.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It has another project.
    #[error("the Fossil server has another project than {0}")]
    Project(ProjectCode),
    /// It refuses the bridge's account.
    #[error("the Fossil server does not accept the user name and password")]
    Login,
    /// It says something else.
    #[error("the Fossil server says: {0}")]
    Says(String),
}

impl Fault {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Server(ServerError::Http(error)) => error.hint(),
            Self::Server(ServerError::Elsewhere { .. }) => {
                Some("Use the address that the server really has.")
            }
            Self::Project(_) => {
                Some("Check the project's code: `fossil info -R FILE` on the server shows it.")
            }
            Self::Login => Some("Check the user and password of the bridge."),
            Self::Server(_) | Self::Says(_) => None,
        }
    }
}

/// Asks the server what it holds.
pub(crate) async fn look(server: &FossilServer, random: [u8; 20], before: &Standing) -> Standing {
    let code = ProjectCode::from_random(random).to_string();
    let cards = [
        Card::Pragma(Pragma::ClientVersion(PEER_VERSION)),
        Card::Pull {
            server: code.clone(),
            project: server.project.to_string(),
        },
        Card::Pragma(Pragma::UvHash(NO_FILES.to_owned())),
    ];
    let mut message: Vec<u8> = cards.iter().flat_map(Card::to_bytes).collect();
    message.extend_from_slice(format!("# {code}\n").as_bytes());
    let body = server.body(&message);
    let asked = server.ask(ContentType::Packed, body, limits::PROBE).await;
    let read = asked.and_then(|(content_type, body)| Ok(frame::decode(content_type, body)?));
    match read {
        Ok(message) => read_reply(server, message, before),
        Err(error) => Standing::Down(error.into()),
    }
}

/// Returns the project that is at an address: a server names it to whoever begins a clone, also when it refuses the clone. One
/// that answers 400 is asked again: a new stock server does so when its first requests come together.
///
/// # Errors
/// [`Fault`].
pub async fn project_at(http: &Http, url: &Url, random: [u8; 20]) -> Result<ProjectCode, Fault> {
    let nobody = FossilServer {
        url: url.clone(),
        account: None,
        project: ProjectCode::from_random(random),
        http: http.clone(),
    };
    // From beyond the last artifact on, so that nothing of it is sent.
    let clone = Card::Clone(CloneRequest::Contents {
        version: 3,
        seqno: i32::MAX.unsigned_abs(),
    });
    let cards = [Card::Pragma(Pragma::ClientVersion(PEER_VERSION)), clone];
    let message: Vec<u8> = cards.iter().flat_map(Card::to_bytes).collect();
    let body = nobody.body(&message);
    let mut tries = limits::FIRST_TRIES;
    let (content_type, body) = loop {
        let asked = nobody.ask(ContentType::Packed, body.clone(), limits::PROBE);
        match asked.await {
            Err(ServerError::Http(HttpError::Status { status: 400, .. })) if tries > 1 => {
                tries -= 1;
                sleep(limits::FIRST_AGAIN).await;
            }
            asked => break asked?,
        }
    };
    let message = frame::decode(content_type, body).map_err(ServerError::from)?;
    let mut refusal = None;
    for item in Items::new(message) {
        match item {
            Item::Card(Card::Push { project, .. }) => {
                let code = project.parse();
                return code.map_err(|error: ProjectCodeError| Fault::Says(error.to_string()));
            }
            Item::Card(Card::Error(text)) => refusal = Some(text),
            _ => {}
        }
    }
    let text = refusal.unwrap_or_else(|| "no project".to_owned());
    Err(Fault::Says(text.chars().take(TEXT).collect()))
}

fn read_reply(server: &FossilServer, message: Bytes, before: &Standing) -> Standing {
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for item in Items::new(message) {
        match item {
            Item::Card(Card::IGot { hash, .. } | Card::Gimme(hash)) => {
                names.insert(hash);
            }
            Item::Card(card @ Card::UvIGot(_)) => files.extend(card.to_bytes()),
            Item::Card(Card::Error(text)) => return refused(server, text),
            Item::Malformed(text) => return Standing::Down(Fault::Says(text.to_owned())),
            _ => {}
        }
    }
    let list: String = names.iter().map(HashName::as_str).collect();
    let newest = match before {
        Standing::Up(before) if before.names == names => before.newest,
        Standing::Up(before) => names.difference(&before.names).next().copied(),
        _ => None,
    };
    Standing::Up(Holds {
        artifacts: hash(list.as_bytes()),
        unversioned: hash(&files),
        newest,
        names,
    })
}

fn refused(server: &FossilServer, text: String) -> Standing {
    match text.as_str() {
        "login failed" => Standing::Down(Fault::Login),
        "wrong project" => Standing::Down(Fault::Project(server.project)),
        _ if text.starts_with("not authorized") => Standing::Blind(text),
        _ => Standing::Down(Fault::Says(text.chars().take(TEXT).collect())),
    }
}

/// Returns 32 bytes that stand for a text.
fn hash(text: &[u8]) -> [u8; 32] {
    let name = HashName::sha3_of(text);
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default();
    let mut bytes = [0; 32];
    let (pairs, _) = name.as_bytes().as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        // Two digits are a byte.
        *byte = u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or_default();
    }
    bytes
}
