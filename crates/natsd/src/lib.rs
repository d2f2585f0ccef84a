//! A NATS server to embed.
//!
//! Stock clients, and stock servers at the other end of a leafnode or route, cannot tell it from the reference server. A
//! connection is any `AsyncRead + AsyncWrite`. There is one account and no `JetStream`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`Server`], [`Options`] | starting, changing and stopping a server |
//! | [`auth`] | who may connect, and what they may do |
//! | [`config`] | the reference server's configuration file |
//! | [`leaf`] | leafnode links, accepted and dialled |
//! | [`limits`] | every cap, with its reason |
//! | [`local`] | a client inside the process |
//! | [`nkey`] | keys in NATS's text form |
//! | [`subject`] | subjects and filters |
//! | [`proto`] | the wire protocol, without I/O |
//! | [`probe`](probe()) | which port of a server answers at an address |
//! | `sublist` | the tree of subscriptions |
//! | `conn` | one connection: its loop, its output, the way of a message |
//! | `link` | what leafnodes and routes have in common |
//! | `route` | the members of a cluster |

pub mod auth;
pub mod config;
mod conn;
pub mod leaf;
pub mod limits;
mod link;
pub mod local;
pub mod nkey;
mod options;
mod probe;
pub mod proto;
mod route;
mod server;
mod stats;
pub mod subject;
mod sublist;

pub use conn::Close;
pub use link::dial::{Link, LinkStatus, Opener, Target, Upgrade};
pub use options::{Advertise, Limits, Listeners, Options};
pub use probe::{Found, probe};
pub use route::RouteOptions;
pub use server::{Addresses, Server, StartError, VERSION};
pub use stats::{ConnectionStats, Event, Stats, Traffic};
