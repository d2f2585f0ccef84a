//! Stock programs that the tests of several packages stand beside. The tests of this package are in `it/`.
//!
//! - [`FossilServer`]: a running `fossil server`.
//! - [`Authority`]: signs certificates for servers with TLS.

mod authority;
mod fossil_server;

pub use authority::{Authority, CertificateFiles};
pub use fossil_server::{FossilServer, artifacts, fossil, free_port};
