//! How a server that dials says who it is.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

use crate::nkey::{KeyPair, NkeyError};
use crate::proto::Connect;

/// Signs a server's nonce.
type Sign = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// What a server that dials shows to the one that it reaches.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A shared token.
    Token(String),
    /// A name with a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// A signature over the nonce with a key that the other end knows.
    Nkey {
        /// The public key, in NATS's text form.
        public: String,
        /// Signs with the key's other half.
        sign: Sign,
    },
    /// The same with a signed statement of who the key belongs to, as the clouds give out.
    Jwt {
        /// The statement.
        jwt: String,
        /// Signs with the key's other half.
        sign: Sign,
    },
}

impl Credentials {
    /// Returns credentials that sign with this key.
    #[must_use]
    pub fn nkey(keys: KeyPair) -> Self {
        Self::Nkey {
            public: keys.public().to_string(),
            sign: Arc::new(move |nonce| keys.sign(nonce)),
        }
    }

    /// Returns the credentials in the text of a `.creds` file: a JWT and a seed, each between lines of dashes.
    ///
    /// # Errors
    /// When it does not hold both.
    pub fn from_creds(text: &str) -> Result<Self, NkeyError> {
        let block = |name: &str| {
            let (_, after) = text.split_once(&format!("BEGIN {name}-"))?;
            after
                .lines()
                .skip(1)
                .map(str::trim)
                .find(|line| !line.is_empty())
        };
        let jwt = block("NATS USER JWT").ok_or(NkeyError::Malformed)?;
        let seed = block("USER NKEY SEED").ok_or(NkeyError::Malformed)?;
        let keys = KeyPair::from_seed_text(seed)?;
        Ok(Self::Jwt {
            jwt: jwt.to_owned(),
            sign: Arc::new(move |nonce| keys.sign(nonce)),
        })
    }

    /// Says whether they are of use only with a nonce.
    pub(crate) fn need_nonce(&self) -> bool {
        matches!(self, Self::Nkey { .. } | Self::Jwt { .. })
    }

    /// Puts them into a CONNECT that answers this nonce.
    pub(crate) fn fill(&self, connect: &mut Connect, nonce: &str) {
        let signed = |sign: &Sign| Some(BASE64URL_NOPAD.encode(&sign(nonce.as_bytes())));
        match self {
            Self::None => {}
            Self::Token(token) => connect.auth_token = Some(token.clone()),
            Self::User { name, password } => {
                connect.user = Some(name.clone());
                connect.pass = Some(password.clone());
            }
            Self::Nkey { public, sign } => {
                connect.nkey = Some(public.clone());
                connect.sig = signed(sign);
            }
            Self::Jwt { jwt, sign } => {
                connect.jwt = Some(jwt.clone());
                connect.sig = signed(sign);
            }
        }
    }
}

/// Shows whose they are, and no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token"),
            Self::User { name, .. } => write!(f, "User({name})"),
            Self::Nkey { public, .. } => write!(f, "Nkey({public})"),
            Self::Jwt { .. } => f.write_str("Jwt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;
    use crate::nkey::KeyPair;
    use crate::proto::Connect;

    #[test]
    fn each_kind_fills_in_its_own_members_and_shows_no_secret() {
        let keys = || KeyPair::from_seed(&[1; 32]).expect("keys");
        let public = keys().public();
        let user = Credentials::User {
            name: "ann".to_owned(),
            password: "secret".to_owned(),
        };
        for credentials in [
            Credentials::Token("secret".to_owned()),
            user,
            Credentials::nkey(keys()),
        ] {
            assert!(!format!("{credentials:?}").contains("secret"));
            let mut connect = Connect::default();
            credentials.fill(&mut connect, "nonce");
            let filled = (
                connect.auth_token.is_some(),
                connect.user.is_some() && connect.pass.is_some(),
                connect.nkey == Some(public.to_string()) && connect.sig.is_some(),
            );
            let expected = match credentials {
                Credentials::Token(_) => (true, false, false),
                Credentials::User { .. } => (false, true, false),
                _ => (false, false, true),
            };
            assert_eq!(filled, expected);
        }
    }

    #[test]
    fn a_creds_file_holds_a_statement_and_a_seed() {
        let seed = "SUAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6IC5CQ";
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.x.y\n------END NATS USER JWT------\n\nKeep it.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let credentials = Credentials::from_creds(&text).expect("both");
        let mut connect = Connect::default();
        credentials.fill(&mut connect, "nonce");
        assert_eq!(connect.jwt.as_deref(), Some("eyJ0.x.y"));
        assert!(connect.sig.is_some() && connect.nkey.is_none());
        assert!(Credentials::from_creds(&text.replace("SEED", "SOUP")).is_err());
    }
}
