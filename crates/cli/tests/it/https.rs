//! HTTPS to servers with good and bad certificates, as a machine sees them that trusts one authority.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use edgesync_tests::Authority;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::lab::{Agent, Lab, Ran};

/// Returns a certificate's wishes for `name`.
fn certificate(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}

/// Serves TLS in front of `backend` for as long as the test runs; signed by `authority`, else by itself.
fn terminate(
    params: &CertificateParams,
    authority: Option<&Authority>,
    backend: String,
) -> SocketAddr {
    let key = KeyPair::generate().expect("a key");
    let certificate = match authority {
        Some(authority) => authority.sign(params, &key),
        None => params.self_signed(&key).expect("a certificate"),
    };
    let certificate = certificate.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let tls = StreamOwned::new(connection, stream.expect("a stream"));
            // A client that does not trust the certificate breaks off here.
            let _ = forward(tls, &backend);
        }
    });
    address
}

/// Carries one request and its answer.
fn forward(tls: StreamOwned<ServerConnection, TcpStream>, backend: &str) -> std::io::Result<()> {
    let mut tls = BufReader::new(tls);
    let mut length = 0;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        tls.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(("content-length", value)) = line.trim().to_ascii_lowercase().split_once(": ") {
            length = value.parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    tls.read_exact(&mut body)?;
    let mut plain = TcpStream::connect(backend)?;
    plain.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    plain.write_all(&body)?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer)?;
    let tls = tls.get_mut();
    tls.write_all(&answer)?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Clones from `url` on a machine that trusts `ca.pem`.
fn clone(lab: &Lab, url: &str, file: &str) -> Ran {
    let mut command = lab.edgesync_command(&["clone", url, file, "--json"]);
    command.env("SSL_CERT_FILE", lab.path("ca.pem"));
    Ran::of(&mut command)
}

#[test]
fn https_is_trusted_when_it_can_be_and_refused_with_the_reason_otherwise() {
    let lab = Lab::new();
    lab.fossil(&["new", "served.fossil"]);
    lab.fossil(&[
        "user",
        "capabilities",
        "nobody",
        "gjo",
        "-R",
        "served.fossil",
    ]);
    let agent = Agent::start(
        &lab,
        &["--repo", "served.fossil", "--serve-http", "127.0.0.1:0"],
    );
    let backend = agent.http().trim_start_matches("http://").to_owned();
    // The one that is trusted.
    let authority = Authority::default();
    lab.write("ca.pem", authority.pem());

    let good = terminate(&certificate("localhost"), Some(&authority), backend.clone());
    let url = format!("https://localhost:{}/", good.port());
    let ran = clone(&lab, &url, "good.fossil");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    lab.fossil(&["test-integrity", "-R", "good.fossil"]);

    let mut expired = certificate("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let expired = terminate(&expired, Some(&authority), backend.clone());
    let other = terminate(
        &certificate("elsewhere.example"),
        Some(&authority),
        backend.clone(),
    );
    let own = terminate(&certificate("localhost"), None, backend);
    let plain = agent
        .http()
        .rsplit(':')
        .next()
        .expect("a port")
        .parse::<u16>();
    for (port, reason) in [
        (expired.port(), "its certificate has expired"),
        (other.port(), "its certificate is for another name"),
        (
            own.port(),
            "nobody that this system trusts signed its certificate",
        ),
        (plain.expect("a port"), "answers, but not with TLS"),
    ] {
        let ran = clone(&lab, &format!("https://localhost:{port}/"), "bad.fossil");
        let error = ran.error();
        assert!(ran.code != 0, "{reason}");
        assert!(
            error["message"].as_str().expect("words").contains(reason),
            "{error}"
        );
        assert!(error["hint"].is_string(), "{error}");
        assert!(!lab.path("bad.fossil").exists());
    }
}
