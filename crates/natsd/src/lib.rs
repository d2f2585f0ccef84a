//! A NATS server to embed.
//!
//! Stock clients, and stock servers at the other end of a leafnode or route, cannot tell it from the reference server. A
//! connection is any `AsyncRead + AsyncWrite`. There is one account and no `JetStream`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`limits`] | every cap, with its reason |
//! | [`subject`] | subjects and filters |
//! | [`proto`] | the wire protocol, without I/O |

pub mod limits;
pub mod proto;
pub mod subject;
