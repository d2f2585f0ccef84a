//! The agent's identity: one Ed25519 key per home. Its public half is the agent's endpoint id; the secret half stays in
//! its file, which is readable by the owner alone, and in the keys that are derived from it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::write_private;
use crate::home::Home;
use crate::text::{from_hex, to_hex};
use crate::trust::Keys;

/// An agent's identity.
#[derive(Clone)]
pub struct Identity {
    endpoint_id: String,
    keys: Arc<Keys>,
}

/// The identity key cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("cannot use the identity key {}: {source}", path.display())]
    Io {
        /// The key's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not 64 hexadecimal digits. It is left as it is: a new key would be another identity.
    #[error("the identity key {} is damaged", path.display())]
    Damaged {
        /// The key's file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Identity {
    /// Returns the identity of `home`, making it on first use.
    ///
    /// # Errors
    /// [`IdentityError`] when there is a key that cannot be used, or none can be made.
    pub fn of(home: &Home) -> Result<Self, IdentityError> {
        Self::in_file(&home.identity_file())
    }

    /// Returns the identity whose key is in this file, making it on first use.
    ///
    /// # Errors
    /// [`IdentityError`] when there is a key that cannot be used, or none can be made.
    pub fn in_file(path: &Path) -> Result<Self, IdentityError> {
        let io_error = |source| IdentityError::Io {
            path: path.to_path_buf(),
            source,
        };
        match fs::read(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).map_err(IdentityError::Random)?;
                let identity =
                    Self::from_secret(&secret).ok_or_else(|| IdentityError::Damaged {
                        path: path.to_path_buf(),
                    })?;
                write_private(path, format!("{}\n", to_hex(&secret)).as_bytes())
                    .map_err(io_error)?;
                Ok(identity)
            }
            Err(error) => Err(io_error(error)),
        }
    }

    /// The public key as 64 lower-case hexadecimal digits.
    pub fn endpoint_id(&self) -> &str {
        &self.endpoint_id
    }

    /// The keys that sign in this identity's name.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, IdentityError> {
        std::str::from_utf8(text.trim_ascii())
            .ok()
            .and_then(from_hex::<32>)
            .and_then(|secret| Self::from_secret(&secret))
            .ok_or_else(|| IdentityError::Damaged {
                path: path.to_path_buf(),
            })
    }

    fn from_secret(secret: &[u8; 32]) -> Option<Self> {
        let keys = Keys::from_secret(secret)?;
        Some(Self {
            endpoint_id: keys.id().to_string(),
            keys: Arc::new(keys),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.endpoint_id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_id_is_the_public_key_of_the_first_test_vector_of_rfc_8032() {
        let secret = from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .expect("hex");
        let identity = Identity::from_secret(&secret).expect("a key");
        assert_eq!(
            identity.endpoint_id(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }
}
