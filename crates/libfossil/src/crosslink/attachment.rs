//! Files attached to wiki pages, tickets and technotes.

use rusqlite::params;

use super::Crosslinker;
use super::words::{Digits, Words, html};
use crate::artifact::Attachment;
use crate::db::{Result, Rid, Transaction};
use crate::name::HashName;
use crate::text::Text;

/// What a file is attached to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Wiki,
    Ticket,
    Technote,
}

impl Holder {
    /// Returns the type of the line on the timeline.
    fn event_type(self) -> &'static str {
        match self {
            Self::Wiki => "w",
            Self::Ticket => "t",
            Self::Technote => "e",
        }
    }

    /// Returns the name of the holder with a link to it.
    fn link(self, digits: Digits, target: &str) -> String {
        match self {
            Self::Wiki => format!("wiki page [{}]", html(target.as_bytes())),
            Self::Ticket => format!("ticket {}", digits.link(target)),
            Self::Technote => format!(
                "tech note [/technote/{}|{}]",
                digits.target(target),
                digits.short(target)
            ),
        }
    }
}

impl Crosslinker {
    pub(super) fn link_attachment(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        attachment: &Attachment<'_>,
    ) -> Result<()> {
        let target = attachment.target.to_str_lossy();
        let name = attachment.filename.as_bytes();
        let holder = holder_of(tx, &target)?;
        let comment = attachment.comment.as_ref().map(Text::as_bytes);
        let user = attachment.user.as_ref().map(|user| Words(user.as_bytes()));
        tx.execute(
            "REPLACE INTO attachment(attachid, mtime, src, target, filename, comment, user)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                rid,
                attachment.date.to_julian(),
                attachment.source.as_ref().map(HashName::as_str),
                Words(attachment.target.as_bytes()),
                Words(name),
                Words(comment.unwrap_or_default()),
                user
            ],
        )?;
        tx.execute(
            "UPDATE attachment SET isLatest=(mtime=(SELECT max(mtime) FROM attachment
                WHERE target=?1 AND filename=?2)) WHERE target=?1 AND filename=?2",
            params![Words(attachment.target.as_bytes()), Words(name)],
        )?;
        let digits = self.digits(tx)?;
        let source = attachment.source.as_ref().map(HashName::as_str);
        let text = match (source, holder) {
            // What stock says when the note is already known; it differs from what it says otherwise.
            (None, Holder::Technote) => {
                let name = attachment.filename.to_str_lossy();
                format!(
                    "Delete attachment \"/artifact/{}|{}\" from {}",
                    digits.target(&name),
                    html(name.as_bytes()),
                    holder.link(digits, &target)
                )
            }
            _ => tell(digits, source, name, holder, &target),
        };
        tx.execute(
            "REPLACE INTO event(type, mtime, objid, user, comment) VALUES(?1, ?2, ?3, ?4, ?5)",
            params![
                holder.event_type(),
                attachment.date.to_julian(),
                rid,
                user,
                text
            ],
        )?;
        Ok(())
    }

    /// Corrects the lines of attachments that came before the ticket or technote they belong to, and were taken for
    /// those of a wiki page.
    pub(super) fn retell_attachments(
        &mut self,
        tx: &mut Transaction<'_>,
        target: &str,
    ) -> Result<()> {
        let attached: Vec<(Rid, Option<String>, Vec<u8>)> = {
            let mut query = tx.conn().prepare_cached(
                "SELECT attachid, nullif(src, ''), CAST(filename AS BLOB) FROM attachment
                  WHERE target=?1",
            )?;
            let rows =
                query.query_map([target], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        if attached.is_empty() {
            return Ok(());
        }
        let digits = self.digits(tx)?;
        let holder = holder_of(tx, target)?;
        for (rid, source, name) in attached {
            tx.execute(
                "UPDATE event SET comment=?1, type=?2 WHERE objid=?3",
                params![
                    tell(digits, source.as_deref(), &name, holder, target),
                    holder.event_type(),
                    rid
                ],
            )?;
        }
        Ok(())
    }
}

fn holder_of(tx: &Transaction<'_>, target: &str) -> Result<Holder> {
    if HashName::parse(target.as_bytes()).is_err() {
        return Ok(Holder::Wiki);
    }
    let mut query = tx
        .conn()
        .prepare_cached("SELECT 1 FROM tag WHERE tagname=?1")?;
    if query.exists([format!("tkt-{target}")])? {
        Ok(Holder::Ticket)
    } else if query.exists([format!("event-{target}")])? {
        Ok(Holder::Technote)
    } else {
        Ok(Holder::Wiki)
    }
}

fn tell(digits: Digits, source: Option<&str>, name: &[u8], holder: Holder, target: &str) -> String {
    let name = html(name);
    let holder = holder.link(digits, target);
    match source {
        Some(source) => {
            let source = digits.target(source);
            format!("Add attachment [/artifact/{source}|{name}] to {holder}")
        }
        None => format!("Delete attachment \"{name}\" from {holder}"),
    }
}
