//! What one read of a connection leads to: receivers to flush once, and subscriptions that have had enough.

use std::sync::Arc;

use super::outbound::{Appended, Outbound};
use super::{Close, Conn, Sub};
use crate::limits::STALL_MAX;

/// The consequences of one read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    dirty: Vec<Arc<Conn>>,
    stalled: Option<Arc<Conn>>,
    /// Subscriptions that reached the number of messages that they wanted.
    pub(crate) finished: Vec<Arc<Sub>>,
    /// Clients in this process that were cut and have no task of their own to clean up after them.
    pub(crate) cut: Vec<Arc<Conn>>,
}

impl Batch {
    /// Notes what follows from having appended to a connection; `stall` if the source may be slowed down for it.
    pub(crate) fn note(&mut self, conn: &Arc<Conn>, appended: Appended, stall: bool) {
        if appended.overflow {
            conn.close(Close::SlowConsumer);
        }
        if appended.flush {
            self.dirty.push(Arc::clone(conn));
        }
        if stall && appended.stall {
            self.stalled = Some(Arc::clone(conn));
        }
    }

    /// Writes what was appended.
    pub(crate) fn flush(&mut self) {
        for conn in self.dirty.drain(..) {
            Outbound::flush(&conn);
        }
    }

    /// Waits a little when a receiver is slow.
    pub(crate) async fn stall(&mut self) {
        if let Some(conn) = self.stalled.take() {
            conn.out.caught_up(STALL_MAX).await;
        }
    }
}

/// Others rely on a flush once they see that one is due, so it happens even when the task that owed it ends early.
impl Drop for Batch {
    fn drop(&mut self) {
        self.flush();
    }
}
