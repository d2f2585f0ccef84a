//! Which identities have which rights: those that flags name for this run, and those that `agent.db` remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::TRUSTED;
use super::keys::EndpointId;
use crate::api::Time;
use crate::state::StateDb;

/// An identity with rights here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustedId {
    pub(crate) id: EndpointId,
    /// What people call it.
    pub(crate) name: Option<String>,
    /// The rights, in Fossil's letters.
    pub(crate) capabilities: String,
    /// Since when it is trusted; `None` for one that a flag names.
    pub(crate) since: Option<Time>,
}

/// The identities that are known here.
#[derive(Debug)]
pub(crate) struct Register {
    /// Named by flags, for this run.
    given: BTreeSet<EndpointId>,
    /// Projects in which unsigned messages count, for this run.
    unsigned: BTreeSet<String>,
    /// What `agent.db` remembers, read once and kept the same.
    kept: RwLock<BTreeMap<EndpointId, TrustedId>>,
    state: Option<Arc<StateDb>>,
}

impl Register {
    /// Returns the identities that `agent.db` remembers and those given for this run.
    ///
    /// # Errors
    /// When `agent.db` cannot be read.
    pub(crate) fn open(
        state: Arc<StateDb>,
        given: impl IntoIterator<Item = EndpointId>,
        unsigned: impl IntoIterator<Item = String>,
    ) -> rusqlite::Result<Self> {
        let trusted = state.trusted()?.into_iter();
        let kept = trusted.map(|entry| (entry.id, entry)).collect();
        Ok(Self {
            kept: RwLock::new(kept),
            state: Some(state),
            ..Self::of_run(given, unsigned)
        })
    }

    /// Returns the identities given for this run alone.
    pub(crate) fn of_run(
        given: impl IntoIterator<Item = EndpointId>,
        unsigned: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            given: given.into_iter().collect(),
            unsigned: unsigned.into_iter().collect(),
            kept: RwLock::default(),
            state: None,
        }
    }

    /// Whether the identity has any right anywhere.
    pub(crate) fn knows(&self, id: &EndpointId) -> bool {
        self.given.contains(id) || self.read().contains_key(id)
    }

    /// Returns the letters of an identity that is known.
    pub(crate) fn letters(&self, id: &EndpointId) -> Option<String> {
        let given = self.given.contains(id).then_some(TRUSTED);
        let kept = self.read().get(id).map(|entry| entry.capabilities.clone());
        match (given, kept) {
            (None, None) => None,
            (given, kept) => Some(format!(
                "{}{}",
                given.unwrap_or_default(),
                kept.unwrap_or_default()
            )),
        }
    }

    /// Whether unsigned messages count in a project.
    pub(crate) fn accepts_unsigned(&self, project: &str) -> bool {
        self.unsigned.contains(project)
    }

    /// Returns the projects in which unsigned messages count.
    pub(crate) fn unsigned_projects(&self) -> impl Iterator<Item = &str> {
        self.unsigned.iter().map(String::as_str)
    }

    /// Returns every identity with its rights, those of this run first.
    pub(crate) fn all(&self) -> Vec<TrustedId> {
        let given = self.given.iter().map(|id| TrustedId {
            id: *id,
            name: None,
            capabilities: TRUSTED.to_owned(),
            since: None,
        });
        given.chain(self.read().values().cloned()).collect()
    }

    /// Gives an identity rights and remembers them; those that it had are replaced. Blocks on `agent.db`.
    ///
    /// # Errors
    /// When `agent.db` cannot be written.
    pub(crate) fn add(&self, entry: TrustedId) -> rusqlite::Result<()> {
        if let Some(state) = &self.state {
            state.trust(&entry)?;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.insert(entry.id, entry);
        Ok(())
    }

    /// Takes all rights from an identity. Returns whether it had any that were remembered. Blocks on `agent.db`.
    ///
    /// # Errors
    /// When `agent.db` cannot be written.
    pub(crate) fn remove(&self, id: &EndpointId) -> rusqlite::Result<bool> {
        if let Some(state) = &self.state {
            state.distrust(id)?;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.remove(id).is_some())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<EndpointId, TrustedId>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: u8) -> EndpointId {
        EndpointId::from([seed; 32])
    }

    #[test]
    fn rights_survive_and_can_be_changed_and_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.db");
        let open = || {
            let (state, _) = StateDb::open(&path).expect("a database");
            Register::open(Arc::new(state), [id(1)], ["p".to_owned()]).expect("read")
        };
        let register = open();
        let entry = |letters: &str| TrustedId {
            id: id(2),
            name: Some("laptop".to_owned()),
            capabilities: letters.to_owned(),
            since: Some(Time::from_unix_millis(1_700_000_000_000)),
        };
        register.add(entry("gio")).expect("stored");
        register.add(entry("o")).expect("stored");
        drop(register);
        let register = open();
        assert_eq!(register.letters(&id(1)).as_deref(), Some("gio"));
        assert_eq!(register.letters(&id(2)).as_deref(), Some("o"));
        assert_eq!(register.letters(&id(3)), None);
        assert!(register.accepts_unsigned("p") && !register.accepts_unsigned("a"));
        assert_eq!(register.all().get(1), Some(&entry("o")));
        assert!(register.remove(&id(2)).expect("removed"));
        drop(register);
        assert!(!open().knows(&id(2)));
    }
}
