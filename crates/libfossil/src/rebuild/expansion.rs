//! Expanding the contents of one tree of deltas, each after the one that it is a delta of.

use std::collections::VecDeque;

use bytes::Bytes;

use super::plan::Step;
use super::stream::{Expanded, Load};
use crate::blob::{codec, delta};
use crate::db::{Error, Result, Rid};
use crate::limits::MAX_CONTENT_BYTES;
use crate::name::HashName;

/// The contents of a tree that later ones are deltas on.
#[derive(Default)]
pub(super) struct Expansion {
    sources: Vec<Source>,
    /// The sources that are at hand, oldest first.
    order: VecDeque<usize>,
    held_bytes: usize,
}

/// A content, with how many deltas on it are still to come.
struct Source {
    rid: Rid,
    uses: usize,
    text: Text,
}

enum Text {
    AtHand(Bytes),
    /// It was given up to make room, or is needed no more.
    Gone,
    /// It cannot be had.
    Damaged,
}

impl Expansion {
    /// Expands the next content of the tree. `again` expands one by itself that was given up.
    pub(super) fn expand(
        &mut self,
        load: Load,
        again: impl FnOnce(Rid) -> Result<Bytes>,
    ) -> Expanded {
        let Load {
            step, name, packed, ..
        } = load;
        let text = match (name, step.source) {
            (None, _) => Err(Error::BadName(step.rid)),
            (Some(_), None) => unpack(step.rid, &packed),
            (Some(name), Some(source)) => self
                .source(source, name, again)
                .and_then(|source| apply(step.rid, &source, &packed)),
        };
        self.keep(step, &text);
        Expanded {
            rid: step.rid,
            name,
            text,
        }
    }

    /// Returns the source of a delta, which is the content of `name`.
    fn source(
        &mut self,
        index: usize,
        name: HashName,
        again: impl FnOnce(Rid) -> Result<Bytes>,
    ) -> Result<Bytes> {
        let source = self.sources.get_mut(index);
        let source = source.ok_or(Error::Missing { name })?;
        source.uses = source.uses.saturating_sub(1);
        match &source.text {
            Text::Damaged => Err(Error::Missing { name }),
            Text::Gone => again(source.rid),
            Text::AtHand(text) => {
                let text = text.clone();
                if source.uses == 0 {
                    source.text = Text::Gone;
                    self.held_bytes = self.held_bytes.saturating_sub(text.len());
                }
                Ok(text)
            }
        }
    }

    fn keep(&mut self, step: Step, text: &Result<Bytes>) {
        let text = match text {
            Err(_) => Text::Damaged,
            Ok(_) if step.uses == 0 => Text::Gone,
            Ok(text) => {
                self.held_bytes = self.held_bytes.saturating_add(text.len());
                self.order.push_back(self.sources.len());
                Text::AtHand(text.clone())
            }
        };
        self.sources.push(Source {
            rid: step.rid,
            uses: step.uses,
            text,
        });
    }

    /// Gives up the oldest sources until the others come to `bytes` at most. The newest stays, which the next content is most often a
    /// delta of.
    pub(super) fn give_up_over(&mut self, bytes: usize) {
        while self.held_bytes > bytes && self.order.len() > 1 {
            let oldest = self.order.pop_front();
            let Some(source) = oldest.and_then(|index| self.sources.get_mut(index)) else {
                continue;
            };
            if let Text::AtHand(text) = &source.text {
                self.held_bytes = self.held_bytes.saturating_sub(text.len());
                source.text = Text::Gone;
            }
        }
    }
}

fn unpack(rid: Rid, packed: &[u8]) -> Result<Bytes> {
    let text = codec::unpack(packed, MAX_CONTENT_BYTES);
    text.map(Bytes::from)
        .map_err(|source| Error::Codec { rid, source })
}

fn apply(rid: Rid, source: &[u8], packed: &[u8]) -> Result<Bytes> {
    let change = unpack(rid, packed)?;
    let text = delta::apply(source, &change, MAX_CONTENT_BYTES);
    text.map(Bytes::from)
        .map_err(|source| Error::Delta { rid, source })
}
