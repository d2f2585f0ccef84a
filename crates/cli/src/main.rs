//! The `edgesync` command: it parses, calls the agent or the repository library, and prints. It decides nothing itself.

#![allow(
    clippy::doc_markdown,
    reason = "comments on arguments are help texts, read on a terminal"
)]

mod agent;
mod args;
mod error;
mod locate;
mod mcp;
mod notify;
mod output;
mod password;
mod progress;
mod repo;
mod shell;
mod units;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};

use args::{Cli, Command};
use error::{Failure, Kind};
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error),
    };
    let out = cli.output();
    match run(cli.command, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn run(command: Command, out: Output) -> Result<(), Failure> {
    match command {
        Command::Sync(sync) => sync.run(out),
        Command::Hub(hub) => hub.run(out),
        Command::Id => agent::id::run(out),
        Command::Ticket => agent::id::ticket(out),
        Command::Offer(offer) => offer.run(out),
        Command::Join(join) => join.run(out),
        Command::Peers(peers) => peers.run(out),
        Command::Unpair(unpair) => unpair.run(out),
        Command::Bridge(bridge) => bridge.run(out),
        Command::Notify(notify) => notify.run(out),
        Command::Mcp(mcp) => mcp.run(),
        Command::Doctor(doctor) => doctor.run(out),
        Command::Logs(logs) => logs.run(out),
        Command::Open(open) => open.run(out),
        Command::Service(service) => service.run(out),
        Command::Completions { shell } => shell::completions(shell, out),
        Command::Man { folder } => shell::man(&folder, out),
        Command::Repo { verb } => verb.run(out),
        Command::Verb(verb) => verb.run(out),
    }
}

/// Prints help where it was asked for; everything else that the parser refuses is a usage error.
fn refuse_usage(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A reader that went away has seen enough of the help.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let json = std::env::args_os().any(|arg| arg == "--json");
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
        let _ = error.print();
    } else {
        let failure = usage_failure(error);
        Output { json, quiet: false }.failure(&failure);
    }
    ExitCode::from(Kind::Usage.exit_code())
}

/// Returns the parser's words without its decoration.
fn usage_failure(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::new(Kind::Usage, "a subcommand is missing")
            .hint("add --help to see them all");
    }
    let rendered = error.to_string();
    let first_paragraph = rendered.split("\n\n").next().unwrap_or_default();
    let message = first_paragraph
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let suggestions: Vec<String> = error
        .context()
        .filter(|(kind, _)| {
            matches!(
                kind,
                ContextKind::SuggestedArg
                    | ContextKind::SuggestedSubcommand
                    | ContextKind::SuggestedValue
            )
        })
        .map(|(_, value)| format!("did you mean {value}?"))
        .collect();
    let hint = if suggestions.is_empty() {
        "add --help to see what can be given".to_owned()
    } else {
        suggestions.join(" ")
    };
    Failure::new(Kind::Usage, message).hint(hint)
}
