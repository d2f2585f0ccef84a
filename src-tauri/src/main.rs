//! The tray app: the agent with a face. It hosts `edgesync_agent::Agent` in its own process and gives it what only a desktop
//! has: an icon in the tray, a window, a file manager. What the app knows and does is the agent's.

// A release build on Windows is no console program.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod app;
mod arguments;
mod autostart;
mod handover;
mod host;
mod lines;
mod notifications;
mod shell;
mod signals;
mod tray;
mod tray_host;
mod view;
mod window;
mod words;

use std::process::ExitCode;

use clap::Parser as _;
use edgesync_agent::api::Level;
use edgesync_agent::log::Log;

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
    let log = Log::begin(Level::Warn);
    match app::run(&arguments, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::info!("the app did not start: {error:#}");
            eprintln!("edgesync-desktop: {error:#}");
            ExitCode::FAILURE
        }
    }
}
