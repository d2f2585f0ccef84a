//! The tray app: the agent with a face. It hosts `edgesync_agent::Agent` in its own process and gives it what only a desktop
//! has: an icon in the tray, a window, a file manager. What the app knows and does is the agent's.

// A release build on Windows is no console program.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod app;
mod arguments;
mod handover;
mod host;
mod lines;
#[cfg(target_os = "linux")]
mod notifications;
mod shell;
mod signals;
mod tray;
mod tray_host;
mod view;
mod window;
mod words;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The exit code for a wrong command line, the same as that of `edgesync`.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) => {
            // Help and version are answers, not errors. Where nobody reads, nothing is lost.
            let _ = refusal.print();
            return if refusal.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    log();
    match app::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edgesync-desktop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the log to standard error: warnings, or what `EDGESYNC_LOG` asks for (`info`, `edgesync_agent=debug`).
fn log() {
    let filter = EnvFilter::builder()
        .with_env_var("EDGESYNC_LOG")
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
