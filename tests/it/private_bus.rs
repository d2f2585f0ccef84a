//! A message bus for one test, as a session or a system has one: a real `dbus-daemon`, on which nothing is but what the test puts there.

use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::desktop::process::Program;

/// A bus without services to activate: what is not part of the test is not there.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The bus, gone when this is dropped.
pub(crate) struct PrivateBus {
    address: String,
    _daemon: Program,
    _folder: TempDir,
}

impl PrivateBus {
    /// Starts an empty bus.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bus.conf");
        let text = BUS.replace("FOLDER", &folder.path().to_string_lossy());
        std::fs::write(&file, text)?;
        let daemon = Program::start(
            Command::new("dbus-daemon")
                .arg("--config-file")
                .arg(file)
                .args(["--nofork", "--print-address"]),
        )?;
        Ok(Self {
            address: daemon.line("unix:").await?,
            _daemon: daemon,
            _folder: folder,
        })
    }

    /// Where programs find it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> Result<zbus::Connection> {
        let bus = zbus::connection::Builder::address(self.address());
        Ok(bus.build().await?)
    }
}
