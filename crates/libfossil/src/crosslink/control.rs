//! Control artifacts: tags put on other artifacts, and the line on the timeline that tells of them.

use std::fmt::Write;

use rusqlite::params;

use super::Crosslinker;
use super::words::{Words, html};
use crate::artifact::{Control, Tag, TagKind};
use crate::db::{Result, Rid, Transaction};
use crate::text::Text;

impl Crosslinker {
    pub(super) fn link_control(
        &mut self,
        tx: &mut Transaction<'_>,
        rid: Rid,
        control: &Control<'_>,
    ) -> Result<()> {
        for tag in &control.tags {
            if let Some(target) = &tag.target {
                let target = self.row(tx, target)?;
                self.insert_tag(tx, rid, target, tag, control.date)?;
            }
        }
        let comment = self.describe(tx, control)?;
        tx.execute(
            "REPLACE INTO event(type, mtime, objid, user, comment) VALUES('g', ?1, ?2, ?3, ?4)",
            params![
                control.date.to_julian(),
                rid,
                Words(control.user.as_bytes()),
                comment
            ],
        )?;
        Ok(())
    }

    fn describe(&mut self, tx: &Transaction<'_>, control: &Control<'_>) -> Result<String> {
        let digits = self.digits(tx)?;
        let mut tags: Vec<&Tag<'_>> = control.tags.iter().collect();
        tags.sort_by_key(|tag| (tag.target, tag.kind.prefix(), tag.name.as_bytes().to_vec()));
        let mut comment = String::new();
        let mut edited = None;
        let mut moves_branch = false;
        for tag in tags {
            let Some(target) = &tag.target else { continue };
            if edited != Some(target) {
                edited = Some(target);
                moves_branch = false;
                let _ = write!(comment, " Edit {}:", digits.link_to(target));
            }
            if tag.kind == TagKind::Propagate && tag.name.as_bytes() == b"branch" {
                moves_branch = true;
                let branch = value_of(tag);
                let _ = write!(
                    comment,
                    " Move to branch [/timeline?r={branch}&nd&dp={}&unhide | {branch}].",
                    digits.target(target.as_str())
                );
            } else {
                comment.push_str(&sentence(tag, moves_branch));
            }
        }
        let comment = comment.strip_prefix(' ').unwrap_or(&comment);
        Ok(comment.to_owned())
    }
}

fn value_of(tag: &Tag<'_>) -> String {
    html(tag.value.as_ref().map(Text::as_bytes).unwrap_or_default())
}

/// Returns what one tag does, with a space in front; nothing for names that go with a branch.
fn sentence(tag: &Tag<'_>, moves_branch: bool) -> String {
    let value = value_of(tag);
    let name = tag.name.as_bytes();
    let whole = match (tag.kind, name) {
        (TagKind::Propagate, b"bgcolor") => {
            format!(" Change branch background color to \"{value}\".")
        }
        (TagKind::Once, b"bgcolor") => format!(" Change background color to \"{value}\"."),
        (TagKind::Once, b"comment") => " Edit check-in comment.".to_owned(),
        (TagKind::Once, b"user") => format!(" Change user to \"{value}\"."),
        (TagKind::Once, b"date") => format!(" Timestamp {value}."),
        _ => String::new(),
    };
    if !whole.is_empty() {
        return whole;
    }
    let symbol = name.strip_prefix(b"sym-").map(html);
    let start = match (tag.kind, name, symbol) {
        (TagKind::Cancel | TagKind::Propagate, _, Some(_)) if moves_branch => return whole,
        (TagKind::Cancel, b"bgcolor", _) => " Cancel background color".to_owned(),
        (TagKind::Cancel, _, Some(symbol)) => format!(" Cancel tag \"{symbol}\""),
        (TagKind::Propagate, _, Some(symbol)) => format!(" Add propagating tag \"{symbol}\""),
        (TagKind::Once, _, Some(symbol)) => format!(" Add tag \"{symbol}\""),
        (TagKind::Once, b"closed", _) => " Mark \"Closed\"".to_owned(),
        (TagKind::Cancel, b"closed", _) => " Remove the \"Closed\" mark".to_owned(),
        _ => return property_sentence(tag, &value),
    };
    if value.is_empty() {
        format!("{start}.")
    } else {
        format!("{start} with note \"{value}\".")
    }
}

fn property_sentence(tag: &Tag<'_>, value: &str) -> String {
    let name = html(tag.name.as_bytes());
    let verb = match tag.kind {
        TagKind::Cancel => "Cancel",
        TagKind::Once => "Add",
        TagKind::Propagate => "Add propagating",
    };
    if value.is_empty() {
        format!(" {verb} \"{name}\".")
    } else {
        format!(" {verb} \"{name}\" with value \"{value}\".")
    }
}
