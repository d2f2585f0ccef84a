//! Clusters: lists of artifact names.

use super::writer::Writer;
use crate::name::HashName;

/// A list of artifacts, which stands for all of them when two repositories compare what they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The artifacts, ascending, each once.
    pub members: Vec<HashName>,
}

impl Cluster {
    /// Returns the artifact. Members may be in any order here.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut members: Vec<&HashName> = self.members.iter().collect();
        members.sort_unstable();
        members.dedup();
        let mut writer = Writer::default();
        for member in members {
            writer.card(b'M', [member.as_bytes()]);
        }
        writer.seal()
    }
}
