//! A NATS server to embed.
//!
//! Stock clients, and stock servers at the other end of a leafnode or route, cannot tell it from the reference server. A
//! connection is any `AsyncRead + AsyncWrite`. There is one account and no `JetStream`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`config`] | the reference server's configuration file |
//! | [`limits`] | every cap, with its reason |
//! | [`nkey`] | keys in NATS's text form |
//! | [`subject`] | subjects and filters |
//! | [`proto`] | the wire protocol, without I/O |

pub mod config;
pub mod limits;
pub mod nkey;
pub mod proto;
pub mod subject;
