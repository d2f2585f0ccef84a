//! Whose turn it is on a listener's connections: those that wait for a request give way to new ones when all places are taken, the one that has waited longest
//! first. A connection in the middle of a request is left alone, until the last byte of its answer has gone; but for one whose request lingers.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The connections of one listener.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when one more waits for a request.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// Those that wait for a request, in the order in which they began to.
    connections: BTreeMap<u64, Arc<Notify>>,
}

/// One connection, as those see it who read from it, answer it and end it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    give_way: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Its place among those that wait.
    waits: Option<u64>,
    /// Requests whose head came and whose answer has not been made to its end.
    open: usize,
    /// Whether the one that is open comes so slowly that others go first.
    lingers: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Returns a place for one more connection, for which others give way where none is free.
    pub(crate) async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(places).try_acquire_owned() {
                return Some(place);
            }
            let news = self.shared.news.notified();
            self.free_one();
            tokio::select! {
                place = Arc::clone(places).acquire_owned() => return place.ok(),
                () = news => {}
            }
        }
    }

    /// Counts a connection, which waits for its first request.
    pub(crate) fn join(&self) -> Turn {
        let turn = Turn {
            inner: Arc::new(Inner {
                shared: Arc::clone(&self.shared),
                give_way: Arc::default(),
                state: Mutex::default(),
            }),
        };
        turn.sent();
        turn
    }

    fn free_one(&self) {
        if let Some((_, connection)) = locked(&self.shared.waiting).connections.pop_first() {
            connection.notify_one();
        }
    }
}

impl Turn {
    /// Notes that the head of a request came.
    pub(crate) fn asked(&self) {
        let mut state = locked(&self.inner.state);
        state.open = state.open.saturating_add(1);
        if let Some(place) = state.waits.take() {
            locked(&self.inner.shared.waiting)
                .connections
                .remove(&place);
        }
    }

    /// Notes that all that was written has gone. When nothing is open, the connection waits for the next request.
    pub(crate) fn sent(&self) {
        let mut state = locked(&self.inner.state);
        if state.open > 0 || state.waits.is_some() {
            return;
        }
        self.wait(&mut state);
    }

    /// Has the connection give way before those that begin to wait later.
    fn wait(&self, state: &mut State) {
        let mut waiting = locked(&self.inner.shared.waiting);
        let place = waiting.next;
        waiting.next = place.saturating_add(1);
        waiting
            .connections
            .insert(place, self.inner.give_way.clone());
        state.waits = Some(place);
        drop(waiting);
        self.inner.shared.news.notify_waiters();
    }

    /// Has the connection give way although a request is open, until what this returns is dropped.
    pub(crate) fn lingering(&self) -> Lingering {
        let mut state = locked(&self.inner.state);
        state.lingers = true;
        if state.waits.is_none() {
            self.wait(&mut state);
        }
        Lingering { turn: self.clone() }
    }

    /// Waits until the connection has to give way while no request is open, or the one that is lingers.
    pub(crate) async fn given_way(&self) {
        loop {
            self.inner.give_way.notified().await;
            // A request may have come in the same moment; then it is served, and another gives way.
            let state = locked(&self.inner.state);
            if state.open == 0 || state.lingers {
                return;
            }
        }
    }

    /// Returns what notes, when dropped, that the answer to a request was made to its end.
    pub(crate) fn answering(&self) -> Answering {
        Answering { turn: self.clone() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.waits {
            locked(&self.shared.waiting).connections.remove(&place);
        }
    }
}

/// A request that comes slowly.
#[derive(Debug)]
pub(crate) struct Lingering {
    turn: Turn,
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let mut state = locked(&self.turn.inner.state);
        state.lingers = false;
        if let Some(place) = state.waits.take() {
            locked(&self.turn.inner.shared.waiting)
                .connections
                .remove(&place);
        }
    }
}

/// An answer that is being made.
#[derive(Debug)]
pub(crate) struct Answering {
    turn: Turn,
}

impl Answering {
    /// Holds on until the last of `body` was taken.
    pub(crate) fn body(self, body: Body) -> Body {
        Body::new(Answer {
            body,
            _answering: self,
        })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = locked(&self.turn.inner.state);
        state.open = state.open.saturating_sub(1);
    }
}

#[derive(Debug)]
struct Answer {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_has_waited_longest_gives_way_and_nobody_in_the_middle_of_a_request() {
        let (turns, places) = (Turns::default(), Arc::new(Semaphore::new(3)));
        let mut held = Vec::new();
        for _ in 0..3 {
            let place = turns.place(&places).await.expect("a place");
            held.push((turns.join(), Some(place)));
        }
        let gone = |at: usize| held[at].0.given_way().now_or_never().is_some();
        held[0].0.asked();
        assert!(turns.place(&places).now_or_never().is_none());
        assert_eq!([gone(0), gone(1), gone(2)], [false, true, false]);
        // An answer that was made has not gone yet.
        drop(held[0].0.answering());
        assert!(turns.place(&places).now_or_never().is_none());
        assert_eq!([gone(0), gone(2)], [false, true]);
        assert!(turns.place(&places).now_or_never().is_none());
        assert!(!gone(0));
        held[0].0.sent();
        assert!(turns.place(&places).now_or_never().is_none());
        assert!(gone(0));
        held[1].1 = None;
        assert!(turns.place(&places).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn a_request_that_comes_as_the_connection_gives_way_is_served() {
        let turns = Turns::default();
        let turn = turns.join();
        turns.free_one();
        turn.asked();
        assert!(turn.given_way().now_or_never().is_none());
        drop(turn.answering());
        turn.sent();
        turns.free_one();
        assert!(turn.given_way().now_or_never().is_some());
        drop((turns.join(), turn));
        assert!(locked(&turns.shared.waiting).connections.is_empty());
    }
}
