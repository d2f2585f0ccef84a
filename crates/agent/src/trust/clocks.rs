//! What the clocks of other agents show, as far as it was asked. A signature counts for minutes by its signer's clock; where that is wrong by hours,
//! its owner's messages would all be refused. So who is refused for that alone is asked what its clock shows, and answers with a signature over a number
//! that was never used before: nothing that was said earlier can stand for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::EndpointId;
use crate::api::Time;

/// By how much a clock may differ, in milliseconds, and be taken to be right: the way of a message, and what people do not notice.
const AGREES_MS: i64 = 30_000;

/// The clocks of known agents.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    /// By how many milliseconds each is ahead of ours; those that agree are not here.
    ahead: Mutex<HashMap<EndpointId, i64>>,
    doubted: Mutex<BTreeSet<EndpointId>>,
    doubt: Notify,
}

impl Clocks {
    /// Returns what the clock of an agent shows when ours shows `now`.
    pub(super) fn there(&self, id: &EndpointId, now: Time) -> Time {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = ahead.get(id).copied().unwrap_or(0);
        Time::from_unix_millis(now.unix_millis().saturating_add(ms))
    }

    /// Takes note that an agent's clock shows something else than was thought.
    pub(super) fn doubt(&self, id: EndpointId) {
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.insert(id);
        drop(doubted);
        self.doubt.notify_one();
    }

    /// Returns an agent that is to be asked what its clock shows, as soon as there is one.
    pub(crate) async fn doubted(&self) -> EndpointId {
        loop {
            let next = {
                let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
                doubted.pop_first()
            };
            match next {
                Some(id) => return id,
                None => self.doubt.notified().await,
            }
        }
    }

    /// Learns that an agent's clock shows `there` when ours shows `now`. Returns by how many milliseconds it is ahead, if that is news.
    pub(crate) fn learn(&self, id: EndpointId, there: Time, now: Time) -> Option<i64> {
        let ms = there.unix_millis().saturating_sub(now.unix_millis());
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let before = ahead.get(&id).copied().unwrap_or(0);
        if ms.abs() <= AGREES_MS {
            ahead.remove(&id);
        } else {
            ahead.insert(id, ms);
        }
        (before.abs_diff(ms) > AGREES_MS.unsigned_abs()).then_some(ms)
    }
}
