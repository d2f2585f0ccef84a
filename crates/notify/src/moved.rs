//! Where messages go on when two meshes have met. Each mesh has one repository of messages; of two meshes that become one, the repository of the
//! mesh with the lower id is kept, and the other's gets a record that says so, signed by a member. Every member that finds the record goes on in
//! the repository that it names. What was said stays: a repository moves by taking the other's project code, with all that it holds.

use std::fmt;
use std::str::FromStr;

use libfossil::name::ProjectCode;
use libfossil::time::Timestamp;
use serde_json::{Map, Value};

use crate::json::{self, Layout};
use crate::keyring::{Author, Distrust, Keyring};
use crate::message::{self, SIG};
use crate::sign::{Context, Signature, Signer};

/// Longest record, in bytes; real ones have about 900.
const MAX_BYTES: usize = 4096;

/// The only form there is.
const VERSION: u64 = 1;

/// What the member `kind` says.
const KIND: &str = "moved";

/// Digits of a mesh's id: from 128 bits to 256.
const MESH_DIGITS: std::ops::RangeInclusive<usize> = 32..=64;

/// The id of a mesh: hexadecimal digits in lower case. Meshes are ordered by them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeshId(Box<str>);

/// A mesh, as far as its messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Its id.
    pub id: MeshId,
    /// The project code of its repository of messages.
    pub project: ProjectCode,
}

/// The record: the messages of one mesh go on in the repository of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    from: Mesh,
    to: Mesh,
    by: String,
    timestamp: Timestamp,
    signature: Signature,
    members: Map<String, Value>,
}

/// Not a record, or not one that may be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MovedError {
    /// No id of a mesh.
    #[error("the id of a mesh is 32 to 64 hexadecimal digits in lower case")]
    MeshId,
    /// No record.
    #[error("this is no record of a move: {0}")]
    Malformed(&'static str),
    /// The rule says otherwise.
    #[error("of two meshes the one with the lower id keeps its repository of messages")]
    Upward,
}

impl FromStr for MeshId {
    type Err = MovedError;

    fn from_str(text: &str) -> Result<Self, MovedError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if MESH_DIGITS.contains(&text.len()) && text.bytes().all(digit) {
            Ok(Self(text.into()))
        } else {
            Err(MovedError::MeshId)
        }
    }
}

impl fmt::Display for MeshId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mesh {
    /// Whether the messages of this mesh go on in the other's repository when the two become one.
    #[must_use]
    pub fn gives_way_to(&self, other: &Self) -> bool {
        self.project != other.project && other.id < self.id
    }
}

impl Moved {
    /// Returns the record that `from` gives way to `to`, signed by the member `by`.
    ///
    /// # Errors
    /// [`MovedError::Upward`] when it is the other way round.
    pub fn signed(
        from: &Mesh,
        to: &Mesh,
        by: &str,
        timestamp: Timestamp,
        signer: &Signer,
    ) -> Result<Self, MovedError> {
        if !from.gives_way_to(to) {
            return Err(MovedError::Upward);
        }
        let mut members = Map::new();
        for (name, value) in [
            ("kind", KIND.to_owned()),
            ("from_mesh", from.id.to_string()),
            ("from_project", from.project.to_string()),
            ("to_mesh", to.id.to_string()),
            ("to_project", to.project.to_string()),
            ("by", by.to_owned()),
        ] {
            members.insert(name.to_owned(), value.into());
        }
        members.insert("v".to_owned(), VERSION.into());
        members.insert("at_ms".to_owned(), timestamp.unix_millis().into());
        let text = json::write(&members, Layout::Compact, None);
        let signature = signer.sign(Context::Moved, &text);
        members.insert(SIG.to_owned(), message::signature_member(&signature));
        Self::of(members)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`MovedError`].
    pub fn read(json: &[u8]) -> Result<Self, MovedError> {
        if json.len() > MAX_BYTES {
            return Err(MovedError::Malformed("it is too long"));
        }
        let members = serde_json::from_slice(json);
        Self::of(members.map_err(|_| MovedError::Malformed("it is no JSON object"))?)
    }

    fn of(members: Map<String, Value>) -> Result<Self, MovedError> {
        json::check(&members).map_err(|_| MovedError::Malformed("a value"))?;
        let text = |name: &'static str| {
            let text = members.get(name).and_then(Value::as_str);
            text.ok_or(MovedError::Malformed(name))
        };
        if members.get("v").and_then(Value::as_u64) != Some(VERSION) || text("kind")? != KIND {
            return Err(MovedError::Malformed("its version or kind"));
        }
        let mesh = |id: &'static str, project: &'static str| {
            let code = ProjectCode::parse(text(project)?.as_bytes());
            Ok(Mesh {
                id: text(id)?.parse()?,
                project: code.map_err(|_| MovedError::Malformed(project))?,
            })
        };
        let (from, to) = (
            mesh("from_mesh", "from_project")?,
            mesh("to_mesh", "to_project")?,
        );
        if !from.gives_way_to(&to) {
            return Err(MovedError::Upward);
        }
        let at = members.get("at_ms").and_then(Value::as_i64);
        let signature = message::signature_of(&members).ok().flatten();
        Ok(Self {
            from,
            to,
            by: text("by")?.to_owned(),
            timestamp: Timestamp::from_unix_millis(at.ok_or(MovedError::Malformed("at_ms"))?),
            signature: signature.ok_or(MovedError::Malformed(SIG))?,
            members,
        })
    }

    /// Returns the form that the repository holds.
    #[must_use]
    pub fn to_file(&self) -> String {
        json::write(&self.members, Layout::Indented, None)
    }

    /// Returns where the messages were.
    #[must_use]
    pub fn from(&self) -> &Mesh {
        &self.from
    }

    /// Returns where they go on.
    #[must_use]
    pub fn to(&self) -> &Mesh {
        &self.to
    }

    /// Returns who said so: its endpoint id.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Returns when, by its clock. Nothing is decided by it.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns the signature, which nobody has checked yet.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks that a member signed the record who may write here.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn check(&self, keyring: &Keyring) -> Result<(), Distrust> {
        let text = json::write(&self.members, Layout::Compact, Some(SIG));
        if !self.signature.is_over(Context::Moved, &text) {
            return Err(Distrust::BadSignature);
        }
        keyring.member(Author::Key(self.signature.key), &self.by)
    }
}

/// Returns the record that a repository with this project code has to follow, if any: of those that members signed the one that leads to
/// the lowest mesh, so that all members come to the same place in whatever order they hear of the records.
#[must_use]
pub fn to_follow<'a>(
    records: impl IntoIterator<Item = &'a Moved>,
    project: &ProjectCode,
    keyring: &Keyring,
) -> Option<&'a Moved> {
    records
        .into_iter()
        .filter(|moved| moved.from.project == *project && moved.check(keyring).is_ok())
        .min_by(|one, other| one.to.id.cmp(&other.to.id))
}
