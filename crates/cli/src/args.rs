//! The command line as a whole. Each command's own arguments are declared beside the command.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::agent::bridge::Bridge;
use crate::agent::control::Open;
use crate::agent::doctor::Doctor;
use crate::agent::hub::Hub;
use crate::agent::logs::Logs;
use crate::agent::pairing::{Join, Offer};
use crate::agent::peers::{Peers, Unpair};
use crate::agent::service::UserUnit;
use crate::agent::sync::Sync;
use crate::mcp::Mcp;
use crate::notify::Notify;
use crate::output::Output;
use crate::repo::{RepositoryVerb, Verb};

/// Keep Fossil repositories equal on every machine.
#[derive(Parser)]
#[command(
    name = "edgesync",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Print JSON instead of words, errors too
    #[arg(long, global = true)]
    json: bool,

    /// Show no progress
    #[arg(short, long, global = true)]
    quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    pub(crate) fn output(&self) -> Output {
        Output {
            json: self.json,
            quiet: self.quiet,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Sync(Sync),

    Hub(Hub),

    /// Print this agent's endpoint id, making its identity on first use
    Id,

    /// Print the running agent's ticket, with which others reach it over the tunnel
    Ticket,

    #[command(visible_alias = "pair")]
    Offer(Offer),

    Join(Join),

    Peers(Peers),

    Unpair(Unpair),

    Bridge(Bridge),

    Notify(Notify),

    Mcp(Mcp),

    Doctor(Doctor),

    Logs(Logs),

    Open(Open),

    Service(UserUnit),

    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Write the manual pages into a folder
    Man {
        /// The folder; it is made when it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },

    /// Work on a repository file; each verb also works without `repo`
    Repo {
        #[command(subcommand)]
        verb: RepositoryVerb,
    },

    #[command(flatten)]
    Verb(Verb),
}
