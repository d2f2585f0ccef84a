//! Who may connect, and what they may do.
//!
//! A [`Policy`] has one set of [`Rules`] for each kind of connection. An embedder changes it while the server runs with
//! [`Server::set_policy`](crate::Server::set_policy), which also cuts those who are no longer let in.

mod credentials;
mod permissions;
mod proof;

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

pub use credentials::Credentials;
pub use permissions::{AllowResponses, Permissions, SubjectRules, SubscribeRule};
pub(crate) use proof::{make_nonce, make_server_id};

use crate::conn::Close;
use crate::nkey::PublicKey;
use crate::proto::{Connect, Kind};

/// Who may connect, by kind of connection.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// On the client listener.
    pub clients: Rules,
    /// On the leafnode listener.
    pub leaves: Rules,
    /// On the route listener.
    pub routes: Rules,
}

impl Policy {
    /// Returns the rules for connections of this kind.
    #[must_use]
    pub fn rules(&self, kind: Kind) -> &Rules {
        match kind {
            Kind::Client => &self.clients,
            Kind::Leaf => &self.leaves,
            Kind::Route => &self.routes,
        }
    }
}

/// Who may connect.
#[derive(Clone, Debug, Default)]
pub enum Rules {
    /// Anybody, without credentials, and may do anything.
    #[default]
    Open,
    /// These and nobody else; with an empty list nobody.
    Users(Vec<User>),
    /// Anybody, without credentials, and may do anything; but who comes by a name, where some of these have passwords, or by a
    /// key, where some have keys, has to be one of them.
    Claims(Vec<User>),
    /// Whom the embedder admits, by a key that they have; they may do anything.
    Judge(Arc<dyn Judge>),
}

/// Decides about who shows a key, for an embedder who knows more than a list of keys.
pub trait Judge: fmt::Debug + Send + Sync + 'static {
    /// Returns the key that this CONNECT shows, if whoever has it may be let in or told why not. That its owner signed the nonce with it is
    /// checked afterwards.
    fn key(&self, connect: &Connect) -> Option<PublicKey>;

    /// Says whether the owner of a key is let in, who has signed with it; asked again when the rules have changed.
    fn still(&self, key: &PublicKey) -> bool;

    /// Says whether a key that is not let in was so once, and its owner is to hear that this is over. Who has not proved to have the key is not told.
    fn was_revoked(&self, key: &PublicKey) -> bool {
        let _ = key;
        false
    }

    /// Says whether the owner of a key that was let in may call their server so.
    fn may_be_called(&self, key: &PublicKey, server_name: &str) -> bool {
        let _ = (key, server_name);
        true
    }
}

impl Rules {
    /// Returns rules that let in whoever knows a token, and may do anything.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self::Users(vec![User::new(Credential::Token(Secret::new(token)))])
    }

    /// Says whether credentials are asked for.
    #[must_use]
    pub fn required(&self) -> bool {
        !matches!(self, Self::Open | Self::Claims(_))
    }

    /// Says whether some user proves who they are with an nkey, so that INFO needs a nonce.
    #[must_use]
    pub fn wants_signature(&self) -> bool {
        let users = match self {
            Self::Open => return false,
            Self::Judge(_) => return true,
            Self::Users(users) | Self::Claims(users) => users,
        };
        users
            .iter()
            .any(|user| matches!(user.credential, Credential::Nkey(_)))
    }

    /// Returns who presents these credentials, or why nobody known does.
    pub(crate) fn authenticate(&self, connect: &Connect, nonce: &str) -> Result<Identity, Close> {
        if connect.account.is_some() {
            return Err(Close::Unauthorized);
        }
        match self {
            Self::Open => Ok(Identity::anybody()),
            Self::Claims(users) if !claims(users, connect) => Ok(Identity::anybody()),
            Self::Users(users) | Self::Claims(users) => proved(users, connect, nonce),
            Self::Judge(judge) => {
                let key = judge.key(connect).ok_or(Close::Unauthorized)?;
                let signature = connect.sig.as_deref().unwrap_or_default();
                if !proof::signed(&key, nonce, signature) {
                    return Err(Close::Unauthorized);
                }
                judged(judge.as_ref(), &key)?;
                Ok(Identity::owner_of(key))
            }
        }
    }

    /// Says whether whoever this is may call their server so.
    pub(crate) fn may_be_called(&self, identity: &Identity, server_name: &str) -> bool {
        match (self, &identity.credential) {
            (Self::Judge(judge), Some(Credential::Nkey(key))) => {
                judge.may_be_called(key, server_name)
            }
            _ => true,
        }
    }

    /// Returns the identity as it is under these rules, or why it is not let in any more.
    pub(crate) fn still(&self, identity: &Identity) -> Result<Identity, Close> {
        match (self, &identity.credential) {
            (Self::Open, _) | (Self::Claims(_), None) => Ok(identity.clone()),
            (Self::Judge(judge), Some(Credential::Nkey(key))) => {
                judged(judge.as_ref(), key).map(|()| identity.clone())
            }
            (Self::Users(_), None) | (Self::Judge(_), _) => Err(Close::Unauthorized),
            (Self::Users(users) | Self::Claims(users), Some(credential)) => {
                known(users, |user| user.credential == *credential)
            }
        }
    }
}

/// Says whether the owner of a key that was proved is let in, or why not.
fn judged(judge: &dyn Judge, key: &PublicKey) -> Result<(), Close> {
    if judge.still(key) {
        Ok(())
    } else if judge.was_revoked(key) {
        Err(Close::Revoked)
    } else {
        Err(Close::Unauthorized)
    }
}

/// Returns who of these presents these credentials.
fn proved(users: &[User], connect: &Connect, nonce: &str) -> Result<Identity, Close> {
    known(users, |user| user.credential.proved_by(connect, nonce))
}

/// Returns the first of these that it is.
fn known(users: &[User], is_it: impl Fn(&User) -> bool) -> Result<Identity, Close> {
    let user = users.iter().find(|user| is_it(user));
    user.map(User::identity).ok_or(Close::Unauthorized)
}

/// Says whether a CONNECT claims to be of somebody like one of these.
fn claims(users: &[User], connect: &Connect) -> bool {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    users.iter().any(|user| match user.credential {
        Credential::Token(_) => given(&connect.auth_token),
        Credential::Password { .. } => given(&connect.user),
        Credential::Nkey(_) => given(&connect.nkey),
    })
}

/// One who may connect.
#[derive(Clone, Debug)]
pub struct User {
    /// How they prove who they are.
    pub credential: Credential,
    /// What they may do; everything if not set.
    pub permissions: Option<Arc<Permissions>>,
}

impl User {
    /// Returns a user that may do anything.
    #[must_use]
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            permissions: None,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            credential: Some(self.credential.clone()),
            permissions: self.permissions.clone(),
        }
    }
}

/// How someone proves who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By knowing a token.
    Token(Secret),
    /// By a user name and a password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By signing the nonce of INFO.
    Nkey(PublicKey),
}

impl Credential {
    fn proved_by(&self, connect: &Connect, nonce: &str) -> bool {
        match self {
            Self::Token(token) => connect
                .auth_token
                .as_deref()
                .is_some_and(|given| token.is(given)),
            Self::Password { user, password } => {
                connect.user.as_ref() == Some(user)
                    && connect
                        .pass
                        .as_deref()
                        .is_some_and(|given| password.is(given))
            }
            Self::Nkey(key) => {
                let named = connect.nkey.as_deref().map(PublicKey::parse);
                let signature = connect.sig.as_deref().unwrap_or_default();
                named == Some(Ok(*key)) && proof::signed(key, nonce, signature)
            }
        }
    }
}

/// A text that is compared in constant time and not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text as a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who a connection turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    credential: Option<Credential>,
    pub(crate) permissions: Option<Arc<Permissions>>,
}

impl Identity {
    /// Someone who did not have to prove anything.
    pub(crate) fn anybody() -> Self {
        Self {
            credential: None,
            permissions: None,
        }
    }

    /// Someone who proved to have a key, and may do anything.
    fn owner_of(key: PublicKey) -> Self {
        Self {
            credential: Some(Credential::Nkey(key)),
            permissions: None,
        }
    }

    /// What people may be told about who it is: the user's name or public key.
    pub(crate) fn name(&self) -> Option<String> {
        match self.credential.as_ref()? {
            Credential::Token(_) => None,
            Credential::Password { user, .. } => Some(user.clone()),
            Credential::Nkey(key) => Some(key.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(json: &str) -> Connect {
        serde_json::from_str(json).expect("a CONNECT")
    }

    /// Admits the owner of one key, who names it in place of a token.
    #[derive(Debug)]
    struct Only(PublicKey);

    impl Judge for Only {
        fn key(&self, connect: &Connect) -> Option<PublicKey> {
            let key = PublicKey::parse(connect.jwt.as_deref()?).ok()?;
            self.still(&key).then_some(key)
        }

        fn still(&self, key: &PublicKey) -> bool {
            *key == self.0
        }
    }

    #[test]
    fn a_judge_admits_only_who_signs_the_nonce_with_the_admitted_key() {
        let pair = |seed: u8| crate::nkey::KeyPair::from_seed(&[seed; 32]).expect("a key");
        let rules = Rules::Judge(Arc::new(Only(pair(1).public())));
        let shows = |shown: u8, signs: u8, nonce: &str| {
            let signature =
                data_encoding::BASE64URL_NOPAD.encode(&pair(signs).sign(nonce.as_bytes()));
            let key = pair(shown).public();
            rules.authenticate(
                &connect(&format!(r#"{{"jwt":"{key}","sig":"{signature}"}}"#)),
                "n",
            )
        };
        assert!(rules.required() && rules.wants_signature());
        let identity = shows(1, 1, "n").expect("admitted");
        assert!(rules.still(&identity).is_ok());
        assert!(shows(1, 2, "n").is_err(), "another's signature");
        assert!(shows(1, 1, "m").is_err(), "another nonce");
        assert!(shows(2, 2, "n").is_err(), "another key");
        let other = Rules::Judge(Arc::new(Only(pair(2).public())));
        assert!(other.still(&identity).is_err());
    }

    #[test]
    fn each_credential_lets_its_owner_in_and_nobody_else() {
        let rules = Rules::Users(vec![
            User::new(Credential::Token(Secret::new("t"))),
            User::new(Credential::Password {
                user: "u".into(),
                password: Secret::new("p"),
            }),
        ]);
        for (json, admitted) in [
            (r#"{"auth_token":"t"}"#, true),
            (r#"{"user":"u","pass":"p"}"#, true),
            (r#"{"auth_token":"T"}"#, false),
            (r#"{"auth_token":""}"#, false),
            (r#"{"user":"u"}"#, false),
            (r#"{"user":"u","pass":"t"}"#, false),
            (r#"{"user":"v","pass":"p"}"#, false),
            (r#"{"auth_token":"t","account":"a"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(
                rules.authenticate(&connect(json), "n").is_ok(),
                admitted,
                "{json}"
            );
        }
        assert!(
            Rules::Users(Vec::new())
                .authenticate(&connect("{}"), "n")
                .is_err()
        );
        assert!(Rules::Open.authenticate(&connect("{}"), "n").is_ok());
    }

    #[test]
    fn who_claims_nothing_is_let_in_and_a_claim_has_to_be_true() {
        let keys = crate::nkey::KeyPair::from_seed(&[1; 32]).expect("a key");
        let named = User::new(Credential::Password {
            user: "u".into(),
            password: Secret::new("p"),
        });
        let both = Rules::Claims(vec![
            named.clone(),
            User::new(Credential::Nkey(keys.public())),
        ]);
        let key = format!(r#"{{"nkey":"{}","sig":"x"}}"#, keys.public());
        let names_alone = Rules::Claims(vec![named]);
        assert!(!both.required() && both.wants_signature());
        for (rules, json, admitted) in [
            (&both, "{}", true),
            (&both, r#"{"user":"","pass":"p"}"#, true),
            (&both, r#"{"auth_token":"t"}"#, true),
            (&both, r#"{"user":"u","pass":"p"}"#, true),
            (&both, r#"{"user":"u","pass":"x"}"#, false),
            (&both, r#"{"user":"v","pass":"p"}"#, false),
            (&both, &key, false),
            (&names_alone, &key, true),
        ] {
            let let_in = rules.authenticate(&connect(json), "n").is_ok();
            assert_eq!(let_in, admitted, "{json}");
        }
        let as_user = both.authenticate(&connect(r#"{"user":"u","pass":"p"}"#), "n");
        let as_user = as_user.expect("let in");
        assert_eq!(as_user.name().as_deref(), Some("u"));
        assert!(both.still(&as_user).is_ok() && both.still(&Identity::anybody()).is_ok());
        assert!(Rules::Claims(Vec::new()).still(&as_user).is_err());
    }

    #[test]
    fn who_is_no_longer_listed_is_no_longer_let_in() {
        let rules = Rules::token("t");
        let identity = rules
            .authenticate(&connect(r#"{"auth_token":"t"}"#), "n")
            .expect("let in");
        assert!(rules.still(&identity).is_ok());
        assert!(Rules::token("other").still(&identity).is_err());
        assert!(Rules::Open.still(&identity).is_ok());
        assert!(rules.still(&Identity::anybody()).is_err());
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", Rules::token("hidden")).contains("hidden"));
    }
}
