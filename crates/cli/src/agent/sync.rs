//! `edgesync sync`: the agent's verbs `start`, `now`, `status`, `pause`, `resume` and `bus`, and without one of these Fossil's own `sync`.

use clap::{Args, Subcommand};

use crate::agent::bus::Bus;
use crate::agent::control::{Now, Status};
use crate::agent::pause::{Pause, Resume};
use crate::agent::start::Start;
use crate::error::Failure;
use crate::output::Output;
use crate::repo::transfer::SyncArgs;

/// Run the agent, ask it, or exchange everything with a remote once
///
/// With `start`, `now`, `status`, `pause`, `resume` or `bus` this is about the agent. Without, it pushes and pulls once, as `fossil sync` does.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sync {
    #[command(subcommand)]
    agent: Option<AgentVerb>,

    #[command(flatten)]
    once: SyncArgs,
}

#[derive(Subcommand)]
enum AgentVerb {
    Start(Box<Start>),
    Now(Now),
    Status(Status),
    Pause(Pause),
    Resume(Resume),
    Bus(Bus),
}

impl Sync {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.agent {
            Some(AgentVerb::Start(start)) => start.run(out),
            Some(AgentVerb::Now(now)) => now.run(out),
            Some(AgentVerb::Status(status)) => status.run(out),
            Some(AgentVerb::Pause(pause)) => pause.run(out),
            Some(AgentVerb::Resume(resume)) => resume.run(out),
            Some(AgentVerb::Bus(_)) => Bus::run(out),
            None => self.once.run(out),
        }
    }
}
