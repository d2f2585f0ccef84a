//! Tags and properties: where they are set, and how far they reach.
//!
//! The newest entry for a tag on an artifact counts. A propagating one reaches all descendants by first parents until one
//! has an entry of its own; a cancelling one takes back what had reached further.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::Crosslinker;
use super::words::Words;
use crate::artifact::{Tag, TagKind};
use crate::db::schema::FixedTag;
use crate::db::{Result, Rid, Transaction};
use crate::text::Text;
use crate::time::Timestamp;

/// What is passed on to descendants.
struct Reach {
    tag: i64,
    /// The artifact that the tag was set on; `None` takes the tag back.
    origin: Option<Rid>,
    value: Value,
    mtime: f64,
}

impl Crosslinker {
    /// Sets a plain tag on the very artifact that brings it.
    pub(super) fn tag_self(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        name: &[u8],
        value: Option<String>,
        date: Timestamp,
    ) -> Result<()> {
        let tag = Tag {
            kind: TagKind::Once,
            name: Text::new(name),
            target: None,
            value: value.map(|value| Text::new(value.into_bytes())),
        };
        self.insert_tag(tx, rid, rid, &tag, date)
    }

    /// Sets or cancels a tag on `target`, as the artifact `source` of `date` says.
    pub(super) fn insert_tag(
        &mut self,
        tx: &mut Transaction<'_>,
        source: Rid,
        target: Rid,
        tag: &Tag<'_>,
        date: Timestamp,
    ) -> Result<()> {
        if target.get() == 0 {
            return Ok(());
        }
        let id = tag_number(tx, tag.name.as_bytes())?;
        let mtime = date.to_julian();
        let outdated = tx
            .conn()
            .prepare_cached("SELECT 1 FROM tagxref WHERE tagid=?1 AND rid=?2 AND mtime>=?3")?
            .exists(params![id, target, mtime])?;
        if outdated {
            return Ok(());
        }
        let value = tag.value.as_ref().map(Text::as_bytes);
        tx.execute(
            "REPLACE INTO tagxref(tagid, tagtype, srcid, origid, value, mtime, rid)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?4)",
            params![
                id,
                tag.kind.to_column(),
                source,
                target,
                value.map(Words),
                mtime
            ],
        )?;
        let value = value.filter(|_| tag.kind != TagKind::Cancel);
        self.apply_property(tx, id, target, value)?;
        if id == FixedTag::Parent.id() && tag.kind == TagKind::Once {
            self.reparent(tx, target, value.unwrap_or_default())?;
        }
        let reach = Reach {
            tag: id,
            origin: (tag.kind == TagKind::Propagate).then_some(target),
            value: value.map_or(Value::Null, text_value),
            mtime,
        };
        self.propagate(tx, target, &reach)
    }

    /// Does what some tags mean beyond being there.
    fn apply_property(
        &mut self,
        tx: &mut Transaction<'_>,
        tag: i64,
        rid: Rid,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let sql = match FixedTag::from_id(tag) {
            Some(FixedTag::Bgcolor) => "UPDATE event SET bgcolor=?2 WHERE objid=?1",
            Some(FixedTag::Comment) => "UPDATE event SET ecomment=?2 WHERE objid=?1",
            Some(FixedTag::User) => "UPDATE event SET euser=?2 WHERE objid=?1",
            Some(FixedTag::Date) => {
                "UPDATE event SET mtime=julianday(?2), omtime=coalesce(omtime, mtime) WHERE objid=?1"
            }
            Some(FixedTag::Private) => return tx.make_private(rid),
            Some(FixedTag::Branch) => return self.doubt_leaf(tx, rid),
            _ => return Ok(()),
        };
        tx.execute(sql, params![rid, value.map(Words)])?;
        Ok(())
    }

    /// Passes all tags of an artifact on to its descendants.
    pub(super) fn propagate_all(&mut self, tx: &mut Transaction<'_>, rid: Rid) -> Result<()> {
        let tags: Vec<Reach> = {
            let mut query = tx.conn().prepare_cached(
                "SELECT tagid, tagtype, mtime, value, origid FROM tagxref WHERE rid=?1",
            )?;
            let rows = query.query_map([rid], |row| {
                let propagates = row.get::<_, i64>(1)? == TagKind::Propagate.to_column();
                Ok(Reach {
                    tag: row.get(0)?,
                    origin: if propagates { row.get(4)? } else { None },
                    value: row.get(3)?,
                    mtime: row.get(2)?,
                })
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for tag in tags {
            self.propagate(tx, rid, &tag)?;
        }
        Ok(())
    }

    fn propagate(&mut self, tx: &mut Transaction<'_>, from: Rid, reach: &Reach) -> Result<()> {
        let mut reached = vec![from];
        while let Some(rid) = reached.pop() {
            for child in children_to_reach(tx, rid, reach)? {
                match reach.origin {
                    Some(origin) => tx.execute(
                        "REPLACE INTO tagxref(tagid, tagtype, srcid, origid, value, mtime, rid)
                         VALUES(?1, 2, 0, ?2, ?3, ?4, ?5)",
                        params![reach.tag, origin, reach.value, reach.mtime, child],
                    )?,
                    None => tx.execute(
                        "DELETE FROM tagxref WHERE tagid=?1 AND rid=?2",
                        params![reach.tag, child],
                    )?,
                };
                match FixedTag::from_id(reach.tag) {
                    Some(FixedTag::Bgcolor) => {
                        let colour = reach.origin.map_or(&Value::Null, |_| &reach.value);
                        tx.execute(
                            "UPDATE event SET bgcolor=?1 WHERE objid=?2",
                            params![colour, child],
                        )?;
                    }
                    Some(FixedTag::Branch) => self.doubt_leaf(tx, child)?,
                    _ => {}
                }
                reached.push(child);
            }
        }
        Ok(())
    }
}

/// Returns the children by first parent where a tag has not been yet. One that has an entry of its own, or a newer one
/// from elsewhere, stops it.
fn children_to_reach(tx: &Transaction<'_>, rid: Rid, reach: &Reach) -> Result<Vec<Rid>> {
    let mut query = tx.conn().prepare_cached(
        "SELECT cid FROM plink LEFT JOIN tagxref ON tagxref.rid=cid AND tagxref.tagid=?1
          WHERE pid=?2 AND isprim AND coalesce(srcid=0 AND tagxref.mtime<?3, ?4)",
    )?;
    let rows = query.query_map(
        params![reach.tag, rid, reach.mtime, reach.origin.is_some()],
        |row| row.get(0),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Returns the number of a tag, giving it one if it is new.
pub(super) fn tag_number(tx: &mut Transaction<'_>, name: &[u8]) -> Result<i64> {
    let held = tx
        .conn()
        .prepare_cached("SELECT tagid FROM tag WHERE tagname=?1")?
        .query_row([Words(name)], |row| row.get(0))
        .optional()?;
    if let Some(number) = held {
        return Ok(number);
    }
    tx.execute("INSERT INTO tag(tagname) VALUES(?1)", [Words(name)])?;
    Ok(tx.last_insert_rowid())
}

fn text_value(bytes: &[u8]) -> Value {
    Value::Text(String::from_utf8_lossy(bytes).into_owned())
}
