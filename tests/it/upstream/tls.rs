//! Stock NATS servers that speak TLS, with a certificate of an authority that nobody but the test knows.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{Ports, equal_by, is_told};

/// Makes an authority, and writes its certificate to a file.
fn authority(name: &str, file: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(file, certificate.pem()).expect("written");
    Issuer::new(params, key)
}

/// Returns the section with which a server shows a certificate for `name`, whose files are in `folder`.
fn section(folder: &Path, authority: &Issuer<'static, KeyPair>, name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let files = [("cert", certificate.pem()), ("key", key.serialize_pem())];
    let [cert, key] = files.map(|(kind, text)| {
        let file = folder.join(format!("{name}.{kind}.pem"));
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    });
    format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\" }}")
}

#[test]
fn agents_are_equal_over_a_server_that_speaks_tls_and_a_wrong_certificate_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    let signs = authority("the authority", Path::new(&ca));
    authority("another one", Path::new(&other));
    let ports = Ports::new();
    let tls = section(folder.path(), &signs, "127.0.0.1");
    let _server = ports.serve(&tls, &tls);
    let leaf = format!("nats-leaf://127.0.0.1:{}", ports.leaf.number);
    let client = format!("tls://127.0.0.1:{}", ports.client.number);
    let by = |url| ["--nats-upstream", url, "--nats-ca", &ca];
    equal_by(&by(&leaf), &by(&client));
    for url in [&leaf, &client, &client.replace("tls://", "nats://")] {
        let unknown = "nobody that this system trusts signed its certificate";
        is_told(&["--nats-upstream", url], unknown, "--nats-ca FILE");
        let flags = ["--nats-upstream", url, "--nats-ca", &other];
        let wrong = "the authority of --nats-ca did not sign its certificate";
        is_told(
            &flags,
            wrong,
            "Give the certificate of the authority that did.",
        );
    }
    // The certificate is for the address, not for this name of it.
    for url in [&leaf, &client] {
        let url = url.replace("127.0.0.1", "localhost");
        let flags = ["--nats-upstream", &url, "--nats-ca", &ca];
        let message = "its certificate is for another name";
        is_told(
            &flags,
            message,
            "Take the name that its certificate is for.",
        );
    }
}

#[test]
fn who_is_given_an_authority_or_tls_says_nothing_to_a_server_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    authority("the authority", &ca);
    let ca = ca.display().to_string();
    let ports = Ports::new();
    let _server = ports.serve("", "");
    let leaf = format!("nats-leaf://127.0.0.1:{}", ports.leaf.number);
    let client = format!("nats://127.0.0.1:{}", ports.client.number);
    for url in [&leaf, &client] {
        let flags = ["--nats-upstream", url, "--nats-ca", &ca];
        is_told(
            &flags,
            "offers no TLS",
            &format!("Take {url} without --nats-ca"),
        );
    }
    let insists = client.replace("nats://", "tls://");
    let hint = format!("Take {client} without --nats-ca");
    is_told(&["--nats-upstream", &insists], "offers no TLS", &hint);
}
