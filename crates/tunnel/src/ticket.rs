//! A ticket: how to reach a peer, as text that is copied, typed or shown as a QR code. It holds no secret.
//!
//! The form: the word `edgesync`, and then in base32 (RFC 4648, small letters, no padding) the version `1`, the key's 32 bytes, the count of addresses and
//! each of them (`4` or `6`, the address, the port, most significant byte first), the relay's address preceded by its length, and the first
//! four bytes of SHA-256 over all that, so that a mistyped ticket is told from one of somebody else. Letters may be capital, as QR
//! codes like them, and white space around is passed over.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use iroh::{EndpointAddr, EndpointId, TransportAddr};
use sha2::{Digest as _, Sha256};

use crate::config::Relay;
use crate::limits::{MAX_RELAY_URL_BYTES, MAX_TICKET_ADDRESSES, MAX_TICKET_CHARS};
use crate::peer::PeerId;

const WORD: &str = "edgesync";
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 4;

/// How to reach a peer.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Whose it is.
    pub peer: PeerId,
    /// Where the peer listens, by its own account.
    pub addresses: BTreeSet<SocketAddr>,
    /// The relay at which it can be met.
    pub relay: Option<Relay>,
}

/// The text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Something else.
    #[error("this is no ticket: one begins with `{WORD}`")]
    NoTicket,
    /// A part is missing, or a character wrong.
    #[error("the ticket is cut off or mistyped; copy it again")]
    Damaged,
    /// From the future.
    #[error("the ticket is of a newer form; update EdgeSync")]
    Version,
}

impl Ticket {
    /// Returns the ticket of someone of whom only the id is known.
    pub fn of(peer: PeerId) -> Self {
        Self {
            peer,
            addresses: BTreeSet::new(),
            relay: None,
        }
    }

    /// Returns the ticket with the addresses of `addr`, as many as fit: those that other machines can use come first.
    pub(crate) fn of_endpoint(addr: &EndpointAddr) -> Self {
        let mut addresses: Vec<SocketAddr> = addr.ip_addrs().copied().collect();
        addresses.sort_by_key(|address| (rank(address.ip()), *address));
        addresses.truncate(MAX_TICKET_ADDRESSES);
        let relay = addr.relay_urls().next();
        Self {
            peer: addr.id.into(),
            addresses: addresses.into_iter().collect(),
            relay: relay.and_then(|url| url.as_str().parse().ok()),
        }
    }

    /// Returns it as iroh takes it; nothing when the id is no key.
    pub(crate) fn endpoint_addr(&self) -> Option<EndpointAddr> {
        let id = EndpointId::from_bytes(self.peer.as_bytes()).ok()?;
        let direct = self.addresses.iter().copied().map(TransportAddr::Ip);
        let relay = self
            .relay
            .as_ref()
            .map(|relay| TransportAddr::Relay(relay.url().clone()));
        Some(EndpointAddr::from_parts(id, direct.chain(relay)))
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.peer.as_bytes());
        let addresses = self.addresses.iter().take(MAX_TICKET_ADDRESSES);
        bytes.push(u8::try_from(addresses.len()).unwrap_or_default());
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend_from_slice(&ip.octets());
                }
            }
            bytes.extend_from_slice(&address.port().to_be_bytes());
        }
        let relay = self
            .relay
            .as_ref()
            .map(Relay::to_string)
            .unwrap_or_default();
        bytes.push(u8::try_from(relay.len()).unwrap_or_default());
        bytes.extend_from_slice(relay.as_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        rest.array::<1>()?;
        let peer = PeerId::from(rest.array::<32>()?);
        let [count] = rest.array()?;
        let mut addresses = BTreeSet::new();
        for _ in 0..count {
            let [kind] = rest.array()?;
            let ip = match kind {
                4 => IpAddr::V4(Ipv4Addr::from(rest.array::<4>()?)),
                6 => IpAddr::V6(Ipv6Addr::from(rest.array::<16>()?)),
                _ => return None,
            };
            addresses.insert(SocketAddr::new(ip, u16::from_be_bytes(rest.array()?)));
        }
        let [length] = rest.array()?;
        let relay = std::str::from_utf8(rest.slice(usize::from(length))?).ok()?;
        let relay = match relay {
            "" => None,
            relay => Some(relay.parse().ok()?),
        };
        let whole = rest.0.is_empty() && addresses.len() <= MAX_TICKET_ADDRESSES;
        whole.then_some(Self {
            peer,
            addresses,
            relay,
        })
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > MAX_TICKET_CHARS || !text.is_ascii() {
            return Err(TicketError::NoTicket);
        }
        let text = text.to_ascii_lowercase();
        let code = text.strip_prefix(WORD).ok_or(TicketError::NoTicket)?;
        let bytes = base32()
            .decode(code.as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (said, check) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(TicketError::Damaged)?;
        if checksum(said) != *check {
            return Err(TicketError::Damaged);
        }
        match said.first() {
            Some(&VERSION) => Self::read(said).ok_or(TicketError::Damaged),
            _ => Err(TicketError::Version),
        }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.bytes();
        let check = checksum(&bytes);
        bytes.extend_from_slice(&check);
        write!(f, "{WORD}{}", base32().encode(&bytes))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("peer", &self.peer)
            .field("addresses", &self.addresses)
            .field("relay", &self.relay)
            .finish()
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
}

/// Returns how late an address is to be tried: those of the machine itself help no other.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        ip if ip.is_loopback() => 2,
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => 1,
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(bytes);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(hash) {
        *to = from;
    }
    check
}

/// Base32 in small letters.
fn base32() -> Encoding {
    let mut letters: Specification = BASE32_NOPAD.specification();
    letters.symbols = letters.symbols.to_ascii_lowercase();
    // The letters are the standard's, and they differ.
    letters.encoding().unwrap_or(BASE32_NOPAD)
}

const _: () = assert!(MAX_RELAY_URL_BYTES <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            peer: PeerId::from([7; 32]),
            addresses: BTreeSet::from([
                "192.0.2.7:7422".parse().expect("an address"),
                "[2001:db8::1]:9".parse().expect("an address"),
            ]),
            relay: Some("https://relay.example.org".parse().expect("a relay")),
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_is_written_however_it_was_copied() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(ticket()));
        let bare = Ticket::of(PeerId::from([1; 32]));
        assert_eq!(bare.to_string().parse(), Ok(bare));
    }

    #[test]
    fn what_is_no_ticket_is_told_from_what_is_damaged() {
        let text = ticket().to_string();
        for other in ["", "hello", "endpointabc", "edgesyn", "édgesync"] {
            assert_eq!(
                other.parse::<Ticket>(),
                Err(TicketError::NoTicket),
                "{other}"
            );
        }
        let long = format!("edgesync{}", "a".repeat(MAX_TICKET_CHARS));
        assert_eq!(long.parse::<Ticket>(), Err(TicketError::NoTicket));
        for damaged in ["edgesync", "edgesync1", &text[..text.len() - 3]] {
            assert_eq!(
                damaged.parse::<Ticket>(),
                Err(TicketError::Damaged),
                "{damaged}"
            );
        }
        let mut newer = ticket().bytes();
        newer[0] = 2;
        let check = checksum(&newer);
        newer.extend_from_slice(&check);
        let newer = format!("{WORD}{}", base32().encode(&newer));
        assert_eq!(newer.parse::<Ticket>(), Err(TicketError::Version));
    }

    #[test]
    fn every_mistyped_letter_is_noticed() {
        let text = ticket().to_string();
        for at in WORD.len()..text.len() {
            let mut typed = text.clone().into_bytes();
            typed[at] = if typed[at] == b'a' { b'b' } else { b'a' };
            let typed = String::from_utf8(typed).expect("text");
            assert_eq!(
                typed.parse::<Ticket>(),
                Err(TicketError::Damaged),
                "{typed}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_harm(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = text.parse::<Ticket>();
            let mut bytes = bytes;
            let check = checksum(&bytes);
            bytes.extend_from_slice(&check);
            let _ = format!("{WORD}{}", base32().encode(&bytes)).parse::<Ticket>();
        }

        #[test]
        fn any_ticket_comes_back_whole(
            peer in any::<[u8; 32]>(),
            addresses in proptest::collection::btree_set(any::<SocketAddr>(), 0..MAX_TICKET_ADDRESSES),
        ) {
            // Flow and scope of an IPv6 address mean something on one machine only.
            let addresses = addresses.into_iter().map(|it| SocketAddr::new(it.ip(), it.port())).collect();
            let ticket = Ticket { peer: PeerId::from(peer), addresses, relay: None };
            prop_assert_eq!(ticket.to_string().parse(), Ok(ticket));
        }
    }
}
