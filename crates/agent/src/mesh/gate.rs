//! Lets those in over links whom this agent trusts. Who dials signs the server's nonce with its nkey, and shows that its identity
//! vouched for that key: four words in the member `jwt` of CONNECT, which other servers ignore unless they are told to want it. On a
//! route the end that was dialled shows the same, so both are trusted by each other. An agent's server is called by its identity.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use natsd::auth::{Credentials, Judge, Policy, Rules};
use natsd::nkey::PublicKey;
use natsd::proto::Connect;

use crate::api::Time;
use crate::text::{from_hex, to_hex};
use crate::trust::keys::Binding;
use crate::trust::{EndpointId, Keys, Trust};

/// When an agent with this one's own identity last wanted a link. Nobody else has the key, so its folder is a copy of this one's.
pub(super) type Twin = Arc<Mutex<Option<Time>>>;

/// Decides who may have a link.
#[derive(Debug)]
pub(super) struct Gate {
    trust: Arc<Trust>,
    own: EndpointId,
    twin: Twin,
    /// Whose keys those are that were let in.
    owners: Mutex<BTreeMap<PublicKey, EndpointId>>,
}

impl Gate {
    pub(super) fn new(trust: Arc<Trust>, own: EndpointId, twin: Twin) -> Self {
        Self {
            trust,
            own,
            twin,
            owners: Mutex::default(),
        }
    }

    /// Returns whose key this is, if its owner was let in before.
    fn owner(&self, key: &PublicKey) -> Option<EndpointId> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(key).copied()
    }
}

impl Judge for Gate {
    fn key(&self, connect: &Connect) -> Option<PublicKey> {
        let (id, nkey) = read(connect.jwt.as_deref()?)?;
        // One of our own identity, or of one that was revoked, has to prove that as well before it is told of: whoever was shown the binding
        // could say so.
        let register = &self.trust.register;
        if id != self.own && !register.knows(&id) && !register.has_revoked(&id) {
            tracing::info!(%id, "an agent that is not trusted wanted a link");
            return None;
        }
        let key = PublicKey::from_bytes(nkey);
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.insert(key, id);
        Some(key)
    }

    fn still(&self, key: &PublicKey) -> bool {
        let owner = self.owner(key);
        if owner == Some(self.own) {
            tracing::warn!(id = %self.own, "an agent with this agent's own identity wanted a link");
            *self.twin.lock().unwrap_or_else(PoisonError::into_inner) = Some(Time::now());
            return false;
        }
        owner.is_some_and(|id| self.trust.register.knows(&id))
    }

    fn was_revoked(&self, key: &PublicKey) -> bool {
        let owner = self.owner(key);
        owner.is_some_and(|id| self.trust.register.has_revoked(&id))
    }

    fn may_be_called(&self, key: &PublicKey, server_name: &str) -> bool {
        self.owner(key).map(|id| id.to_string()).as_deref() == Some(server_name)
    }
}

/// Returns who is let in: clients that know the token, and links of those whom this agent trusts, but for one of its own identity.
pub(super) fn policy(trust: &Arc<Trust>, own: EndpointId, twin: &Twin, token: &str) -> Policy {
    let gate = Gate::new(Arc::clone(trust), own, Arc::clone(twin));
    let gate: Arc<dyn Judge> = Arc::new(gate);
    Policy {
        clients: Rules::token(token.to_owned()),
        leaves: Rules::Judge(Arc::clone(&gate)),
        routes: Rules::Judge(gate),
    }
}

/// Returns how an agent with these keys proves to others who it is.
pub(super) fn credentials(keys: &Arc<Keys>) -> Credentials {
    let signing = Arc::clone(keys);
    Credentials::Jwt {
        jwt: shown(keys),
        sign: Arc::new(move |nonce| signing.sign_challenge(nonce).to_vec()),
    }
}

/// Returns what an agent with these keys shows.
fn shown(keys: &Keys) -> String {
    let Binding {
        nkey,
        message,
        signature,
    } = keys.binding();
    [
        keys.id().to_string(),
        to_hex(nkey),
        to_hex(message),
        to_hex(signature),
    ]
    .join(" ")
}

/// Returns the identity that vouched, and the nkey that it vouched for.
fn read(shown: &str) -> Option<(EndpointId, [u8; 32])> {
    let words: Vec<&str> = shown.split(' ').collect();
    let [id, nkey, message, signature] = words.as_slice() else {
        return None;
    };
    let id: EndpointId = id.parse().ok()?;
    let binding = Binding {
        nkey: from_hex(nkey)?,
        message: from_hex(message)?,
        signature: from_hex(signature)?,
    };
    binding.is_of(&id).then_some((id, binding.nkey))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::{Record, Roll, Statement};
    use crate::samples::keys;
    use crate::trust::Register;

    fn connect(shown: &str) -> Connect {
        let mut connect = Connect::default();
        connect.jwt = Some(shown.to_owned());
        connect
    }

    #[test]
    fn who_was_revoked_may_prove_it_and_is_told() {
        let says = Statement::Revoke {
            member: keys(2).id(),
            at: 1,
        };
        let record = Record::sign(&keys(3), says).expect("signed");
        let register = Register::of_run([keys(1).id(), keys(2).id()], None);
        register.set_members(Roll::new(keys(3).id(), [record]).view());
        let gate = Gate::new(
            Arc::new(Trust::new(register)),
            keys(3).id(),
            Twin::default(),
        );
        for (seed, is_in, revoked) in [(1, true, false), (2, false, true)] {
            let key = gate.key(&connect(&shown(&keys(seed))));
            let key = key.expect("it may prove it");
            assert_eq!((gate.still(&key), gate.was_revoked(&key)), (is_in, revoked));
        }
        assert_eq!(gate.key(&connect(&shown(&keys(4)))), None, "a stranger");
    }

    #[test]
    fn only_the_nkey_of_a_trusted_identity_is_let_in() {
        let register = Register::of_run([keys(1).id()], None);
        let twin = Twin::default();
        let trust = Arc::new(Trust::new(register));
        let gate = Gate::new(trust, keys(3).id(), Arc::clone(&twin));
        let good = shown(&keys(1));
        let key = gate.key(&connect(&good)).expect("let in");
        assert_eq!(key.to_string(), keys(1).nkey());
        assert!(gate.still(&key));
        let name = |seed| keys(seed).id().to_string();
        assert!(gate.may_be_called(&key, &name(1)) && !gate.may_be_called(&key, &name(2)));
        assert_eq!(gate.key(&connect(&shown(&keys(2)))), None, "a stranger");
        let seen = || *twin.lock().expect("nobody panics here");
        assert_eq!(seen(), None);
        let copy = gate
            .key(&connect(&shown(&keys(3))))
            .expect("it may prove it");
        assert_eq!(
            seen(),
            None,
            "so far it has shown what it may have been shown"
        );
        assert!(!gate.still(&copy));
        assert!(seen().is_some());
        // A trusted identity's name before a stranger's key.
        let (_, rest) = good.split_once(' ').expect("words");
        let forged = format!("{} {rest}", keys(2).id());
        let (_, strange) = shown(&keys(2))
            .split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("words");
        for text in [
            forged,
            format!("{} {strange}", keys(1).id()),
            String::new(),
            good.replace(' ', ""),
        ] {
            assert_eq!(gate.key(&connect(&text)), None, "{text}");
        }
        assert!(!gate.still(&PublicKey::from_bytes([9; 32])));
    }
}
