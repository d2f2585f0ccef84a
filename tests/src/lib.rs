//! Stock programs that the tests of several packages stand beside. The tests of this package are in `it/`.
//!
//! - [`StockFossil`]: a running `fossil server`.
//! - [`Authority`]: signs certificates for servers with TLS.

mod authority;
mod stock_fossil;

pub use authority::{Authority, CertificateFiles};
pub use stock_fossil::{StockFossil, artifacts, fossil, free_port};
