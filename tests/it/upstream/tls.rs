//! Stock NATS servers that speak TLS, with a certificate of an authority that nobody but the test knows.

use edgesync_tests::Authority;

use super::{Ports, equal_by, is_told};

/// Writes an authority's certificate into a folder, and returns where.
fn write(folder: &tempfile::TempDir, authority: &Authority, name: &str) -> String {
    let file = folder.path().join(name);
    std::fs::write(&file, authority.pem()).expect("written");
    file.display().to_string()
}

/// Returns the section with which a server shows a certificate for `name`, whose files are in `folder`.
fn section(folder: &tempfile::TempDir, authority: &Authority, name: &str) -> String {
    let files = authority.files(folder.path(), name);
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}")
}

#[test]
fn agents_are_equal_over_a_server_that_speaks_tls_and_a_wrong_certificate_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let signs = Authority::default();
    let ca = write(&folder, &signs, "ca.pem");
    // Another one of the same name.
    let other = write(&folder, &Authority::default(), "other.pem");
    let ports = Ports::new();
    let tls = section(&folder, &signs, "127.0.0.1");
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
    let ca = write(&folder, &Authority::default(), "ca.pem");
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
    let hint = format!("Take {client}, or have that server speak TLS");
    is_told(&["--nats-upstream", &insists], "offers no TLS", &hint);
}
