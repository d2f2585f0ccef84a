//! Hears from the system that the machine has woken, and makes all links anew at once: those that stood when it fell asleep are often dead, and
//! neither end can know. It is told by logind, with the signal `PrepareForSleep` on the system bus
//! (<https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html>). Where there is none the tunnel finds out by two
//! clocks, and links by TCP by their silence.

use std::sync::Arc;

use edgesync_tunnel::Witness;
use futures_util::StreamExt as _;

use super::Mesh;
use super::show::is_tcp;

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Logind {
    /// The machine is about to sleep, or has woken.
    #[zbus(signal)]
    fn prepare_for_sleep(&self, start: bool) -> zbus::Result<()>;
}

impl Mesh {
    /// Makes the links anew whenever the machine has woken, until the agent stops or nobody can tell of it.
    pub(super) async fn watch_sleep(self: Arc<Self>) {
        if let Err(error) = self.follow_sleep().await {
            tracing::debug!(%error, "nobody tells when the machine sleeps");
        }
    }

    async fn follow_sleep(&self) -> zbus::Result<()> {
        let bus = zbus::Connection::system().await?;
        let logind = LogindProxy::builder(&bus)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        let mut signals = logind.receive_prepare_for_sleep().await?;
        tracing::debug!("the system tells when the machine sleeps");
        while let Some(signal) = signals.next().await {
            // One that cannot be read is none.
            if signal.args().is_ok_and(|args| !args.start) {
                self.has_woken().await;
            }
        }
        Ok(())
    }

    async fn has_woken(&self) {
        for link in self.server.stats().connections {
            if link.kind != natsd::proto::Kind::Client && is_tcp(&link) {
                self.server.disconnect(link.id);
            }
        }
        if let Some(tunnel) = self.tunnel.now() {
            tunnel.endpoint().has_slept(Witness::System).await;
        }
    }
}
