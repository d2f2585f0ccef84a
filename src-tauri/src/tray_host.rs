//! Is there a tray? On Linux a tray icon shows up only where some program (the panel, or an extension of GNOME) offers the
//! `StatusNotifierWatcher` service on the session bus. Elsewhere the system always has one.

/// Returns whether a tray host is there, or comes up within a short while: at login the app may start before the panel.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn is_present() -> bool {
    true
}

#[cfg(target_os = "linux")]
pub(crate) use linux::is_present;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use futures_util::{StreamExt as _, stream};
    use zbus::fdo::DBusProxy;

    /// The service that knows the tray's icons.
    const WATCHER: &str = "org.kde.StatusNotifierWatcher";

    /// How long a panel may take to come up after the app.
    const PATIENCE: Duration = Duration::from_secs(2);

    #[zbus::proxy(
        interface = "org.kde.StatusNotifierWatcher",
        default_service = "org.kde.StatusNotifierWatcher",
        default_path = "/StatusNotifierWatcher"
    )]
    trait StatusNotifierWatcher {
        #[zbus(property)]
        fn is_status_notifier_host_registered(&self) -> zbus::Result<bool>;

        #[zbus(signal)]
        fn status_notifier_host_registered(&self) -> zbus::Result<()>;
    }

    /// Returns whether a tray host is there, or comes up within a short while: at login the app may start before the panel.
    pub(crate) async fn is_present() -> bool {
        match tokio::time::timeout(PATIENCE, wait()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::info!("no session bus: {error}");
                false
            }
            Err(_elapsed) => false,
        }
    }

    /// Waits until a tray host is there. Listens before it asks, so that nothing falls in between.
    async fn wait() -> zbus::Result<()> {
        let bus = zbus::Connection::session().await?;
        let owners = DBusProxy::new(&bus).await?;
        let watcher = StatusNotifierWatcherProxy::builder(&bus)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        let mut changes = stream::select(
            owners
                .receive_name_owner_changed_with_args(&[(0, WATCHER)])
                .await?
                .map(drop),
            watcher
                .receive_status_notifier_host_registered()
                .await?
                .map(drop),
        );
        loop {
            // Asking a watcher that does not exist is an error; one that exists may still be without a host.
            if watcher
                .is_status_notifier_host_registered()
                .await
                .unwrap_or(false)
            {
                return Ok(());
            }
            if changes.next().await.is_none() {
                return std::future::pending().await;
            }
        }
    }
}
