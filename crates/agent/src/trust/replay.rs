//! Requests that were seen already: their nonces are remembered for as long as their signatures count.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::auth::{NONCE_BYTES, Proof, WINDOW};
use super::keys::KEY_BYTES;
use crate::api::Time;
use crate::limits;

/// Remembers nonces in two generations: each lasts as long as a signature may count at most, and the older one is then forgotten whole.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    begun: i64,
    young: HashSet<Key>,
    old: HashSet<Key>,
}

type Key = ([u8; KEY_BYTES], [u8; NONCE_BYTES]);

impl Seen {
    /// Notes a message. Returns whether it was not seen before; when there are too many to remember, none counts as new.
    pub(super) fn first_time(&self, proof: &Proof, now: Time) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.unix_millis().saturating_sub(seen.begun);
        // A signature counts from a window before its time to a window after it.
        let lifetime = WINDOW.as_millis() * 2;
        if u128::from(age.unsigned_abs()) > lifetime {
            seen.old = std::mem::take(&mut seen.young);
            seen.begun = now.unix_millis();
        }
        let key = (*proof.id.as_bytes(), proof.nonce);
        if seen.old.contains(&key) || seen.young.len() >= limits::NONCES {
            return false;
        }
        seen.young.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::EndpointId;

    fn proof(nonce: u8) -> Proof {
        Proof {
            id: EndpointId::from([1; KEY_BYTES]),
            nonce: [nonce; NONCE_BYTES],
            time: Time::from_unix_millis(0),
        }
    }

    #[test]
    fn a_nonce_counts_once_while_its_signature_may_count() {
        let seen = Seen::default();
        let at = |seconds: i64| Time::from_unix_millis(1_700_000_000_000 + seconds * 1000);
        assert!(seen.first_time(&proof(1), at(0)));
        for seconds in [0, 300, 599, 601] {
            assert!(!seen.first_time(&proof(1), at(seconds)), "{seconds}");
        }
        assert!(seen.first_time(&proof(2), at(602)));
        assert!(!seen.first_time(&proof(2), at(900)));
    }

    #[test]
    fn what_can_no_longer_count_is_forgotten() {
        let seen = Seen::default();
        let at = |seconds: i64| Time::from_unix_millis(1_700_000_000_000 + seconds * 1000);
        assert!(seen.first_time(&proof(1), at(0)));
        assert!(seen.first_time(&proof(2), at(700)));
        assert!(seen.first_time(&proof(3), at(1400)));
        assert!(seen.first_time(&proof(1), at(1400)));
    }
}
