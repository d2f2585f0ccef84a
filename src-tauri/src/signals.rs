//! The signals by which the system asks a program to end.

/// Returns what waits until the system asks for the end. It is heard from this call on, not from the first look at what is returned: a signal that
/// nobody listens for ends a program on the spot.
#[cfg(unix)]
pub(crate) fn end_wanted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let heard = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    async {
        match heard {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            (terminate, interrupt) => {
                let refusal = terminate.err().or(interrupt.err());
                tracing::warn!("signals can't be heard: {refusal:?}");
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Waits until the system asks for the end.
#[cfg(not(unix))]
pub(crate) async fn end_wanted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!("signals can't be heard: {error}");
        std::future::pending::<()>().await;
    }
}
