//! Reply subjects to which a client may publish because it was asked.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use parking_lot::Mutex;

use crate::auth::AllowResponses;
use crate::limits::MAX_RESPONSE_PERMISSIONS;

/// The replies that are open.
#[derive(Debug, Default)]
pub(crate) struct Responses(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    by_subject: HashMap<Box<[u8]>, Right>,
    /// In the order in which they were given, to forget the oldest.
    order: VecDeque<Box<[u8]>>,
}

#[derive(Debug)]
struct Right {
    left: u32,
    until: Instant,
}

impl Responses {
    /// Notes that the client was asked and may answer to `reply`.
    pub(crate) fn allow(&self, reply: &[u8], how: AllowResponses) {
        let Some(until) = Instant::now().checked_add(how.expires) else {
            return;
        };
        let mut open = self.0.lock();
        let right = Right {
            left: how.max,
            until,
        };
        if open.by_subject.insert(reply.into(), right).is_none() {
            open.order.push_back(reply.into());
        }
        while open.order.len() > MAX_RESPONSE_PERMISSIONS {
            if let Some(oldest) = open.order.pop_front() {
                open.by_subject.remove(&oldest);
            }
        }
    }

    /// Uses a right to answer up by one message, and says whether there was one.
    pub(crate) fn spend(&self, subject: &[u8]) -> bool {
        let mut open = self.0.lock();
        let Some(right) = open.by_subject.get_mut(subject) else {
            return false;
        };
        let valid = right.left > 0 && Instant::now() < right.until;
        right.left = right.left.saturating_sub(1);
        valid
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_is_allowed_so_often_and_no_longer() {
        let responses = Responses::default();
        let how = AllowResponses {
            max: 2,
            expires: Duration::from_secs(60),
        };
        assert!(!responses.spend(b"r"));
        responses.allow(b"r", how);
        assert!(responses.spend(b"r") && responses.spend(b"r") && !responses.spend(b"r"));
        responses.allow(
            b"r",
            AllowResponses {
                expires: Duration::ZERO,
                ..how
            },
        );
        assert!(!responses.spend(b"r"));
    }

    #[test]
    fn the_oldest_right_is_forgotten_first() {
        let responses = Responses::default();
        for number in 0..=MAX_RESPONSE_PERMISSIONS {
            responses.allow(number.to_string().as_bytes(), AllowResponses::default());
        }
        assert!(!responses.spend(b"0") && responses.spend(b"1"));
    }
}
