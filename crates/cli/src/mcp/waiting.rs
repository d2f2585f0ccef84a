//! What the server remembers between calls: the calls that somebody may cancel, and the questions whose answer nobody was given yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use edgesync_agent::api::SendNotify;
use rmcp::model::RequestId;
use tokio::sync::oneshot;

/// Most questions that are remembered; older ones can still be waited for by their ids.
const MAX_UNTOLD: usize = 100;

/// Why somebody stopped to wait, in the words of its program.
pub(super) type Reason = Option<String>;

/// What the server remembers between calls.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    calls: HashMap<RequestId, oneshot::Sender<Reason>>,
    untold: Vec<(SendNotify, String)>,
}

impl Waiting {
    /// Notes that a call waits. What is returned fires when it is cancelled.
    pub(super) fn call(&self, request: RequestId) -> oneshot::Receiver<Reason> {
        let (cancel, cancelled) = oneshot::channel();
        self.memory().calls.insert(request, cancel);
        cancelled
    }

    /// Notes that a call has ended.
    pub(super) fn ended(&self, request: &RequestId) {
        self.memory().calls.remove(request);
    }

    /// Cancels a call, if it waits.
    pub(super) fn cancel(&self, request: &RequestId, reason: Reason) {
        if let Some(call) = self.memory().calls.remove(request) {
            // One that ends at this moment has nobody to hear it.
            let _ = call.send(reason);
        }
    }

    /// Returns the question that was asked in just these words, when nobody was given its answer.
    pub(super) fn untold(&self, wish: &SendNotify) -> Option<String> {
        let memory = self.memory();
        let same = memory.untold.iter().find(|(asked, _)| asked == wish);
        same.map(|(_, id)| id.clone())
    }

    /// Notes that a question was asked.
    pub(super) fn asked(&self, wish: SendNotify, id: String) {
        let mut memory = self.memory();
        if memory.untold.len() == MAX_UNTOLD {
            memory.untold.remove(0);
        }
        memory.untold.push((wish, id));
    }

    /// Notes that somebody was given a question's answer.
    pub(super) fn told(&self, id: &str) {
        self.memory().untold.retain(|(_, asked)| asked != id);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each change is one call of a collection, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call was given up by a clock. The person behind it did not: the question stays open, and the same call picks it up.
pub(super) fn ran_out_of_time(reason: &Reason) -> bool {
    reason.as_ref().is_some_and(|reason| {
        let reason = reason.to_lowercase();
        ["timed out", "timeout", "time-out"]
            .iter()
            .any(|word| reason.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_a_person() {
        for reason in [
            "timed out after 0.5s",
            "McpError: MCP error -32001: Request timed out",
            "request timeout",
        ] {
            assert!(ran_out_of_time(&Some(reason.to_owned())), "{reason}");
        }
        for reason in [
            None,
            Some("caller cancelled"),
            Some("AbortError: The user pressed escape"),
        ] {
            assert!(!ran_out_of_time(&reason.map(str::to_owned)), "{reason:?}");
        }
    }

    #[test]
    fn only_a_question_in_the_same_words_whose_answer_nobody_was_given_is_picked_up() {
        let wish = |body: &str| SendNotify {
            project: "demo".to_owned(),
            body: body.to_owned(),
            ..SendNotify::default()
        };
        let waiting = Waiting::default();
        waiting.asked(wish("Deploy?"), "msg-1".to_owned());
        assert_eq!(waiting.untold(&wish("Deploy?")).as_deref(), Some("msg-1"));
        assert_eq!(waiting.untold(&wish("Drop?")), None);
        waiting.told("msg-1");
        assert_eq!(waiting.untold(&wish("Deploy?")), None);
    }

    #[test]
    fn the_oldest_questions_are_forgotten_first() {
        let waiting = Waiting::default();
        let wish = |n: usize| SendNotify {
            body: n.to_string(),
            ..SendNotify::default()
        };
        for n in 0..=MAX_UNTOLD {
            waiting.asked(wish(n), format!("msg-{n}"));
        }
        assert_eq!(waiting.untold(&wish(0)), None);
        assert_eq!(waiting.untold(&wish(1)).as_deref(), Some("msg-1"));
    }
}
