//! Adding artifacts in the packed form that they have in another repository, as a clone gets them.
//!
//! Nothing is looked into: the [rebuild](crate::rebuild) that ends the clone hashes and cross-links everything, corrects the lengths,
//! and lists what is not in a cluster. Until then the repository is of no other use.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, params};

use super::large::placeholder;
use super::store::check_size;
use super::{Error, Result, Rid, Stored, Transaction, Visibility};
use crate::blob::codec;
use crate::hash_policy::HashPolicy;
use crate::name::HashName;

/// An artifact as it comes.
#[derive(Debug)]
pub(crate) struct PackedContent<'a> {
    pub(crate) name: &'a HashName,
    /// The artifact that the packed form is a delta on; none if it is the full text.
    pub(crate) source: Option<&'a HashName>,
    /// Length of the full text, by what the sender says.
    pub(crate) size: usize,
    pub(crate) packed: &'a [u8],
    pub(crate) visibility: Visibility,
}

/// Takes packed contents in, many in one transaction.
#[derive(Debug)]
pub(crate) struct Intake {
    policy: HashPolicy,
    is_any_shunned: bool,
    /// The rows of what was taken in.
    rows: HashMap<HashName, Rid>,
}

impl Intake {
    /// Returns one for the present transaction, in which nothing else may come to be shunned meanwhile.
    pub(crate) fn new(tx: &Transaction<'_>) -> Result<Self> {
        Ok(Self {
            policy: tx.hash_policy()?,
            is_any_shunned: tx.conn().prepare_cached("SELECT 1 FROM shun")?.exists([])?,
            rows: HashMap::new(),
        })
    }

    /// Stores one content. Its source may be known by name only.
    ///
    /// # Errors
    /// [`Error::Shunned`] for either name, [`Error::DeltaLoop`], [`Error::TooLarge`], [`Error::Codec`] when it is too short for any
    /// packed form.
    pub(crate) fn store(
        &mut self,
        tx: &mut Transaction<'_>,
        content: &PackedContent<'_>,
    ) -> Result<Stored> {
        let name = content.name;
        if !self.policy.welcomes(name) || (self.is_any_shunned && tx.is_shunned(name)?) {
            return Err(Error::Shunned { name: *name });
        }
        let declared = codec::declared_size(content.packed);
        let declared = declared.map_err(|source| Error::Codec {
            rid: Rid::new(0),
            source,
        })?;
        let size = match content.source {
            Some(_) => content.size,
            None => declared,
        };
        check_size(size)?;
        let source = match content.source {
            Some(source) => Some(self.source_row(tx, source, content.visibility)?),
            None => None,
        };
        let held: Option<(Rid, i64)> = tx
            .conn()
            .prepare_cached("SELECT rid, size FROM blob WHERE uuid=?1")?
            .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (rid, is_new) = match held {
            Some((rid, 0..)) => (rid, false),
            Some((rid, _)) => {
                if let Some(source) = source {
                    tx.refuse_loop(name, rid, source)?;
                }
                self.fill(tx, rid, size, content)?;
                (rid, true)
            }
            None => (self.insert(tx, size, content)?, true),
        };
        match content.visibility {
            Visibility::Public if held.is_some() => tx.make_public(rid)?,
            Visibility::Private if is_new => tx.make_private(rid)?,
            _ => {}
        }
        if let Some(source) = source.filter(|_| is_new) {
            tx.execute(
                "REPLACE INTO delta(rid, srcid) VALUES(?1, ?2)",
                params![rid, source],
            )?;
        }
        self.rows.insert(*name, rid);
        let name = *name;
        Ok(Stored { rid, name, is_new })
    }

    /// Gives content to a row that had only a name.
    fn fill(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        size: usize,
        content: &PackedContent<'_>,
    ) -> Result<()> {
        self.adapt_policy(tx, content.name)?;
        let rcvid = tx.rcvid()?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        tx.execute(
            "UPDATE blob SET rcvid=?1, size=?2, content=?3 WHERE rid=?4",
            params![rcvid, size, placeholder(content.packed), rid],
        )?;
        tx.fill_content(rid, content.packed)?;
        tx.execute("DELETE FROM phantom WHERE rid=?1", [rid])?;
        Ok(())
    }

    fn insert(
        &mut self,
        tx: &mut Transaction<'_>,
        size: usize,
        content: &PackedContent<'_>,
    ) -> Result<Rid> {
        self.adapt_policy(tx, content.name)?;
        let rcvid = tx.rcvid()?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        tx.execute(
            "INSERT INTO blob(rcvid, size, uuid, content) VALUES(?1, ?2, ?3, ?4)",
            params![
                rcvid,
                size,
                content.name.as_str(),
                placeholder(content.packed)
            ],
        )?;
        let rid = Rid::new(tx.last_insert_rowid());
        tx.fill_content(rid, content.packed)?;
        Ok(rid)
    }

    fn adapt_policy(&mut self, tx: &mut Transaction<'_>, name: &HashName) -> Result<()> {
        let after = self.policy.after_storing(name);
        if after != self.policy {
            tx.set_config("hash-policy", &after.to_config().to_string())?;
            self.policy = after;
        }
        Ok(())
    }

    fn source_row(
        &self,
        tx: &mut Transaction<'_>,
        source: &HashName,
        visibility: Visibility,
    ) -> Result<Rid> {
        match self.rows.get(source) {
            Some(rid) => Ok(*rid),
            None => tx.source_row(source, visibility),
        }
    }
}

/// Returns the positions of `contents`, each after that of its source if that is among them. So most rows are written once, instead
/// of first with a name only.
pub(crate) fn sources_first(contents: &[PackedContent<'_>]) -> Vec<usize> {
    let named = contents.iter().enumerate();
    let positions: HashMap<&HashName, usize> = named
        .map(|(position, content)| (content.name, position))
        .collect();
    let mut order = Vec::with_capacity(contents.len());
    let mut seen = HashSet::with_capacity(contents.len());
    let mut chain = Vec::new();
    for position in 0..contents.len() {
        let mut next = Some(position);
        while let Some(position) = next.filter(|position| seen.insert(*position)) {
            chain.push(position);
            let source = contents.get(position).and_then(|content| content.source);
            next = source.and_then(|source| positions.get(source).copied());
        }
        order.extend(chain.drain(..).rev());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_first_and_rings_end() {
        let names: Vec<HashName> = (0_u8..6).map(|n| HashName::sha1_of(&[n])).collect();
        // 0 is a delta on 2, that one on 4; 1 and 5 are deltas on each other; 3 is one on something else.
        let sources = [Some(2), Some(5), Some(4), None, None, Some(1)];
        let elsewhere = HashName::sha1_of(b"elsewhere");
        let contents: Vec<_> = names
            .iter()
            .zip(sources)
            .enumerate()
            .map(|(position, (name, source))| PackedContent {
                name,
                source: match position {
                    3 => Some(&elsewhere),
                    _ => source.map(|source: usize| &names[source]),
                },
                size: 0,
                packed: &[],
                visibility: Visibility::Public,
            })
            .collect();
        assert_eq!(sources_first(&contents), [4, 2, 0, 5, 1, 3]);
    }
}
