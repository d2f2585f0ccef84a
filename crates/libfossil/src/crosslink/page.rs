//! Wiki pages and technotes: texts that have versions.

use rusqlite::{OptionalExtension, params};

use super::tags::tag_number;
use super::words::Words;
use super::{Crosslinker, link_page_parents};
use crate::artifact::{Technote, Wiki};
use crate::db::schema::FixedTag;
use crate::db::{Result, Rid, Transaction};
use crate::name::HashName;
use crate::text::Text;

impl Crosslinker {
    pub(super) fn link_wiki(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        wiki: &Wiki<'_>,
    ) -> Result<()> {
        link_page_parents(self, tx, rid, &wiki.parents, wiki.date)?;
        let title = wiki.title.as_bytes();
        let length = text_length(&wiki.text);
        let tag = [b"wiki-", title].concat();
        self.tag_self(tx, rid, &tag, Some(length.to_string()), wiki.date)?;
        let prior = self.deltify_prior(tx, rid, wiki.parents.first())?;
        let mark = match (length, prior) {
            (0, _) => b'-',
            (_, None) => b'+',
            (_, Some(_)) => b':',
        };
        tx.execute(
            "REPLACE INTO event(type, mtime, objid, user, comment) VALUES('w', ?1, ?2, ?3, ?4)",
            params![
                wiki.date.to_julian(),
                rid,
                Words(wiki.user.as_bytes()),
                Words(&[&[mark], title].concat())
            ],
        )?;
        Ok(())
    }

    /// Links a version of a technote. Only the last version of each has a line on the timeline.
    pub(super) fn link_technote(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        note: &Technote<'_>,
    ) -> Result<()> {
        for tag in &note.tags {
            self.insert_tag(tx, rid, rid, tag, note.date)?;
        }
        link_page_parents(self, tx, rid, &note.parents, note.date)?;
        let tag = format!("event-{}", note.id).into_bytes();
        let tag_id = tag_number(tx, &tag)?;
        let length = text_length(&note.text).to_string();
        self.tag_self(tx, rid, &tag, Some(length), note.date)?;
        let prior = self.deltify_prior(tx, rid, note.parents.first())?;
        let later: Option<Rid> = tx
            .conn()
            .prepare_cached(
                "SELECT rid FROM tagxref WHERE tagid=?1 AND mtime>=?2 AND rid<>?3
                  ORDER BY mtime LIMIT 1",
            )?
            .query_row(params![tag_id, note.date.to_julian(), rid], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(later) = later {
            if self.deltify {
                tx.deltify(rid, later)?;
            }
        } else {
            if prior.is_some() {
                tx.execute(
                    "DELETE FROM event WHERE type='e' AND tagid=?1
                        AND objid IN (SELECT rid FROM tagxref WHERE tagid=?1)",
                    [tag_id],
                )?;
            }
            tx.execute(
                "REPLACE INTO event(type, mtime, objid, tagid, user, comment, bgcolor)
                 VALUES('e', ?1, ?2, ?3, ?4, ?5,
                   (SELECT value FROM tagxref WHERE tagid=?6 AND rid=?2))",
                params![
                    note.event_date.to_julian(),
                    rid,
                    tag_id,
                    note.user.as_ref().map(|user| Words(user.as_bytes())),
                    note.comment.as_ref().map(|text| Words(text.as_bytes())),
                    FixedTag::Bgcolor.id(),
                ],
            )?;
        }
        self.retell_attachments(tx, note.id.as_str())
    }

    /// Stores the version before as a delta on this one. Returns the row of that version, if there is any.
    fn deltify_prior(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        parent: Option<&HashName>,
    ) -> Result<Option<Rid>> {
        let prior = match parent {
            Some(parent) => tx.rid(parent)?,
            None => None,
        };
        if let Some(prior) = prior
            && self.deltify
        {
            tx.deltify(prior, rid)?;
        }
        Ok(prior)
    }
}

/// Returns the length of a page without white space at its start.
fn text_length(text: &Text<'_>) -> usize {
    text.as_bytes()
        .iter()
        .skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
        .take_while(|&&byte| byte != 0)
        .count()
}
