//! Messages in parts that a bridge holds: replies until their reader has fetched them, requests until all of them is here. Beside them stand the
//! requests that the server still works on.
//!
//! They are in memory, bounded over all callers, and dropped when nobody touches them for a while. A caller reaches his own alone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libfossil::xfer::frame::ContentType;
use tokio_util::task::AbortOnDropHandle;

use crate::envelope::Key;
use crate::limits;

/// A request on its way to the server. It ends early when this is dropped.
pub(crate) type Work = AbortOnDropHandle<Result<(ContentType, Bytes), String>>;

/// What is held of one message.
#[derive(Debug)]
enum Held {
    Work(Work),
    Reply {
        content_type: ContentType,
        body: Bytes,
    },
    /// Parts by where they begin.
    Request {
        total: usize,
        parts: BTreeMap<usize, Bytes>,
    },
}

#[derive(Debug)]
struct Entry {
    held: Held,
    touched: Duration,
}

/// Messages in parts. Times are since the bridge began.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    entries: BTreeMap<(String, Key), Entry>,
}

/// A part of a long message cannot be had or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("the bridge has no room for a message of this length now")]
    Full,
    #[error("a message of {0} bytes is over the limit of the bridge")]
    TooLarge(usize),
    #[error("the bridge no longer holds this message; begin again")]
    Gone,
    #[error("a part does not fit in its message")]
    Misfit,
}

impl Held {
    /// Returns the memory that is set aside for it.
    fn bytes(&self) -> usize {
        match self {
            // What is under way is bounded by what the server is asked at once.
            Self::Work(_) => 0,
            Self::Reply { body, .. } => body.len(),
            Self::Request { total, .. } => *total,
        }
    }
}

impl Shelf {
    /// Keeps what the server still works on.
    ///
    /// # Errors
    /// [`ShelfError::Full`].
    pub(crate) fn keep_work(
        &mut self,
        now: Duration,
        caller: &str,
        key: Key,
        work: Work,
    ) -> Result<(), ShelfError> {
        self.make_room(now, caller, 0)?;
        let entry = Entry {
            held: Held::Work(work),
            touched: now,
        };
        self.entries.insert((caller.to_owned(), key), entry);
        Ok(())
    }

    /// Takes down what the server still works on, if that is what this key names.
    pub(crate) fn take_work(&mut self, caller: &str, key: &Key) -> Option<Work> {
        let place = (caller.to_owned(), key.clone());
        match self.entries.get(&place)?.held {
            Held::Work(_) => {}
            Held::Reply { .. } | Held::Request { .. } => return None,
        }
        match self.entries.remove(&place)?.held {
            Held::Work(work) => Some(work),
            Held::Reply { .. } | Held::Request { .. } => None,
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Keeps a reply until `caller` has fetched it.
    ///
    /// # Errors
    /// [`ShelfError::Full`].
    pub(crate) fn keep_reply(
        &mut self,
        now: Duration,
        caller: &str,
        key: Key,
        (content_type, body): (ContentType, Bytes),
    ) -> Result<(), ShelfError> {
        self.make_room(now, caller, body.len())?;
        let held = Held::Reply { content_type, body };
        let entry = Entry { held, touched: now };
        self.entries.insert((caller.to_owned(), key), entry);
        Ok(())
    }

    /// Returns the part of a reply that begins at `offset`, and how long the reply is. The last part may be asked for again for a while.
    ///
    /// # Errors
    /// [`ShelfError::Gone`] and [`ShelfError::Misfit`].
    pub(crate) fn part(
        &mut self,
        now: Duration,
        caller: &str,
        key: &Key,
        (offset, length): (usize, usize),
    ) -> Result<(ContentType, Bytes, usize), ShelfError> {
        self.sweep(now);
        let entry = self.entries.get_mut(&(caller.to_owned(), key.clone()));
        let entry = entry.ok_or(ShelfError::Gone)?;
        let Held::Reply { content_type, body } = &entry.held else {
            return Err(ShelfError::Gone);
        };
        if offset >= body.len() {
            return Err(ShelfError::Misfit);
        }
        entry.touched = now;
        let end = body.len().min(offset.saturating_add(length));
        Ok((*content_type, body.slice(offset..end), body.len()))
    }

    /// Takes a part of a request. Returns the request when that was the last one.
    ///
    /// # Errors
    /// [`ShelfError`], never [`ShelfError::Gone`].
    pub(crate) fn take_part(
        &mut self,
        now: Duration,
        caller: &str,
        key: &Key,
        (offset, total): (usize, usize),
        part: Bytes,
    ) -> Result<Option<Bytes>, ShelfError> {
        if total > limits::PARTS_BYTES {
            return Err(ShelfError::TooLarge(total));
        }
        let end = offset.checked_add(part.len());
        if part.is_empty() || end.is_none_or(|end| end > total) {
            return Err(ShelfError::Misfit);
        }
        self.sweep(now);
        let place = (caller.to_owned(), key.clone());
        if !self.entries.contains_key(&place) {
            self.make_room(now, caller, total)?;
            let parts = BTreeMap::new();
            let held = Held::Request { total, parts };
            self.entries
                .insert(place.clone(), Entry { held, touched: now });
        }
        let entry = self.entries.get_mut(&place).ok_or(ShelfError::Full)?;
        let Held::Request {
            total: known,
            parts,
        } = &mut entry.held
        else {
            return Err(ShelfError::Misfit);
        };
        if *known != total {
            return Err(ShelfError::Misfit);
        }
        entry.touched = now;
        parts.insert(offset, part);
        // What overlaps is not held twice over.
        if parts.values().map(Bytes::len).sum::<usize>() > total {
            self.entries.remove(&place);
            return Err(ShelfError::Misfit);
        }
        let mut reached = 0;
        for (at, part) in parts.iter() {
            if *at != reached {
                return Ok(None);
            }
            reached += part.len();
        }
        if reached < total {
            return Ok(None);
        }
        let mut whole = BytesMut::with_capacity(total);
        if let Some(Entry {
            held: Held::Request { parts, .. },
            ..
        }) = self.entries.remove(&place)
        {
            parts
                .into_values()
                .for_each(|part| whole.extend_from_slice(&part));
        }
        Ok(Some(whole.freeze()))
    }

    /// Makes sure that there is room for so many more bytes of this caller.
    fn make_room(&mut self, now: Duration, caller: &str, bytes: usize) -> Result<(), ShelfError> {
        self.sweep(now);
        let own = self
            .entries
            .iter()
            .filter(|((owner, _), _)| owner == caller);
        if own.clone().count() >= limits::SHELF_OF_ONE {
            let oldest = own.min_by_key(|(_, entry)| entry.touched);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                self.entries.remove(&oldest);
            }
        }
        let held = self.entries.values().map(|entry| entry.held.bytes());
        if held.sum::<usize>().saturating_add(bytes) > limits::SHELF_BYTES {
            return Err(ShelfError::Full);
        }
        Ok(())
    }

    /// Drops what nobody touched for a while.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.entries
            .retain(|_, entry| now.saturating_sub(entry.touched) < limits::PART_PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn key(byte: u8) -> Key {
        Key::from_random([byte; 16])
    }

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_reply_is_fetched_part_by_part_by_its_caller_alone() {
        let mut shelf = Shelf::default();
        let reply = (ContentType::Plain, text("abcdefgh"));
        shelf.keep_reply(NOW, "a", key(1), reply).expect("kept");
        let part = shelf.part(NOW, "a", &key(1), (3, 3)).expect("a part");
        assert_eq!(part, (ContentType::Plain, text("def"), 8));
        let last = shelf.part(NOW, "a", &key(1), (6, 3)).expect("the last");
        assert_eq!(last.1, text("gh"));
        assert_eq!(
            shelf.part(NOW, "a", &key(1), (8, 3)),
            Err(ShelfError::Misfit)
        );
        assert_eq!(shelf.part(NOW, "b", &key(1), (0, 3)), Err(ShelfError::Gone));
        let late = NOW + limits::PART_PATIENCE;
        assert_eq!(
            shelf.part(late, "a", &key(1), (0, 3)),
            Err(ShelfError::Gone)
        );
    }

    #[test]
    fn a_request_is_whole_when_its_last_part_came_in_any_order() {
        let mut shelf = Shelf::default();
        let mut take = |offset, part| shelf.take_part(NOW, "a", &key(1), (offset, 6), text(part));
        assert_eq!(take(4, "ef"), Ok(None));
        assert_eq!(take(0, "ab"), Ok(None));
        assert_eq!(take(0, "ab"), Ok(None), "doubled");
        assert_eq!(take(2, "cd"), Ok(Some(text("abcdef"))));
        assert!(shelf.entries.is_empty());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let mut shelf = Shelf::default();
        let take = |shelf: &mut Shelf, place, part| shelf.take_part(NOW, "a", &key(1), place, part);
        for (offset, part) in [(5, "ab"), (usize::MAX, "a"), (0, "")] {
            let refused = take(&mut shelf, (offset, 6), text(part));
            assert_eq!(refused, Err(ShelfError::Misfit), "{offset}");
        }
        assert_eq!(take(&mut shelf, (0, 6), text("abcd")), Ok(None));
        let other_total = take(&mut shelf, (4, 7), text("ef"));
        assert_eq!(other_total, Err(ShelfError::Misfit));
        let overlap = take(&mut shelf, (2, 6), text("cdef"));
        assert_eq!(overlap, Err(ShelfError::Misfit));
        assert!(shelf.entries.is_empty(), "nothing of it is kept");
        let total = limits::PARTS_BYTES + 1;
        let refused = take(&mut shelf, (0, total), text("a"));
        assert_eq!(refused, Err(ShelfError::TooLarge(total)));
    }

    #[test]
    fn room_is_bounded_before_anything_comes_and_given_back() {
        let mut shelf = Shelf::default();
        let announce = |shelf: &mut Shelf, now, caller: &str, number| {
            let place = (0, limits::PARTS_BYTES);
            shelf.take_part(now, caller, &key(number), place, text("a"))
        };
        assert_eq!(announce(&mut shelf, NOW, "a", 1), Ok(None));
        assert_eq!(announce(&mut shelf, NOW, "b", 2), Ok(None));
        assert_eq!(announce(&mut shelf, NOW, "c", 3), Err(ShelfError::Full));
        let late = NOW + limits::PART_PATIENCE;
        assert_eq!(announce(&mut shelf, late, "c", 3), Ok(None));
    }

    #[test]
    fn of_one_callers_messages_the_oldest_makes_room() {
        let mut shelf = Shelf::default();
        let number = |number: usize| key(u8::try_from(number).expect("few"));
        for at in 0..=limits::SHELF_OF_ONE {
            let now = NOW + Duration::from_millis(at as u64);
            let reply = (ContentType::Plain, text("abc"));
            shelf.keep_reply(now, "a", number(at), reply).expect("kept");
        }
        let first = shelf.part(NOW, "a", &number(0), (0, 1));
        assert_eq!(first, Err(ShelfError::Gone));
        assert!(shelf.part(NOW, "a", &number(1), (0, 1)).is_ok());
    }
}
