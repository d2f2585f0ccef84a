//! What travels on a bus.

use std::time::Duration;

use bytes::Bytes;

use crate::{Headers, SendError};

/// A message that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it was published to.
    pub subject: String,
    /// Where its sender hears an answer.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its content.
    pub payload: Bytes,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub subject: String,
    /// Where an answer should go.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its content.
    pub payload: Bytes,
}

/// A question to one who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub subject: String,
    /// Where the answer should go, by [`Bus::new_inbox`](crate::Bus::new_inbox): for who has to sign it.
    pub inbox: String,
    /// Its headers.
    pub headers: Headers,
    /// Its content.
    pub payload: Bytes,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

impl Publish {
    /// Returns a message with neither headers nor a place for answers.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            subject: subject.into(),
            reply: None,
            headers: Headers::new(),
            payload: payload.into(),
        }
    }

    /// Makes sure that a server with this limit takes the message.
    pub(crate) fn check(&self, max: usize) -> Result<(), SendError> {
        for subject in [Some(&self.subject), self.reply.as_ref()]
            .into_iter()
            .flatten()
        {
            check_subject(subject)?;
            if subject.split('.').any(|token| matches!(token, "*" | ">")) {
                return Err(SendError::Subject(subject.clone()));
            }
        }
        self.headers.check()?;
        let size = self.headers.wire_len().saturating_add(self.payload.len());
        if size > max {
            return Err(SendError::TooLarge { size, max });
        }
        Ok(())
    }
}

impl Request {
    pub(crate) fn into_publish(self) -> Publish {
        Publish {
            subject: self.subject,
            reply: Some(self.inbox),
            headers: self.headers,
            payload: self.payload,
        }
    }
}

/// Makes sure that a subject, perhaps with wildcards, is one that can be written on the wire and be heard.
pub(crate) fn check_subject(subject: &str) -> Result<(), SendError> {
    let bad = |token: &str| token.is_empty() || token.bytes().any(|byte| byte <= b' ');
    if subject.split('.').any(bad) {
        return Err(SendError::Subject(subject.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_subjects_are_refused() {
        for subject in ["", ".", "a..b", "a.", "a b", "a\r\nb", "a.*", ">"] {
            let refused = Publish::new(subject, "").check(usize::MAX);
            assert_eq!(refused, Err(SendError::Subject(subject.to_owned())));
        }
        assert_eq!(Publish::new("a.b*c", "").check(0), Ok(()));
    }

    #[test]
    fn headers_count_towards_the_limit() {
        let mut publish = Publish::new("a", "x");
        assert_eq!(publish.check(1), Ok(()));
        publish.headers = Headers::new().with("a", "b");
        let size = publish.headers.wire_len() + 1;
        assert_eq!(publish.check(size), Ok(()));
        let max = size - 1;
        assert_eq!(publish.check(max), Err(SendError::TooLarge { size, max }));
    }
}
