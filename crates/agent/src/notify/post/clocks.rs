//! What is known of others' clocks, kept in `agent.db`: after a start, their questions end when they did before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use edgesync_notify::desk::CLOCKS_AGREE_MS;

use super::{Post, Setting, joined, locked};
use crate::api::Error;

/// By how many milliseconds each agent's clock is ahead of this machine's, as `agent.db` has it.
#[derive(Debug)]
pub(super) struct Clocks(Mutex<BTreeMap<String, i64>>);

impl Clocks {
    /// Reads what was known earlier.
    pub(super) async fn read(setting: &Setting) -> Result<Self, Error> {
        let state = Arc::clone(&setting.state);
        let read = joined(tokio::task::spawn_blocking(move || state.notify_clocks()).await)?;
        Ok(Self(Mutex::new(read)))
    }

    /// Returns what is known.
    pub(super) fn known(&self) -> BTreeMap<String, i64> {
        locked(&self.0).clone()
    }
}

impl Post {
    /// Remembers what is known by now, if that is news.
    pub(super) async fn remember_clocks(&self, now: BTreeMap<String, i64>) {
        {
            let mut known = locked(&self.clocks.0);
            let same = |(id, ms): (&String, &i64)| {
                let before = known.get(id);
                before.is_some_and(|before| before.abs_diff(*ms) <= CLOCKS_AGREE_MS)
            };
            if now.len() == known.len() && now.iter().all(same) {
                return;
            }
            known.clone_from(&now);
        }
        let state = Arc::clone(&self.setting.state);
        let set = tokio::task::spawn_blocking(move || state.set_notify_clocks(&now));
        if let Err(error) = joined(set.await) {
            tracing::warn!(%error, "what others' clocks show is not remembered");
        }
    }
}
