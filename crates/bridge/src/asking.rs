//! One request and its answer as messages that the bus takes: the side of who asks. No I/O; whoever has the bus sends what [`Asking::message`]
//! says until [`Asking::take`] gives the answer.

use bytes::{Bytes, BytesMut};
use libfossil::xfer::frame::ContentType;

use crate::envelope::{Envelope, Key, Note};
use crate::limits::PARTS_BYTES;

/// A request that is under way.
#[derive(Debug)]
pub struct Asking {
    content_type: ContentType,
    request: Bytes,
    part_bytes: usize,
    /// Names the request where it travels in parts.
    key: Key,
    /// Where the part begins that is sent next or was sent last.
    sent: usize,
    /// What of the answer is asked for next, once the request is there.
    fetch: Option<Key>,
    answer: BytesMut,
    /// How long the answer will be.
    total: Option<usize>,
}

/// An answer makes no sense where it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskingError {
    /// A part is not the one that was asked for.
    #[error("a part of the answer does not fit")]
    Misfit,
    /// There would be too much of it.
    #[error("an answer of {0} bytes is over the limit")]
    TooLarge(usize),
}

impl Asking {
    /// Returns a request that is sent in parts of at most `part_bytes`, under a random `key` when it needs several.
    #[must_use]
    pub fn new(content_type: ContentType, request: Bytes, part_bytes: usize, key: Key) -> Self {
        Self {
            content_type,
            request,
            part_bytes: part_bytes.max(1),
            key,
            sent: 0,
            fetch: None,
            answer: BytesMut::new(),
            total: None,
        }
    }

    /// Returns the message to send now.
    #[must_use]
    pub fn message(&self) -> Envelope {
        if let Some(key) = &self.fetch {
            let offset = self.answer.len();
            let key = key.clone();
            let question = Envelope::new(ContentType::Packed, Bytes::new());
            return question.with_note(Note::More { key, offset });
        }
        let total = self.request.len();
        let note = match total <= self.part_bytes {
            true => Note::Parts,
            false => Note::Part {
                key: self.key.clone(),
                offset: self.sent,
                total,
            },
        };
        let part = self.request.slice(self.sent.min(total)..self.part_end());
        Envelope::new(self.content_type, part).with_note(note)
    }

    /// Takes the answer to that message. Returns the answer to the request when it is whole.
    ///
    /// # Errors
    /// [`AskingError`].
    pub fn take(
        &mut self,
        content_type: ContentType,
        note: Option<Note>,
        body: Bytes,
    ) -> Result<Option<(ContentType, Bytes)>, AskingError> {
        if self.fetch.is_none() && self.part_end() < self.request.len() {
            self.sent = self.part_end();
            return Ok(None);
        }
        match note {
            Some(Note::Later { key }) if self.answer.is_empty() => {
                self.fetch = Some(key);
                Ok(None)
            }
            Some(Note::Part { key, offset, total }) => {
                let known = self.total.get_or_insert(total);
                let end = offset.checked_add(body.len());
                let fits = offset == self.answer.len() && end.is_some_and(|end| end <= total);
                if *known != total || body.is_empty() || !fits {
                    return Err(AskingError::Misfit);
                }
                if total > PARTS_BYTES {
                    return Err(AskingError::TooLarge(total));
                }
                self.answer.extend_from_slice(&body);
                if self.answer.len() < total {
                    self.fetch = Some(key);
                    return Ok(None);
                }
                Ok(Some((
                    content_type,
                    std::mem::take(&mut self.answer).freeze(),
                )))
            }
            Some(Note::Parts) | None if self.answer.is_empty() => Ok(Some((content_type, body))),
            _ => Err(AskingError::Misfit),
        }
    }

    /// Returns where the part ends that begins at `sent`.
    fn part_end(&self) -> usize {
        let end = self.sent.saturating_add(self.part_bytes);
        end.min(self.request.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ContentType = ContentType::Plain;

    fn key(byte: u8) -> Key {
        Key::from_random([byte; 16])
    }

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn asking(request: &'static str) -> Asking {
        Asking::new(ContentType::Packed, text(request), 4, key(1))
    }

    fn part(offset: usize, total: usize) -> Option<Note> {
        let key = key(2);
        Some(Note::Part { key, offset, total })
    }

    #[test]
    fn a_short_request_is_one_message_and_says_that_parts_may_come_back() {
        let mut asking = asking("abcd");
        let message = asking.message();
        assert_eq!(message.note, Some(Note::Parts));
        assert_eq!(message.payload, text("abcd"));
        let answer = asking.take(PLAIN, None, text("yes"));
        assert_eq!(answer, Ok(Some((PLAIN, text("yes")))));
    }

    #[test]
    fn a_long_request_leaves_part_by_part() {
        let mut asking = asking("abcdefghi");
        let mut sent = Vec::new();
        for last in [false, false, true] {
            let message = asking.message();
            assert!(matches!(message.note, Some(Note::Part { total: 9, .. })));
            sent.extend_from_slice(&message.payload);
            let answer = asking.take(PLAIN, Some(Note::Parts), text("ok"));
            assert_eq!(answer, Ok(last.then(|| (PLAIN, text("ok")))));
        }
        assert_eq!(sent, b"abcdefghi");
    }

    #[test]
    fn a_long_answer_is_fetched_part_by_part_also_when_it_was_promised() {
        let mut asking = asking("ab");
        for _ in 0..2 {
            let later = Some(Note::Later { key: key(2) });
            assert_eq!(asking.take(PLAIN, later, text("later")), Ok(None));
            let more = Note::More {
                key: key(2),
                offset: 0,
            };
            assert_eq!(asking.message().note, Some(more));
        }
        assert_eq!(asking.take(PLAIN, part(0, 5), text("abc")), Ok(None));
        let more = Note::More {
            key: key(2),
            offset: 3,
        };
        assert_eq!(asking.message().note, Some(more));
        let answer = asking.take(PLAIN, part(3, 5), text("de"));
        assert_eq!(answer, Ok(Some((PLAIN, text("abcde")))));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let begun = || {
            let mut asking = asking("ab");
            assert_eq!(asking.take(PLAIN, part(0, 5), text("abc")), Ok(None));
            asking
        };
        for (note, body) in [
            (part(0, 5), "abc"),
            (part(3, 6), "de"),
            (part(3, 5), "def"),
            (part(3, 5), ""),
            (part(usize::MAX, 5), "de"),
            (Some(Note::Later { key: key(2) }), "later"),
            (None, "whole"),
        ] {
            let taken = begun().take(PLAIN, note.clone(), text(body));
            assert_eq!(taken, Err(AskingError::Misfit), "{note:?}");
        }
        let total = PARTS_BYTES + 1;
        let taken = asking("ab").take(PLAIN, part(0, total), text("abc"));
        assert_eq!(taken, Err(AskingError::TooLarge(total)));
    }
}
