//! A signed record: what one agent says of the mesh, in a form that proves it to everyone for ever.
//!
//! As text it is one JSON object: `body` is the statement, itself JSON in a string, so that the signed bytes are the very bytes that travel; `by`
//! is the author; `nkey`, `key` and `binding` prove that `key` signs in its name; `sig` is over, each preceded by its length in four bytes,
//! `edgesync member record 1`, the author, and the body.
//!
//! ```text
//! {"kind":"mesh","id":"…32 hex…","name":"Studio","notify":null,"at":1700000000000}
//! {"kind":"vouch","member":"…64 hex…","name":"laptop","capabilities":"gio","projects":[],"at":…}
//! {"kind":"revoke","member":"…64 hex…","at":…}
//! {"kind":"place","ticket":"edgesync…","role":"peer","at":…}
//! ```

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::api::Role;
use crate::limits;
use crate::pair::DeviceName;
use crate::text::{from_hex, to_hex};
use crate::trust::EndpointId;
use crate::trust::keys::{Binding, Keys, verify};

/// What is signed begins with this.
const DOMAIN: &[u8] = b"edgesync member record 1";

/// Names a record: the SHA-256 of author and body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId([u8; 32]);

/// The id of a mesh; when two meet, the lower one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MeshId([u8; 16]);

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Statement {
    /// There is a mesh.
    Mesh {
        id: MeshId,
        name: DeviceName,
        /// The code of the project that its messages are in.
        notify: Option<String>,
        at: i64,
    },
    /// This agent is one of us.
    Vouch {
        #[serde(with = "endpoint")]
        member: EndpointId,
        name: DeviceName,
        /// What it may, in Fossil's letters.
        capabilities: String,
        /// The codes of the projects in which; all when there are none.
        #[serde(default)]
        projects: Vec<String>,
        at: i64,
    },
    /// This agent is none of us, and never will be again.
    Revoke {
        #[serde(with = "endpoint")]
        member: EndpointId,
        at: i64,
    },
    /// This agent itself is reached so. Of an author's places the newest counts, and is the only one that is kept.
    Place {
        /// The ticket; empty when it is reached nowhere.
        ticket: String,
        role: Role,
        at: i64,
    },
    /// What a later version says: kept and handed on.
    #[serde(other)]
    Unknown,
}

/// A record whose signature is good.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Record {
    id: RecordId,
    by: EndpointId,
    says: Statement,
    text: String,
}

/// A text is no good record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordError {
    /// It is longer than any.
    #[error("a record of {0} bytes is longer than any")]
    Long(usize),
    /// It is not of the form.
    #[error("the record is malformed")]
    Malformed,
    /// It is not signed by whom it names.
    #[error("the record's signature is wrong")]
    Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    body: String,
    by: String,
    nkey: String,
    key: String,
    binding: String,
    sig: String,
}

impl Record {
    /// Returns a record of this agent.
    ///
    /// # Errors
    /// [`RecordError::Long`] when it says too much.
    pub(crate) fn sign(keys: &Keys, says: Statement) -> Result<Self, RecordError> {
        // Neither maps with odd keys nor fallible types are in it.
        let body = serde_json::to_string(&says).map_err(|_| RecordError::Malformed)?;
        let Binding {
            nkey,
            message,
            signature,
        } = keys.binding();
        let by = keys.id();
        let envelope = Envelope {
            by: by.to_string(),
            nkey: to_hex(nkey),
            key: to_hex(message),
            binding: to_hex(signature),
            sig: to_hex(&keys.sign_message(&signed_bytes(&by, &body))),
            body,
        };
        let text = serde_json::to_string(&envelope).map_err(|_| RecordError::Malformed)?;
        if text.len() > limits::RECORD_BYTES {
            return Err(RecordError::Long(text.len()));
        }
        Ok(Self {
            id: RecordId::of(&by, &envelope.body),
            by,
            says,
            text,
        })
    }

    /// Reads a record and looks at its signature.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) fn parse(text: &str) -> Result<Self, RecordError> {
        if text.len() > limits::RECORD_BYTES {
            return Err(RecordError::Long(text.len()));
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|_| RecordError::Malformed)?;
        let read = || {
            let binding = Binding {
                nkey: from_hex(&envelope.nkey)?,
                message: from_hex(&envelope.key)?,
                signature: from_hex(&envelope.binding)?,
            };
            Some((
                envelope.by.parse::<EndpointId>().ok()?,
                binding,
                from_hex::<64>(&envelope.sig)?,
            ))
        };
        let (by, binding, signature) = read().ok_or(RecordError::Malformed)?;
        let signed = signed_bytes(&by, &envelope.body);
        if !binding.is_of(&by) || !verify(&binding.message, &signed, &signature) {
            return Err(RecordError::Signature);
        }
        let says = serde_json::from_str(&envelope.body).map_err(|_| RecordError::Malformed)?;
        Ok(Self {
            id: RecordId::of(&by, &envelope.body),
            by,
            says,
            text: text.to_owned(),
        })
    }

    pub(crate) fn id(&self) -> RecordId {
        self.id
    }

    /// Who says it.
    pub(crate) fn by(&self) -> EndpointId {
        self.by
    }

    pub(crate) fn says(&self) -> &Statement {
        &self.says
    }

    /// Whether this agent says it, or it is about it.
    pub(super) fn speaks_of(&self, id: EndpointId) -> bool {
        let about = match &self.says {
            Statement::Vouch { member, .. } | Statement::Revoke { member, .. } => Some(*member),
            _ => None,
        };
        self.by == id || about == Some(id)
    }

    /// The record as it travels.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.by, self.says)
    }
}

impl RecordId {
    fn of(by: &EndpointId, body: &str) -> Self {
        let hash = digest(&SHA256, &signed_bytes(by, body));
        Self(hash.as_ref().try_into().unwrap_or([0; 32]))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns how the record is named where many are listed: 64 bits tell the records of one mesh apart.
    pub(crate) fn short(&self) -> String {
        to_hex(self.0.get(..8).unwrap_or_default())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl MeshId {
    /// The id before which all others go.
    pub(crate) const LAST: Self = Self([0xff; 16]);
}

impl From<[u8; 16]> for MeshId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for MeshId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hex(&text)
            .map(Self)
            .ok_or("the id of a mesh has 32 hexadecimal digits")
    }
}

impl From<MeshId> for String {
    fn from(id: MeshId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MeshId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

fn signed_bytes(by: &EndpointId, body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [DOMAIN, by.as_bytes(), body.as_bytes()] {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

mod endpoint {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::trust::EndpointId;

    pub(super) fn serialize<S: Serializer>(
        id: &EndpointId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<EndpointId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::keys;

    fn record() -> Record {
        let member = keys(2).id();
        Record::sign(&keys(1), Statement::Revoke { member, at: 5 }).expect("signed")
    }

    #[test]
    fn a_record_is_read_as_it_was_signed() {
        let read = Record::parse(record().text()).expect("a record");
        assert_eq!(read, record());
        assert_eq!(read.by(), keys(1).id());
        assert!(read.text().len() < limits::RECORD_BYTES / 2);
    }

    #[test]
    fn a_record_that_was_changed_or_cut_is_refused() {
        let text = record().text().to_owned();
        for (from, to) in [
            (keys(2).id().to_string(), keys(3).id().to_string()),
            (keys(1).id().to_string(), keys(3).id().to_string()),
            ("\\\"at\\\":5".to_owned(), "\\\"at\\\":6".to_owned()),
        ] {
            assert!(text.contains(&from));
            assert_eq!(
                Record::parse(&text.replace(&from, &to)),
                Err(RecordError::Signature)
            );
        }
        for cut in 0..text.len() {
            assert!(Record::parse(&text[..cut]).is_err());
        }
        assert_eq!(
            Record::parse(&" ".repeat(limits::RECORD_BYTES + 1)),
            Err(RecordError::Long(limits::RECORD_BYTES + 1))
        );
    }

    #[test]
    fn what_a_later_version_says_is_kept() {
        let body = r#"{"kind":"moved","to":7}"#;
        assert_eq!(
            serde_json::from_str::<Statement>(body).expect("read"),
            Statement::Unknown
        );
    }
}
