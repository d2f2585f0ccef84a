//! What every bench needs to know first: our program in its release form, and the machine it runs on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Builds the release form of one of our programs, named in cargo's words, and returns where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn release(program: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .args(program)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        built.status.success(),
        "{} does not build",
        program.join(" ")
    );
    let messages = String::from_utf8(built.stdout)?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next_back().context("cargo named no program")
}

/// Returns a few words on the machine: cores, processor, system.
///
/// # Errors
/// When the number of cores cannot be told.
pub(crate) fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    Ok(format!("{cores} cores ({model}), {}", std::env::consts::OS))
}
