//! `edgesync service`: the agent as a unit of the user's own systemd, started at login and again when it fails.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use edgesync_agent::HOME_VARIABLE;
use serde::Serialize;

use crate::error::{Failure, Kind, OrFail};
use crate::output::Output;

/// What systemd calls the unit.
const UNIT: &str = "edgesync.service";

/// The unit as it is deployed by hand; the program and its flags are put in.
const TEMPLATE: &str = include_str!("../../../../deploy/edgesync.service");

/// What the program stands behind in the unit.
const EXEC_START: &str = "ExecStart=";

/// Run the agent as a service of yours: at login, and again when it fails
#[derive(Args)]
pub(crate) struct UserUnit {
    #[command(subcommand)]
    verb: UnitVerb,
}

#[derive(Subcommand)]
enum UnitVerb {
    /// Write the unit, start it now and at each login
    Install {
        /// Flags of `sync start`, behind --
        #[arg(last = true, value_name = "FLAG")]
        flags: Vec<String>,
    },

    /// Say whether the unit is there and runs
    Status,

    /// Stop it and remove the unit; repositories and the agent's folder stay
    Uninstall,
}

/// How the service stands.
#[derive(Serialize)]
struct Standing {
    /// The unit's file.
    unit: PathBuf,
    installed: bool,
    /// What systemd says, `active` for one that runs.
    state: Option<String>,
    /// Whether it starts at login.
    enabled: bool,
}

impl UserUnit {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let unit = unit_file()?;
        match self.verb {
            UnitVerb::Install { flags } => install(&unit, &flags)?,
            UnitVerb::Status => {}
            UnitVerb::Uninstall => uninstall(&unit)?,
        }
        let standing = standing(unit)?;
        out.print(&standing, words)
    }
}

/// Returns where this user's units are.
fn unit_file() -> Result<PathBuf, Failure> {
    if !cfg!(target_os = "linux") {
        return Err(
            Failure::new(Kind::Failed, "services are systemd's, which is not here")
                .hint("have your system start: edgesync sync start -R FILE"),
        );
    }
    let folders = directories::BaseDirs::new();
    let folders = folders.ok_or_else(|| Failure::new(Kind::Failed, "no home folder is known"))?;
    Ok(folders.config_dir().join("systemd/user").join(UNIT))
}

fn install(unit: &Path, flags: &[String]) -> Result<(), Failure> {
    let program = std::env::current_exe().or_fail(Kind::Failed, "this program's path")?;
    let text = unit_text(&program, flags, std::env::var_os(HOME_VARIABLE).as_deref());
    let written = match unit.parent() {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    };
    let written = written.and_then(|()| std::fs::write(unit, text));
    written.or_fail(Kind::Failed, unit.display())?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", UNIT])?;
    // One that ran before has the new flags now.
    systemctl(&["restart", UNIT]).map(drop)
}

fn uninstall(unit: &Path) -> Result<(), Failure> {
    if unit.exists() {
        systemctl(&["disable", "--now", UNIT])?;
    }
    match std::fs::remove_file(unit) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).or_fail(Kind::Failed, unit.display());
        }
        _ => {}
    }
    systemctl(&["daemon-reload"]).map(drop)
}

fn standing(unit: PathBuf) -> Result<Standing, Failure> {
    let installed = unit.exists();
    let says = |verb: &str| ask(&["--user", verb, UNIT]);
    let (state, enabled) = match installed {
        true => (Some(says("is-active")?), says("is-enabled")? == "enabled"),
        false => (None, false),
    };
    Ok(Standing {
        unit,
        installed,
        state,
        enabled,
    })
}

fn words(standing: &Standing) -> String {
    let mut text = format!("unit:     {}", standing.unit.display());
    let Some(state) = &standing.state else {
        text.push_str(" (not installed)\n");
        return text;
    };
    let enabled = if standing.enabled { "yes" } else { "no" };
    let _ = write!(text, "\nstate:    {state}\nat login: {enabled}\n");
    text
}

/// Has the user's systemd do something, and fails with its words.
fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("systemctl")
        .arg("--user")
        .args(arguments)
        .output();
    let output = output.map_err(|error| no_systemd(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(
        Kind::Failed,
        format!("systemctl {}: {said}", arguments.join(" ")),
    )
    .hint("without a login session: loginctl enable-linger, then log in again"))
}

/// Returns what systemctl prints, whatever it exits with: for a unit that does not run it says so and fails.
fn ask(arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new("systemctl").args(arguments).output();
    let output = output.map_err(|error| no_systemd(&error))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn no_systemd(error: &io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("systemctl: {error}"))
        .hint("have your system start: edgesync sync start -R FILE")
}

/// Returns the unit with this program and these flags.
fn unit_text(program: &Path, flags: &[String], home: Option<&std::ffi::OsStr>) -> String {
    let program = program.to_string_lossy();
    let words = [program.as_ref(), "sync", "start"].into_iter();
    let words = words.chain(flags.iter().map(String::as_str)).map(quoted);
    let command = words.collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        if !line.starts_with(EXEC_START) {
            text.push_str(line);
        } else if let Some(home) = home {
            let home = quoted(&format!("{HOME_VARIABLE}={}", home.to_string_lossy()));
            let _ = write!(text, "Environment={home}\n{EXEC_START}{command}");
        } else {
            let _ = write!(text, "{EXEC_START}{command}");
        }
        text.push('\n');
    }
    text
}

/// Returns a word as systemd reads it back: in quotes, with nothing in it that systemd would replace.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' => text.push_str("%%"),
            '$' => text.push_str("$$"),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_the_program_with_its_flags_as_one_command_of_literal_words() {
        let flags = ["-R", "/home/ada/50% \"of\" $it.fossil"].map(str::to_owned);
        let home = Some(std::ffi::OsStr::new("/home/ada/x"));
        let text = unit_text(Path::new("/opt/edge sync/edgesync"), &flags, home);
        let command = r#"ExecStart="/opt/edge sync/edgesync" "sync" "start" "-R" "/home/ada/50%% \"of\" $$it.fossil""#;
        assert!(text.contains(command), "{text}");
        assert_eq!(text.matches(EXEC_START).count(), 1);
        assert!(text.contains("Environment=\"EDGESYNC_HOME=/home/ada/x\"\n"));
        assert!(!unit_text(Path::new("/e"), &[], None).contains("Environment="));
    }
}
