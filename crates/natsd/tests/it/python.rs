//! Programs for the stock Python client, run in the environment that `scripts/setup.sh test` makes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long a program may take; each does little, but the machine may be busy.
const WITHIN: Duration = Duration::from_secs(100);

/// Runs a program with these arguments and returns what it printed.
///
/// # Panics
/// When it fails, with its output.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let home = std::env::var_os("HOME").expect("a home folder");
    let python = PathBuf::from(home).join(".cache/edgesync/python/bin/python");
    let running = Command::new(&python)
        .args(["-c", program])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = timeout(WITHIN, running)
        .await
        .expect("the program ends in time")
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {} (scripts/setup.sh test makes it): {error}",
                python.display()
            )
        });
    let (output, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{output}\n{errors}");
    output.into_owned()
}
