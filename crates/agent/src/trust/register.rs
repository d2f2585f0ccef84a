//! Which identities have which rights: those that flags name for this run, those that people here have named, and the members of the mesh. Whom the mesh
//! has revoked has none, whoever names it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use edgesync_notify::name::{NameError, Project};
use libfossil::name::ProjectCode;

use super::TRUSTED;
use super::keys::EndpointId;
use crate::api::Time;
use crate::members::View;
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

/// Where messages of programs that do not sign count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcceptUnsigned {
    /// In the exchange of the repository with this project code.
    Repository(ProjectCode),
    /// In questions and answers of the project with this name.
    Notify(Project),
}

/// A text was neither a project code nor a project's name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a project code nor the name of a notify project")]
pub struct AcceptUnsignedError(String, #[source] NameError);

impl FromStr for AcceptUnsigned {
    type Err = AcceptUnsignedError;

    /// Takes a project code, or else the name of a notify project.
    fn from_str(text: &str) -> Result<Self, AcceptUnsignedError> {
        if let Ok(code) = text.parse() {
            return Ok(Self::Repository(code));
        }
        let name = Project::parse(text);
        name.map(Self::Notify)
            .map_err(|error| AcceptUnsignedError(text.to_owned(), error))
    }
}

/// The identities that are known here.
#[derive(Debug)]
pub(crate) struct Register {
    /// Named by flags, for this run.
    given: BTreeSet<EndpointId>,
    /// Where unsigned messages count, for this run.
    unsigned: Vec<AcceptUnsigned>,
    /// What `agent.db` remembers, read once and kept the same.
    kept: RwLock<BTreeMap<EndpointId, TrustedId>>,
    /// What follows from the mesh's records.
    members: RwLock<Arc<View>>,
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
        unsigned: impl IntoIterator<Item = AcceptUnsigned>,
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
        unsigned: impl IntoIterator<Item = AcceptUnsigned>,
    ) -> Self {
        Self {
            given: given.into_iter().collect(),
            unsigned: unsigned.into_iter().collect(),
            kept: RwLock::default(),
            members: RwLock::default(),
            state: None,
        }
    }

    /// Whether the identity has any right anywhere.
    pub(crate) fn knows(&self, id: &EndpointId) -> bool {
        let members = self.members();
        let named = || self.given.contains(id) || self.read().contains_key(id);
        !members.revoked.contains_key(id) && (members.members.contains_key(id) || named())
    }

    /// Whether the mesh has revoked the identity.
    pub(crate) fn has_revoked(&self, id: &EndpointId) -> bool {
        self.members().revoked.contains_key(id)
    }

    /// Returns the letters in a project of an identity that is known.
    pub(crate) fn letters(&self, id: &EndpointId, project: &str) -> Option<String> {
        let members = self.members();
        if members.revoked.contains_key(id) {
            return None;
        }
        let given = self.given.contains(id).then(|| TRUSTED.to_owned());
        let kept = self.read().get(id).map(|entry| entry.capabilities.clone());
        let member = members.members.get(id).map(|it| it.letters(project));
        [given, kept, member]
            .into_iter()
            .flatten()
            .reduce(|one, other| one + &other)
    }

    /// Returns the mesh's members, and whom it has revoked.
    pub(crate) fn members(&self) -> Arc<View> {
        let members = self.members.read();
        Arc::clone(&members.unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of what follows from the mesh's records now.
    pub(crate) fn set_members(&self, view: View) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Returns every identity that has rights in a project, with its letters there.
    pub(crate) fn everyone(&self, project: &str) -> BTreeMap<EndpointId, String> {
        let named: Vec<EndpointId> = self.all().into_iter().map(|entry| entry.id).collect();
        let members = self.members();
        let ids = named.iter().chain(members.members.keys());
        ids.filter_map(|id| Some((*id, self.letters(id, project)?)))
            .filter(|(_, letters)| !letters.is_empty())
            .collect()
    }

    /// Returns what people, or else the agent itself, call it.
    pub(crate) fn name_of(&self, id: &EndpointId) -> Option<String> {
        let own = self.read().get(id).and_then(|entry| entry.name.clone());
        own.or_else(|| Some(self.members().members.get(id)?.name.to_string()))
    }

    /// Whether unsigned messages count in the exchange of a repository with this project code.
    pub(crate) fn accepts_unsigned(&self, project: &str) -> bool {
        let is_it = |it: &AcceptUnsigned| matches!(it, AcceptUnsigned::Repository(code) if code.as_str() == project);
        self.unsigned.iter().any(is_it)
    }

    /// Returns the projects in whose questions and answers unsigned messages count.
    pub(crate) fn unsigned_projects(&self) -> impl Iterator<Item = &Project> {
        self.unsigned.iter().filter_map(|it| match it {
            AcceptUnsigned::Notify(project) => Some(project),
            AcceptUnsigned::Repository(_) => None,
        })
    }

    /// Returns those whom flags and people here have named, those of this run first.
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
        let code = "0123456789abcdef0123456789abcdef01234567";
        let unsigned = || [code, "p"].map(|text| text.parse().expect("either"));
        let open = || {
            let (state, _) = StateDb::open(&path).expect("a database");
            Register::open(Arc::new(state), [id(1)], unsigned()).expect("read")
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
        assert_eq!(register.letters(&id(1), "p").as_deref(), Some("gio"));
        assert_eq!(register.letters(&id(2), "p").as_deref(), Some("o"));
        assert_eq!(register.letters(&id(3), "p"), None);
        let everyone = [(id(1), "gio".to_owned()), (id(2), "o".to_owned())];
        assert_eq!(register.everyone("p"), everyone.into());
        // A code counts for repositories alone, a name for messages alone.
        assert!(register.accepts_unsigned(code) && !register.accepts_unsigned("p"));
        let names: Vec<_> = register.unsigned_projects().map(Project::as_str).collect();
        assert_eq!(names, ["p"]);
        for neither in ["", "a b", "a.b", "_x"] {
            neither.parse::<AcceptUnsigned>().expect_err("neither");
        }
        assert_eq!(register.all().get(1), Some(&entry("o")));
        assert!(register.remove(&id(2)).expect("removed"));
        drop(register);
        assert!(!open().knows(&id(2)));
    }
}
