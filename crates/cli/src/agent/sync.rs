//! `edgesync sync`: the agent's verbs.

use clap::{Args, Subcommand};

use crate::agent::control::{Now, Status};
use crate::agent::start::Start;
use crate::error::Failure;
use crate::output::Output;

/// Run the agent, or ask it
#[derive(Args)]
pub(crate) struct Sync {
    #[command(subcommand)]
    agent: AgentVerb,
}

#[derive(Subcommand)]
enum AgentVerb {
    Start(Box<Start>),
    Now(Now),
    Status(Status),
}

impl Sync {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.agent {
            AgentVerb::Start(start) => start.run(out),
            AgentVerb::Now(now) => now.run(out),
            AgentVerb::Status(status) => status.run(out),
        }
    }
}
