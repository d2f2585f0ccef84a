//! Forum posts: threads of them, whose lines on the timeline carry the thread's present title.

use rusqlite::{OptionalExtension, params};

use super::words::Words;
use super::{Crosslinker, link_page_parents};
use crate::artifact::ForumPost;
use crate::db::{Result, Rid, Transaction, schema};
use crate::name::HashName;

impl Crosslinker {
    pub(super) fn link_forum(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        post: &ForumPost<'_>,
    ) -> Result<()> {
        let parents: Vec<HashName> = post.parent.into_iter().collect();
        link_page_parents(self, tx, rid, &parents, post.date)?;
        tx.execute_batch(schema::FORUM)?;
        let root = match &post.thread_root {
            Some(root) => self.row(tx, root)?,
            None => rid,
        };
        let previous = self.optional_row(tx, post.parent.as_ref())?;
        let replied_to = self.optional_row(tx, post.in_reply_to.as_ref())?;
        let time = post.date.to_julian();
        tx.execute(
            "REPLACE INTO forumpost(fpid, froot, fprev, firt, fmtime) VALUES(?1, ?2, ?3, ?4, ?5)",
            params![rid, root, previous, replied_to, time],
        )?;
        let title = match (&post.title, replied_to) {
            (_, Some(_)) => title_of(tx, root)?,
            (own, None) => match later_version(tx, root, rid, time)? {
                Some(later) => title_of(tx, later)?,
                None => own
                    .as_ref()
                    .map(|title| title.as_bytes().to_vec())
                    .filter(|title| !title.is_empty())
                    .unwrap_or_else(|| b"(Deleted)".to_vec()),
            },
        };
        let act: &[u8] = match (replied_to, previous) {
            (None, Some(_)) => b"Edit",
            (None, None) => b"Post",
            (Some(_), _) if post.text.as_bytes().is_empty() => b"Delete reply",
            (Some(_), Some(_)) => b"Edit reply",
            (Some(_), None) => b"Reply",
        };
        tx.execute(
            "REPLACE INTO event(type, mtime, objid, user, comment) VALUES('f', ?1, ?2, ?3, ?4)",
            params![
                time,
                rid,
                Words(post.user.as_bytes()),
                Words(&[act, b": ", &title].concat())
            ],
        )?;
        if replied_to.is_none() {
            retitle_thread(tx, root, &title)?;
        }
        Ok(())
    }

    fn optional_row(
        &mut self,
        tx: &mut Transaction<'_>,
        name: Option<&HashName>,
    ) -> Result<Option<Rid>> {
        match name {
            Some(name) => Ok(Some(self.row(tx, name)?).filter(|rid| rid.get() != 0)),
            None => Ok(None),
        }
    }
}

/// Returns the title in the line of a post.
fn title_of(tx: &Transaction<'_>, post: Rid) -> Result<Vec<u8>> {
    let title = tx
        .conn()
        .prepare_cached(
            "SELECT CAST(substr(comment, instr(comment, ':')+2) AS BLOB) FROM event WHERE objid=?1",
        )?
        .query_row([post], |row| row.get(0))
        .optional()?;
    Ok(title.unwrap_or_else(|| b"<i>Unknown</i>".to_vec()))
}

/// Returns the last version of a thread's first post, if that is later than the version `rid`.
fn later_version(tx: &Transaction<'_>, root: Rid, rid: Rid, time: f64) -> Result<Option<Rid>> {
    Ok(tx
        .conn()
        .prepare_cached(
            "SELECT fpid FROM forumpost
              WHERE froot=?1 AND firt IS NULL AND fpid<>?2 AND fmtime>?3
              ORDER BY fmtime DESC LIMIT 1",
        )?
        .query_row(params![root, rid, time], |row| row.get(0))
        .optional()?)
}

/// Gives all posts of a thread the same title.
fn retitle_thread(tx: &mut Transaction<'_>, root: Rid, title: &[u8]) -> Result<()> {
    tx.execute(
        "UPDATE event SET comment=substr(comment, 1, instr(comment, ':')) || ?1
          WHERE objid IN (SELECT fpid FROM forumpost WHERE froot=?2)",
        params![Words(&[b" ", title].concat()), root],
    )?;
    Ok(())
}
