//! The signals by which the system asks a program to end.

/// Waits until the system asks for the end.
#[cfg(unix)]
pub(crate) async fn end_wanted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
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

/// Waits until the system asks for the end.
#[cfg(not(unix))]
pub(crate) async fn end_wanted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!("signals can't be heard: {error}");
        std::future::pending::<()>().await;
    }
}
