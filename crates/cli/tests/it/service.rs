//! The agent as a service of the user's systemd. No systemd runs where the tests do: a stand-in for `systemctl` takes down what it is asked for;
//! the unit is judged by the real `systemd-analyze`.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use crate::lab::{Lab, Ran, make_executable};

/// Takes down its arguments, and answers as for a unit that runs.
const SYSTEMCTL: &str = "#!/bin/sh
echo \"$@\" >> \"$HOME/asked\"
case $2 in
  is-active) echo active ;;
  is-enabled) echo enabled ;;
esac
";

fn edgesync(lab: &Lab, args: &[&str]) -> Ran {
    let mut path = OsString::from(lab.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Ran::of(lab.edgesync_command(args).env("PATH", path))
}

#[test]
fn the_unit_is_written_started_shown_and_removed() {
    let lab = Lab::new();
    lab.write("bin/systemctl", SYSTEMCTL);
    make_executable(&lab.path("bin/systemctl"));
    let unit = lab.path("../home/.config/systemd/user/edgesync.service");
    let asked = || fs::read_to_string(lab.path("../home/asked")).unwrap_or_default();

    let before = edgesync(&lab, &["service", "status"]);
    assert!(before.stdout.contains("not installed"), "{}", before.stdout);
    let install = [
        "service",
        "install",
        "--",
        "-R",
        "/srv/100% of it.fossil",
        "--iroh",
    ];
    let installed = edgesync(&lab, &install);
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    assert!(
        installed.stdout.contains("state:    active"),
        "{}",
        installed.stdout
    );
    assert!(asked().starts_with("--user daemon-reload\n--user enable --now edgesync.service\n"));
    let text = fs::read_to_string(&unit).expect("the unit");
    assert!(
        text.contains("\"sync\" \"start\" \"-R\" \"/srv/100%% of it.fossil\" \"--iroh\""),
        "{text}"
    );
    assert!(text.contains("EDGESYNC_HOME="), "{text}");
    let verified = Command::new("systemd-analyze")
        .args(["--user", "verify"])
        .arg(&unit)
        .env("XDG_RUNTIME_DIR", lab.path(""))
        .output()
        .expect("systemd-analyze runs (scripts/setup.sh test installs it)");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.is_empty(), "{said}");

    let removed = edgesync(&lab, &["service", "uninstall"]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert!(!unit.exists());
    assert!(asked().contains("--user disable --now edgesync.service\n"));
    assert_eq!(edgesync(&lab, &["service", "uninstall"]).code, 0);
}
