//! Keeps a task alive: a panic in it is reported and the task begun anew after a pause, so that a bug in the work on one
//! repository ends neither that work for ever nor the agent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Level;
use crate::events::Events;

/// The first pause after a panic; it doubles up to [`REST_MAX`].
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest pause after a panic.
const REST_MAX: Duration = Duration::from_secs(300);

/// Runs what `begin` makes until it returns, and again when it panicked, unless `stopped`.
pub(crate) fn supervise<F>(
    tasks: &TaskTracker,
    events: Arc<Events>,
    repository: String,
    stopped: CancellationToken,
    begin: impl Fn() -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    tasks.spawn(async move {
        let mut rest = REST_MIN;
        while let Err(error) = tokio::spawn(begin()).await {
            if !error.is_panic() {
                return;
            }
            let message = format!(
                "a bug stopped a task of this repository; it begins anew in {} s",
                rest.as_secs()
            );
            events.log(Level::Error, Some(&repository), message);
            tokio::select! {
                () = stopped.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
            rest = rest.saturating_mul(2).min(REST_MAX);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_anew_until_it_returns() {
        let (tasks, begun) = (TaskTracker::new(), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&begun);
        supervise(
            &tasks,
            Arc::new(Events::new()),
            "r".into(),
            CancellationToken::new(),
            move || {
                let turn = count.fetch_add(1, Ordering::Relaxed);
                async move { assert!(turn >= 2, "for the test") }
            },
        );
        tasks.close();
        tasks.wait().await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_ends_with_the_agent() {
        let (tasks, stopped) = (TaskTracker::new(), CancellationToken::new());
        stopped.cancel();
        supervise(
            &tasks,
            Arc::new(Events::new()),
            "r".into(),
            stopped,
            || async { panic!("for the test") },
        );
        tasks.close();
        tasks.wait().await;
    }
}
