//! Certificates for servers of a test, signed by an authority that nobody else knows.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority; who is to trust it is told by `SSL_CERT_FILE`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Where a certificate and its key are.
#[derive(Debug)]
pub struct CertificateFiles {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name that all certificates get otherwise, or who signs itself would seem to be signed by this one.
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }
}

impl Authority {
    /// Returns its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        params.signed_by(key, &self.issuer).expect("a certificate")
    }

    /// Writes a certificate for `name` into a folder, and its key.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn files(&self, folder: &Path, name: &str) -> CertificateFiles {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let files = CertificateFiles {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        std::fs::write(&files.certificate, self.sign(&params, &key).pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }
}
