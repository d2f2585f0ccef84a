//! TLS with a NATS server beside the mesh: by `ring`, with the authorities of the system or those that a person gave.

use std::io;
use std::sync::Arc;

use natsd::Upgrade;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limits;

/// Longest greeting that is read, in bytes; that of a server in a large cluster has a few thousand.
const GREETING_BYTES: u64 = 64 * 1024;

/// Returns the authorities in the text of a PEM file; nothing when there is none, or something that is no certificate.
pub(super) fn authorities(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.ok().filter(|read| !read.is_empty())?;
    of_authorities(read.iter().cloned()).map(|_| read)
}

/// Returns what TLS is spoken with where these authorities count, and no others; nothing when one of them is none.
pub(super) fn of_authorities(
    authorities: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).ok()?;
    }
    config(roots)
}

/// Returns what TLS is spoken with where the system's authorities count. Blocks on files.
fn of_system() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // What the system has that cannot be read counts for nothing, as elsewhere.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    config(roots).ok_or_else(|| io::Error::other("TLS cannot be set up"))
}

fn config(roots: RootCertStore) -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.ok()?.with_root_certificates(roots);
    Some(Arc::new(builder.with_no_client_auth()))
}

/// Returns how a leafnode link goes on over TLS. With a `given` configuration the server must speak it.
pub(super) fn upgrade(given: Option<Arc<ClientConfig>>) -> Upgrade {
    let required = given.is_some();
    Upgrade::new(required, move |stream, host| {
        shake(given.clone(), stream, host)
    })
}

/// Returns why TLS with the NATS server at `HOST:PORT` does not come about once it has greeted; nothing when it does.
pub(super) async fn trouble(given: Option<Arc<ClientConfig>>, address: &str) -> Option<String> {
    let attempt = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let mut greeting = Vec::new();
        let mut limited = (&mut stream).take(GREETING_BYTES);
        limited.read_until(b'\n', &mut greeting).await?;
        shake(given, stream, Upgrade::host_of(address).to_owned()).await
    };
    match timeout(limits::BUS_REPLY, attempt).await {
        Ok(Ok(_)) | Err(_) => None,
        Ok(Err(error)) => Some(error.to_string()),
    }
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    given: Option<Arc<ClientConfig>>,
    stream: S,
    host: String,
) -> io::Result<TlsStream<S>> {
    let config = match given {
        Some(config) => config,
        None => tokio::task::spawn_blocking(of_system).await??,
    };
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
}
